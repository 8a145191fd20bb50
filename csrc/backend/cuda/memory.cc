#include "backend/cuda/memory.h"

namespace r1::cuda {

DeviceMemory::DeviceMemory(int64_t bytes, const std::string& what) {
  if (bytes <= 0) return;
  const CUresult result = driver().mem_alloc(&address_, static_cast<size_t>(bytes));
  if (result == kErrorOutOfMemory) {
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    driver().mem_get_info(&free_bytes, &total_bytes);
    R1_THROW(ErrorCode::kOutOfMemory, "the GPU has too little memory for " + what + ": " + std::to_string(bytes) +
                                          " bytes wanted, " + std::to_string(free_bytes) + " of " +
                                          std::to_string(total_bytes) + " free.");
  }
  if (result != kSuccess) throw_driver_error(result, "mem_alloc()", __FILE__, __LINE__);
  bytes_ = bytes;
}

DeviceMemory::~DeviceMemory() {
  if (address_) driver().mem_free(address_);
}

PinnedMemory::PinnedMemory(int64_t bytes) {
  R1_CUDA(mem_host_alloc(&data_, static_cast<size_t>(bytes), 0));
  bytes_ = bytes;
}

PinnedMemory::~PinnedMemory() {
  if (data_) driver().mem_free_host(data_);
}

Event::Event(bool timing) { R1_CUDA(event_create(&event_, timing ? kEventDefault : kEventDisableTiming)); }

Event::~Event() { driver().event_destroy(event_); }

void Event::record(CUstream stream) { R1_CUDA(event_record(event_, stream)); }

void Event::wait() { R1_CUDA(event_synchronize(event_)); }

float Event::milliseconds_since(const Event& start) const {
  float ms = 0;
  R1_CUDA(event_elapsed_time(&ms, start.event_, event_));
  return ms;
}

}  // namespace r1::cuda
