// A backend that hands everything to another one: what measurements change single ops of derives from it.
#pragma once
#include <memory>

#include "backend/backend.h"

namespace r1 {

class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(Backend& inner) : inner_(inner) {}

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
  void finish_loading() override { inner_.finish_loading(); }
  void abandon_loading() noexcept override { inner_.abandon_loading(); }
  std::unique_ptr<KvPool> create_kv_pool(const KvLayout& layout, int64_t max_blocks) override {
    return inner_.create_kv_pool(layout, max_blocks);
  }
  bool asynchronous() const override { return inner_.asynchronous(); }
  const StepView& begin_step(const Step& step) override { return inner_.begin_step(step); }
  void run(const std::function<void()>& forward) override { inner_.run(forward); }
  void forget_graphs() override { inner_.forget_graphs(); }
  void set_linear_choices(const LinearChoices& choices) override { inner_.set_linear_choices(choices); }
  std::vector<LinearOptions> linear_options(const std::function<void()>& forward) override {
    return inner_.linear_options(forward);
  }
  void end_step() override { inner_.end_step(); }
  void read_results(SampleResult* out) override { inner_.read_results(out); }

  bool takes_norm_input() const override { return inner_.takes_norm_input(); }
  void embed(const EmbedParams& p) override { inner_.embed(p); }
  void norm_linear(const NormLinearParams& p) override { inner_.norm_linear(p); }
  void rope_append(const RopeAppendParams& p) override { inner_.rope_append(p); }
  void norm_qkv(const NormLinearParams& linear, const RopeAppendParams& rope) override {
    inner_.norm_qkv(linear, rope);
  }
  void attention(const AttentionParams& p) override { inner_.attention(p); }
  void linear_residual(const LinearResidualParams& p) override { inner_.linear_residual(p); }
  void norm_swiglu(const NormSwigluParams& p) override { inner_.norm_swiglu(p); }
  void head(const HeadParams& p) override { inner_.head(p); }
  void sample(const SampleParams& p) override { inner_.sample(p); }

 protected:
  Backend& inner() const { return inner_; }

 private:
  Backend& inner_;
};

}  // namespace r1
