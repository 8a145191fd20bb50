#include "backend/cuda/kv_pool.h"

#include <algorithm>

#include "backend/cuda/matrix.h"

namespace r1::cuda {
namespace {

constexpr int64_t kChunkBytes = 64 << 20;

CUmemAllocationProp device_memory(int device) {
  CUmemAllocationProp prop{};
  prop.type = kMemAllocationTypePinned;
  prop.location = {.type = kMemLocationTypeDevice, .id = device};
  return prop;
}

}  // namespace

CudaKvPool::CudaKvPool(const KvLayout& layout_, int64_t max_blocks_, int device, bool virtual_memory)
    : device_(device) {
  layout = layout_;
  max_blocks = max_blocks_;
  const int64_t bytes = std::max<int64_t>(1, max_blocks * layout.block_bytes());
  if (!virtual_memory) {
    whole_ = DeviceMemory(bytes, "the KV cache");
    base = whole_.data();
    return;
  }
  const CUmemAllocationProp prop = device_memory(device_);
  size_t granularity = 0;
  R1_CUDA(mem_granularity(&granularity, &prop, kMemGranularityMinimum));
  chunk_bytes_ = round_up(kChunkBytes, static_cast<int64_t>(granularity));
  reserved_bytes_ = round_up(bytes, chunk_bytes_);
  R1_CUDA(mem_address_reserve(&address_, static_cast<size_t>(reserved_bytes_), 0, 0, 0));
  base = reinterpret_cast<void*>(address_);  // NOLINT(performance-no-int-to-ptr)
}

CudaKvPool::~CudaKvPool() {
  driver().ctx_synchronize();  // unlike cuMemFree, unmapping does not wait for kernels
  CUdeviceptr at = address_;
  for (const Chunk& chunk : chunks_) {
    driver().mem_unmap(at, static_cast<size_t>(chunk.bytes));
    driver().mem_release(chunk.handle);
    at += static_cast<CUdeviceptr>(chunk.bytes);
  }
  if (address_) driver().mem_address_free(address_, static_cast<size_t>(reserved_bytes_));
}

void CudaKvPool::grow(int64_t wanted) {
  R1_CHECK(
      wanted <= max_blocks, ErrorCode::kInvalidArgument,
      "a KV pool of at most " + std::to_string(max_blocks) + " blocks cannot grow to " + std::to_string(wanted) + ".");
  if (wanted <= blocks) return;
  const size_t chunks_before = chunks_.size();
  try {
    while (!whole_.bytes() && mapped_bytes_ < wanted * layout.block_bytes()) map_chunk(chunk_bytes_);
  } catch (...) {
    while (chunks_.size() > chunks_before) {
      const Chunk chunk = chunks_.back();
      mapped_bytes_ -= chunk.bytes;
      driver().mem_unmap(address_ + static_cast<CUdeviceptr>(mapped_bytes_), static_cast<size_t>(chunk.bytes));
      driver().mem_release(chunk.handle);
      chunks_.pop_back();
    }
    throw;
  }
  blocks = wanted;
}

void CudaKvPool::map_chunk(int64_t bytes) {
  const CUmemAllocationProp prop = device_memory(device_);
  CUmemGenericAllocationHandle handle = 0;
  const CUresult created = driver().mem_create(&handle, static_cast<size_t>(bytes), &prop, 0);
  R1_CHECK(created != kErrorOutOfMemory, ErrorCode::kOutOfMemory,
           "the GPU has too little memory to grow the KV cache beyond " + std::to_string(mapped_bytes_) + " bytes.");
  if (created != kSuccess) throw_driver_error(created, "mem_create()", __FILE__, __LINE__);
  const CUdeviceptr at = address_ + static_cast<CUdeviceptr>(mapped_bytes_);
  CUresult result = driver().mem_map(at, static_cast<size_t>(bytes), 0, handle, 0);
  if (result == kSuccess) {
    const CUmemAccessDesc access{.location = prop.location, .flags = kMemAccessReadWrite};
    result = driver().mem_set_access(at, static_cast<size_t>(bytes), &access, 1);
    if (result != kSuccess) driver().mem_unmap(at, static_cast<size_t>(bytes));
  }
  if (result != kSuccess) {
    driver().mem_release(handle);
    throw_driver_error(result, "mem_map()", __FILE__, __LINE__);
  }
  chunks_.push_back({handle, bytes});
  mapped_bytes_ += bytes;
}

}  // namespace r1::cuda
