// A loaded model whose forward pass can be watched layer by layer.
#pragma once
#include <napi.h>

#include "engine/loader.h"

namespace r1::testing {

class TestModel : public Napi::ObjectWrap<TestModel> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit TestModel(const Napi::CallbackInfo& info);

 private:
  Napi::Value forward(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  LoadedModel loaded_;
};

}  // namespace r1::testing
