// Requests in, events out: schedule → step → emit, one iteration at a time. The engine's thread calls it; it has no
// thread of its own and works on any Backend.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/batch_limits.h"
#include "engine/block_allocator.h"
#include "engine/engine_stats.h"
#include "engine/events.h"
#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "engine/session_call.h"
#include "engine/session_store.h"
#include "engine/step_runner.h"
#include "engine/swap_space.h"

namespace r1 {

struct GeneratorOptions {
  int32_t context_length = 0;
  int32_t max_sequences = 1;
  int32_t prefill_rows = 1;
  int32_t step_tokens = 1;            // prompt rows of a step while sequences decode
  bool step_tokens_may_grow = false;  // up to prefill_rows, with the queue
  int64_t max_queue = 1;              // requests that wait
  double target_inter_token_ms = 0;   // 0: none
  bool prefix_cache = true;
  int64_t host_kv_memory = 0;     // bytes for swapped sequences and sessions
  double session_kv_share = 0.5;  // of the KV pool that idle sessions may pin
  // A step is handed over before the results of the one before are read, where the device can draw its tokens.
  bool launch_ahead = false;
  std::function<Clock::time_point()> now = Clock::now;  // tests bring a clock of their own
};

class Generator {
 public:
  /** `report` is called when events should reach JavaScript, with what is true once it reads them: while the device has
   * work to do, or when there is none. */
  Generator(Backend& backend, Model& model, KvPool& kv, GeneratorOptions options, EventQueue& events,
            std::function<void(const EngineStats&)> report, const std::atomic<bool>& stopping);

  /** Never throws for what is wrong with the request: it gets its "error" event instead. */
  void submit(Request request);
  void cancel(int64_t id);
  void verdict(int64_t id, int32_t token);

  void create_session(int64_t id);
  /** As it was after its last ended request. Makes none when there is no such session. */
  void fork_session(int64_t from, int64_t id);
  void drop_session(int64_t id);
  /** A SessionReply follows; never throws for what is wrong with the call. */
  void answer(SessionCall call);

  /**
   * Admits what can start, hands over the decode steps and one prefill step, emits what came of them and of the step
   * that was in flight; the last one may be left so. False when there was nothing to do. An exception means that the
   * backend failed: end everything with fail_all().
   */
  bool iterate();
  /** When iterate() has something to do though nothing was asked: a waiting request's time is up. */
  std::optional<Clock::time_point> next_deadline() const;

  void fail_all(const Failure& failure);
  void cancel_all();
  /** Computes a prompt and a generated token on block 0, so that a device's first-use costs are paid. No request may be
   * open. */
  void warm_up();

  EngineStats stats() const;
  const Scheduler& scheduler() const { return scheduler_; }
  const BlockAllocator& blocks() const { return blocks_; }
  const PrefixCache& cache() const { return cache_; }
  const SwapSpace& swap() const { return swap_; }
  const SessionStore& sessions() const { return sessions_; }

 private:
  std::unique_ptr<Sequence> open(Request request);
  void check_fits(const Request& request) const;
  void check_session(const Request& request) const;
  void check_content(const SessionCall::Fill& content) const;
  bool has_room();
  bool run_round();
  bool run_prefill(bool beside);
  void run(StepPlan& plan);
  void complete();
  void settle();
  void deliver();
  void retire(std::unique_ptr<Sequence> s);
  void take_scores(Sequence& s, const StepPart& part, const SampleResult* results);
  // After these three the sequence may have ended and be gone.
  void take_result(Sequence& s, const SampleResult& result, int32_t logit_index);
  void append(Sequence& s, const SampleResult& result);
  void finish(Sequence& s, bool stopped);
  void fail(int64_t id, const Failure& failure);
  bool fail_starved();
  bool fail_overdue();
  bool overdue(const Sequence& s, Clock::time_point now) const;
  void end_round();
  std::vector<int64_t> ids() const;
  int32_t max_length() const;
  Timings timings_of(const Sequence& s) const;

  Backend& backend_;
  EventQueue& events_;
  std::function<void(const EngineStats&)> report_;
  GeneratorOptions options_;
  int32_t vocab_;
  BlockAllocator blocks_;
  PrefixCache cache_;
  SwapSpace swap_;
  SessionStore sessions_;
  Scheduler scheduler_;
  std::vector<std::unique_ptr<Sequence>> gone_;  // ended, but perhaps named by a step in flight
  StepRunner runner_;
  BatchLimits limits_;
  EngineMeter meter_;
  Round round_;
  std::vector<int64_t> overdue_;
  bool ahead_ = false;             // a step may be in flight while the next is planned
  bool decode_in_flight_ = false;  // the last step handed over is one of decoding
  bool undelivered_ = false;       // a step has been completed since the last report
};

}  // namespace r1
