// PTX that CUDA C++ has no words for: matrix instructions, asynchronous copies, mbarriers, clusters, programmatic
// launch; and the 16-bit float types, so that no toolkit header has to be parsed. Functions need the architecture named
// beside them; nothing is emitted for those that are not called.
#pragma once
#include <cstdint>

namespace r1 {

#define R1_DEVICE __device__ __forceinline__

// ---- 16-bit floats: storage types and conversions (all architectures) ----------------------------------------------

struct bf16 {
  uint16_t bits;
};
struct f16 {
  uint16_t bits;
};

R1_DEVICE float to_float(float v) { return v; }
R1_DEVICE float to_float(bf16 v) { return __uint_as_float(static_cast<uint32_t>(v.bits) << 16); }
R1_DEVICE float to_float(f16 v) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v.bits));
  return f;
}

/** Rounded to nearest, ties to even. */
template <class T>
R1_DEVICE T from_float(float f);
template <>
R1_DEVICE float from_float<float>(float f) {
  return f;
}
template <>
R1_DEVICE f16 from_float<f16>(float f) {
  f16 v;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(v.bits) : "f"(f));
  return v;
}
template <>
R1_DEVICE bf16 from_float<bf16>(float f) {
  bf16 v;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(v.bits) : "f"(f));
#else
  const uint32_t u = __float_as_uint(f);
  v.bits = (u & 0x7fffffffu) > 0x7f800000u ? uint16_t{0x7fff}
                                           : static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
#endif
  return v;
}

/** Two values in one register, `low` at the lower address. */
template <class T>
R1_DEVICE uint32_t pack2(float low, float high) {
  return static_cast<uint32_t>(from_float<T>(low).bits) | static_cast<uint32_t>(from_float<T>(high).bits) << 16;
}
#if __CUDA_ARCH__ >= 800
template <>
R1_DEVICE uint32_t pack2<bf16>(float low, float high) {
  uint32_t v;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(high), "f"(low));
  return v;
}
#endif

/** 2^x, fast; 2^(-inf) is 0. */
R1_DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// ---- loads ---------------------------------------------------------------------------------------------------------

R1_DEVICE uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

/** Four 8x8 matrices of 16-bit values out of shared memory; `address` is of row lane % 8 of matrix lane / 8. sm_75. */
R1_DEVICE void ldmatrix_x4(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
/** The same, each matrix transposed. sm_75. */
R1_DEVICE void ldmatrix_x4_transposed(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
/** Two matrices; lanes 0..15 give the addresses. sm_75. */
R1_DEVICE void ldmatrix_x2(uint32_t (&r)[2], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(address)
               : "memory");
}
/** Four 8x8 matrices from registers to shared memory. sm_90. */
R1_DEVICE void stmatrix_x4(uint32_t address, const uint32_t (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(r[0]), "r"(r[1]),
               "r"(r[2]), "r"(r[3])
               : "memory");
}
/** A transposed 8x8 matrix of 16-bit values whose rows lie in lanes as ldmatrix leaves them. sm_75. */
R1_DEVICE uint32_t transpose_8x8(uint32_t r) {
  uint32_t t;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(t) : "r"(r));
  return t;
}
R1_DEVICE uint4 load_shared_16(uint32_t address) {
  uint4 v;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(address)
               : "memory");
  return v;
}
R1_DEVICE float2 load_shared_float2(uint32_t address) {
  float2 v;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "r"(address) : "memory");
  return v;
}
R1_DEVICE float4 load_shared_float4(uint32_t address) {
  float4 v;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(address)
               : "memory");
  return v;
}

R1_DEVICE void store_shared_float4(uint32_t address, float4 v) {
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
               : "memory");
}

/** Copies 16 bytes to shared memory in the background; zeros where !valid (nothing is read then). sm_80. */
R1_DEVICE void cp_async_16(uint32_t to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid ? 16 : 0)
               : "memory");
}
R1_DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/** Waits until at most kPending of this thread's groups are under way. */
template <int kPending>
R1_DEVICE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// ---- warp matrix products: D[16][8] += A[16][k] B[8][k]^T, f32 sums -------------------------------------------------
// Lane l holds D (l/4, 2(l%4)), (l/4, 2(l%4)+1), (l/4+8, …), (l/4+8, …+1).

/** k = 16. sm_80. */
R1_DEVICE void mma_m16n8k16(bf16, float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
R1_DEVICE void mma_m16n8k16(f16, float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/** k = 8. sm_75. */
R1_DEVICE void mma_m16n8k8(f16, float (&d)[4], uint32_t a0, uint32_t a1, uint32_t b) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a0), "r"(a1), "r"(b));
}

// ---- counters ------------------------------------------------------------------------------------------------------

/**
 * Adds to a counter in global memory and returns what was there. What this thread wrote or knows of (through a barrier)
 * is visible to whoever adds later, and what those before knew of to this thread. sm_70.
 */
R1_DEVICE int32_t add_acq_rel(int32_t* counter, int32_t v) {
  int32_t before;
  asm volatile("atom.acq_rel.gpu.global.add.s32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(__cvta_generic_to_global(counter)), "r"(v)
               : "memory");
  return before;
}

