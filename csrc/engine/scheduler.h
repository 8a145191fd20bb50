// Decides which rows the next steps compute and who holds KV blocks. Knows no device: only sequences and blocks.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/block_allocator.h"
#include "engine/sequence.h"

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

  void add(const StepPart& part);
};

struct SchedulerLimits {
  int32_t max_sequences = 1;  // running at a time
  int32_t prefill_rows = 1;   // of a prefill step
};

/**
 * Sequences wait until blocks for all their tokens are free, then run until they end. Both lists are ordered by
 * priority, then by age. A running sequence that needs a block when none is left takes it from the last of the running:
 * that one gives up its blocks, waits again (at the head of its priority, being older than all others that wait) and is
 * computed anew: its prompt by the prefill class, its output by the decode class, hence bit for bit as before.
 */
class Scheduler {
 public:
  Scheduler(BlockAllocator& blocks, SchedulerLimits limits) : blocks_(blocks), limits_(limits) {}

  void add(std::unique_ptr<Sequence> sequence);
  /** Takes a sequence out wherever it is and frees its blocks; null when there is none of this id. */
  std::unique_ptr<Sequence> remove(int64_t id);
  Sequence* find(int64_t id) const;

  /** Lets waiting sequences run, first come first served, as far as blocks suffice. */
  void admit();
  /**
   * Steps for every sequence that has generated tokens to compute: one row each, as few steps as kMaxDecodeRows allows;
   * and for the first that is being computed anew, one step of up to kMaxDecodeRows of its rows.
   */
  std::vector<StepPlan> plan_decode();
  /** One step of up to prefill_rows prompt rows, first come first served; empty when no prompt is left. */
  StepPlan plan_prefill();

  /** Sequences for which the pool is too small even alone, taken out since the last call. */
  std::vector<std::unique_ptr<Sequence>> take_starved() { return std::exchange(starved_, {}); }

  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  /** Ids of all sequences, running ones first. */
  std::vector<int64_t> ids() const;

 private:
  using List = std::vector<std::unique_ptr<Sequence>>;

  static void insert(List& list, std::unique_ptr<Sequence> sequence);
  static std::unique_ptr<Sequence> take(List& list, size_t index);
  bool secure_blocks(size_t index);
  void preempt(size_t index);

  BlockAllocator& blocks_;
  SchedulerLimits limits_;
  List running_, waiting_, starved_;
};

}  // namespace r1
