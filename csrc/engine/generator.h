// Requests in, events out: schedule → step → emit, one iteration at a time. The engine's thread calls it; it has no
// thread of its own and works on any Backend.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "engine/block_allocator.h"
#include "engine/events.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "engine/step_runner.h"

namespace r1 {

/** A snapshot (lib/native.ts's NativeStats). */
struct EngineStats {
  int64_t running = 0, waiting = 0;
  int64_t kv_blocks = 0, kv_blocks_used = 0, kv_blocks_max = 0;
  int64_t steps = 0, prompt_tokens = 0, generated_tokens = 0;
};

struct GeneratorOptions {
  int32_t context_length = 0;
  int32_t max_sequences = 1;
  int32_t prefill_rows = 1;
};

class Generator {
 public:
  /** `report` is called after each step whose events should reach JavaScript, with what is true once it reads them. */
  Generator(Backend& backend, Model& model, KvPool& kv, GeneratorOptions options, EventQueue& events,
            std::function<void(const EngineStats&)> report, const std::atomic<bool>& stopping);

  /** Never throws for what is wrong with the request: it gets its "error" event instead. */
  void submit(Request request);
  void cancel(int64_t id);
  void verdict(int64_t id, int32_t token);

  /**
   * Admits what can start, runs the decode steps and one prefill step, emits what came of them. False when there was
   * nothing to do. An exception means that the backend failed: end everything with fail_all().
   */
  bool iterate();

  void fail_all(const Failure& failure);
  void cancel_all();
  /** Computes a prompt and a generated token on block 0, so that a device's first-use costs are paid. No request may be
   * open. */
  void warm_up();

  EngineStats stats() const;

 private:
  std::unique_ptr<Sequence> open(Request request);
  void check_fits(const Request& request) const;
  void run(const StepPlan& plan);
  void take_scores(Sequence& s, const StepPart& part, const SampleResult* results);
  // After these three the sequence may have ended and be gone.
  void take_result(Sequence& s, const SampleResult& result, int32_t logit_index);
  void append(Sequence& s, const SampleResult& result);
  void finish(Sequence& s, bool stopped);
  void fail(int64_t id, const Failure& failure);
  bool fail_starved();
  int32_t max_length() const;

  Backend& backend_;
  EventQueue& events_;
  std::function<void(const EngineStats&)> report_;
  GeneratorOptions options_;
  int32_t vocab_;
  BlockAllocator blocks_;
  Scheduler scheduler_;
  StepRunner runner_;
  int64_t steps_ = 0, prompt_tokens_ = 0, generated_tokens_ = 0;
};

}  // namespace r1
