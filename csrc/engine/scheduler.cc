#include "engine/scheduler.h"

#include <algorithm>
#include <utility>

namespace r1 {
namespace {

bool goes_before(const Sequence& a, const Sequence& b) {
  if (a.request.priority != b.request.priority) return a.request.priority > b.request.priority;
  return a.request.id < b.request.id;
}

/** Tokens a sequence needs blocks for when it starts: all it has, and the one it will generate. */
int64_t tokens_at_start(const Sequence& s) {
  return s.request.score ? s.length() : std::min(s.length() + 1, std::max(s.max_length, s.length()));
}

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

void Scheduler::insert(List& list, std::unique_ptr<Sequence> sequence) {
  const auto at = std::upper_bound(list.begin(), list.end(), sequence,
                                   [](const auto& a, const auto& b) { return goes_before(*a, *b); });
  list.insert(at, std::move(sequence));
}

std::unique_ptr<Sequence> Scheduler::take(List& list, size_t index) {
  std::unique_ptr<Sequence> sequence = std::move(list[index]);
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(index));
  return sequence;
}

void Scheduler::add(std::unique_ptr<Sequence> sequence) { insert(waiting_, std::move(sequence)); }

std::unique_ptr<Sequence> Scheduler::remove(int64_t id) {
  for (List* list : {&running_, &waiting_}) {
    for (size_t i = 0; i < list->size(); ++i) {
      if ((*list)[i]->request.id != id) continue;
      std::unique_ptr<Sequence> sequence = take(*list, i);
      leave_waiting(*sequence);
      swap_.release(sequence->saved);
      blocks_.release(sequence->blocks);
      return sequence;
    }
  }
  return nullptr;
}

Sequence* Scheduler::find(int64_t id) const {
  for (const List* list : {&running_, &waiting_}) {
    for (const auto& sequence : *list) {
      if (sequence->request.id == id) return sequence.get();
    }
  }
  return nullptr;
}

// ---- who runs

void Scheduler::admit(Clock::time_point now) {
  for (size_t i = 0; i < waiting_.size();) {
    Sequence& s = *waiting_[i];
    if (s.awaiting_verdict) {  // preempted while JavaScript chooses its token: nothing to compute yet
      ++i;
      continue;
    }
    const bool alone = running_.empty();
    if (alone) blocks_.forget_refusal();
    if (running() < limits_.sequences && take_blocks(s)) {
      start(i, now);
      continue;
    }
    if (!alone) return;
    leave_waiting(s);
    swap_.release(s.saved);
    starved_.push_back(take(waiting_, i));
  }
}

/** Blocks for all of its tokens, cached ones as far as there are any; all or nothing. */
bool Scheduler::take_blocks(Sequence& s) {
  cache_.adopt(s);
  const int64_t needed = blocks_for(tokens_at_start(s)), missing = needed - static_cast<int64_t>(s.blocks.size());
  // One block is left for each running sequence, or the newcomer would soon be preempted.
  if (missing + running() <= blocks_.available() && blocks_.extend(s.blocks, needed)) return true;
  blocks_.release(s.blocks);
  s.chained = 0;
  s.computed = s.saved_tokens;
  return false;
}

void Scheduler::start(size_t index, Clock::time_point now) {
  std::unique_ptr<Sequence> s = take(waiting_, index);
  leave_waiting(*s);
  if (!s->saved.empty()) {
    const int64_t copied = std::max<int64_t>(0, static_cast<int64_t>(s->saved.size()) - s->chained);
    pressure_.push_back({.action = PressureAction::kRestored, .id = s->request.id, .blocks = copied});
    swap_.restore(s->saved, s->blocks, s->chained);
    s->saved_tokens = 0;
  }
  note_cached(*s);
  if (!s->admitted) s->admitted = now;
  insert(running_, std::move(s));
}

/** Counts the prompt tokens that have just been found in the cache, if they were not computed before. */
void Scheduler::note_cached(Sequence& s) {
  const int32_t now = std::min(s.computed, s.prompt_length);
  if (now <= s.covered) return;
  s.cached_tokens += now - s.covered;
  cached_tokens_ += now - s.covered;
  s.covered = now;
}

/** It no longer counts as preempted. */
void Scheduler::leave_waiting(Sequence& s) {
  if (!s.preempted) return;
  s.preempted = false;
  --preempted_;
  if (!s.saved.empty()) --swapped_;
}

void Scheduler::preempt(size_t index) {
  std::unique_ptr<Sequence> s = take(running_, index);
  const auto held = static_cast<int64_t>(s->blocks.size());
  const bool swapped = s->computed > 0 && swap_.save(s->blocks, blocks_for(s->computed), s->saved);
  s->saved_tokens = swapped ? s->computed : 0;
  s->computed = s->saved_tokens;
  blocks_.release(s->blocks);
  s->chained = 0;
  s->preempted = true;
  ++preempted_;
  swapped_ += swapped ? 1 : 0;
  pressure_.push_back({.action = swapped ? PressureAction::kSwapped : PressureAction::kRecomputed,
                       .id = s->request.id,
                       .blocks = held});
  insert(waiting_, std::move(s));
}

/** Blocks for all tokens of running_[index]. False when it had to leave the list instead. */
bool Scheduler::secure_blocks(size_t index) {
  Sequence& s = *running_[index];
  const int64_t needed = blocks_for(s.length());
  while (!blocks_.extend(s.blocks, needed)) {
    const size_t victim = running_.size() - 1;
    if (running_.size() == 1) {  // nobody left to take from
      blocks_.forget_refusal();
      if (blocks_.extend(s.blocks, needed)) break;
      blocks_.release(s.blocks);
      starved_.push_back(take(running_, index));
      return false;
    }
    preempt(victim);
    if (victim == index) return false;
  }
  return true;
}

// ---- what they compute

std::vector<StepPlan> Scheduler::plan_decode() {
  for (size_t i = 0; i < running_.size();) {
    if (!running_[i]->wants_decode() || secure_blocks(i)) ++i;
  }
  std::vector<StepPlan> plans;
  StepPlan anew;
  for (const auto& sequence : running_) {
    Sequence& s = *sequence;
    if (!s.wants_decode()) continue;
    const int32_t rows = std::min(s.length() - s.computed, kMaxDecodeRows), end = s.computed + rows;
    // Only the newest token's logits are of use.
    const StepPart part{.sequence = &s,
                        .first = s.computed,
                        .rows = rows,
                        .logits_from = end == s.length() ? end - 1 : end,
                        .logits_end = end};
    if (s.length() - s.computed > 1) {
      if (anew.parts.empty()) anew.add(part);
      continue;
    }
    if (plans.empty() || plans.back().rows == kMaxDecodeRows) plans.emplace_back();
    plans.back().add(part);
  }
  if (!anew.parts.empty()) plans.push_back(std::move(anew));
  return plans;
}

StepPlan Scheduler::plan_prefill(bool beside) {
  grants_.clear();
  found_ = false;
  int32_t rows = beside ? std::min(limits_.step_tokens, prefill_rows_) : prefill_rows_;
  for (size_t first = 0, end = 0; first < running_.size() && rows > 0; first = end) {
    const int32_t priority = running_[first]->request.priority;
    for (end = first; end < running_.size() && running_[end]->request.priority == priority;) ++end;
    rows -= grant_priority(first, end, rows);
  }
  StepPlan plan;
  plan.numeric_class = NumericClass::kPrefill;
  plan.rows_left = rows == 0;
  plan.found = found_;
  bool gated = false;
  for (const auto& [sequence, end] : grants_) {
    Sequence& s = *sequence;
    const StepPart part = prompt_part(s, s.computed, end);
    plan.rows_left |= end < s.prompt_length;
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
  const int32_t first = grant->end, end = std::min(s.prompt_length, first + rows);
  const int32_t whole = end / kKvBlockTokens * kKvBlockTokens;
  grant->end = end < s.prompt_length && whole > first ? whole : end;
  return grant->end - first;
}

void Scheduler::computed(const StepPart& part) {
  Sequence& s = *part.sequence;
  s.computed = part.first + part.rows;
  s.covered = std::max(s.covered, std::min(s.computed, s.prompt_length));
  if (part.first < s.prompt_length) cache_.publish(s);
}

}  // namespace r1
