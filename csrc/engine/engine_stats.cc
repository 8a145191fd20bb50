#include "engine/engine_stats.h"

#include <algorithm>
#include <utility>

namespace r1 {
namespace {

constexpr double kWeight = 1.0 / 16;  // of the newest in the moving averages
constexpr double kRateSeconds = 1;    // tokens per second are counted over so long, and averaged over about three times
constexpr double kRateWeight = 0.3;

void average(double& value, double newest) { value += value == 0 ? newest : kWeight * (newest - value); }

}  // namespace

void EngineMeter::step(bool decode, Clock::time_point begin, Clock::time_point end) {
  ++steps;
  if (last_step_) average(host_ms_, std::max(0.0, milliseconds(*last_step_, begin)));
  const Clock::time_point since =
      last_step_ ? std::max(*last_step_, begin) : begin;  // it may have been handed over ahead
  last_step_ = end;
  if (decode) {
    average(step_ms_, milliseconds(since, end));
  } else {
    prefill_ms_ += milliseconds(since, end);
  }
}

double EngineMeter::decoded(bool any, Clock::time_point now) {
  const double gap = any && last_decode_ ? milliseconds(*last_decode_, now) : 0;
  if (any && last_decode_) gaps_[gap_count_++ % gaps_.size()] = static_cast<float>(gap);
  last_decode_ = any ? std::optional(now) : std::nullopt;
  return gap;
}

double EngineMeter::take_prefill_ms() { return std::exchange(prefill_ms_, 0); }

void EngineMeter::update_rate(Clock::time_point now, bool open) {
  if (!open || !rate_since_) {
    rate_ = open ? rate_ : 0;
    rate_since_ = open ? std::optional(now) : std::nullopt;
    rate_tokens_ = generated_tokens;
    return;
  }
  const double seconds = milliseconds(*rate_since_, now) / 1000;
  if (seconds < kRateSeconds) return;
  const double newest = static_cast<double>(generated_tokens - rate_tokens_) / seconds;
  rate_ += rate_ == 0 ? newest : kRateWeight * (newest - rate_);
  rate_since_ = now;
  rate_tokens_ = generated_tokens;
}

void EngineMeter::fill(EngineStats& stats) const {
  stats.steps = steps;
  stats.prompt_tokens = prompt_tokens;
  stats.generated_tokens = generated_tokens;
  stats.preemptions = preemptions;
  stats.step_ms = step_ms_;
  stats.host_ms_per_step = host_ms_;
  stats.tokens_per_second = rate_;
  const auto count = static_cast<std::ptrdiff_t>(std::min<int64_t>(gap_count_, static_cast<int64_t>(gaps_.size())));
  if (count == 0) return;
  std::array<float, 128> sorted = gaps_;
  std::nth_element(sorted.begin(), sorted.begin() + count / 2, sorted.begin() + count);
  stats.inter_token_ms = sorted[count / 2];
}

}  // namespace r1
