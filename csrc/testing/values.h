// Reading the plain objects and typed arrays that tests pass in, and handing typed arrays back.
#pragma once
#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/error.h"

namespace r1::testing {

double number(const Napi::Object& from, const char* name);
double number_or(const Napi::Object& from, const char* name, double otherwise);
std::string text_or(const Napi::Object& from, const char* name, const std::string& otherwise);
bool present(const Napi::Object& from, const char* name);
Napi::Object object(const Napi::Object& from, const char* name);

/** The bytes under a typed array; throws a TypeError for anything else. Valid while the array lives. */
struct Bytes {
  const uint8_t* data = nullptr;
  int64_t size = 0;
};
Bytes bytes_of(const Napi::Value& value, const char* name);

/** Elements of an Int32Array; empty when absent. */
std::vector<int32_t> ints(const Napi::Object& from, const char* name);

/** "F32", "BF16", "F16" or the lower-case precision names. */
DType dtype_named(const std::string& name);

/** Float32 values as `dtype`, rounded to nearest even. */
std::vector<uint8_t> convert(const float* values, int64_t count, DType dtype);
/** The values of `count` elements of `dtype`. */
std::vector<float> to_floats(const uint8_t* raw, int64_t count, DType dtype);

Napi::Float32Array float_array(Napi::Env env, const float* values, int64_t count);
Napi::Uint8Array byte_array(Napi::Env env, const uint8_t* values, int64_t count);

/** Throws a JavaScript Error with a `code`. */
[[noreturn]] void throw_js(Napi::Env env, const std::string& code, const std::string& message);

/** Runs `body`; an r1::Error becomes a JavaScript Error with `code` "E_…". */
template <class F>
auto translated(Napi::Env env, F&& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw_js(env, std::string(error_code_name(error.code())), error.what());
  }
}

}  // namespace r1::testing