// ---- programmatic dependent launch (no-ops before sm_90) -----------------------------------------------------------

/** Lets the next kernel of the stream start; it may not touch what this one writes before pdl_wait(). */
R1_DEVICE void pdl_trigger() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
/** Waits until the kernels before this one have ended and what they wrote is visible. */
R1_DEVICE void pdl_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// ---- mbarriers (sm_90) ---------------------------------------------------------------------------------------------

R1_DEVICE void barrier_init(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
/** After the inits, before anyone else (the copy engine, a peer block) uses the barriers. */
R1_DEVICE void barrier_init_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
R1_DEVICE void barrier_arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
/** Arrives and announces `bytes` that asynchronous copies will bring. */
R1_DEVICE void barrier_expect(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
/** Waits for the phase of this parity to complete. Unbounded: the partner is in this grid and always arrives. */
R1_DEVICE void barrier_wait(uint32_t barrier, uint32_t parity) {
  uint32_t done;
  do {
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                 : "=r"(done)
                 : "r"(barrier), "r"(parity)
                 : "memory");
  } while (!done);
}

/** Makes this thread's plain writes to shared memory visible to tensor copies and warpgroup products. */
R1_DEVICE void async_proxy_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
/** Barriers 1 to 15 of the block, of `threads` threads: sync waits for all, arrive does not wait. */
R1_DEVICE void named_sync(int barrier, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
R1_DEVICE void named_arrive(int barrier, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}

// ---- tensor copies (sm_90) -----------------------------------------------------------------------------------------

/** What cuTensorMapEncodeTiled writes; a kernel parameter, `const __grid_constant__`. */
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

R1_DEVICE uint64_t l2_evict_first() {
  uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}
R1_DEVICE uint64_t l2_evict_normal() {
  uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_normal.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}
R1_DEVICE uint64_t l2_evict_last() {
  uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}
R1_DEVICE void tensor_prefetch(const TensorMap* map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }
/** Copies the map's box at (column, row) to shared memory; zeros outside the matrix, whole boxes included. */
R1_DEVICE void tensor_load(uint32_t to, const TensorMap* map, int column, int row, uint32_t barrier, uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, {%3, "
      "%4}], "
      "[%2], %5;" ::"r"(to),
      "l"(map), "r"(barrier), "r"(column), "r"(row), "l"(policy)
      : "memory");
}

/** The same, to this address in both blocks of a cluster; the bytes count on this barrier of each. */
R1_DEVICE void tensor_load_both(uint32_t to, const TensorMap* map, int column, int row, uint32_t barrier,
                                uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster.L2::cache_hint "
      "[%0], [%1, {%3, %4}], [%2], %6, %5;" ::"r"(to),
      "l"(map), "r"(barrier), "r"(column), "r"(row), "l"(policy), "h"(uint16_t{3})
      : "memory");
}

/** Copies the map's box of pairs of rows (tensor_map.h) at (column, group of pairs, head) to shared memory. */
R1_DEVICE void tensor_load_pairs(uint32_t to, const TensorMap* map, int column, int group, int head, uint32_t barrier,
                                 uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, {%3, %6, "
      "%6, %4, %5}], [%2], %7;" ::"r"(to),
      "l"(map), "r"(barrier), "r"(column), "r"(group), "r"(head), "r"(0), "l"(policy)
      : "memory");
}
/** The same, to this address in both blocks of a cluster. */
R1_DEVICE void tensor_load_pairs_both(uint32_t to, const TensorMap* map, int column, int group, int head,
                                      uint32_t barrier, uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster.L2::cache_hint "
      "[%0], [%1, {%3, %6, %6, %4, %5}], [%2], %8, %7;" ::"r"(to),
      "l"(map), "r"(barrier), "r"(column), "r"(group), "r"(head), "r"(0), "l"(policy), "h"(uint16_t{3})
      : "memory");
}

// ---- clusters (sm_90) ----------------------------------------------------------------------------------------------

R1_DEVICE int cluster_rank() {
  int rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
/** At the barrier of this address in block `rank` of the cluster. */
R1_DEVICE void barrier_arrive_at(uint32_t barrier, int rank) {
  asm volatile(
      "{\n.reg .b32 a;\nmapa.shared::cluster.u32 a, %0, %1;\nmbarrier.arrive.shared::cluster.b64 _, [a];\n}" ::"r"(
          barrier),
      "r"(rank)
      : "memory");
}
R1_DEVICE void cluster_arrive() { asm volatile("barrier.cluster.arrive.release;" ::: "memory"); }
R1_DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }
/** Sends 16 bytes to `address` in block `rank` of the cluster; they count as transaction bytes on its `barrier`. */
R1_DEVICE void cluster_send(uint32_t address, uint32_t barrier, uint32_t rank, float4 v) {
  asm volatile(
      "{\n.reg .b32 a, b;\nmapa.shared::cluster.u32 a, %0, %2;\nmapa.shared::cluster.u32 b, %1, %2;\n"
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [a], {%3, %4, %5, %6}, [b];\n}" ::"r"(address),
      "r"(barrier), "r"(rank), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
      : "memory");
}

}  // namespace r1
