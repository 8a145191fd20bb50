// A model as the engine sees it: it knows its weights, its KV layout and its forward pass, and no device.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "backend/backend.h"
#include "model/config.h"
#include "model/weight_list.h"

namespace r1 {

struct ModelOptions {
  DType precision = DType::kF32;  // of activations and KV
  int32_t max_rows = 0;           // rows of a step, at most
};

/** What a model will take, known before anything is allocated. */
struct ModelPlan {
  int64_t weight_bytes = 0;     // on the device
  int64_t workspace_bytes = 0;  // activations between ops
  KvLayout kv{};
};

/**
 * Called with the residual stream [rows][H] before layer `layer`, and once more with layer = the number of layers: the
 * residual after the last. Ops may still be in flight: Backend::download waits for them.
 */
using LayerTap = std::function<void(int layer, const float* residual)>;

class Model {
 public:
  virtual ~Model() = default;
  const ModelConfig& config() const { return config_; }
  const KvLayout& kv_layout() const { return kv_layout_; }

  /** All layers of one step: leaves the residual stream of its rows, and their K and V in the cache. */
  virtual void forward(Backend& backend, const StepView& step, const KvPool& kv, const LayerTap& tap) = 0;
  /** After forward: logits[i] of logit rows [first, first + count), count <= kMaxLogitRows. */
  virtual void head(Backend& backend, const StepView& step, int32_t first, int32_t count, float* logits) = 0;

 protected:
  Model(ModelConfig config, KvLayout kv_layout) : config_(std::move(config)), kv_layout_(kv_layout) {}

 private:
  ModelConfig config_;
  KvLayout kv_layout_;
};

/** An architecture family: one row of the table in model.cc, one file. */
struct ModelFamily {
  std::string_view name;
  /** Throws kBadCheckpoint or kUnsupported when config and weights do not fit; otherwise what it will take. */
  ModelPlan (*plan)(const Backend& backend, const ModelConfig& config, const WeightTable& weights,
                    const ModelOptions& options);
  /** Loads the weights. Call `plan` first: it checks. */
  std::unique_ptr<Model> (*load)(Backend& backend, const ModelConfig& config, const WeightTable& weights,
                                 const ModelOptions& options, const LoadProgress& progress);
};

/** Throws kUnsupported naming the supported ones. */
const ModelFamily& model_family(std::string_view architecture);

}  // namespace r1
