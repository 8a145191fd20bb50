#include "backend/cuda/weight_arena.h"

#include <pthread.h>

#include <system_error>
#include <utility>

#include "base/error.h"

namespace r1::cuda {
namespace {

int64_t aligned(int64_t bytes) { return (bytes + kSliceAlign - 1) / kSliceAlign * kSliceAlign; }

}  // namespace

std::vector<int64_t> plan_slabs(const std::vector<int64_t>& sizes, int64_t slab_bytes) {
  std::vector<int64_t> slabs;
  int64_t open = 0;  // bytes of the slab that is being put together
  for (const int64_t size : sizes) {
    open += aligned(size);
    if (open >= slab_bytes) slabs.push_back(std::exchange(open, 0));
  }
  if (open > 0) slabs.push_back(open);
  return slabs;
}

WeightArena::WeightArena(Allocate allocate, int64_t slab_bytes)
    : allocate_(std::move(allocate)), slab_bytes_(slab_bytes) {}

void WeightArena::reserve(const std::vector<int64_t>& sizes) {
  release();
  if (slab_bytes_ <= 0 || sizes.empty()) return;
  std::vector<int64_t> slabs = plan_slabs(sizes, slab_bytes_);
  coming_ = slabs.size();
  try {
    thread_ = std::thread([this, slabs = std::move(slabs)] { allocate_ahead(slabs); });
  } catch (const std::system_error&) {
    coming_ = 0;  // weights get memory of their own
  }
}

DeviceSlice WeightArena::allocate(int64_t bytes, const std::string& what) {
  if (bytes <= 0) return {};
  const int64_t wanted = aligned(bytes);
  const auto fits = [&] { return current_ && current_->bytes - used_ >= wanted; };
  if (!fits()) {
    // The rest of the slab before, if there is one, was for weights of other sizes.
    if (std::shared_ptr<const Slab> next = next_slab()) {
      current_ = std::move(next);
      used_ = 0;
    }
  }
  if (!fits()) return {allocate_(bytes, what), 0, bytes};
  const DeviceSlice slice(current_, used_, bytes);
  used_ += wanted;
  return slice;
}

/** Null where there will be none. */
std::shared_ptr<const Slab> WeightArena::next_slab() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !ready_.empty() || coming_ == 0; });
  if (ready_.empty()) return nullptr;
  std::shared_ptr<const Slab> slab = std::move(ready_.front());
  ready_.pop_front();
  return slab;
}

void WeightArena::release() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  if (thread_.joinable()) thread_.join();
  ready_.clear();
  current_.reset();
  used_ = 0;
  coming_ = 0;
  stop_ = false;
}

void WeightArena::allocate_ahead(const std::vector<int64_t>& slabs) {
  pthread_setname_np(pthread_self(), "r1-memory");
  for (const int64_t bytes : slabs) {
    std::shared_ptr<const Slab> slab;
    try {
      slab = allocate_(bytes, "weights");
    } catch (const std::exception&) {
      slab = nullptr;  // allocate() will say so, with the name of what found no room
    }
    const std::lock_guard lock(mutex_);
    coming_ = slab && !stop_ ? coming_ - 1 : 0;
    if (slab) ready_.push_back(std::move(slab));
    changed_.notify_one();
    if (coming_ == 0) return;
  }
}

}  // namespace r1::cuda
