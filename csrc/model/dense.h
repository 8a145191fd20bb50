// The dense decoder family: qwen2 (q/k/v biases), llama (optional biases), qwen3 (per-head q/k norm).
#pragma once
#include <memory>

#include "model/model.h"

namespace r1 {

ModelPlan plan_dense(const Backend& backend, const ModelConfig& config, const WeightTable& weights,
                     const ModelOptions& options);
std::unique_ptr<Model> load_dense(Backend& backend, const ModelConfig& config, const WeightTable& weights,
                                  const ModelOptions& options, const LoadProgress& progress);

}  // namespace r1
