#include "engine/swap_space.h"

#include <algorithm>

#include "base/error.h"

namespace r1 {
namespace {

constexpr int64_t kChunkBytes = int64_t{64} << 20;

}  // namespace

SwapSpace::SwapSpace(Backend& backend, const KvPool& kv, int64_t bytes)
    : backend_(backend),
      kv_(kv),
      most_(bytes / kv.layout.block_bytes()),
      chunk_(std::clamp<int64_t>(kChunkBytes / kv.layout.block_bytes(), 1, std::max<int64_t>(most_, 1))) {}

bool SwapSpace::save(const std::vector<int32_t>& blocks, int64_t count, std::vector<int32_t>& slots) {
  if (!reserve(count)) return false;
  slots.assign(free_.rbegin(), free_.rbegin() + count);
  free_.resize(free_.size() - count);
  share(slots);
  copy(blocks, slots, 0, Direction::kSave);
  return true;
}

void SwapSpace::restore(std::vector<int32_t>& slots, const std::vector<int32_t>& blocks, int64_t first) {
  copy(blocks, slots, first, Direction::kRestore);
  release(slots);
}

/** Each chunk's slots in a call of their own: a backend merges neighbours, and a copy must not span two allocations. */
void SwapSpace::copy(const std::vector<int32_t>& blocks, const std::vector<int32_t>& slots, int64_t first,
                     Direction direction) {
  const auto count = static_cast<int64_t>(slots.size());
  while (first < count) {
    const int64_t chunk = slots[first] / chunk_;
    copies_.clear();
    for (; first < count && slots[first] / chunk_ == chunk; ++first) {
      copies_.push_back({.block = blocks[first], .host = address(slots[first])});
    }
    const auto copies = static_cast<int32_t>(copies_.size());
    if (direction == Direction::kSave) {
      backend_.copy_blocks_to_host(kv_, copies_.data(), copies);
    } else {
      backend_.copy_blocks_from_host(kv_, copies_.data(), copies);
    }
  }
}

/** Last first: the next save gets neighbouring slots in the same order, so that copies of neighbours can be merged. */
void SwapSpace::release(std::vector<int32_t>& slots) {
  while (!slots.empty()) release_last(slots);
}

void SwapSpace::release_last(std::vector<int32_t>& slots) {
  if (--owners_[slots.back()] == 0) free_.push_back(slots.back());
  slots.pop_back();
}

void SwapSpace::share(const std::vector<int32_t>& slots) {
  for (const int32_t slot : slots) ++owners_[slot];
}

const void* SwapSpace::wait_for(int32_t slot) const {
  char nothing = 0;
  backend_.download(&nothing, &nothing, 0);  // waits for all work before it
  return address(slot);
}

bool SwapSpace::reserve(int64_t count) {
  while (count > static_cast<int64_t>(free_.size())) {
    if (used() + count > most_) return false;
    const int64_t added = std::min(chunk_, most_ - slots_);
    std::unique_ptr<Buffer> chunk;
    try {
      chunk = backend_.allocate_host(added * kv_.layout.block_bytes());
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory) throw;
    }
    if (!chunk) {  // the host has no more, or the backend cannot copy
      most_ = slots_;
      return false;
    }
    chunks_.push_back(std::move(chunk));
    std::vector<int32_t> slots;
    for (int64_t i = added; i-- > 0;) slots.push_back(static_cast<int32_t>(slots_ + i));
    free_.insert(free_.begin(), slots.begin(), slots.end());
    slots_ += added;
    owners_.resize(slots_);
  }
  return true;
}

void* SwapSpace::address(int32_t slot) const {
  return chunks_[slot / chunk_]->as<char>() + slot % chunk_ * kv_.layout.block_bytes();
}

}  // namespace r1
