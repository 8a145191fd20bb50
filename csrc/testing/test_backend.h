// A Backend as an object of JavaScript: load, run one op, look at every byte.
#pragma once
#include <napi.h>

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "testing/op_call.h"

namespace r1::testing {

class TestBackend : public Napi::ObjectWrap<TestBackend> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit TestBackend(const Napi::CallbackInfo& info);

 private:
  Backend& backend(Napi::Env env) const;
  KvPool& pool(const Napi::CallbackInfo& info) const;
  /** Address of a plane: (pool, layer, "k" | "v", block). */
  uint8_t* plane(const Napi::CallbackInfo& info, const KvPool& pool) const;

  Napi::Value describe(const Napi::CallbackInfo& info);
  Napi::Value load_matrix(const Napi::CallbackInfo& info);
  Napi::Value load_vector(const Napi::CallbackInfo& info);
  Napi::Value matrix_bytes(const Napi::CallbackInfo& info);
  void free_matrix(const Napi::CallbackInfo& info);
  Napi::Value create_kv(const Napi::CallbackInfo& info);
  void grow_kv(const Napi::CallbackInfo& info);
  void free_kv(const Napi::CallbackInfo& info);
  Napi::Value read_kv(const Napi::CallbackInfo& info);
  void write_kv(const Napi::CallbackInfo& info);
  Napi::Value read_tokens(const Napi::CallbackInfo& info);
  void write_tokens(const Napi::CallbackInfo& info);
  Napi::Value run_op(const Napi::CallbackInfo& info);
  Napi::Value sample_batch(const Napi::CallbackInfo& info);
  Napi::Value run_steps(const Napi::CallbackInfo& info);
  void set_linear_choices(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::unique_ptr<Backend> backend_;  // outlives what it has loaded
  Loaded loaded_;
  DType precision_ = DType::kF32;
  int32_t next_handle_ = 1;
};

/** What a step has drawn, as test-addon.ts documents it. */
Napi::Array result_objects(Napi::Env env, const std::vector<SampleResult>& results);

/** From the options that test-addon.ts documents. */
BackendOptions backend_options(const Napi::Object& from);

}  // namespace r1::testing
