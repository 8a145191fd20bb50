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

}  // namespace

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
      leave(*sequence);
      return sequence;
    }
  }
  return nullptr;
}

/** What it holds goes to its session, or is free. */
void Scheduler::leave(Sequence& s) {
  leave_waiting(s);
  sessions_.hand_over(s);
  swap_.release(s.saved);
  blocks_.release(s.blocks);
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
    leave(s);
    starved_.push_back(take(waiting_, i));
  }
}

/** Blocks for all of its tokens, its session's and cached ones as far as there are any; all or nothing. */
bool Scheduler::take_blocks(Sequence& s) {
  sessions_.lend(s);
  cache_.adopt(s);
  // One block is left for each running sequence, or the newcomer would soon be preempted.
  if (sessions_.extend(s.blocks, blocks_for(tokens_at_start(s)), running())) {
    sessions_.copy_last(s);
    return true;
  }
  sessions_.take_back(s);
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

/** Counts the prompt tokens that its session or the cache had, if they were not computed before. */
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
  const bool swapped = s->computed > 0 && sessions_.swap_out(s->blocks, blocks_for(s->computed), s->saved);
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
  const int64_t needed = blocks_for(s.expected_length());
  while (!sessions_.extend(s.blocks, needed, 0)) {
    const size_t victim = running_.size() - 1;
    if (running_.size() == 1) {  // nobody left to take from
      blocks_.forget_refusal();
      if (sessions_.extend(s.blocks, needed, 0)) break;
      leave(s);
      starved_.push_back(take(running_, index));
      return false;
    }
    preempt(victim);
    if (victim == index) return false;
  }
  return true;
}

}  // namespace r1
