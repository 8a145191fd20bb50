// What an engine tells about itself, and how that is measured.
#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "engine/batch_limits.h"
#include "engine/request.h"

namespace r1 {

/** A snapshot (lib/native.ts's NativeStats). */
struct EngineStats {
  int64_t running = 0, waiting = 0, preempted = 0, swapped = 0;
  int64_t kv_blocks = 0, kv_blocks_used = 0, kv_blocks_cached = 0, kv_blocks_free = 0, kv_blocks_max = 0;
  int64_t block_bytes = 0;
  int64_t sessions = 0, session_blocks = 0;
  int64_t steps = 0, prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0, preemptions = 0;
  double step_ms = 0, inter_token_ms = 0, host_ms_per_step = 0, tokens_per_second = 0;
  Limits limits{.sequences = 0, .step_tokens = 0};
};

inline double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

/** Counts and times of the step loop. A few sums per step; nothing is allocated. */
class EngineMeter {
 public:
  int64_t steps = 0, prompt_tokens = 0, generated_tokens = 0, preemptions = 0;

  /** A step, from when it was handed to the backend until its results were there. */
  void step(bool decode, Clock::time_point begin, Clock::time_point end);
  /** The decode steps of a round are over, if it had `any`. Milliseconds since those of the round before, or 0. */
  double decoded(bool any, Clock::time_point now);
  /** Nothing was to do: the next step's beginning was not waited for. */
  void idle() { last_step_.reset(); }
  /** The tokens of the last seconds, brought up to date. */
  void update_rate(Clock::time_point now, bool open);
  /** Spent on prompt rows since the last call. */
  double take_prefill_ms();

  void fill(EngineStats& stats) const;

 private:
  double step_ms_ = 0, host_ms_ = 0, prefill_ms_ = 0;
  std::optional<Clock::time_point> last_step_, last_decode_, rate_since_;
  int64_t rate_tokens_ = 0;  // generated_tokens at rate_since_
  double rate_ = 0;
  std::array<float, 128> gaps_{};  // milliseconds between the tokens of a stream, a ring
  int64_t gap_count_ = 0;
};

}  // namespace r1
