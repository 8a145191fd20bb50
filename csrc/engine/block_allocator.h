// Hands out the blocks of a KV pool and makes the pool grow when they run out.
#pragma once
#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace r1 {

/** Blocks that hold `tokens` tokens. */
constexpr int64_t blocks_for(int64_t tokens) { return (tokens + kKvBlockTokens - 1) / kKvBlockTokens; }

class BlockAllocator {
 public:
  explicit BlockAllocator(KvPool& pool);

  /** Appends blocks until `blocks` has `count` of them; all or nothing. False when the pool cannot give so many. */
  bool extend(std::vector<int32_t>& blocks, int64_t count);
  /** Takes all of them back and leaves `blocks` empty. */
  void release(std::vector<int32_t>& blocks);

  int64_t used() const { return pool_.blocks - static_cast<int64_t>(free_.size()); }
  /** Blocks that exist: memory that the pool has mapped. */
  int64_t mapped() const { return pool_.blocks; }
  /** Blocks the pool was made for. */
  int64_t capacity() const { return pool_.max_blocks; }
  /** Blocks that can be had now: as many as the pool was made for, or, once the device has refused memory, as exist. */
  int64_t available() const { return (refused_ ? pool_.blocks : pool_.max_blocks) - used(); }
  /** The device refused memory earlier: ask again when more is needed, for others may have freed some. */
  void forget_refusal() { refused_ = false; }
  const KvLayout& layout() const { return pool_.layout; }

 private:
  bool grow(int64_t missing);

  KvPool& pool_;
  int64_t chunk_;
  bool refused_ = false;
  std::vector<int32_t> free_;  // the most recently freed last: it is reused first, while caches still hold it
};

}  // namespace r1
