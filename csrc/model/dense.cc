#include "model/dense.h"

#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"

namespace r1 {
namespace {

/** Steps may be padded to the rows of a graph's bucket or a tile; buffers have room for that. */
constexpr int64_t kRowPadding = 128;

int64_t padded_rows(const ModelOptions& options) {
  return (int64_t{options.max_rows} + kRowPadding - 1) / kRowPadding * kRowPadding;
}

// Columns of the activations between ops.
int64_t q_columns(const ModelConfig& c) { return int64_t{c.heads} * c.head_dim; }
int64_t qkv_columns(const ModelConfig& c) { return (int64_t{c.heads} + 2 * int64_t{c.kv_heads}) * c.head_dim; }

void check_config(const ModelConfig& c) {
  const auto positive = [](const char* name, int value) {
    R1_CHECK(value > 0, ErrorCode::kBadCheckpoint,
             std::string("The config's ") + name + " is " + std::to_string(value) + "; it must be at least 1.");
  };
  positive("vocabulary size", c.vocab);
  positive("hidden size", c.hidden);
  positive("number of layers", c.layers);
  positive("number of attention heads", c.heads);
  positive("number of KV heads", c.kv_heads);
  positive("intermediate size", c.intermediate);
  R1_CHECK(c.heads % c.kv_heads == 0, ErrorCode::kBadCheckpoint,
           std::to_string(c.heads) + " attention heads cannot share " + std::to_string(c.kv_heads) +
               " KV heads evenly: the config is wrong.");
  R1_CHECK(c.head_dim == 64 || c.head_dim == 128, ErrorCode::kUnsupported,
           "The head dimension is " + std::to_string(c.head_dim) + "; this version computes 64 and 128.");
  R1_CHECK(c.hidden % 8 == 0, ErrorCode::kUnsupported,
           "The hidden size is " + std::to_string(c.hidden) + "; it must be divisible by 8.");
  R1_CHECK(c.inv_freq.size() == static_cast<size_t>(c.head_dim / 2), ErrorCode::kInvalidArgument,
           "invFreq must have headDim / 2 = " + std::to_string(c.head_dim / 2) + " values, not " +
               std::to_string(c.inv_freq.size()) + ".");
  R1_CHECK(c.windows.size() == static_cast<size_t>(c.layers), ErrorCode::kInvalidArgument,
           "windows must have one value for each of the " + std::to_string(c.layers) + " layers, not " +
               std::to_string(c.windows.size()) + ".");
  for (const int32_t window : c.windows) {
    R1_CHECK(window >= 0, ErrorCode::kInvalidArgument, "A sliding window cannot be negative.");
  }
  R1_CHECK(c.norm_eps >= 0 && std::isfinite(c.norm_eps) && std::isfinite(c.rope_scale), ErrorCode::kBadCheckpoint,
           "The config's norm epsilon and RoPE scale must be finite numbers.");
}

std::string layer_name(int layer, const char* name) { return "layers." + std::to_string(layer) + "." + name; }

std::vector<WeightSpec> weight_list(const ModelConfig& c) {
  constexpr bool kOptional = true;
  const int64_t hidden = c.hidden, inter = c.intermediate;
  std::vector<WeightSpec> list = {
      {"embed", WeightKind::kMatrix, c.vocab, hidden},
      {"final_norm", WeightKind::kVector, hidden, 1},
      {"head", WeightKind::kMatrix, c.vocab, hidden, kOptional},  // absent: tied to embed
  };
  for (int i = 0; i < c.layers; ++i) {
    list.push_back({layer_name(i, "attn_norm"), WeightKind::kVector, hidden, 1});
    list.push_back({layer_name(i, "qkv"), WeightKind::kMatrix, qkv_columns(c), hidden});
    list.push_back({layer_name(i, "qkv_bias"), WeightKind::kVector, qkv_columns(c), 1, kOptional});
    if (c.qk_norm) {
      list.push_back({layer_name(i, "q_norm"), WeightKind::kVector, c.head_dim, 1});
      list.push_back({layer_name(i, "k_norm"), WeightKind::kVector, c.head_dim, 1});
    }
    list.push_back({layer_name(i, "o"), WeightKind::kMatrix, hidden, q_columns(c)});
    list.push_back({layer_name(i, "o_bias"), WeightKind::kVector, hidden, 1, kOptional});
    list.push_back({layer_name(i, "mlp_norm"), WeightKind::kVector, hidden, 1});
    list.push_back({layer_name(i, "gate_up"), WeightKind::kGateUp, 2 * inter, hidden});
    list.push_back({layer_name(i, "gate_up_bias"), WeightKind::kVector, 2 * inter, 1, kOptional});
    list.push_back({layer_name(i, "down"), WeightKind::kMatrix, hidden, inter});
    list.push_back({layer_name(i, "down_bias"), WeightKind::kVector, hidden, 1, kOptional});
  }
  return list;
}

/** Bytes of the activation buffers. */
struct WorkspaceSizes {
  int64_t residual, scaled, squares, qkv, attention, mlp, mlp_scale, inv_freq;  // 0: none
  int64_t total() const { return residual + scaled + squares + qkv + attention + mlp + mlp_scale + inv_freq; }
};

WorkspaceSizes workspace_sizes(const Backend& backend, const ModelConfig& c, const ModelOptions& options) {
  const int64_t rows = padded_rows(options), act = dtype_size(options.precision), f32 = dtype_size(DType::kF32);
  const int64_t norm_rows = backend.takes_norm_input() ? rows : 0;
  return {
      .residual = rows * c.hidden * f32,
      .scaled = norm_rows * c.hidden * act,
      .squares = norm_rows * squares_stride(c.hidden, static_cast<int32_t>(rows)) * f32,
      .qkv = rows * qkv_columns(c) * act,
      .attention = rows * q_columns(c) * act,
      .mlp = rows * c.intermediate * act,
      .mlp_scale = options.precision == DType::kF16 ? rows * f32 : 0,
      .inv_freq = c.head_dim / 2 * f32,
  };
}

KvLayout kv_layout_of(const ModelConfig& c, const ModelOptions& options) {
  return {.layers = c.layers, .kv_heads = c.kv_heads, .head_dim = c.head_dim, .dtype = options.precision};
}

/** Null where the checkpoint has none. */
struct Layer {
  const float *attn_norm, *qkv_bias, *q_norm, *k_norm, *o_bias, *mlp_norm, *gate_up_bias, *down_bias;
  const Matrix *qkv, *o, *gate_up, *down;
};

class DenseModel final : public Model {
 public:
  DenseModel(Backend& backend, const ModelConfig& config, const WeightTable& table, const ModelOptions& options,
             const LoadProgress& progress)
      : Model(config, kv_layout_of(config, options)),
        weights_(load_weights(backend, weight_list(config), table, progress)) {
    embed_ = weights_.matrix("embed");
    head_ = weights_.matrix("head") ? weights_.matrix("head") : embed_;
    final_norm_ = weights_.vector("final_norm");
    for (int i = 0; i < config.layers; ++i) {
      const auto vector = [&](const char* name) { return weights_.vector(layer_name(i, name)); };
      const auto matrix = [&](const char* name) { return weights_.matrix(layer_name(i, name)); };
      layers_.push_back({.attn_norm = vector("attn_norm"),
                         .qkv_bias = vector("qkv_bias"),
                         .q_norm = vector("q_norm"),
                         .k_norm = vector("k_norm"),
                         .o_bias = vector("o_bias"),
                         .mlp_norm = vector("mlp_norm"),
                         .gate_up_bias = vector("gate_up_bias"),
                         .down_bias = vector("down_bias"),
                         .qkv = matrix("qkv"),
                         .o = matrix("o"),
                         .gate_up = matrix("gate_up"),
                         .down = matrix("down")});
    }
    const WorkspaceSizes sizes = workspace_sizes(backend, config, options);
    residual_ = backend.allocate(sizes.residual);
    if (sizes.scaled > 0) {
      scaled_ = backend.allocate(sizes.scaled);
      squares_ = backend.allocate(sizes.squares);
    }
    qkv_ = backend.allocate(sizes.qkv);
    attention_ = backend.allocate(sizes.attention);
    mlp_ = backend.allocate(sizes.mlp);
    if (sizes.mlp_scale > 0) mlp_scale_ = backend.allocate(sizes.mlp_scale);
    inv_freq_ = backend.allocate(sizes.inv_freq);
    backend.upload(inv_freq_->data, config.inv_freq.data(), sizes.inv_freq);
  }

