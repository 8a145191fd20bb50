// Checkpoint tensors that live in memory or are made up, as a test describes them.
#pragma once
#include <napi.h>

#include <memory>

#include "backend/weights.h"

namespace r1::testing {

/** From { name, dtype, rows, cols, data: Float32Array | Uint16Array } or { name, dtype, rows, cols, seed, scale }. */
std::shared_ptr<TensorSource> tensor_source(const Napi::Object& from);
/** From { name, parts: [tensor …] }. */
WeightParts weight_parts(const Napi::Object& from);
/** Elements [first, first + count) of a made-up tensor, before rounding to its dtype. */
Napi::Value random_values(const Napi::CallbackInfo& info);

}  // namespace r1::testing
