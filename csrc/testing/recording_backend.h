// A Backend that computes nothing but checks every step, and whose tokens follow from what the KV cache holds.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/result_ring.h"
#include "model/model.h"

namespace r1::testing {

/** In place of K and V a slot holds a fingerprint of the tokens up to it and of the class that computed each. */
using Fingerprint = uint64_t;
constexpr Fingerprint kStart = 0x51ab;
Fingerprint next_fingerprint(Fingerprint before, int32_t token, NumericClass numeric_class);
/** What is generated after a slot with this fingerprint. */
int32_t token_after(Fingerprint at, int32_t vocab);

constexpr int32_t kRecordingVocab = 997;
/** A slot's fingerprint is in two halves, its K and its V. */
constexpr KvLayout kRecordingLayout{.layers = 1, .kv_heads = 1, .head_dim = 1, .dtype = DType::kF32};

struct RecordingOptions {
  int64_t blocks = 0;         // that the device has memory for
  bool swaps = false;         // has host memory to copy to
  double step_ms = 1;         // a step takes this
  double row_ms = 0;          // and this for each row
  int32_t prefill_rows = 1;   // of a step, at most
  int64_t fail_at = 0;        // this step and those after it fail while they are waited for, from 1; 0: none
  bool asynchronous = false;  // a step's time passes while its results are waited for
};

class RecordingBackend final : public Backend {
 public:
  /** `advance` is told how long each step takes; `inspect` sees each before it is carried out. */
  RecordingBackend(RecordingOptions options, std::function<void(double)> advance,
                   std::function<void(const Step&)> inspect);

  /** Memory that others leave on the device, in blocks: the pool does not grow beyond. */
  void set_memory(int64_t blocks) { options_.blocks = blocks; }
  int64_t memory() const { return options_.blocks; }

  DeviceInfo info() const override;
  Ceilings measure_ceilings() override { return {}; }
  std::unique_ptr<Buffer> allocate(int64_t bytes) override;
  void upload(void* to, const void* from, int64_t bytes) override;
  void download(void* to, const void* from, int64_t bytes) override;
  int64_t matrix_bytes(int64_t, int64_t, DType) const override { return 0; }
  std::unique_ptr<Matrix> load_matrix(const WeightParts& parts, MatrixRole role) override;
  std::unique_ptr<Buffer> load_vector(const WeightParts& parts) override;
  std::unique_ptr<KvPool> create_kv_pool(const KvLayout& layout, int64_t max_blocks) override;
  std::unique_ptr<Buffer> allocate_host(int64_t bytes) override;
  void copy_blocks_to_host(const KvPool& kv, const BlockCopy* copies, int32_t count) override;
  void copy_blocks_from_host(const KvPool& kv, const BlockCopy* copies, int32_t count) override;

  const StepView& begin_step(const Step& step) override;
  void run(const std::function<void()>& forward) override;
  bool asynchronous() const override { return options_.asynchronous; }
  void end_step() override { results_.end(); }
  void read_results(SampleResult* out) override;

  void embed(const EmbedParams&) override {}
  void norm_linear(const NormLinearParams&) override {}
  void rope_append(const RopeAppendParams&) override {}
  void attention(const AttentionParams&) override {}
  void linear_residual(const LinearResidualParams&) override {}
  void norm_swiglu(const NormSwigluParams&) override {}
  void head(const HeadParams&) override {}
  void sample(const SampleParams&) override {}

  /** Steps that have been run and not been waited for. */
  int64_t in_flight() const { return static_cast<int64_t>(running_.size()); }
  /** What slot `slot` of a block holds. */
  Fingerprint fingerprint(int32_t block, int32_t slot) const;

 private:
  void check_shape(const Step& step) const;
  void append(const Step& step, const StepSequence& sequence);
  void pass();
  void store(int32_t block, int32_t slot, Fingerprint value);

  RecordingOptions options_;
  std::function<void(double)> advance_;
  std::function<void(const Step&)> inspect_;
  KvPool* pool_ = nullptr;
  StepView view_{};
  std::vector<Fingerprint> rows_;  // of the step
  ResultRing results_;
  int64_t waited_ = 0;          // for so many steps
  std::deque<double> running_;  // milliseconds that the steps in flight take
};

/** Its forward pass is empty. */
std::unique_ptr<Model> create_recording_model();

}  // namespace r1::testing
