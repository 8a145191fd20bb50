// Decides which rows the next steps compute and who holds KV blocks. Knows no device: only sequences and blocks.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/batch_limits.h"
#include "engine/block_allocator.h"
#include "engine/events.h"
#include "engine/prefix_cache.h"
#include "engine/sequence.h"
#include "engine/session_store.h"
#include "engine/swap_space.h"

namespace r1 {

/** Tokens [first, first + rows) of a sequence; those at `logits_from` and after want logits (up to `logits_end`). */
struct StepPart {
  Sequence* sequence;
  int32_t first, rows;
  int32_t logits_from, logits_end;
  int32_t logit_count() const { return logits_from < logits_end ? logits_end - logits_from : 0; }
};

struct StepPlan {
  NumericClass numeric_class = NumericClass::kDecode;
  std::vector<StepPart> parts;
  int32_t rows = 0, logit_rows = 0;
  bool rows_left = false;  // prompts have more rows than the step could take
  bool found = false;      // prompts have come further without a step, by the prefix cache

  void add(const StepPart& part);
  /** Without what it was; keeps its memory. */
  void clear();
  /** Leaves out sequences that have ended since it was made. */
  void drop_ended();
};

/**
 * Sequences wait until blocks for all their tokens are free, then run until they end. Both lists are ordered by
 * priority, then by age: a lower priority starts when no higher one waits, and inside a priority first come is first
 * served.
 *
 * A running sequence that needs a block when none is left takes it from the last of the running, the youngest of the
 * lowest priority: that one gives up its blocks and waits again, at the head of its priority, being older than all
 * others that wait. Its blocks are copied to the swap space and back where that has room; otherwise it is computed
 * anew: its prompt by the prefill class, its output by the decode class, hence bit for bit as before. The oldest of the
 * highest priority is never preempted, so it ends, and so do the others, one after the other. Before anybody waits or
 * gives way, sessions give up blocks (session_store.h).
 */
class Scheduler {
 public:
  Scheduler(BlockAllocator& blocks, PrefixCache& cache, SwapSpace& swap, SessionStore& sessions, int32_t prefill_rows)
      : blocks_(blocks), cache_(cache), swap_(swap), sessions_(sessions), prefill_rows_(prefill_rows) {}

  void set_limits(const Limits& limits) { limits_ = limits; }

  void add(std::unique_ptr<Sequence> sequence);
  /** Takes a sequence out wherever it is; its blocks go to its session or are freed. Null when there is none. */
  std::unique_ptr<Sequence> remove(int64_t id);
  Sequence* find(int64_t id) const;

  /** Lets waiting sequences run, first come first served, as far as blocks and limits suffice. */
  void admit(Clock::time_point now);
  /**
   * Steps for every sequence that has generated tokens to compute: one row each, as few steps as kMaxDecodeRows allows;
   * and for the first that computes earlier ones anew, one step of up to kMaxDecodeRows of its rows. Valid until the
   * next call, as is that of plan_prefill.
   */
  std::span<StepPlan> plan_decode();
  /**
   * Whether plan_decode can be called while steps are in flight: every sequence can go on from a token that only the
   * device knows, and has a block for it without preempting another.
   */
  bool can_run_ahead();
  /**
   * One step of prompt rows: up to prefill_rows, or up to the limit of step_tokens when sequences decode `beside` it.
   * Empty when no prompt is left.
   *
   * A higher priority goes first. Inside a priority a quarter of the rows is the oldest prompt's, and the rest goes to
   * the prompts that are nearest to their end, so that a short prompt passes a long one; and whatever comes after it, a
   * prompt is complete when four times as many rows have been computed as it and those before it have.
   *
   * A sequence whose next block another one computes in this step waits for the prefix cache to have it: the rows go to
   * where both need them.
   */
  StepPlan& plan_prefill(bool beside);
  /** The device has been given the part: all it is given later finds it computed. */
  void launched(const StepPart& part);

  /** Sequences for which the pool is too small even alone, taken out since the last call. */
  std::vector<std::unique_ptr<Sequence>> take_starved() { return std::exchange(starved_, {}); }
  std::vector<PressureEvent> take_pressure() { return std::exchange(pressure_, {}); }

  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  /** Of those that wait: how many have run before, and how many of these were copied to the swap space. */
  int64_t preempted() const { return preempted_; }
  int64_t swapped() const { return swapped_; }
  /** Prompt tokens that sessions or the prefix cache had. */
  int64_t cached_tokens() const { return cached_tokens_; }
  template <class F>
  void for_each_waiting(F&& visit) const {
    for (const auto& sequence : waiting_) visit(*sequence);
  }
  /** Sequences in the order they are served, running ones first. */
  template <class F>
  void for_each(F&& visit) const {
    for (const List* list : {&running_, &waiting_}) {
      for (const auto& sequence : *list) visit(*sequence);
    }
  }

 private:
  using List = std::vector<std::unique_ptr<Sequence>>;
  /** Prompt rows [computed, end) of a sequence, in the step that is being planned. */
  struct Grant {
    Sequence* sequence;
    int32_t end;
  };

  static void insert(List& list, std::unique_ptr<Sequence> sequence);
  static std::unique_ptr<Sequence> take(List& list, size_t index);
  void leave(Sequence& s);
  bool take_blocks(Sequence& s);
  void start(size_t index, Clock::time_point now);
  bool secure_blocks(size_t index);
  void preempt(size_t index);
  void note_cached(Sequence& s);
  void leave_waiting(Sequence& s);
  int32_t grant_priority(size_t first, size_t end, int32_t rows);
  int32_t grant(Sequence& s, int32_t rows);

  BlockAllocator& blocks_;
  PrefixCache& cache_;
  SwapSpace& swap_;
  SessionStore& sessions_;
  const int32_t prefill_rows_;
  Limits limits_;
  List running_, waiting_, starved_;
  int64_t preempted_ = 0, swapped_ = 0, cached_tokens_ = 0;
  std::vector<PressureEvent> pressure_;
  std::vector<Grant> grants_;
  std::vector<Sequence*> candidates_;
  std::vector<StepPlan> decode_;
  StepPlan anew_, prefill_;
  bool found_ = false;
};

}  // namespace r1
