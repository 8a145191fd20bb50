// The KV cache's memory: addresses reserved at once, memory mapped in chunks as it grows.
#pragma once
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/memory.h"

namespace r1::cuda {

class CudaKvPool final : public KvPool {
 public:
  /** `device` is the CUDA ordinal that the memory comes from; without virtual memory all of it is allocated at once. */
  CudaKvPool(const KvLayout& layout, int64_t max_blocks, int device, bool virtual_memory);
  CudaKvPool(const CudaKvPool&) = delete;
  CudaKvPool& operator=(const CudaKvPool&) = delete;
  ~CudaKvPool() override;
  void grow(int64_t blocks) override;

 private:
  struct Chunk {
    CUmemGenericAllocationHandle handle;
    int64_t bytes;
  };
  void map_chunk(int64_t bytes);

  const int device_;
  int64_t chunk_bytes_ = 0;  // what is mapped at a time, a multiple of the granularity
  int64_t reserved_bytes_ = 0;
  int64_t mapped_bytes_ = 0;
  CUdeviceptr address_ = 0;
  std::vector<Chunk> chunks_;
  DeviceMemory whole_;  // where the device has no virtual memory management
};

}  // namespace r1::cuda
