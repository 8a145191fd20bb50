// Reads of JavaScript values that accept nothing else than what is asked for: a TypeError names what was expected
// otherwise.
#pragma once
#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace r1 {

/** The values of an Int32Array; a TypeError that calls it `name` for anything else. */
std::vector<int32_t> int32_values(const Napi::Value& value, const std::string& name);

/** An object's properties, under a name for messages. */
class JsObject {
 public:
  /** Throws a TypeError when `value` is not an object. */
  JsObject(const Napi::Value& value, std::string name);

  double number(const char* key) const;  // finite
  /** A whole number of [low, high]; a RangeError otherwise. */
  int64_t integer(const char* key, int64_t low, int64_t high) const;
  bool boolean(const char* key) const;
  std::string string(const char* key) const;
  JsObject object(const char* key) const;
  std::vector<JsObject> objects(const char* key) const;
  std::vector<std::string> strings(const char* key) const;
  std::vector<int32_t> int32s(const char* key) const;  // an Int32Array
  std::vector<float> floats(const char* key) const;    // a Float32Array
  bool is_null(const char* key) const;                 // or undefined

  /** One of the names of `table`, a list of {name, value}. */
  template <class T, size_t N>
  T one_of(const char* key, const std::pair<const char*, T> (&table)[N]) const {
    const std::string text = string(key);
    std::string names;
    for (const auto& [name, value] : table) {
      if (text == name) return value;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    refuse(key, "one of " + names);
  }

 private:
  Napi::Value get(const char* key) const { return object_.Get(key); }
  Napi::Array array(const char* key) const;
  [[noreturn]] void refuse(const char* key, const std::string& expected) const;

  Napi::Object object_;
  std::string name_;
};

}  // namespace r1
