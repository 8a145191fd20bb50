#include "engine/block_allocator.h"

#include <algorithm>

#include "base/error.h"

namespace r1 {
namespace {

// A pool grows by so many blocks at a time, or by fewer where a block is large.
constexpr int64_t kChunkBlocks = 256, kChunkBytes = int64_t{64} << 20;

}  // namespace

BlockAllocator::BlockAllocator(KvPool& pool)
    : pool_(pool), chunk_(std::clamp<int64_t>(kChunkBytes / pool.layout.block_bytes(), 1, kChunkBlocks)) {
  for (int64_t block = pool.blocks; block-- > 0;) free_.push_back(static_cast<int32_t>(block));
  block_.resize(pool.blocks);
}

bool BlockAllocator::extend(std::vector<int32_t>& blocks, int64_t count) {
  const int64_t missing = count - static_cast<int64_t>(blocks.size());
  if (missing <= 0) return true;
  if (missing > available()) return false;
  if (missing > unused() && !refused_) grow(missing - unused());
  if (missing > unused() + idle_) return false;
  while (missing > unused()) reclaim();
  for (auto block = free_.rbegin(); block != free_.rbegin() + missing; ++block) block_[*block].owners = 1;
  blocks.insert(blocks.end(), free_.rbegin(), free_.rbegin() + missing);
  free_.resize(free_.size() - missing);
  used_ += missing;
  return true;
}

void BlockAllocator::release(std::vector<int32_t>& blocks) {
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) release(*block);
  blocks.clear();
}

void BlockAllocator::release(int32_t block) {
  if (--block_[block].owners > 0) {
    if (pinned(block)) ++pinned_;
    return;
  }
  --used_;
  if (block_[block].kept) {
    push_idle(block);
  } else {
    free_.push_back(block);
  }
}

void BlockAllocator::share(int32_t block) {
  if (pinned(block)) --pinned_;
  if (block_[block].owners++ > 0) return;
  ++used_;
  unlink_idle(block);
}

void BlockAllocator::pin(int32_t block) {
  ++block_[block].pins;
  if (pinned(block)) ++pinned_;
}

void BlockAllocator::unpin(int32_t block) {
  if (pinned(block)) --pinned_;
  --block_[block].pins;
}

void BlockAllocator::grow(int64_t missing) {
  const int64_t before = pool_.blocks, most = pool_.max_blocks;
  if (before == most) return;
  refused_ = true;
  // A device that has no room for a whole chunk may still have it for what is needed now.
  for (const int64_t wanted : {std::max(missing, chunk_), missing}) {
    try {
      pool_.grow(std::min(before + wanted, most));
      refused_ = false;
      break;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory) throw;
    }
  }
  std::vector<int32_t> added;
  for (int64_t block = pool_.blocks; block-- > before;) added.push_back(static_cast<int32_t>(block));
  free_.insert(free_.begin(), added.begin(), added.end());
  block_.resize(pool_.blocks);
}

/** The least recently used idle block becomes free. */
void BlockAllocator::reclaim() {
  const int32_t block = oldest_;
  unlink_idle(block);
  block_[block].kept = false;
  if (reclaimed_) reclaimed_(block);
  free_.push_back(block);
}

void BlockAllocator::push_idle(int32_t block) {
  block_[block].older = newest_;
  block_[block].newer = -1;
  (newest_ < 0 ? oldest_ : block_[newest_].newer) = block;
  newest_ = block;
  ++idle_;
}

void BlockAllocator::unlink_idle(int32_t block) {
  const Block& at = block_[block];
  (at.older < 0 ? oldest_ : block_[at.older].newer) = at.newer;
  (at.newer < 0 ? newest_ : block_[at.newer].older) = at.older;
  --idle_;
}

}  // namespace r1
