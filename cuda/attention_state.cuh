// What a block of prefill attention knows of its rows after some keys, and how the states of two runs of keys become
// one. Every operation is written as one rounding, so that it does not matter which kernel or block merges.
#pragma once
#include "backend/cuda/kernel_params.h"
#include "ptx.cuh"

namespace r1 {

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

/** Of two rows, 8 apart: the largest score, and the sum of weights, of this thread's keys alone until close(). */
struct RowSums {
  static constexpr float kNone = -__builtin_huge_valf();  // m of a row that has seen no key

  float m[2], l[2];

  R1_DEVICE void clear() {
#pragma unroll
    for (int i = 0; i < 2; ++i) m[i] = kNone, l[i] = 0.0f;
  }

  /**
   * Takes in the scores s of 8 kGroups keys, in the layout of the accumulators, and leaves the weights in their place,
   * which are 2^((s − m) · factor). What has been summed with weights so far is to be multiplied by `shrink`.
   */
  template <int kGroups>
  R1_DEVICE void take(float (&s)[kGroups][4], float factor, float (&shrink)[2]) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float most = m[i];
#pragma unroll
      for (int n = 0; n < kGroups; ++n) most = fmaxf(most, fmaxf(s[n][2 * i], s[n][2 * i + 1]));
      most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
      most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
      const float base = most == kNone ? 0.0f : most * factor;
      shrink[i] = exp2_fast(m[i] == most ? 0.0f : fmaf(m[i], factor, -base));  // exactly 1 where m stays
      m[i] = most;
      float sum = 0.0f;
#pragma unroll
      for (int n = 0; n < kGroups; ++n) {
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const float p = exp2_fast(fmaf(s[n][2 * i + j], factor, -base));
          s[n][2 * i + j] = p;
          sum += p;
        }
      }
      l[i] = fmaf(l[i], shrink[i], sum);
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
};

/** A thread's part of 16 rows by kDim of a warp, in the layout of mma.m16n8k16's accumulators: of two rows, 8 apart. */
template <int kDim>
struct AttentionState : RowSums {
  static constexpr int kThreads = 128;

  float o[kDim / 8][4];

  R1_DEVICE void clear() {
    RowSums::clear();
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) o[n][i] = 0.0f;
    }
  }

  R1_DEVICE void shrink_by(const float (&shrink)[2]) {
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) o[n][i] *= shrink[i / 2];
    }
  }
  /** Takes in scores as RowSums does; what has been summed so far is brought to the new maximum. */
  template <int kGroups>
  R1_DEVICE void take(float (&s)[kGroups][4], float factor) {
    float shrink[2];
    RowSums::take(s, factor, shrink);
    shrink_by(shrink);
  }
  /** Before take(): of the keys from `first_key` on, row i of this thread sees first <= key <= last. */
  template <int kGroups>
  R1_DEVICE static void mask(float (&s)[kGroups][4], int i, int first_key, int first, int last) {
    const int key = first_key + threadIdx.x % 4 * 2;
#pragma unroll
    for (int n = 0; n < kGroups; ++n) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int at = key + 8 * n + j;
        if (at > last || at < first) s[n][2 * i + j] = kNone;
      }
    }
  }

  /** To prefill_partial(kDim) float4s of a block: thread t's accumulators n at [n][t], its maxima and sums behind. */
  R1_DEVICE void save(float4* partial) const {
    float4* mine = partial + threadIdx.x % kThreads;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) mine[n * kThreads] = make_float4(o[n][0], o[n][1], o[n][2], o[n][3]);
    mine[kDim / 8 * kThreads] = make_float4(m[0], l[0], m[1], l[1]);
  }
  /** What save() left there. */
  R1_DEVICE void load(const float4* partial) {
    const float4* mine = partial + threadIdx.x % kThreads;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      const float4 v = __ldcg(mine + n * kThreads);
      o[n][0] = v.x, o[n][1] = v.y, o[n][2] = v.z, o[n][3] = v.w;
    }
    const float4 sums = __ldcg(mine + kDim / 8 * kThreads);
    m[0] = sums.x, l[0] = sums.y, m[1] = sums.z, l[1] = sums.w;
  }
  /**
   * Puts the state after that of keys which come directly before these: `sums` are their maxima and sums of weights, in
   * the order of save(), of(n) their accumulators n.
   */
  template <class Of>
  R1_DEVICE void merge_into(const float4& sums, const Of& of, float factor) {
    const Shares shares[2] = {merge_sums(sums.x, sums.y, m[0], l[0], factor),
                              merge_sums(sums.z, sums.w, m[1], l[1], factor)};
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      const float4 v = of(n);
      const float before[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) o[n][i] = shares[i / 2].add(before[i], o[n][i]);
    }
  }
  /** The same, after the keys of `partial`. */
  R1_DEVICE void merge_into(const float4* partial, float factor) {
    const float4* earlier = partial + threadIdx.x % kThreads;
    merge_into(__ldcg(earlier + kDim / 8 * kThreads), [&](int n) { return __ldcg(earlier + n * kThreads); }, factor);
  }

  /** rows[i]: where this thread's row i goes, null for nowhere. After close(). */
  template <class T>
  R1_DEVICE void store(T* const (&rows)[2]) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float inverse = 1.0f / l[i];
      if (rows[i] == nullptr) continue;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        const uint32_t pair = pack2<T>(o[n][2 * i] * inverse, o[n][2 * i + 1] * inverse);
        *reinterpret_cast<uint32_t*>(rows[i] + n * 8 + threadIdx.x % 4 * 2) = pair;
      }
    }
  }
};

