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

  void norm_linear(const NormLinearParams& p) override {
    choose(ClassedOp::kQkv, p, [&](const NormLinearParams& with) { inner().norm_linear(with); });
  }
  void attention(const AttentionParams& p) override {
    choose(ClassedOp::kAttention, p, [&](const AttentionParams& with) { inner().attention(with); });
  }
  void linear_residual(const LinearResidualParams& p) override {
    choose(ClassedOp::kResidual, p, [&](const LinearResidualParams& with) { inner().linear_residual(with); });
  }
  void norm_swiglu(const NormSwigluParams& p) override {
    choose(ClassedOp::kMlp, p, [&](const NormSwigluParams& with) { inner().norm_swiglu(with); });
  }

 private:
  template <class Params, class Run>
  void choose(ClassedOp op, Params params, const Run& run) const {
    const OpChoice choice = choices_[static_cast<size_t>(op)];
    if (choice == OpChoice::kSkip) return;
    StepView view = *params.step;
    view.numeric_class = choice == OpChoice::kPrefill ? NumericClass::kPrefill : NumericClass::kDecode;
    params.step = &view;
    run(params);
  }

  ClassChoices choices_;
};

}  // namespace r1
