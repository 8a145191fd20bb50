#include "backend/backend.h"

#include "base/error.h"

namespace r1 {

std::unique_ptr<Buffer> Backend::allocate_host(int64_t) { return nullptr; }

void Backend::copy_blocks_to_host(const KvPool&, const BlockCopy*, int32_t) {
  R1_THROW(ErrorCode::kUnsupported, "this backend does not copy KV blocks");
}

void Backend::copy_blocks_from_host(const KvPool&, const BlockCopy*, int32_t) {
  R1_THROW(ErrorCode::kUnsupported, "this backend does not copy KV blocks");
}

}  // namespace r1
