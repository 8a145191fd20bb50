#include "binding/js_read.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace r1 {

std::vector<int32_t> int32_values(const Napi::Value& value, const std::string& name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    throw Napi::TypeError::New(value.Env(), name + " must be an Int32Array");
  }
  const auto array = value.As<Napi::Int32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

JsObject::JsObject(const Napi::Value& value, std::string name) : name_(std::move(name)) {
  if (!value.IsObject()) throw Napi::TypeError::New(value.Env(), name_ + " must be an object");
  object_ = value.As<Napi::Object>();
}

void JsObject::refuse(const char* key, const std::string& expected) const {
  throw Napi::TypeError::New(object_.Env(), name_ + "." + key + " must be " + expected);
}

double JsObject::number(const char* key) const {
  const Napi::Value value = get(key);
  if (!value.IsNumber()) refuse(key, "a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!std::isfinite(number)) refuse(key, "a finite number");
  return number;
}

int64_t JsObject::integer(const char* key, int64_t low, int64_t high) const {
  const double value = number(key);
  if (value != std::trunc(value) || value < static_cast<double>(low) || value > static_cast<double>(high)) {
    throw Napi::RangeError::New(object_.Env(), name_ + "." + key + " must be a whole number from " +
                                                   std::to_string(low) + " to " + std::to_string(high));
  }
  return static_cast<int64_t>(value);
}

bool JsObject::boolean(const char* key) const {
  const Napi::Value value = get(key);
  if (!value.IsBoolean()) refuse(key, "true or false");
  return value.As<Napi::Boolean>().Value();
}

std::string JsObject::string(const char* key) const {
  const Napi::Value value = get(key);
  if (!value.IsString()) refuse(key, "a string");
  return value.As<Napi::String>().Utf8Value();
}

JsObject JsObject::object(const char* key) const { return {get(key), name_ + "." + key}; }

Napi::Array JsObject::array(const char* key) const {
  const Napi::Value value = get(key);
  if (!value.IsArray()) refuse(key, "an array");
  return value.As<Napi::Array>();
}

std::vector<JsObject> JsObject::objects(const char* key) const {
  const Napi::Array values = array(key);
  std::vector<JsObject> objects;
  objects.reserve(std::min<uint32_t>(values.Length(), 1024));  // the length of a sparse array is anybody's guess
  for (uint32_t i = 0; i < values.Length(); ++i) {
    objects.emplace_back(values.Get(i), name_ + "." + key + "[" + std::to_string(i) + "]");
  }
  return objects;
}

std::vector<std::string> JsObject::strings(const char* key) const {
  const Napi::Array values = array(key);
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < values.Length(); ++i) {
    const Napi::Value value = values.Get(i);
    if (!value.IsString()) refuse(key, "an array of strings");
    strings.push_back(value.As<Napi::String>().Utf8Value());
  }
  return strings;
}

std::vector<int32_t> JsObject::int32s(const char* key) const { return int32_values(get(key), name_ + "." + key); }

std::vector<float> JsObject::floats(const char* key) const {
  const Napi::Value value = get(key);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
    refuse(key, "a Float32Array");
  }
  const auto array = value.As<Napi::Float32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

bool JsObject::is_null(const char* key) const {
  const Napi::Value value = get(key);
  return value.IsNull() || value.IsUndefined();
}

}  // namespace r1
