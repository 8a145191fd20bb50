#include "base/error.h"

#include <cstring>

namespace r1 {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInternal:
      return "E_INTERNAL";
    case ErrorCode::kBadInput:
      return "E_BAD_INPUT";
    case ErrorCode::kInvalidArgument:
      return "E_INVALID_ARGUMENT";
    case ErrorCode::kNotFound:
      return "E_NOT_FOUND";
    case ErrorCode::kBadCheckpoint:
      return "E_BAD_CHECKPOINT";
    case ErrorCode::kUnsupported:
      return "E_UNSUPPORTED";
    case ErrorCode::kDeviceUnavailable:
      return "E_DEVICE_UNAVAILABLE";
    case ErrorCode::kOutOfMemory:
      return "E_OUT_OF_MEMORY";
    case ErrorCode::kContextOverflow:
      return "E_CONTEXT_OVERFLOW";
    case ErrorCode::kSampling:
      return "E_SAMPLING";
    case ErrorCode::kDeviceLost:
      return "E_DEVICE_LOST";
    case ErrorCode::kDisposed:
      return "E_DISPOSED";
    case ErrorCode::kOverloaded:
      return "E_OVERLOADED";
    case ErrorCode::kTimeout:
      return "E_TIMEOUT";
  }
  return "E_INTERNAL";
}

Error::Error(ErrorCode code, std::string message, const char* file, int line)
    : code_(code), message_(std::move(message)) {
  const char* room = std::strstr(file, "csrc/");
  where_ = std::string(room ? room + 5 : file) + ":" + std::to_string(line);
}

}  // namespace r1
