// A backend that carries out one op of a step and leaves the others out, for measuring it alone.
#pragma once
#include <cstdint>

#include "backend/forwarding_backend.h"

namespace r1 {

/**
 * The ops of a step in their order: the first and the last two once, the others in each layer. kLinear: the four linear
 * layers of each.
 */
enum class StepOp : uint8_t { kEmbed, kQkv, kAttention, kOutput, kGateUp, kDown, kHead, kSample, kLinear };

class OneOp final : public ForwardingBackend {
 public:
  OneOp(Backend& inner, StepOp op) : ForwardingBackend(inner), op_(op) {}

  void embed(const EmbedParams& p) override {
    if (op_ == StepOp::kEmbed) inner().embed(p);
  }
  void norm_qkv(const NormLinearParams& p, const RopeAppendParams& rope) override {
    in_mlp_ = false;
    if (op_ == StepOp::kQkv) inner().norm_qkv(p, rope);
    if (op_ == StepOp::kLinear) inner().norm_linear(p);
  }
  void attention(const AttentionParams& p) override {
    if (op_ == StepOp::kAttention) inner().attention(p);
  }
  void linear_residual(const LinearResidualParams& p) override {
    if (linear(in_mlp_ ? StepOp::kDown : StepOp::kOutput)) inner().linear_residual(p);
  }
  void norm_swiglu(const NormSwigluParams& p) override {
    in_mlp_ = true;
    if (linear(StepOp::kGateUp)) inner().norm_swiglu(p);
  }
  void head(const HeadParams& p) override {
    if (op_ == StepOp::kHead) inner().head(p);
  }
  void sample(const SampleParams& p) override {
    if (op_ == StepOp::kSample) inner().sample(p);
  }

 private:
  bool linear(StepOp op) const { return op_ == op || op_ == StepOp::kLinear; }

  const StepOp op_;
  bool in_mlp_ = false;  // the next linear_residual is the MLP's second matrix
};

}  // namespace r1
