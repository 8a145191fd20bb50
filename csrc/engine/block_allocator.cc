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
}

bool BlockAllocator::extend(std::vector<int32_t>& blocks, int64_t count) {
  const int64_t missing = count - static_cast<int64_t>(blocks.size());
  if (missing <= 0) return true;
  if (missing > available()) return false;
  if (missing > static_cast<int64_t>(free_.size()) && !grow(missing - static_cast<int64_t>(free_.size()))) return false;
  blocks.insert(blocks.end(), free_.rbegin(), free_.rbegin() + missing);
  free_.resize(free_.size() - missing);
  return true;
}

void BlockAllocator::release(std::vector<int32_t>& blocks) {
  free_.insert(free_.end(), blocks.rbegin(), blocks.rend());
  blocks.clear();
}

bool BlockAllocator::grow(int64_t missing) {
  const int64_t before = pool_.blocks;
  // A device that has no room for a whole chunk may still have it for what is needed now.
  for (const int64_t wanted : {std::max(missing, chunk_), missing}) {
    try {
      pool_.grow(std::min(before + wanted, pool_.max_blocks));
      break;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory) throw;
    }
  }
  std::vector<int32_t> added;
  for (int64_t block = pool_.blocks; block-- > before;) added.push_back(static_cast<int32_t>(block));
  free_.insert(free_.begin(), added.begin(), added.end());
  if (pool_.blocks - before >= missing) return true;
  refused_ = true;
  return false;
}

}  // namespace r1
