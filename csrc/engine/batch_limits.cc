#include "engine/batch_limits.h"

#include <algorithm>

namespace r1 {
namespace {

constexpr int32_t kFirstSequences = 8;
constexpr int32_t kRowQuantum = 16;  // prompt rows are a multiple of it
constexpr int32_t kSettleRounds = 4;
constexpr double kWeight = 0.25;  // of the newest round in the averages
constexpr double kIncreaseBelow = 0.85, kRowDecrease = 0.7, kSequenceDecrease = 0.8, kPrefillShare = 0.25;
constexpr double kPlenty = 0.5;  // of the KV blocks
constexpr std::chrono::milliseconds kCalm{1000}, kRecovery{500};

int32_t rows(double wanted, int32_t most) {
  const int32_t whole = static_cast<int32_t>(wanted) / kRowQuantum * kRowQuantum;
  return std::min(std::max(whole, kRowQuantum), most);
}

}  // namespace

BatchLimits::BatchLimits(const LimitOptions& options)
    : options_(options),
      now_{.sequences = std::min(kFirstSequences, options.most.sequences),
           .step_tokens = std::min(options.step_tokens, options.most.step_tokens)},
      memory_ceiling_(options.most.sequences) {}

void BatchLimits::update(const Round& round) {
  if (options_.target_ms > 0) {
    follow_target(round);
  } else {
    follow_load(round);
  }
  follow_memory(round);
}

void BatchLimits::follow_memory(const Round& round) {
  lowered_ = false;
  if (round.preempted) {
    const auto left = static_cast<int32_t>(std::max<int64_t>(1, round.running));
    lowered_ = left < std::min(memory_ceiling_, now_.sequences);
    memory_ceiling_ = std::min(memory_ceiling_, left);
    ceiling_since_ = round.now;
  } else if (round.free_share >= kPlenty) {
    memory_ceiling_ = options_.most.sequences;
  } else if (memory_ceiling_ < options_.most.sequences && round.now - ceiling_since_ >= kRecovery) {
    memory_ceiling_ = std::min(memory_ceiling_ + std::max(1, memory_ceiling_ / 8), options_.most.sequences);
    ceiling_since_ = round.now;
  }
  now_.sequences = std::min(now_.sequences, memory_ceiling_);
}

void BatchLimits::follow_load(const Round& round) {
  const int64_t demand = round.running + round.waiting;
  const int32_t most = options_.most.sequences;
  while (now_.sequences < most && now_.sequences < demand) now_.sequences = std::min(2 * now_.sequences, most);
  if (round.waiting > 0 && round.prompts_left) {
    now_.step_tokens = std::min(2 * now_.step_tokens, options_.most.step_tokens);
  }
  const bool sequences_idle = now_.sequences > kFirstSequences && demand <= now_.sequences / 4;
  const bool rows_idle = now_.step_tokens > options_.step_tokens && round.waiting == 0 && !round.prompts_left;
  if (!sequences_idle && !rows_idle) {
    calm_ = false;
    return;
  }
  if (!calm_) calm_since_ = round.now;
  calm_ = true;
  if (round.now - calm_since_ < kCalm) return;
  calm_since_ = round.now;
  if (sequences_idle) now_.sequences = std::max(now_.sequences / 2, std::min(kFirstSequences, most));
  if (rows_idle) now_.step_tokens = std::max(now_.step_tokens / 2, options_.step_tokens);
}

void BatchLimits::follow_target(const Round& round) {
  if (round.token_ms > 0) {
    const double weight = rounds_ == 0 ? 1 : kWeight;
    average_ms_ += weight * (round.token_ms - average_ms_);
    average_prefill_ms_ += weight * (round.prefill_ms - average_prefill_ms_);
  }
  if (++rounds_ < kSettleRounds) return;
  if (average_ms_ > options_.target_ms) {
    if (average_prefill_ms_ > kPrefillShare * average_ms_ && now_.step_tokens > kRowQuantum) {
      now_.step_tokens = rows(kRowDecrease * now_.step_tokens, options_.most.step_tokens);
    } else {
      const int64_t used = std::min<int64_t>(now_.sequences, round.running);
      now_.sequences = std::max(1, static_cast<int32_t>(kSequenceDecrease * static_cast<double>(used)));
    }
    settle();
  } else if (average_ms_ < kIncreaseBelow * options_.target_ms) {
    const bool more_sequences =
        round.waiting > 0 && round.running >= now_.sequences && now_.sequences < options_.most.sequences;
    const bool more_rows = round.prompts_left && now_.step_tokens < options_.most.step_tokens;
    if (more_sequences) ++now_.sequences;
    if (more_rows) now_.step_tokens = rows(now_.step_tokens + kRowQuantum, options_.most.step_tokens);
    if (more_sequences || more_rows) settle();
  }
}

void BatchLimits::settle() {
  rounds_ = 0;
  average_ms_ = average_prefill_ms_ = 0;
}

}  // namespace r1
