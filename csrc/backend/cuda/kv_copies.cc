// Copies of KV blocks, in order with the steps: on the device, to the host and back, and token by token.
#include <vector>

#include "backend/cuda/cuda_backend.h"

namespace r1::cuda {
namespace {

/** Blocks that lie beside each other on the device and on the host: one copy. */
struct BlockRun {
  void* host;
  size_t offset, bytes;  // of the pool
};

template <class F>
void for_each_run(int64_t block_bytes, const BlockCopy* copies, int32_t count, F&& copy) {
  for (int32_t first = 0, next = 0; first < count; first = next) {
    const auto follows = [&](int32_t i) {
      return copies[i].block == copies[i - 1].block + 1 &&
             copies[i].host == static_cast<char*>(copies[i - 1].host) + block_bytes;
    };
    for (next = first + 1; next < count && follows(next);) ++next;
    copy(BlockRun{.host = copies[first].host,
                  .offset = static_cast<size_t>(copies[first].block * block_bytes),
                  .bytes = static_cast<size_t>((next - first) * block_bytes)});
  }
}

/** Address of a block of the pool, `offset` bytes in. */
CUdeviceptr block_address(const KvPool& kv, int32_t block, int64_t offset) {
  return reinterpret_cast<CUdeviceptr>(kv.base) + static_cast<CUdeviceptr>(block * kv.layout.block_bytes() + offset);
}

}  // namespace

void CudaBackend::copy_block(const KvPool& kv, int32_t from, int32_t to) {
  const auto bytes = static_cast<size_t>(kv.layout.block_bytes());
  R1_CUDA(memcpy_dtod_async(block_address(kv, to, 0), block_address(kv, from, 0), bytes, stream_.get()));
}

std::unique_ptr<Buffer> CudaBackend::allocate_host(int64_t bytes) { return std::make_unique<PinnedBuffer>(bytes); }

void CudaBackend::copy_blocks_to_host(const KvPool& kv, const BlockCopy* copies, int32_t count) {
  for_each_run(kv.layout.block_bytes(), copies, count, [&](const BlockRun& run) {
    R1_CUDA(memcpy_dtoh_async(run.host, reinterpret_cast<CUdeviceptr>(kv.base) + run.offset, run.bytes, stream_.get()));
  });
}

void CudaBackend::copy_blocks_from_host(const KvPool& kv, const BlockCopy* copies, int32_t count) {
  for_each_run(kv.layout.block_bytes(), copies, count, [&](const BlockRun& run) {
    R1_CUDA(memcpy_htod_async(reinterpret_cast<CUdeviceptr>(kv.base) + run.offset, run.host, run.bytes, stream_.get()));
  });
}

// ---- token by token: whole layers of blocks are copied, rows are moved on the host

void CudaBackend::read_kv(const KvPool& kv, const KvTokens& tokens, void* to) {
  const std::vector<char> planes = read_planes(kv, tokens);
  const char* from = planes.data();
  for_each_block(tokens, [&](int32_t, int32_t slot, int32_t count, int32_t token) {
    gather_kv(kv.layout, from, slot, count, static_cast<char*>(to) + token * kv.layout.layer_bytes_per_token());
    from += 2 * kv.layout.plane_bytes();
  });
}

void CudaBackend::write_kv(const KvPool& kv, const KvTokens& tokens, const void* from) {
  const int64_t bytes = 2 * kv.layout.plane_bytes();
  std::vector<char> planes = read_planes(kv, tokens);  // blocks may hold other tokens as well
  char* to = planes.data();
  for_each_block(tokens, [&](int32_t block, int32_t slot, int32_t count, int32_t token) {
    scatter_kv(kv.layout, to, slot, count, static_cast<const char*>(from) + token * kv.layout.layer_bytes_per_token());
    R1_CUDA(memcpy_htod_async(block_address(kv, block, kv.layout.k_offset(tokens.layer)), to,
                              static_cast<size_t>(bytes), stream_.get()));
    to += bytes;
  });
  R1_CUDA(stream_synchronize(stream_.get()));
}

/** K and V of the layer, whole, of each of the blocks, once all work before is done. */
std::vector<char> CudaBackend::read_planes(const KvPool& kv, const KvTokens& tokens) {
  const int64_t bytes = 2 * kv.layout.plane_bytes();
  int64_t blocks = 0;
  for_each_block(tokens, [&](int32_t, int32_t, int32_t, int32_t) { ++blocks; });
  std::vector<char> planes(static_cast<size_t>(blocks * bytes));
  char* to = planes.data();
  for_each_block(tokens, [&](int32_t block, int32_t, int32_t, int32_t) {
    R1_CUDA(memcpy_dtoh_async(to, block_address(kv, block, kv.layout.k_offset(tokens.layer)),
                              static_cast<size_t>(bytes), stream_.get()));
    to += bytes;
  });
  R1_CUDA(stream_synchronize(stream_.get()));
  return planes;
}

}  // namespace r1::cuda
