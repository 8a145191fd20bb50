#include "backend/backend.h"

#include <cstring>

#include "base/error.h"

namespace r1 {

/** Where the KV cache lies in host memory. */
void Backend::copy_block(const KvPool& kv, int32_t from, int32_t to) {
  const int64_t bytes = kv.layout.block_bytes();
  auto* base = static_cast<char*>(kv.base);
  std::memcpy(base + to * bytes, base + from * bytes, static_cast<size_t>(bytes));
}

std::unique_ptr<Buffer> Backend::allocate_host(int64_t) { return nullptr; }

void Backend::copy_blocks_to_host(const KvPool&, const BlockCopy*, int32_t) {
  R1_THROW(ErrorCode::kUnsupported, "this backend does not copy KV blocks");
}

void Backend::copy_blocks_from_host(const KvPool&, const BlockCopy*, int32_t) {
  R1_THROW(ErrorCode::kUnsupported, "this backend does not copy KV blocks");
}

}  // namespace r1
