// Device memory and pinned host memory that free themselves.
#pragma once
#include <utility>

#include "backend/backend.h"
#include "backend/cuda/driver.h"

namespace r1::cuda {

/** cuMemAlloc'd memory. The context must be current (it is, on the engine's thread). */
class DeviceMemory {
 public:
  DeviceMemory() = default;
  /** Throws kOutOfMemory with the figures; `what` names the purpose. 0 bytes allocate nothing. */
  DeviceMemory(int64_t bytes, const std::string& what);
  DeviceMemory(DeviceMemory&& other) noexcept { swap(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    DeviceMemory taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~DeviceMemory();
  CUdeviceptr address() const { return address_; }
  void* data() const { return reinterpret_cast<void*>(address_); }  // NOLINT(performance-no-int-to-ptr)
  int64_t bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data());
  }

 private:
  void swap(DeviceMemory& other) noexcept {
    std::swap(address_, other.address_);
    std::swap(bytes_, other.bytes_);
  }
  CUdeviceptr address_ = 0;
  int64_t bytes_ = 0;
};

/** Page-locked host memory, for copies that run beside everything else, and for kernels: its address is theirs, too. */
class PinnedMemory {
 public:
  PinnedMemory() = default;
  explicit PinnedMemory(int64_t bytes);
  PinnedMemory(PinnedMemory&& other) noexcept { swap(other); }
  PinnedMemory& operator=(PinnedMemory&& other) noexcept {
    PinnedMemory taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~PinnedMemory();
  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void swap(PinnedMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

class Event {
 public:
  /** `timing` allows milliseconds_since. */
  explicit Event(bool timing = false);
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();
  void record(CUstream stream);
  void wait();
  float milliseconds_since(const Event& start) const;

 private:
  CUevent event_ = nullptr;
};

/** The Buffer that the layers above hold. */
class CudaBuffer final : public Buffer {
 public:
  CudaBuffer(int64_t bytes, const std::string& what) : memory_(bytes, what) {
    this->data = memory_.data();
    this->bytes = bytes;
  }

 private:
  DeviceMemory memory_;
};

/** The same in page-locked host memory. */
class PinnedBuffer final : public Buffer {
 public:
  explicit PinnedBuffer(int64_t bytes) : memory_(bytes) {
    this->data = memory_.data();
    this->bytes = bytes;
  }

 private:
  PinnedMemory memory_;
};

}  // namespace r1::cuda
