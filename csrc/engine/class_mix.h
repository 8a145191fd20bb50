// A backend whose linear layers and attention are computed by classes of one's own choice, for measurements: the engine
// itself never mixes them (DESIGN.md 6).
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "backend/backend.h"

namespace r1 {

/** The ops of a layer of which a backend may have two classes. */
enum class ClassedOp : uint8_t { kQkv, kAttention, kMlp, kResidual };
constexpr int kClassedOps = 4;

enum class OpChoice : uint8_t { kPrefill, kDecode, kSkip };

using ClassChoices = std::array<OpChoice, kClassedOps>;

/** Everything else goes to `inner` as it is. */
class ClassMix final : public Backend {
 public:
  ClassMix(Backend& inner, const ClassChoices& choices) : inner_(inner), choices_(choices) {}

  DeviceInfo info() const override { return inner_.info(); }
  Ceilings measure_ceilings() override { return inner_.measure_ceilings(); }
  std::unique_ptr<Buffer> allocate(int64_t bytes) override { return inner_.allocate(bytes); }
  void upload(void* to, const void* from, int64_t bytes) override { inner_.upload(to, from, bytes); }
  void download(void* to, const void* from, int64_t bytes) override { inner_.download(to, from, bytes); }
  int64_t matrix_bytes(int64_t rows, int64_t cols, DType stored) const override {
    return inner_.matrix_bytes(rows, cols, stored);
  }
  std::unique_ptr<Matrix> load_matrix(const WeightParts& parts, MatrixRole role) override {
    return inner_.load_matrix(parts, role);
  }
  std::unique_ptr<Buffer> load_vector(const WeightParts& parts) override { return inner_.load_vector(parts); }
  std::unique_ptr<KvPool> create_kv_pool(const KvLayout& layout, int64_t max_blocks) override {
    return inner_.create_kv_pool(layout, max_blocks);
  }
  const StepView& begin_step(const Step& step) override { return inner_.begin_step(step); }
  void run(const std::function<void()>& forward) override { inner_.run(forward); }
  void end_step() override { inner_.end_step(); }
  void read_results(SampleResult* out) override { inner_.read_results(out); }

  void embed(const EmbedParams& p) override { inner_.embed(p); }
  void norm_linear(const NormLinearParams& p) override {
    choose(ClassedOp::kQkv, p, [&](const NormLinearParams& with) { inner_.norm_linear(with); });
  }
  void rope_append(const RopeAppendParams& p) override { inner_.rope_append(p); }
  void attention(const AttentionParams& p) override {
    choose(ClassedOp::kAttention, p, [&](const AttentionParams& with) { inner_.attention(with); });
  }
  void linear_residual(const LinearResidualParams& p) override {
    choose(ClassedOp::kResidual, p, [&](const LinearResidualParams& with) { inner_.linear_residual(with); });
  }
  void norm_swiglu(const NormSwigluParams& p) override {
    choose(ClassedOp::kMlp, p, [&](const NormSwigluParams& with) { inner_.norm_swiglu(with); });
  }
  void head(const HeadParams& p) override { inner_.head(p); }
  void sample(const SampleParams& p) override { inner_.sample(p); }

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

  Backend& inner_;
  ClassChoices choices_;
};

}  // namespace r1
