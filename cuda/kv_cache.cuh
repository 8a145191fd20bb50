// Where tokens lie in the paged KV cache.
#pragma once
#include "backend/cuda/kernel_params.h"
#include "ptx.cuh"

namespace r1 {

constexpr int kBlockTokens = 64;  // of a KV block

/** Element 0 of the head's K (offset k_offset) or V (v_offset) at token `slot` of the sequence whose blocks are
 * `blocks`. */
template <class T>
R1_DEVICE T* cache_row(const cuda::KvPlanes& kv, int64_t plane_offset, const int32_t* blocks, int slot, int kv_head,
                       int head_dim) {
  const int64_t block = blocks[slot / kBlockTokens];
  T* plane = reinterpret_cast<T*>(kv.base + block * kv.block_bytes + plane_offset);
  return plane + (int64_t{kv_head} * kBlockTokens + slot % kBlockTokens) * head_dim;
}

R1_DEVICE const int32_t* sequence_blocks(const cuda::StepArrays& step, int sequence) {
  return step.tail + step.sequence_begin[sequence];
}

}  // namespace r1
