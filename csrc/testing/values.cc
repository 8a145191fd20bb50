#include "testing/values.h"

#include <cstring>

namespace r1::testing {
namespace {

Napi::Value required(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (value.IsUndefined()) throw Napi::TypeError::New(from.Env(), std::string("missing: ") + name);
  return value;
}

}  // namespace

double number(const Napi::Object& from, const char* name) { return required(from, name).ToNumber().DoubleValue(); }

double number_or(const Napi::Object& from, const char* name, double otherwise) {
  return present(from, name) ? number(from, name) : otherwise;
}

std::string text_or(const Napi::Object& from, const char* name, const std::string& otherwise) {
  return present(from, name) ? required(from, name).ToString().Utf8Value() : otherwise;
}

bool present(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  return !value.IsUndefined() && !value.IsNull();
}

Napi::Object object(const Napi::Object& from, const char* name) { return required(from, name).ToObject(); }

Bytes bytes_of(const Napi::Value& value, const char* name) {
  if (!value.IsTypedArray()) throw Napi::TypeError::New(value.Env(), std::string(name) + " must be a typed array");
  const auto array = value.As<Napi::TypedArray>();
  const auto* base = static_cast<const uint8_t*>(array.ArrayBuffer().Data());
  return {base + array.ByteOffset(), static_cast<int64_t>(array.ByteLength())};
}

std::vector<int32_t> ints(const Napi::Object& from, const char* name) {
  if (!present(from, name)) return {};
  const Napi::Value value = from.Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array)
    throw Napi::TypeError::New(from.Env(), std::string(name) + " must be an Int32Array");
  const Bytes bytes = bytes_of(value, name);
  std::vector<int32_t> out(static_cast<size_t>(bytes.size / 4));
  if (!out.empty()) std::memcpy(out.data(), bytes.data, static_cast<size_t>(bytes.size));
  return out;
}

DType dtype_named(const std::string& name) {
  if (name == "F32" || name == "f32") return DType::kF32;
  if (name == "BF16" || name == "bf16") return DType::kBF16;
  if (name == "F16" || name == "fp16") return DType::kF16;
  R1_THROW(ErrorCode::kInvalidArgument, "expected F32, BF16 or F16 as an element type, found " + name);
}

std::vector<uint8_t> convert(const float* values, int64_t count, DType dtype) {
  std::vector<uint8_t> out(static_cast<size_t>(count * dtype_size(dtype)));
  if (dtype == DType::kF32) {
    if (count > 0) std::memcpy(out.data(), values, out.size());
    return out;
  }
  auto* halves = reinterpret_cast<uint16_t*>(out.data());
  for (int64_t i = 0; i < count; ++i) {
    halves[i] = dtype == DType::kBF16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
  }
  return out;
}

std::vector<float> to_floats(const uint8_t* raw, int64_t count, DType dtype) {
  std::vector<float> out(static_cast<size_t>(count));
  if (dtype == DType::kF32) {
    if (count > 0) std::memcpy(out.data(), raw, out.size() * 4);
    return out;
  }
  const auto* halves = reinterpret_cast<const uint16_t*>(raw);
  for (int64_t i = 0; i < count; ++i) {
    out[static_cast<size_t>(i)] = dtype == DType::kBF16 ? bf16_to_f32(halves[i]) : f16_to_f32(halves[i]);
  }
  return out;
}

Napi::Float32Array float_array(Napi::Env env, const float* values, int64_t count) {
  auto out = Napi::Float32Array::New(env, static_cast<size_t>(count));
  if (count > 0) std::memcpy(out.Data(), values, static_cast<size_t>(count) * 4);
  return out;
}

Napi::Uint8Array byte_array(Napi::Env env, const uint8_t* values, int64_t count) {
  auto out = Napi::Uint8Array::New(env, static_cast<size_t>(count));
  if (count > 0) std::memcpy(out.Data(), values, static_cast<size_t>(count));
  return out;
}

void throw_js(Napi::Env env, const std::string& code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Value().Set("code", code);
  throw error;
}

}  // namespace r1::testing
