// Warpgroup matrix products (sm_90a): D[64][N] += A[64][16] B[N][16]^T, bf16 in shared memory, f32 sums in registers.
// Thread t of the warpgroup, warp w = t / 32, lane l = t % 32, holds for each group g of 8 columns
//   d[4g] (16w + l/4, 8g + 2(l%4)),  d[4g+1] one column on,  d[4g+2] and d[4g+3] 8 rows below.
#pragma once
#include "ptx.cuh"

namespace r1 {

/** Specialised for each N by wgmma_shapes.cuh. `a` and `b` are descriptors; D is overwritten when `keep` is 0. */
template <int N>
struct Wgmma;

#include "wgmma_shapes.cuh"

/**
 * Descriptor of a K-major operand as a tensor map with 128-byte swizzle leaves it: rows of 64 values, groups of 8 rows
 * 1024 bytes apart. `address` is a multiple of 1024; adding 2 to the descriptor moves on by 16 values of K.
 */
R1_DEVICE uint64_t wgmma_operand(uint32_t address) {
  return (static_cast<uint64_t>(address >> 4) & 0x3fff) | (1ull << 16) | (64ull << 32) | (1ull << 62);
}
R1_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
R1_DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
R1_DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/**
 * After the last wait: the sums are written behind the compiler's back, and a memory clobber does not keep arithmetic
 * on registers from moving above the wait. This does.
 */
template <int N>
R1_DEVICE void wgmma_pin(float (&d)[N]) {
#pragma unroll
  for (int i = 0; i < N; i++) asm volatile("" : "+f"(d[i])::"memory");
}

}  // namespace r1
