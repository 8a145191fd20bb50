// How many sequences run together and how many prompt rows a step takes: follows the load, within a latency target.
#pragma once
#include <cstdint>

#include "engine/request.h"

namespace r1 {

struct Limits {
  int32_t sequences = 1;
  int32_t step_tokens = 1;  // prompt rows of a step while sequences decode
};

struct LimitOptions {
  Limits most;              // sequences that may run; prompt rows a step may take
  int32_t step_tokens = 1;  // to begin with
  double target_ms = 0;     // between two tokens of a stream; 0: none
};

/** What a round (decode steps, then a prefill step) was like. */
struct Round {
  Clock::time_point now;
  int64_t running = 0, waiting = 0;  // after it
  double token_ms = 0;               // since the tokens of the round before; 0: no sequence decoded in both
  double prefill_ms = 0;             // of that time, spent on prompt rows
  double free_share = 0;             // of the KV blocks
  bool prompts_left = false;         // the step's prompt rows did not suffice
  bool preempted = false;            // for lack of KV blocks
};

/**
 * Without a target: as many sequences as ask for it, in powers of two, so that an idle engine shows a small batch and a
 * busy one a large; prompt rows double while requests wait and prompts are left over, and both shrink by halves after a
 * second in which a quarter would have done.
 *
 * With a target: additive increase while the average round stays below 85 % of it and there is use for more,
 * multiplicative decrease when it exceeds it: of prompt rows where they take more than a quarter of the round, else of
 * sequences. After each change the average begins anew and four rounds pass before the next.
 *
 * A preemption lowers the sequences to those that are left. Every half second without one gives an eighth back, and
 * everything once half of the KV blocks are free.
 *
 * State changes by update() alone and time is what the rounds say it is.
 */
class BatchLimits {
 public:
  explicit BatchLimits(const LimitOptions& options);
  const Limits& current() const { return now_; }
  /** Whether it was a preemption that lowered the sequences in the last update. */
  bool lowered() const { return lowered_; }
  void update(const Round& round);

 private:
  void follow_memory(const Round& round);
  void follow_load(const Round& round);
  void follow_target(const Round& round);
  void settle();

  const LimitOptions options_;
  Limits now_;
  int32_t memory_ceiling_;  // of sequences
  Clock::time_point ceiling_since_{}, calm_since_{};
  bool calm_ = false, lowered_ = false;
  double average_ms_ = 0, average_prefill_ms_ = 0;
  int32_t rounds_ = 0;  // in the averages
};

}  // namespace r1
