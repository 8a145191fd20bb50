// Host memory for the KV blocks of preempted sequences and idle sessions.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"

namespace r1 {

/** Slots of one block each, up to `bytes` in all, each with one owner or more; memory is taken in chunks when it is
 * first needed. */
class SwapSpace {
 public:
  SwapSpace(Backend& backend, const KvPool& kv, int64_t bytes);

  /** Copies blocks[0, count) to slots of their own. False, and nothing is done, when there is no room. */
  bool save(const std::vector<int32_t>& blocks, int64_t count, std::vector<int32_t>& slots);
  /** Copies slots[i] to blocks[i] for i >= `first`, and releases all slots. */
  void restore(std::vector<int32_t>& slots, const std::vector<int32_t>& blocks, int64_t first);
  /** Gives up one ownership of each. */
  void release(std::vector<int32_t>& slots);
  void release_last(std::vector<int32_t>& slots);
  /** One more owner of each. */
  void share(const std::vector<int32_t>& slots);
  /** A slot's block, after the copies to it are done. */
  const void* wait_for(int32_t slot) const;

  /** Slots that there may be. */
  int64_t capacity() const { return most_; }
  int64_t used() const { return slots_ - static_cast<int64_t>(free_.size()); }

 private:
  enum class Direction { kSave, kRestore };

  bool reserve(int64_t count);
  void copy(const std::vector<int32_t>& blocks, const std::vector<int32_t>& slots, int64_t first, Direction direction);
  void* address(int32_t slot) const;

  Backend& backend_;
  const KvPool& kv_;
  int64_t most_, chunk_, slots_ = 0;
  std::vector<std::unique_ptr<Buffer>> chunks_;  // of chunk_ slots each
  std::vector<int32_t> free_;                    // the last is taken first
  std::vector<int32_t> owners_;                  // [slots]
  std::vector<BlockCopy> copies_;
};

}  // namespace r1
