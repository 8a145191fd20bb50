// Which rows the running sequences compute next. Who runs is in scheduler.cc.
#include <algorithm>

#include "engine/scheduler.h"

namespace r1 {
namespace {

/** The rows of a prompt's chunk [first, end) that want logits. */
StepPart prompt_part(Sequence& s, int32_t first, int32_t end) {
  StepPart part{.sequence = &s, .first = first, .rows = end - first, .logits_from = end, .logits_end = end};
  if (s.request.score) {  // row i gives the log-probability of token i + 1; what was told before a preemption is not
                          // told again
    part.logits_from = std::max(first, s.scored - 1);
    part.logits_end = std::min(end, s.prompt_length - 1);
  } else if (end == s.prompt_length && s.length() == s.prompt_length) {
    part.logits_from = end - 1;
  }
  return part;
}

constexpr int32_t kOldestShare = 4;  // one part in so many of a step's prompt rows is the oldest prompt's

}  // namespace

void StepPlan::add(const StepPart& part) {
  parts.push_back(part);
  rows += part.rows;
  logit_rows += part.logit_count();
}

void StepPlan::clear() {
  parts.clear();
  rows = logit_rows = 0;
  rows_left = found = false;
}

void StepPlan::drop_ended() {
  if (std::none_of(parts.begin(), parts.end(), [](const StepPart& part) { return part.sequence->ended; })) return;
  const auto left = std::remove_if(parts.begin(), parts.end(), [](const StepPart& p) { return p.sequence->ended; });
  parts.erase(left, parts.end());
  rows = logit_rows = 0;
  for (const StepPart& part : parts) {
    rows += part.rows;
    logit_rows += part.logit_count();
  }
}

bool Scheduler::can_run_ahead() {
  return std::all_of(running_.begin(), running_.end(), [this](const auto& s) {
    if (s->request.gated || !s->sampler.independent()) return false;
    return !s->wants_decode() || sessions_.extend(s->blocks, blocks_for(s->expected_length()), 0);
  });
}

std::span<StepPlan> Scheduler::plan_decode() {
  for (size_t i = 0; i < running_.size();) {
    if (!running_[i]->wants_decode() || secure_blocks(i)) ++i;
  }
  size_t plans = 0;
  const auto next_plan = [&]() -> StepPlan& {
    if (plans == decode_.size()) decode_.emplace_back();
    decode_[plans].clear();
    return decode_[plans++];
  };
  anew_.clear();
  for (const auto& sequence : running_) {
    Sequence& s = *sequence;
    if (!s.wants_decode()) continue;
    const int32_t missing = s.run_at(s.computed).end - s.computed;
    const int32_t rows = std::min(missing, kMaxDecodeRows), end = s.computed + rows;
    // Only the newest token's logits are of use.
    const StepPart part{.sequence = &s,
                        .first = s.computed,
                        .rows = rows,
                        .logits_from = end == s.expected_length() ? end - 1 : end,
                        .logits_end = end};
    if (missing > 1) {
      if (anew_.parts.empty()) anew_.add(part);
      continue;
    }
    StepPlan& plan = plans > 0 && decode_[plans - 1].rows < kMaxDecodeRows ? decode_[plans - 1] : next_plan();
    plan.add(part);
  }
  if (!anew_.parts.empty()) next_plan() = anew_;
  return std::span(decode_).first(plans);
}

StepPlan& Scheduler::plan_prefill(bool beside) {
  grants_.clear();
  found_ = false;
  int32_t rows = beside ? std::min(limits_.step_tokens, prefill_rows_) : prefill_rows_;
  for (size_t first = 0, end = 0; first < running_.size() && rows > 0; first = end) {
    const int32_t priority = running_[first]->request.priority;
    for (end = first; end < running_.size() && running_[end]->request.priority == priority;) ++end;
    rows -= grant_priority(first, end, rows);
  }
  StepPlan& plan = prefill_;
  plan.clear();
  plan.numeric_class = NumericClass::kPrefill;
  plan.rows_left = rows == 0;
  plan.found = found_;
  bool gated = false;
  for (const auto& [sequence, end] : grants_) {
    Sequence& s = *sequence;
    const StepPart part = prompt_part(s, s.computed, end);
    plan.rows_left |= end < s.prompt_length && s.run_at(end).numeric_class == NumericClass::kPrefill;
    gated |= s.request.gated && part.logit_count() > 0;
    // Logits that JavaScript wants must still be there when the step is over, and the buffer holds kMaxLogitRows.
    if (gated && plan.rows > 0 && plan.logit_rows + part.logit_count() > kMaxLogitRows) break;
    plan.add(part);
  }
  return plan;
}

/** Hands out up to `rows` rows to the prompts of running_[first, end), which are of one priority. How many it did. */
int32_t Scheduler::grant_priority(size_t first, size_t end, int32_t rows) {
  candidates_.clear();
  for (size_t i = first; i < end; ++i) {
    Sequence& s = *running_[i];
    if (!s.wants_prefill()) continue;
    const int32_t before = s.computed;
    cache_.adopt(s);  // others may have computed what comes next
    cache_.copy_start(s);
    found_ |= s.computed > before;
    note_cached(s);
    if (s.wants_prefill()) candidates_.push_back(&s);
  }
  if (candidates_.empty()) return 0;
  int32_t left = rows;
  if (candidates_.size() > 1) {
    left -= grant(*candidates_.front(),
                  std::max(rows / kOldestShare / kKvBlockTokens * kKvBlockTokens, std::min(rows, kKvBlockTokens)));
    std::sort(candidates_.begin(), candidates_.end(), [](const Sequence* a, const Sequence* b) {
      const int32_t left_a = a->prompt_length - a->computed, left_b = b->prompt_length - b->computed;
      return left_a != left_b ? left_a < left_b : a->request.id < b->request.id;
    });
  }
  for (Sequence* s : candidates_) {
    if (left == 0) break;
    left -= grant(*s, left);
  }
  return rows - left;
}

/** Up to `rows` more rows of a prompt, to the end of a block where it does not end itself. How many it got. */
int32_t Scheduler::grant(Sequence& s, int32_t rows) {
  auto grant = std::find_if(grants_.begin(), grants_.end(), [&](const Grant& g) { return g.sequence == &s; });
  if (grant == grants_.end()) {
    for (const Grant& g : grants_) {
      if (cache_.computes_next_of(s, *g.sequence, g.end)) return 0;
    }
    grant = grants_.insert(grant, {.sequence = &s, .end = s.computed});
  }
  const int32_t first = grant->end;
  if (s.run_at(first).numeric_class != NumericClass::kPrefill) return 0;  // decode steps come next
  const int32_t last = s.run_at(first).end, end = std::min(last, first + rows);
  const int32_t whole = end / kKvBlockTokens * kKvBlockTokens;
  grant->end = end < last && whole > first ? whole : end;
  return grant->end - first;
}

void Scheduler::launched(const StepPart& part) {
  Sequence& s = *part.sequence;
  ++s.steps;
  if (part.logit_count() > 0 && !s.request.score) ++s.drawing;
  s.computed = part.first + part.rows;
  s.covered = std::max(s.covered, std::min(s.computed, s.prompt_length));
  if (part.first < s.prompt_length) cache_.publish(s);
}

}  // namespace r1
