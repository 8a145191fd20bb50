// Hands out the blocks of a KV pool, counts who owns them, and makes the pool grow when they run out.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "backend/backend.h"

namespace r1 {

/** Blocks that hold `tokens` tokens. */
constexpr int64_t blocks_for(int64_t tokens) { return (tokens + kKvBlockTokens - 1) / kKvBlockTokens; }

/**
 * A block is free, owned (by one sequence or session, or by several that share it), or idle: nobody owns it, but its
 * content is kept for those to come. New blocks are taken from the free ones, then from what the pool can still grow
 * by, then from the idle ones, least recently used first. Blocks that sessions alone own are "pinned": never taken, but
 * sessions give them up when asked (session_store.h).
 */
class BlockAllocator {
 public:
  explicit BlockAllocator(KvPool& pool);

  /** Appends blocks until `blocks` has `count` of them; all or nothing. False when the pool cannot give so many. */
  bool extend(std::vector<int32_t>& blocks, int64_t count);
  /** Gives up one ownership of each, last first, and leaves `blocks` empty. */
  void release(std::vector<int32_t>& blocks);
  void release(int32_t block);
  /** One more owner of an owned or idle block. */
  void share(int32_t block);

  /** One of the block's owners is a session from now on, or no longer. */
  void pin(int32_t block);
  void unpin(int32_t block);
  bool pinned(int32_t block) const { return block_[block].owners > 0 && block_[block].owners == block_[block].pins; }
  /** Blocks that sessions alone own. */
  int64_t pinned() const { return pinned_; }

  /** From now on the block's content is kept when its last owner lets go of it, until the block is reclaimed. */
  void keep(int32_t block) { block_[block].kept = true; }
  /** `told` hears of each idle block that is to be used for something else. */
  void on_reclaim(std::function<void(int32_t)> told) { reclaimed_ = std::move(told); }

  int32_t owners(int32_t block) const { return block_[block].owners; }
  bool kept(int32_t block) const { return block_[block].kept; }
  int64_t used() const { return used_; }
  int64_t idle() const { return idle_; }
  int64_t unused() const { return static_cast<int64_t>(free_.size()); }
  /** Blocks that exist: memory that the pool has mapped. */
  int64_t mapped() const { return pool_.blocks; }
  /** Blocks the pool was made for. */
  int64_t capacity() const { return pool_.max_blocks; }
  /**
   * Blocks that can be had now, idle ones included: as many as the pool was made for, or, once the device has refused
   * memory, as exist.
   */
  int64_t available() const { return (refused_ ? pool_.blocks : pool_.max_blocks) - used_; }
  /** The device refused memory earlier: ask again when more is needed, for others may have freed some. */
  void forget_refusal() { refused_ = false; }
  const KvLayout& layout() const { return pool_.layout; }

 private:
  struct Block {
    int32_t owners = 0, pins = 0;  // of the owners, those that are sessions
    bool kept = false;
    int32_t older = -1, newer = -1;  // neighbours among the idle
  };

  void grow(int64_t missing);
  void reclaim();
  void push_idle(int32_t block);
  void unlink_idle(int32_t block);

  KvPool& pool_;
  int64_t chunk_;
  bool refused_ = false;
  int64_t used_ = 0, idle_ = 0, pinned_ = 0;
  std::vector<int32_t> free_;  // the most recently freed last: it is reused first, while caches still hold it
  std::vector<Block> block_;   // [blocks of the pool]
  int32_t oldest_ = -1, newest_ = -1;
  std::function<void(int32_t)> reclaimed_;
};

}  // namespace r1