  void forward(Backend& backend, const StepView& step, const KvPool& kv, const LayerTap& tap) override {
    const ModelConfig& c = config();
    auto* residual = residual_->as<float>();
    float* mlp_scale = mlp_scale_ ? mlp_scale_->as<float>() : nullptr;
    const float score_scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim));

    const auto norm_input = [&](const float* gain) {
      return scaled_ ? NormInput{gain, scaled_->data, squares_->as<float>()} : NormInput{};
    };

    backend.embed(
        {.step = &step, .table = embed_, .residual = residual, .next = norm_input(layers_.front().attn_norm)});
    for (int i = 0; i < c.layers; ++i) {
      const Layer& layer = layers_[i];
      if (tap) tap(i, residual);
      backend.norm_qkv({.step = &step,
                        .residual = residual,
                        .gain = layer.attn_norm,
                        .eps = c.norm_eps,
                        .prepared = norm_input(layer.attn_norm),
                        .weight = layer.qkv,
                        .bias = layer.qkv_bias,
                        .out = qkv_->data},
                       {.step = &step,
                        .qkv = qkv_->data,
                        .heads = c.heads,
                        .kv_heads = c.kv_heads,
                        .head_dim = c.head_dim,
                        .q_norm = layer.q_norm,
                        .k_norm = layer.k_norm,
                        .norm_eps = c.norm_eps,
                        .inv_freq = inv_freq_->as<float>(),
                        .rope_scale = c.rope_scale,
                        .kv = &kv,
                        .layer = i});
      backend.attention({.step = &step,
                         .qkv = qkv_->data,
                         .out = attention_->data,
                         .heads = c.heads,
                         .kv_heads = c.kv_heads,
                         .head_dim = c.head_dim,
                         .scale = score_scale,
                         .kv = &kv,
                         .layer = i,
                         .mask = {.window = c.windows[i]}});
      backend.linear_residual({.step = &step,
                               .x = attention_->data,
                               .x_scale = nullptr,
                               .weight = layer.o,
                               .bias = layer.o_bias,
                               .residual = residual,
                               .next = norm_input(layer.mlp_norm)});
      backend.norm_swiglu({.step = &step,
                           .residual = residual,
                           .gain = layer.mlp_norm,
                           .eps = c.norm_eps,
                           .prepared = norm_input(layer.mlp_norm),
                           .weight = layer.gate_up,
                           .bias = layer.gate_up_bias,
                           .out = mlp_->data,
                           .out_scale = mlp_scale});
      backend.linear_residual({.step = &step,
                               .x = mlp_->data,
                               .x_scale = mlp_scale,
                               .weight = layer.down,
                               .bias = layer.down_bias,
                               .residual = residual,
                               .next = i + 1 < c.layers ? norm_input(layers_[i + 1].attn_norm) : NormInput{}});
    }
    if (tap) tap(c.layers, residual);
  }

