// A loaded model whose forward pass can be watched layer by layer.
#pragma once
#include <napi.h>

#include <memory>

#include "model/model.h"

namespace r1::testing {

class TestModel : public Napi::ObjectWrap<TestModel> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit TestModel(const Napi::CallbackInfo& info);

 private:
  Napi::Value forward(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::unique_ptr<Backend> backend_;  // outlives the others
  std::unique_ptr<Model> model_;
  std::unique_ptr<KvPool> kv_;
};

}  // namespace r1::testing
