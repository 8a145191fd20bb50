// What the card reaches on simple loops; csrc/backend/cuda/ceilings.cc times them.
#include "ptx.cuh"

// Grid: blocks of 256 threads, each reads 32 KiB, 8 loads of 16 bytes in flight for every thread.
extern "C" __global__ void __launch_bounds__(256) ceiling_read(const void* data, void* out) {
  const uint4* from = static_cast<const uint4*>(data) + blockIdx.x * int64_t{2048} + threadIdx.x;
  uint4 v[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] = __ldcs(from + i * 256);
  uint32_t mixed = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) mixed ^= v[i].x ^ v[i].y ^ v[i].z ^ v[i].w;
  if (mixed == 0x12345679u) *static_cast<uint4*>(out) = v[0];  // never, but the compiler cannot know
}

// Grid: any; every thread does `rounds` times 8 independent fused multiply-adds.
extern "C" __global__ void __launch_bounds__(256) ceiling_fma(int rounds, void* out) {
  float v[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] = static_cast<float>(threadIdx.x + i);
  for (int n = 0; n < rounds; ++n) {
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] = fmaf(v[i], 0.999f, 0.001f);
  }
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 8; ++i) sum += v[i];
  if (sum == 1.2345f) *static_cast<float*>(out) = sum;
}

// Grid: any; every warp does `rounds` times 8 independent products of 16x16 with 16x8.
extern "C" __global__ void __launch_bounds__(256) ceiling_mma_bf16(int rounds, void* out) {
#if __CUDA_ARCH__ >= 800
  float d[8][4] = {};
  const uint32_t a[4] = {threadIdx.x, threadIdx.x + 1, threadIdx.x + 2, threadIdx.x + 3};
  for (int n = 0; n < rounds; ++n) {
#pragma unroll
    for (int i = 0; i < 8; ++i) r1::mma_m16n8k16(r1::bf16{}, d[i], a, threadIdx.x + i, threadIdx.x);
  }
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 8; ++i) sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];
  if (sum == 1.2345f) *static_cast<float*>(out) = sum;
#endif
}
