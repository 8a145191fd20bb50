// The KV cache: blocks of a pool, and what is copied from and to them.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace r1 {

constexpr int kKvBlockTokens = 64;  // tokens of a KV block

/**
 * Layout of one block of kKvBlockTokens tokens: for each layer K then V, each [kv_head][token][head_dim] of `dtype`.
 * Block b starts at base + b * block_bytes().
 */
struct KvLayout {
  int layers, kv_heads, head_dim;
  DType dtype;
  int64_t plane_bytes() const {
    return int64_t{kv_heads} * kKvBlockTokens * head_dim * dtype_size(dtype);
  }  // K or V of a layer
  int64_t block_bytes() const { return 2 * layers * plane_bytes(); }
  int64_t k_offset(int layer) const { return 2 * layer * plane_bytes(); }
  int64_t v_offset(int layer) const { return (2 * layer + 1) * plane_bytes(); }
  int64_t bytes_per_token() const { return block_bytes() / kKvBlockTokens; }
  int64_t layer_bytes_per_token() const { return 2 * plane_bytes() / kKvBlockTokens; }
};

/** Addresses for `max_blocks` blocks are reserved at once; memory is mapped as it grows. */
class KvPool {
 public:
  virtual ~KvPool() = default;
  /** Makes blocks [0, blocks) usable; throws kOutOfMemory and changes nothing when the device has too little. */
  virtual void grow(int64_t blocks) = 0;
  KvLayout layout{};
  void* base = nullptr;
  int64_t max_blocks = 0, blocks = 0;
};

/** A block of a KV pool and the block_bytes() of host memory that it is copied to or from. */
struct BlockCopy {
  int32_t block;
  void* host;
};

/** Tokens [first, first + count) of a sequence in one layer; blocks[i] has tokens 64 i, 64 i + 1, … of the sequence. */
struct KvTokens {
  const int32_t* blocks;
  int32_t layer, first, count;
};

/**
 * Rows [slot, slot + count) of a block between its K and V of one layer, which begin at `planes`, and `tokens`, which
 * is [token][K, V][kv_head][head_dim].
 */
void gather_kv(const KvLayout& layout, const void* planes, int32_t slot, int32_t count, void* tokens);
void scatter_kv(const KvLayout& layout, void* planes, int32_t slot, int32_t count, const void* tokens);

/** Calls part(block, slot, count, token): `count` rows from `slot` on of a block are tokens `token`, … of the span. */
template <class F>
void for_each_block(const KvTokens& tokens, F&& part) {
  for (int32_t done = 0; done < tokens.count;) {
    const int32_t at = tokens.first + done, slot = at % kKvBlockTokens;
    const int32_t left = tokens.count - done, room = kKvBlockTokens - slot, count = left < room ? left : room;
    part(tokens.blocks[at / kKvBlockTokens], slot, count, done);
    done += count;
  }
}

}  // namespace r1
