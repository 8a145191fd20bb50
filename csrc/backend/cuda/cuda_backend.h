// The Backend on one NVIDIA GPU.
#pragma once
#include <vector>

#include "backend/cuda/context.h"
#include "backend/cuda/graph.h"
#include "backend/cuda/kv_pool.h"
#include "backend/cuda/linear.h"
#include "backend/cuda/ops.h"
#include "backend/cuda/upload.h"

namespace r1::cuda {

class CudaBackend final : public Backend {
 public:
  CudaBackend(const BackendOptions& options, int device, const std::string& kernel_file);
  ~CudaBackend() override;

  DeviceInfo info() const override;
  Ceilings measure_ceilings() override;

  std::unique_ptr<Buffer> allocate(int64_t bytes) override;
  void upload(void* to, const void* from, int64_t bytes) override;
  void download(void* to, const void* from, int64_t bytes) override;
  int64_t matrix_bytes(int64_t rows, int64_t cols, DType stored) const override;
  std::unique_ptr<Matrix> load_matrix(const WeightParts& parts, MatrixRole role) override;
  std::unique_ptr<Buffer> load_vector(const WeightParts& parts) override;
  void finish_loading() override { uploader_.finish(); }
  void abandon_loading() noexcept override { uploader_.abandon(); }
  std::unique_ptr<KvPool> create_kv_pool(const KvLayout& layout, int64_t max_blocks) override;

  void copy_block(const KvPool& kv, int32_t from, int32_t to) override;
  void read_kv(const KvPool& kv, const KvTokens& tokens, void* to) override;
  void write_kv(const KvPool& kv, const KvTokens& tokens, const void* from) override;
  std::unique_ptr<Buffer> allocate_host(int64_t bytes) override;
  void copy_blocks_to_host(const KvPool& kv, const BlockCopy* copies, int32_t count) override;
  void copy_blocks_from_host(const KvPool& kv, const BlockCopy* copies, int32_t count) override;

  bool asynchronous() const override { return true; }
  const StepView& begin_step(const Step& step) override;
  void run(const std::function<void()>& forward) override;
  void forget_graphs() override { launch_.invalidate_graphs(); }
  void set_linear_choices(const LinearChoices& choices) override;
  std::vector<LinearOptions> linear_options(const std::function<void()>& forward) override;
  std::unique_ptr<Backend> with_cublas(const std::string& library) override;
  void end_step() override { step_.end(); }
  void read_results(SampleResult* out) override;

  bool takes_norm_input() const override;
  void embed(const EmbedParams& p) override;
  void norm_linear(const NormLinearParams& p) override;
  void rope_append(const RopeAppendParams& p) override;
  void norm_qkv(const NormLinearParams& linear, const RopeAppendParams& rope) override;
  void attention(const AttentionParams& p) override;
  void linear_residual(const LinearResidualParams& p) override;
  void norm_swiglu(const NormSwigluParams& p) override;
  void head(const HeadParams& p) override;
  void sample(const SampleParams& p) override;

 private:
  struct NormedInput {
    const void* data;
    int64_t ld;
    NormInput prepared;
  };

  DType stored_type(const WeightParts& parts) const;
  /** What a product that a norm comes before reads. */
  NormedInput normed(const StepView& step, const float* residual, const float* gain, float eps, int64_t hidden,
                     const NormInput& prepared);
  /** `next` where it is to be left by this step's ops, else none. */
  NormInput wanted(const StepView& step, const NormInput& next) const;
  std::vector<char> read_planes(const KvPool& kv, const KvTokens& tokens);

  // In order of construction; destroyed in reverse, so that the context goes last.
  const BackendOptions options_;
  const int ordinal_;
  DeviceContext context_;
  const KernelFamily family_;
  KernelModules modules_;
  Stream stream_;
  LaunchContext launch_;
  StepBuffer step_;
  GraphCache graphs_;
  Uploader uploader_;
  TensorMapCache maps_;
  LinearLauncher linear_;
  OpContext op_;
  const StepView* view_ = nullptr;
};

}  // namespace r1::cuda
