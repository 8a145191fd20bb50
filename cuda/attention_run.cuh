// Decode attention of one row and the heads of a group: a block's four warps each leave what they found in their share
// of a segment's keys; here the four become one, and segments are merged in their order, by the block that has them all
// or by the last of several.
#pragma once
#include "attention_state.cuh"

namespace r1 {

constexpr int kRunThreads = 128, kRunWarps = 4;
constexpr int kHeads = cuda::kHeadsPerBlock;
constexpr float kNone = -__builtin_huge_valf();  // m where no key has been seen

/** Of each warp and head: the sum of the weights 2^(score - m) times V, m, and l, the sum of the weights. */
template <int kDim>
struct WarpResults {
  float m[kRunWarps][kHeads], l[kRunWarps][kHeads];
  float acc[kRunWarps][kHeads][kDim + 4];  // padded against bank conflicts
};

template <int kDim>
struct RunShared {
  WarpResults<kDim> results;
  float warp_share[kHeads][kRunWarps];
  Shares chain[kHeads][cuda::kMaxSegments];  // of segment i and those before it; the run's own use is of one
  float inverse[kHeads];
  bool last;
};

/** Partial results in memory: [segment][head][kDim sums, m, l, two unused: 16-byte aligned]. */
template <class T, int kDim>
class Run {
  static constexpr int kPartial = cuda::decode_partial(kDim), kStride = kHeads * kPartial;
  static constexpr int kMine = kHeads * kDim / kRunThreads;  // of the sums, that a thread keeps

 public:
  /** `out` is where the first of the `heads` heads goes, the others behind it. */
  R1_DEVICE Run(RunShared<kDim>& shared, int heads, T* out) : shared_(shared), heads_(heads), out_(out) {
    m_ = kNone, l_ = -0.0f;
#pragma unroll
    for (int j = 0; j < kMine; ++j) total_[j] = -0.0f;  // -0 + x is x, bit by bit
  }

  /** What the warps have published becomes part of this run's result, or is saved as the segment's own. */
  R1_DEVICE void close_segment(float* partials, int segment) {
    __syncthreads();
    float* partial = partials ? partials + segment * kStride : nullptr;
    if (threadIdx.x < heads_) close_head(threadIdx.x, partial);
    __syncthreads();
#pragma unroll
    for (int j = 0; j < kMine; ++j) {
      const int i = threadIdx.x + j * kRunThreads, h = i / kDim, d = i % kDim;
      if (h >= heads_) break;
      float v = 0.0f;
#pragma unroll
      for (int w = 0; w < kRunWarps; ++w) v = fmaf(shared_.results.acc[w][h][d], shared_.warp_share[h][w], v);
      if (partial) {
        partial[h * kPartial + d] = v;
      } else {
        total_[j] = shared_.chain[h][0].add(total_[j], v);
      }
    }
    __syncthreads();  // the warps publish again
  }

  /** After the last segment of a run that has them all. */
  R1_DEVICE void store() {
    if (threadIdx.x < heads_) shared_.inverse[threadIdx.x] = 1.0f / l_;
    __syncthreads();
#pragma unroll
    for (int j = 0; j < kMine; ++j) {
      const int i = threadIdx.x + j * kRunThreads;
      if (i < heads_ * kDim) out_[i] = from_float<T>(total_[j] * shared_.inverse[i / kDim]);
    }
    __syncthreads();
  }

  /** After the last segment of one of several runs: the last to come here merges all segments. */
  R1_DEVICE void store_with_others(const float* partials, int segments, int32_t* arrived, int runs) {
    __syncthreads();
    if (threadIdx.x == 0) shared_.last = last_to_arrive(arrived, runs);
    __syncthreads();
    if (shared_.last) merge_segments(partials, segments);
    __syncthreads();
  }

 private:
  R1_DEVICE void close_head(int h, float* partial) {
    const WarpResults<kDim>& r = shared_.results;
    float m = r.m[0][h], l = 0.0f;
#pragma unroll
    for (int w = 1; w < kRunWarps; ++w) m = fmaxf(m, r.m[w][h]);
#pragma unroll
    for (int w = 0; w < kRunWarps; ++w) {
      const float share = r.m[w][h] == kNone ? 0.0f : exp2_fast(r.m[w][h] - m);
      shared_.warp_share[h][w] = share;
      l = fmaf(r.l[w][h], share, l);
    }
    if (partial) {
      partial[h * kPartial + kDim] = m, partial[h * kPartial + kDim + 1] = l;
    } else {
      shared_.chain[h][0] = merge_sums(m_, l_, m, l, 1.0f);
      m_ = m, l_ = l;
    }
  }

  R1_DEVICE void merge_segments(const float* partials, int segments) {
    if (threadIdx.x < heads_) {
      const int h = threadIdx.x;
      const float* p = partials + h * kPartial + kDim;
      float m = __ldcg(p), l = __ldcg(p + 1);
#pragma unroll 8
      for (int i = 1; i < segments; ++i) {
        float next_m = __ldcg(p + i * kStride), next_l = __ldcg(p + i * kStride + 1);
        shared_.chain[h][i] = merge_sums(m, l, next_m, next_l, 1.0f);
        m = next_m, l = next_l;
      }
      shared_.inverse[h] = 1.0f / l;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < heads_ * kDim / 4; i += kRunThreads) {
      const int h = i / (kDim / 4), d = i % (kDim / 4) * 4;
      const float4* p = reinterpret_cast<const float4*>(partials + h * kPartial + d);
      float4 v = __ldcg(p);
#pragma unroll 16
      for (int s = 1; s < segments; ++s) {
        const float4 next = __ldcg(p + s * (kStride / 4));
        const Shares& shares = shared_.chain[h][s];
        v = make_float4(shares.add(v.x, next.x), shares.add(v.y, next.y), shares.add(v.z, next.z),
                        shares.add(v.w, next.w));
      }
      const float to[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int j = 0; j < 4; ++j) out_[h * kDim + d + j] = from_float<T>(to[j] * shared_.inverse[h]);
    }
  }

  RunShared<kDim>& shared_;
  const int heads_;
  T* const out_;
  float m_, l_;  // of head threadIdx.x, where there is one
  float total_[kMine];
};

}  // namespace r1