  void head(Backend& backend, const StepView& step, int32_t first, int32_t count, float* logits) override {
    backend.head({.step = &step,
                  .residual = residual_->as<float>(),
                  .gain = final_norm_,
                  .eps = config().norm_eps,
                  .weight = head_,
                  .first = first,
                  .count = count,
                  .logits = logits});
  }

 private:
  Weights weights_;
  const Matrix *embed_, *head_;
  const float* final_norm_;
  std::vector<Layer> layers_;
  // Activations, [rows][columns]
  std::unique_ptr<Buffer> residual_;   // [T][H] f32
  std::unique_ptr<Buffer> scaled_;     // [T][H] act: NormInput's, or null
  std::unique_ptr<Buffer> squares_;    // [T][squares_stride(H, T)] f32: likewise
  std::unique_ptr<Buffer> qkv_;        // [T][(heads + 2·kv_heads)·head_dim] act
  std::unique_ptr<Buffer> attention_;  // [T][heads·head_dim] act
  std::unique_ptr<Buffer> mlp_;        // [T][I] act
  std::unique_ptr<Buffer> mlp_scale_;  // [T] f32, fp16 only
  std::unique_ptr<Buffer> inv_freq_;   // [head_dim/2] f32
};

}  // namespace

ModelPlan plan_dense(const Backend& backend, const ModelConfig& config, const WeightTable& weights,
                     const ModelOptions& options) {
  check_config(config);
  const std::vector<WeightSpec> list = weight_list(config);
  check_weights(list, weights);
  return {.weight_bytes = count_weights(backend, list, weights).bytes,
          .workspace_bytes = workspace_sizes(backend, config, options).total(),
          .kv = kv_layout_of(config, options)};
}

std::unique_ptr<Model> load_dense(Backend& backend, const ModelConfig& config, const WeightTable& weights,
                                  const ModelOptions& options, const LoadProgress& progress) {
  return std::make_unique<DenseModel>(backend, config, weights, options, progress);
}

}  // namespace r1
