// Turns a step plan into the backend's flat list of rows, runs it and hands back what was sampled.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "engine/scheduler.h"
#include "model/model.h"

namespace r1 {

class StepRunner {
 public:
  /** `stopping` ends a prefill step between two layers with kDisposed, so that a long one never holds up a process's
   * exit. */
  StepRunner(Backend& backend, Model& model, const KvPool& kv, const std::atomic<bool>& stopping,
             std::function<Clock::time_point()> now = Clock::now);

  /** Bytes of the logits buffer this will allocate. */
  static int64_t workspace_bytes(const ModelConfig& config);

  /** One result for each logit row, in the order of the plan's parts. Valid until the next run. */
  const std::vector<SampleResult>& run(const StepPlan& plan);
  /** When the last step was handed to the backend, and when its results were there. */
  Clock::time_point begun() const { return begun_; }
  Clock::time_point ended() const { return ended_; }
  /** The unmodified logits of logit row `index` of the last run, if that had at most kMaxLogitRows of them. */
  std::vector<float> logits(int32_t index);

 private:
  void clear();
  void add(const StepPart& part);
  void add_sample(const Sequence& sequence, int32_t token);
  Step step(NumericClass numeric_class) const;
  void execute(const Step& step);

  Backend& backend_;
  Model& model_;
  const KvPool& kv_;
  const std::atomic<bool>& stopping_;
  const std::function<Clock::time_point()> now_;
  Clock::time_point begun_{}, ended_{};
  std::unique_ptr<Buffer> logits_;  // [kMaxLogitRows][vocab] f32

  // The step in the making; kept from step to step for their capacity.
  std::vector<int32_t> tokens_, positions_, slots_, logit_rows_;
  std::vector<StepSequence> sequences_;
  std::vector<SampleRow> samples_;
  std::vector<LogitEdit> edits_;
  std::vector<SampleResult> results_;
};

}  // namespace r1
