// The CPU implementation of backend.h. Its ops are spread over linear.cc, attention.cc and sampling.cc.
#pragma once
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/matrix.h"
#include "backend/cpu/sample_row.h"
#include "backend/result_ring.h"

namespace r1::cpu {

/** Activations of a linear layer as tiles read them (kernels.h, "staged"). */
struct Staged {
  char* data = nullptr;
  int64_t stride = 0;  // bytes, an odd number of cache lines so that rows do not compete for the same sets
  int rows = 0;
};

/** What becomes of the rows of output tiles. */
struct TileOutput {
  void (*store_tile)(const StoreTileParams&);
  void* out;
  int64_t stride;  // bytes between rows of `out`
  Store store;
  int64_t columns;     // of a row of `out`
  int panel_columns;   // of `out` that a panel makes: 32, or 16 for SwiGLU
  const float* bias;   // [columns] or null
  const float* bias2;  // SwiGLU: bias of the up projection
};

/** A sequence's rows in the step that share a KV head and are computed together. */
struct AttentionTask {
  int32_t sequence, kv_head, first_row, rows;
};

class CpuBackend : public Backend {
 public:
  explicit CpuBackend(const BackendOptions& options);

  DeviceInfo info() const override;
  Ceilings measure_ceilings() override;

  std::unique_ptr<Buffer> allocate(int64_t bytes) override;
  void upload(void* to, const void* from, int64_t bytes) override;
  void download(void* to, const void* from, int64_t bytes) override;
  int64_t matrix_bytes(int64_t rows, int64_t cols, DType stored) const override;
  std::unique_ptr<Matrix> load_matrix(const WeightParts& parts, MatrixRole role) override;
  std::unique_ptr<Buffer> load_vector(const WeightParts& parts) override;
  std::unique_ptr<KvPool> create_kv_pool(const KvLayout& layout, int64_t max_blocks) override;

  const StepView& begin_step(const Step& step) override;
  void run(const std::function<void()>& forward) override { forward(); }
  void end_step() override { results_.end(); }
  void read_results(SampleResult* out) override { results_.read(out); }

  void embed(const EmbedParams& p) override;
  void norm_linear(const NormLinearParams& p) override;
  void rope_append(const RopeAppendParams& p) override;
  void attention(const AttentionParams& p) override;
  void linear_residual(const LinearResidualParams& p) override;
  void norm_swiglu(const NormSwigluParams& p) override;
  void head(const HeadParams& p) override;
  void sample(const SampleParams& p) override;

 private:
  // linear.cc
  Staged make_staged(int rows, int64_t cols);
  Staged stage_normed(const float* residual, const int32_t* row_ids, int rows, int64_t cols, const float* gain,
                      float eps);
  Staged stage_activations(const void* x, int rows, int64_t cols);
  void multiply(const Staged& x, const PackedMatrix& weight, const TileOutput& output);
  void multiply_chunk(const Staged& x, int first_row, int rows, const PackedMatrix& weight, int64_t panel,
                      const TileOutput& output, float* tile) const;
  // attention.cc
  void fill_rope_table(const RopeAppendParams& p);
  void rope_append_row(const RopeAppendParams& p, int row) const;
  void attend(const AttentionParams& p, const AttentionTask& task, char* scratch) const;

  /** Items of a loop over rows that are worth waking another thread for. */
  int64_t row_grain(int64_t work_per_row) const;

  const BackendOptions options_;
  const Kernels& kernels_;
  const DType act_;
  const Store act_store_;     // activations between ops
  const Store staged_store_;  // activations inside linear layers and attention
  ThreadPool pool_;

  // The current step, copied from the scheduler's.
  StepView view_{};
  std::vector<int32_t> tokens_, positions_, slots_, row_sequence_, block_table_, logit_rows_;
  std::vector<StepSequence> sequences_;
  std::vector<SampleRow> samples_;
  std::vector<LogitEdit> edits_;
  ResultRing results_;

  // cos and sin of the step's positions, [rows][head_dim/2] each; made for `rope_key_` once per step.
  struct RopeKey {
    const float* inv_freq;
    float scale;
    int half;
    bool operator==(const RopeKey& o) const { return inv_freq == o.inv_freq && scale == o.scale && half == o.half; }
  };
  RopeKey rope_key_{};
  std::vector<float> rope_cos_, rope_sin_;

  // Scratch memory that grows to what the largest step needs.
  Storage staged_;
  std::vector<Storage> thread_scratch_;        // [threads]
  std::vector<SampleScratch> sample_scratch_;  // [threads]
  std::vector<AttentionTask> attention_tasks_;
};

}  // namespace r1::cpu
