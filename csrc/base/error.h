// The one exception type of the native code. It crosses into JavaScript as an R1Error with the same code.
#pragma once
#include <exception>
#include <string>
#include <string_view>

namespace r1 {

enum class ErrorCode {
  kInternal,           // a bug of ours
  kBadInput,           // what a caller asks for makes no sense as things are
  kInvalidArgument,    // a caller broke a contract that TypeScript checks first
  kNotFound,           // a file or folder is missing
  kBadCheckpoint,      // a file is malformed, truncated or does not fit its config
  kUnsupported,        // well-formed, but not something this build or device can do
  kDeviceUnavailable,  // no driver, driver too old, card not supported
  kOutOfMemory,
  kContextOverflow,
  kSampling,    // no token can be drawn: empty set, NaN or +inf logits
  kDeviceLost,  // a sticky device error: the engine is in its failed state
  kDisposed,
  kOverloaded,  // the queue is full
  kTimeout,     // a request waited longer than it was to
};

/** "E_OUT_OF_MEMORY" and so on: the codes that users see. */
std::string_view error_code_name(ErrorCode code);

class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, const char* file, int line);
  const char* what() const noexcept override { return message_.c_str(); }
  ErrorCode code() const { return code_; }
  /** Where it was thrown, "backend/cuda/driver.cc:41"; not part of the message. */
  const std::string& where() const { return where_; }

 private:
  ErrorCode code_;
  std::string message_;
  std::string where_;
};

}  // namespace r1

/** Throws r1::Error; the message says what was expected, what was found and what to do. */
#define R1_THROW(code, message) throw ::r1::Error((code), (message), __FILE__, __LINE__)
#define R1_CHECK(condition, code, message)     \
  do {                                         \
    if (!(condition)) R1_THROW(code, message); \
  } while (0)
