#include "backend/backend.h"

#include <cstring>

#include "base/error.h"

namespace r1 {

// The defaults are for a KV cache in host memory.

void Backend::read_kv(const KvPool& kv, const KvTokens& tokens, void* to) {
  const KvLayout& layout = kv.layout;
  const auto* planes = static_cast<const char*>(kv.base) + layout.k_offset(tokens.layer);
  for_each_block(tokens, [&](int32_t block, int32_t slot, int32_t count, int32_t token) {
    gather_kv(layout, planes + block * layout.block_bytes(), slot, count,
              static_cast<char*>(to) + token * layout.layer_bytes_per_token());
  });
}

void Backend::write_kv(const KvPool& kv, const KvTokens& tokens, const void* from) {
  const KvLayout& layout = kv.layout;
  auto* planes = static_cast<char*>(kv.base) + layout.k_offset(tokens.layer);
  for_each_block(tokens, [&](int32_t block, int32_t slot, int32_t count, int32_t token) {
    scatter_kv(layout, planes + block * layout.block_bytes(), slot, count,
               static_cast<const char*>(from) + token * layout.layer_bytes_per_token());
  });
}

void Backend::copy_block(const KvPool& kv, int32_t from, int32_t to) {
  const int64_t bytes = kv.layout.block_bytes();
  auto* base = static_cast<char*>(kv.base);
  std::memcpy(base + to * bytes, base + from * bytes, static_cast<size_t>(bytes));
}

std::unique_ptr<Backend> Backend::with_cublas(const std::string&) {
  R1_THROW(ErrorCode::kUnsupported, "cuBLAS computes on CUDA alone");
}

std::unique_ptr<Buffer> Backend::allocate_host(int64_t) { return nullptr; }

void Backend::copy_blocks_to_host(const KvPool&, const BlockCopy*, int32_t) {
  R1_THROW(ErrorCode::kUnsupported, "this backend does not copy KV blocks");
}

void Backend::copy_blocks_from_host(const KvPool&, const BlockCopy*, int32_t) {
  R1_THROW(ErrorCode::kUnsupported, "this backend does not copy KV blocks");
}

}  // namespace r1
