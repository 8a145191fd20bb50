// Turns a step plan into the backend's flat list of rows, runs it and hands back what was sampled.
#pragma once
#include <array>
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

  /** Waits for all that the backend has been given. */
  ~StepRunner();
  StepRunner(const StepRunner&) = delete;
  StepRunner& operator=(const StepRunner&) = delete;

  /** A step that the backend has been given. */
  struct Flight {
    StepPlan plan;
    std::vector<SampleResult> results;   // one for each logit row, in the order of the plan's parts
    Clock::time_point begun{}, ended{};  // when it was handed to the backend, and when its results were there
  };
  /** At most one step may be in flight. */
  void launch(const StepPlan& plan);
  /** The oldest step in flight, which then is none any more, with its results. Valid until the next launch. */
  const Flight& wait();
  int64_t launched() const { return launched_; }
  int32_t in_flight() const { return static_cast<int32_t>(launched_ - waited_); }
  /** The unmodified logits of logit row `index` of the last step, if no other is in flight and that had at most
   * kMaxLogitRows of them. */
  std::vector<float> logits(int32_t index);

 private:
  void clear();
  void add(const StepPart& part);
  void add_sample(Sequence& sequence, int32_t token);
  Step step(NumericClass numeric_class) const;
  void forward();

  Backend& backend_;
  Model& model_;
  const KvPool& kv_;
  const std::atomic<bool>& stopping_;
  const std::function<Clock::time_point()> now_;
  std::unique_ptr<Buffer> logits_;  // [kMaxLogitRows][vocab] f32

  // The step in the making; kept from step to step for their capacity.
  std::vector<int32_t> tokens_, positions_, slots_, logit_rows_;
  std::vector<StepSequence> sequences_;
  std::vector<SampleRow> samples_;
  std::vector<LogitEdit> edits_;
  const StepView* view_ = nullptr;
  const LayerTap stop_tap_, no_tap_;
  const std::function<void()> forward_;

  std::array<Flight, kStepsInFlight> flights_;
  int64_t launched_ = 0, waited_ = 0;  // steps
};

}  // namespace r1
