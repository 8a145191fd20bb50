// Sums and maxima over warps and blocks, in an order that depends on the block's size alone.
#pragma once
#include "ptx.cuh"

namespace r1 {

R1_DEVICE float warp_sum(float v) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(~0u, v, offset);
  return v;
}
R1_DEVICE float warp_max(float v) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) v = fmaxf(v, __shfl_xor_sync(~0u, v, offset));
  return v;
}

/** Sum over a block of kWarps warps; every thread gets it. `shared` holds kWarps floats and is free after the call. */
template <int kWarps>
R1_DEVICE float block_sum(float v, float* shared) {
  v = warp_sum(v);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  float total = 0.0f;
#pragma unroll
  for (int i = 0; i < kWarps; ++i) total += shared[i];
  __syncthreads();
  return total;
}
template <int kWarps>
R1_DEVICE float block_max(float v, float* shared) {
  v = warp_max(v);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  float most = shared[0];
#pragma unroll
  for (int i = 1; i < kWarps; ++i) most = fmaxf(most, shared[i]);
  __syncthreads();
  return most;
}

}  // namespace r1
