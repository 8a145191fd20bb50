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

std::vector<int64_t> Scheduler::ids() const {
  std::vector<int64_t> ids;
  for (const List* list : {&running_, &waiting_}) {
    for (const auto& sequence : *list) ids.push_back(sequence->request.id);
  }
  return ids;
}

void Scheduler::admit() {
  for (size_t i = 0; i < waiting_.size();) {
    Sequence& s = *waiting_[i];
    if (s.awaiting_verdict) {  // preempted while JavaScript chooses its token: nothing to compute yet
      ++i;
      continue;
    }
    const int64_t needed = blocks_for(tokens_at_start(s));
    const bool alone = running_.empty();
    if (alone) blocks_.forget_refusal();
    // One block is left for each running sequence, or the newcomer would soon be preempted.
    const bool fits = running() < limits_.max_sequences && needed + running() <= blocks_.available();
    if (!fits || !blocks_.extend(s.blocks, needed)) {
      if (!alone) return;
      starved_.push_back(take(waiting_, i));
      continue;
    }
    if (!s.admitted) s.admitted = Clock::now();
    insert(running_, take(waiting_, i));
  }
}

void Scheduler::preempt(size_t index) {
  std::unique_ptr<Sequence> sequence = take(running_, index);
  blocks_.release(sequence->blocks);
  sequence->computed = 0;
  insert(waiting_, std::move(sequence));
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

StepPlan Scheduler::plan_prefill() {
  StepPlan plan;
  plan.numeric_class = NumericClass::kPrefill;
  bool gated = false;
  for (const auto& sequence : running_) {
    Sequence& s = *sequence;
    if (!s.wants_prefill()) continue;
    const int32_t end = std::min(s.prompt_length, s.computed + limits_.prefill_rows - plan.rows);
    const StepPart part = prompt_part(s, s.computed, end);
    gated |= s.request.gated && part.logit_count() > 0;
    // Logits that JavaScript wants must still be there when the step is over, and the buffer holds kMaxLogitRows.
    if (gated && plan.rows > 0 && plan.logit_rows + part.logit_count() > kMaxLogitRows) break;
    plan.add(part);
    if (plan.rows == limits_.prefill_rows) break;
  }
  return plan;
}

}  // namespace r1
