// A backend whose linear layers and attention are computed by classes of one's own choice, for measurements: the engine
// itself never mixes them (DESIGN.md 6).
#pragma once
#include <array>
#include <cstdint>

#include "backend/forwarding_backend.h"

namespace r1 {

/** The ops of a layer of which a backend may have two classes. */
enum class ClassedOp : uint8_t { kQkv, kAttention, kMlp, kResidual };
constexpr int kClassedOps = 4;

enum class OpChoice : uint8_t { kPrefill, kDecode, kSkip };

using ClassChoices = std::array<OpChoice, kClassedOps>;

/** Everything else goes to `inner` as it is. */
class ClassMix final : public ForwardingBackend {
 public:
  ClassMix(Backend& inner, const ClassChoices& choices) : ForwardingBackend(inner), choices_(choices) {}

  void embed(const EmbedParams& p) override {  // writes the residual stream as kResidual does
    EmbedParams with = p;
    StepView view = *p.step;
    view.numeric_class = residual_class();
    with.step = &view;
    inner().embed(with);
  }
  void norm_linear(const NormLinearParams& p) override {
    choose(ClassedOp::kQkv, usable(ClassedOp::kQkv, p),
           [&](const NormLinearParams& with) { inner().norm_linear(with); });
  }
  void norm_qkv(const NormLinearParams& p, const RopeAppendParams& rope) override {
    choose(ClassedOp::kQkv, usable(ClassedOp::kQkv, p),
           [&](const NormLinearParams& with) { inner().norm_qkv(with, rope); });
  }
  void attention(const AttentionParams& p) override {
    choose(ClassedOp::kAttention, p, [&](const AttentionParams& with) { inner().attention(with); });
  }
  void linear_residual(const LinearResidualParams& p) override {
    choose(ClassedOp::kResidual, p, [&](const LinearResidualParams& with) { inner().linear_residual(with); });
  }
  void norm_swiglu(const NormSwigluParams& p) override {
    choose(ClassedOp::kMlp, usable(ClassedOp::kMlp, p),
           [&](const NormSwigluParams& with) { inner().norm_swiglu(with); });
  }

 private:
  NumericClass residual_class() const { return class_of(ClassedOp::kResidual); }
  NumericClass class_of(ClassedOp op) const {
    const bool prefill = choices_[static_cast<size_t>(op)] == OpChoice::kPrefill;
    return prefill ? NumericClass::kPrefill : NumericClass::kDecode;
  }

  /** Without a NormInput where the op before was of the other class, which may leave none. */
  template <class Params>
  Params usable(ClassedOp op, Params params) const {
    if (class_of(op) != residual_class()) params.prepared = {};
    return params;
  }

  template <class Params, class Run>
  void choose(ClassedOp op, Params params, const Run& run) const {
    const OpChoice choice = choices_[static_cast<size_t>(op)];
    if (choice == OpChoice::kSkip) return;
    StepView view = *params.step;
    view.numeric_class = class_of(op);
    params.step = &view;
    run(params);
  }

  ClassChoices choices_;
};

}  // namespace r1
