// What a block of prefill attention knows of its rows after some keys, and how the states of two runs of keys become
// one. Every operation is written as one rounding, so that it does not matter which kernel or block merges.
#pragma once
#include "backend/cuda/kernel_params.h"
#include "ptx.cuh"

namespace r1 {

R1_DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/** By what the results of two runs of keys are multiplied before they are added. */
struct Shares {
  float earlier, later;
  R1_DEVICE float add(float before, float after) const { return __fmaf_rn(after, later, __fmul_rn(before, earlier)); }
};

/** Merges the maximum and the sum of a run of keys into those of the run after it. */
R1_DEVICE Shares merge_sums(float earlier_m, float earlier_l, float& m, float& l, float factor) {
  const float most = fmaxf(earlier_m, m);
  // Exactly 1 where the maximum stays, also where there is none yet.
  const auto share = [&](float of) { return of == most ? 1.0f : exp2_fast(__fmul_rn(__fsub_rn(of, most), factor)); };
  const Shares shares{share(earlier_m), share(m)};
  m = most;
  l = shares.add(earlier_l, l);
  return shares;
}

/**
 * A thread's part of 16 rows by kDim of a warp, in the layout of mma.m16n8k16's accumulators: of two rows, 8 apart.
 * The softmax's weights are 2^((s − m) · factor) of scores s.
 */
template <int kDim>
struct AttentionState {
  static constexpr float kNone = -__builtin_huge_valf();  // m of a row that has seen no key
  static constexpr int kThreads = 128;

  float m[2], l[2];  // largest score; sum of weights, of this thread's keys alone until close()
  float o[kDim / 8][4];

  R1_DEVICE void clear() {
#pragma unroll
    for (int i = 0; i < 2; ++i) m[i] = kNone, l[i] = 0.0f;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) o[n][i] = 0.0f;
    }
  }

  /** The four threads of a row add their sums. */
  R1_DEVICE void close() {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      l[i] += __shfl_xor_sync(~0u, l[i], 1);
      l[i] += __shfl_xor_sync(~0u, l[i], 2);
    }
  }

  /** To prefill_partial(kDim) float4s of a block: thread t's accumulators n at [n][t], its maxima and sums behind. */
  R1_DEVICE void save(float4* partial) const {
    float4* mine = partial + threadIdx.x;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) mine[n * kThreads] = make_float4(o[n][0], o[n][1], o[n][2], o[n][3]);
    mine[kDim / 8 * kThreads] = make_float4(m[0], l[0], m[1], l[1]);
  }
  /** Puts the state after the keys of `partial`, which come directly before these. */
  R1_DEVICE void merge_into(const float4* partial, float factor) {
    const float4* earlier = partial + threadIdx.x;
    const float4 ml = __ldcg(earlier + kDim / 8 * kThreads);
    const Shares shares[2] = {merge_sums(ml.x, ml.y, m[0], l[0], factor), merge_sums(ml.z, ml.w, m[1], l[1], factor)};
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      const float4 v = __ldcg(earlier + n * kThreads);
      const float before[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) o[n][i] = shares[i / 2].add(before[i], o[n][i]);
    }
  }
};

/** Where a block's rows go: a head's part of them. */
template <class T>
struct RowsOut {
  T* first;
  int64_t stride;
  int rows;  // that are valid
  /** Two neighbouring dimensions. */
  R1_DEVICE void store(int row, int dim, float low, float high) const {
    if (row < rows) *reinterpret_cast<uint32_t*>(first + row * stride + dim) = pack2<T>(low, high);
  }
};

/**
 * Merges the saved states of a block's segments in their order. Of the threads that saved them few may have held valid
 * rows, so the accumulators are dealt out anew. Shared memory: merge_bytes(segments).
 */
template <class T, int kDim>
struct SegmentMerger {
  static constexpr int kHolders = AttentionState<kDim>::kThreads, kRows = cuda::kPrefillTileRows;
  static constexpr int kPartial = cuda::prefill_partial(kDim);

  const float4* first;
  int segments, rows;
  uint8_t* shared;
  RowsOut<T> out;

  R1_DEVICE Shares* shares(int segment) const { return reinterpret_cast<Shares*>(shared) + (segment - 1) * kRows; }
  R1_DEVICE float* inverse() const { return reinterpret_cast<float*>(shares(segments)); }

  R1_DEVICE void run(float factor) const {
    if (threadIdx.x < rows) merge_row(threadIdx.x, factor);
    __syncthreads();
    const int holders = rows / 16 * 32 + min(32, rows % 16 * 4);
    for (int i = threadIdx.x; i < holders * (kDim / 8); i += blockDim.x) merge_accumulators(i % holders, i / holders);
  }

 private:
  R1_DEVICE void merge_row(int row, float factor) const {
    // The first of the threads that hold a row of rows 0..7 of a warp's 16 tells m and l of it and of the row 8 below.
    const int holder = row / 16 * 32 + row % 8 * 4;
    const float2* sums = reinterpret_cast<const float2*>(first + kDim / 8 * kHolders + holder) + row / 8 % 2;
    float2 sum = __ldcg(sums);
#pragma unroll 8
    for (int i = 1; i < segments; ++i) {
      float2 next = __ldcg(sums + i * 2 * kPartial);
      shares(i)[row] = merge_sums(sum.x, sum.y, next.x, next.y, factor);
      sum = next;
    }
    inverse()[row] = 1.0f / sum.y;
  }
  R1_DEVICE void merge_accumulators(int holder, int n) const {
    const int low = holder / 32 * 16 + holder % 32 / 4, high = low + 8;
    const float4* from = first + n * kHolders + holder;
    float4 o = __ldcg(from);
#pragma unroll 8
    for (int i = 1; i < segments; ++i) {
      const float4 next = __ldcg(from + i * kPartial);
      const Shares a = shares(i)[low], b = shares(i)[high];
      o = make_float4(a.add(o.x, next.x), a.add(o.y, next.y), b.add(o.z, next.z), b.add(o.w, next.w));
    }
    const int dim = n * 8 + holder % 4 * 2;
    out.store(low, dim, o.x * inverse()[low], o.y * inverse()[low]);
    out.store(high, dim, o.z * inverse()[high], o.w * inverse()[high]);
  }
};

}  // namespace r1
