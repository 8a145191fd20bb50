// Warpgroup matrix products (sm_90a): D[64][N] += A[64][16] B[N][16]^T, bf16 in shared memory, f32 sums in registers.
// Thread t of the warpgroup, warp w = t / 32, lane l = t % 32, holds for each group g of 8 columns
//   d[4g] (16w + l/4, 8g + 2(l%4)),  d[4g+1] one column on,  d[4g+2] and d[4g+3] 8 rows below.
#pragma once
#include "ptx.cuh"

namespace r1 {

/** Specialised for each N by wgmma_shapes.cuh. `a` and `b` are descriptors; D is overwritten when `keep` is 0. */
template <int N>
struct Wgmma;

/**
 * D[64][N] += A[64][16] B[16][N] with A in registers, laid out as mma.m16n8k16 has it, and B's rows one after the other
 * in shared memory (wgmma_rows). Specialised by wgmma_shapes.cuh, too.
 */
template <int N>
struct WgmmaValues;

#include "wgmma_shapes.cuh"

/**
 * Descriptor of a K-major operand as a tensor map with 128-byte swizzle leaves it: rows of 64 values, groups of 8 rows
 * 1024 bytes apart. `address` is a multiple of 1024; adding 2 to the descriptor moves on by 16 values of K.
 */
R1_DEVICE uint64_t wgmma_operand(uint32_t address) {
  return (static_cast<uint64_t>(address >> 4) & 0x3fff) | (1ull << 16) | (64ull << 32) | (1ull << 62);
}
/**
 * Descriptor of B for WgmmaValues: rows as above, of which the instruction takes 16; the next 64 columns are
 * `column_bytes` further. Adding 128 moves on by 16 rows.
 */
R1_DEVICE uint64_t wgmma_rows(uint32_t address, uint32_t column_bytes) {
  return (static_cast<uint64_t>(address >> 4) & 0x3fff) | (static_cast<uint64_t>(column_bytes >> 4) << 16) |
         (64ull << 32) | (1ull << 62);
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
template <int N>
R1_DEVICE void wgmma_pin(float (&d)[N][4]) {
#pragma unroll
  for (int i = 0; i < N; i++) wgmma_pin(d[i]);
}

/** The same of operands in registers: nobody may write to those before a product that reads them is done. */
template <int N>
R1_DEVICE void wgmma_pin(uint32_t (&a)[N][4]) {
#pragma unroll
  for (int i = 0; i < N; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) asm volatile("" : "+r"(a[i][j])::"memory");
  }
}

}  // namespace r1
