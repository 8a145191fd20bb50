#include "binding/session_calls.h"

#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "binding/js_read.h"

namespace r1 {
namespace {

int32_t count_argument(const Napi::Value& value, const char* name) {
  if (!value.IsNumber()) throw Napi::TypeError::New(value.Env(), std::string(name) + " must be a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 0 && number <= INT32_MAX) || number != std::trunc(number)) {
    throw Napi::RangeError::New(value.Env(), std::string(name) + " must be a whole number from 0 to 2147483647");
  }
  return static_cast<int32_t>(number);
}

std::vector<std::byte> bytes_argument(const Napi::Value& value, const char* name) {
  if (!value.IsArrayBuffer()) throw Napi::TypeError::New(value.Env(), std::string(name) + " must be an ArrayBuffer");
  auto buffer = value.As<Napi::ArrayBuffer>();
  std::vector<std::byte> bytes(buffer.ByteLength());
  if (!bytes.empty()) std::memcpy(bytes.data(), buffer.Data(), bytes.size());
  return bytes;
}

template <class What>
SessionCall call_of(const Napi::CallbackInfo& info, What what) {
  return {.call = 0, .session = id_argument(info[0]), .what = std::move(what)};
}

}  // namespace

int64_t id_argument(const Napi::Value& value) {
  if (!value.IsNumber()) return -1;
  const double number = value.As<Napi::Number>().DoubleValue();
  return number >= 0 && number <= 9007199254740991.0 ? static_cast<int64_t>(number) : -1;
}

SessionCall state_call(const Napi::CallbackInfo& info) { return call_of(info, SessionCall::State{}); }

SessionCall read_call(const Napi::CallbackInfo& info) {
  return call_of(info, SessionCall::Read{.layer = count_argument(info[1], "layer"),
                                         .first = count_argument(info[2], "first"),
                                         .count = count_argument(info[3], "count")});
}

SessionCall fill_call(const Napi::CallbackInfo& info) {
  return call_of(
      info, SessionCall::Fill{.tokens = int32_values(info[1], "tokens"), .decoded = int32_values(info[2], "decoded")});
}

SessionCall write_call(const Napi::CallbackInfo& info) {
  return call_of(info, SessionCall::Write{.layer = count_argument(info[1], "layer"),
                                          .first = count_argument(info[2], "first"),
                                          .count = count_argument(info[3], "count"),
                                          .data = bytes_argument(info[4], "data")});
}

SessionCall seal_call(const Napi::CallbackInfo& info) { return call_of(info, SessionCall::Seal{}); }

}  // namespace r1