/**
 * Merges the saved states of a block's segments in their order, by its 128 threads. Of those that saved them few may
 * have held valid rows, so the accumulators are dealt out anew. Shared memory: merge_bytes(segments).
 */
template <int kDim>
struct SegmentMerger {
  static constexpr int kThreads = AttentionState<kDim>::kThreads, kRows = cuda::kStateRows;
  static constexpr int kPartial = cuda::prefill_partial(kDim);

  const float4* first;
  int segments, rows;
  uint8_t* shared;

  R1_DEVICE Shares* shares(int segment) const { return reinterpret_cast<Shares*>(shared) + (segment - 1) * kRows; }
  R1_DEVICE float* inverse() const { return reinterpret_cast<float*>(shares(segments)); }

  /** `sync` is a barrier of these threads; `row_of(r)` is where row r goes. */
  template <class T, class Sync, class RowOf>
  R1_DEVICE void run(float factor, const Sync& sync, const RowOf& row_of) const {
    const int thread = threadIdx.x % kThreads;
    if (thread < rows) merge_row(thread, factor);
    sync();
    const int holders = rows / 16 * 32 + min(32, rows % 16 * 4);
    for (int i = thread; i < holders * (kDim / 8); i += kThreads) {
      const int holder = i % holders, n = i / holders;
      const int low = holder / 32 * 16 + holder % 32 / 4, high = low + 8, dim = n * 8 + holder % 4 * 2;
      const float4 o = merge_accumulators(first + n * kThreads + holder, low, high);
      if (low < rows) *reinterpret_cast<uint32_t*>(row_of(low) + dim) = pack2<T>(o.x, o.y);
      if (high < rows) *reinterpret_cast<uint32_t*>(row_of(high) + dim) = pack2<T>(o.z, o.w);
    }
  }

 private:
  R1_DEVICE void merge_row(int row, float factor) const {
    // The first of the threads that hold a row of rows 0..7 of a warp's 16 tells m and l of it and of the row 8 below.
    const int holder = row / 16 * 32 + row % 8 * 4;
    const float2* sums = reinterpret_cast<const float2*>(first + kDim / 8 * kThreads + holder) + row / 8 % 2;
    float2 sum = __ldcg(sums);
#pragma unroll 8
    for (int i = 1; i < segments; ++i) {
      float2 next = __ldcg(sums + i * 2 * kPartial);
      shares(i)[row] = merge_sums(sum.x, sum.y, next.x, next.y, factor);
      sum = next;
    }
    inverse()[row] = 1.0f / sum.y;
  }
  R1_DEVICE float4 merge_accumulators(const float4* from, int low, int high) const {
    float4 o = __ldcg(from);
#pragma unroll 8
    for (int i = 1; i < segments; ++i) {
      const float4 next = __ldcg(from + i * kPartial);
      const Shares a = shares(i)[low], b = shares(i)[high];
      o = make_float4(a.add(o.x, next.x), a.add(o.y, next.y), b.add(o.z, next.z), b.add(o.w, next.w));
    }
    const float a = inverse()[low], b = inverse()[high];
    return make_float4(o.x * a, o.y * a, o.z * b, o.w * b);
  }
};

/**
 * Counts the results that blocks (or parts of blocks) have saved; true for the last to come, which sees what all saved.
 * By one thread, between two barriers of those that save and read.
 */
R1_DEVICE bool last_to_arrive(int32_t* arrived, int expected, int count = 1) {
  const bool last = add_acq_rel(arrived, count) == expected - count;
  if (last) *arrived = 0;
  return last;
}

}  // namespace r1
