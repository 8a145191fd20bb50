// Device memory for a model's weights, a few large slabs of it: each allocation keeps the driver from taking copies
// meanwhile. A thread allocates slabs ahead of what is loaded. No device is touched here, so that tests need none.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace r1::cuda {

constexpr int64_t kSliceAlign = 1024;  // bytes; tensor maps want 128

/** Memory in one piece, freed with the last slice of it. */
struct Slab {
  virtual ~Slab() = default;
  uint64_t address = 0;
  int64_t bytes = 0;
};

/** A part of a slab. */
class DeviceSlice {
 public:
  DeviceSlice() = default;
  DeviceSlice(std::shared_ptr<const Slab> slab, int64_t offset, int64_t bytes)
      : slab_(std::move(slab)), address_(slab_->address + static_cast<uint64_t>(offset)), bytes_(bytes) {}
  uint64_t address() const { return address_; }
  void* data() const { return reinterpret_cast<void*>(address_); }  // NOLINT(performance-no-int-to-ptr)
  int64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<const Slab> slab_;
  uint64_t address_ = 0;
  int64_t bytes_ = 0;
};

/** How many bytes each slab has for weights of these sizes in this order: as few of them as come to `slab_bytes`. */
std::vector<int64_t> plan_slabs(const std::vector<int64_t>& sizes, int64_t slab_bytes);

/** Used by one thread. */
class WeightArena {
 public:
  /** Of any thread; throws kOutOfMemory, in which `what` names the purpose. */
  using Allocate = std::function<std::shared_ptr<const Slab>(int64_t bytes, const std::string& what)>;
  /** `slab_bytes` 0: a slab for each weight, when it is asked for. */
  WeightArena(Allocate allocate, int64_t slab_bytes);
  ~WeightArena() { release(); }
  WeightArena(const WeightArena&) = delete;
  WeightArena& operator=(const WeightArena&) = delete;

  /** Begins to allocate slabs for weights of these sizes, which will be asked for in this order. */
  void reserve(const std::vector<int64_t>& sizes);
  /**
   * What was not reserved, or asked for in another size or order, gets a slab of its own where it does not fit. So does
   * everything once there was no memory for a slab, which is what then throws.
   */
  DeviceSlice allocate(int64_t bytes, const std::string& what);
  /** Gives back what nobody has asked for. */
  void release() noexcept;

 private:
  void allocate_ahead(const std::vector<int64_t>& slabs);
  std::shared_ptr<const Slab> next_slab();

  const Allocate allocate_;
  const int64_t slab_bytes_;
  std::shared_ptr<const Slab> current_;
  int64_t used_ = 0;  // bytes of it
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<const Slab>> ready_;
  size_t coming_ = 0;  // slabs that the thread has still to allocate
  bool stop_ = false;
};

}  // namespace r1::cuda
