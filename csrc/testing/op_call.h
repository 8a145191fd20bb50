// One call of one op: inputs taken from a test's object, outputs poisoned, fenced and read back.
#pragma once
#include <napi.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "testing/guarded.h"

namespace r1::testing {

/** What a TestBackend has loaded, by the handles that tests hold. */
struct Loaded {
  std::map<int32_t, std::unique_ptr<Matrix>> matrices;
  std::map<int32_t, std::unique_ptr<KvPool>> pools;
};

class OpCall {
 public:
  OpCall(Backend& backend, DType precision, const Loaded& loaded, const StepView& step, Napi::Object params);

  const StepView& step() const { return step_; }
  Backend& backend() const { return backend_; }
  DType precision() const { return precision_; }

  int32_t integer(const char* name) const;
  float real(const char* name) const;
  const Matrix* matrix(const char* name) const;
  const KvPool* kv(const char* name) const;

  /** A Float32Array; null when absent. The op must leave it as it is. */
  const float* vector(const char* name);
  /** A Float32Array [rows of the step][cols]; padding rows are poison. */
  const float* f32_input(const char* name, int64_t cols);
  /** The same as the activation type: a Float32Array is rounded, a Uint16Array taken as bits. */
  const void* act_input(const char* name, int64_t cols);
  /** Changed in place and handed back. */
  float* f32_inout(const char* name, int64_t cols);
  void* act_inout(const char* name, int64_t cols);
  /** Written whole; poison before. `rows` of them, the step's own by default. */
  float* f32_output(const char* name, int64_t cols, int64_t rows = -1);
  void* act_output(const char* name, int64_t cols);

  /** { name: { values: Float32Array, bits: Uint8Array } }; throws when a fence or an input was touched. */
  Napi::Object collect();

 private:
  struct Array {
    std::string name;
    std::unique_ptr<Guarded> memory;
    DType dtype;
    int64_t elements;           // handed back, of an output
    std::vector<uint8_t> sent;  // of an input, to see that it was left alone
    bool output;
  };
  Guarded& take(const char* name, DType dtype, int64_t capacity, bool output);
  Guarded& create(const char* name, DType dtype, int64_t elements, int64_t capacity);

  Backend& backend_;
  DType precision_;
  const Loaded& loaded_;
  const StepView& step_;
  Napi::Object params_;
  std::vector<Array> arrays_;
};

/** Runs the op called `name` (as in backend.h) on the step that has begun. */
void call_op(const std::string& name, OpCall& call);

}  // namespace r1::testing
