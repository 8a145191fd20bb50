// lib/native.ts's NativeLoadSpec as the model layer takes it.
#pragma once
#include <napi.h>

#include "model/model.h"

namespace r1::testing {

struct LoadSpec {
  ModelConfig config;
  WeightTable weights;
  ModelOptions options;
};

LoadSpec load_spec(const Napi::Object& from);

}  // namespace r1::testing
