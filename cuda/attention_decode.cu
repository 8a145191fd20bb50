// Attention of the decode class: the keys of each row are cut into segments, which blocks take in turn.
#include "attention_mma.cuh"
#include "attention_simt.cuh"

namespace r1 {

constexpr int kMaxRows = cuda::kMaxDecodeStepRows;

/** How a row's keys are cut: segments of whole KV blocks, as many as kMaxSegments allow; by position and window alone.
 */
struct Segments {
  int first, slot, first_block, per_segment, count;
  R1_DEVICE Segments(int slot_, int window) : first(first_visible(slot_, window)), slot(slot_) {
    first_block = first / kBlockTokens;
    const int blocks = slot / kBlockTokens - first_block + 1;
    per_segment = (blocks + cuda::kMaxSegments - 1) / cuda::kMaxSegments;
    count = (blocks + per_segment - 1) / per_segment;
  }
  /** Keys [x, y) of a segment. */
  R1_DEVICE int2 range(int segment) const {
    const int begin = (first_block + segment * per_segment) * kBlockTokens;
    return make_int2(max(first, begin), min(slot + 1, begin + per_segment * kBlockTokens));
  }
};

/** begin[r] is the number of segments of all rows before r. By the first warp. */
R1_DEVICE void count_segments(const cuda::AttentionArgs& a, int (&begin)[kMaxRows + 1]) {
  const int lane = threadIdx.x;
  int carried = 0;
  if (lane == 0) begin[0] = 0;
  for (int half = 0; half < kMaxRows; half += 32) {
    const int row = half + lane;
    int n = row < a.rows && a.step.row_sequence[row] >= 0 ? Segments(a.step.slots[row], a.window).count : 0;
    for (int offset = 1; offset < 32; offset *= 2) {
      const int before = __shfl_up_sync(~0u, n, offset);
      if (lane >= offset) n += before;
    }
    begin[row + 1] = carried + n;
    carried += __shfl_sync(~0u, n, 31);
  }
}

R1_DEVICE int row_of_segment(const int (&begin)[kMaxRows + 1], int segment) {
  int row = 0;
  for (int step = kMaxRows / 2; step > 0; step /= 2) {
    if (begin[row + step] <= segment) row += step;
  }
  return row;
}

template <class T, int kDim>
R1_DEVICE T* output_row(const cuda::AttentionArgs& a, int row, int head) {
  return static_cast<T*>(a.out) + (int64_t{row} * a.heads + head) * kDim;
}

/** Merges the partial results of a row's segments, in their order. */
template <class T, int kDim>
R1_DEVICE void merge_segments(const cuda::AttentionArgs& a, const float* partials, int row, const HeadGroup& group,
                              int segments, float (&shares)[kHeads][cuda::kMaxSegments]) {
  constexpr int kPartial = kDim + 2, kStride = kHeads * kPartial;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int h = warp; h < group.heads; h += kSimtWarps) {  // shares[h][s] = 2^(m_s - m) / l
    float m[2], l[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int s = lane + 32 * i;
      const float* p = partials + s * kStride + h * kPartial + kDim;
      m[i] = s < segments ? __ldcg(p) : kMinusInfinity;
      l[i] = s < segments ? __ldcg(p + 1) : 0.0f;
    }
    const float most = warp_max(fmaxf(m[0], m[1]));
    const float e[2] = {exp2_fast(m[0] - most), exp2_fast(m[1] - most)};
    const float total = warp_sum(l[0] * e[0] + l[1] * e[1]);
#pragma unroll
    for (int i = 0; i < 2; ++i) shares[h][lane + 32 * i] = e[i] / total;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < group.heads * kDim; i += kSimtThreads) {
    const int h = i / kDim, d = i % kDim;
    const float* p = partials + h * kPartial + d;
    float v = 0.0f;
#pragma unroll 8
    for (int s = 0; s < segments; ++s) v = fmaf(__ldcg(p + s * kStride), shares[h][s], v);
    output_row<T, kDim>(a, row, group.head + h)[d] = from_float<T>(v);
  }
}

// Grid: any number of blocks of 128 threads; they take (row, group of heads, segment) items in turn. The last block to
// finish a row's group merges its segments.
template <class T, int kDim, class Attention>
R1_DEVICE void attention_decode(const cuda::AttentionArgs& a, Attention& attention) {
  __shared__ int begin[kMaxRows + 1];
  __shared__ bool last;
  __shared__ float shares[kHeads][cuda::kMaxSegments];
  pdl_trigger();
  if (threadIdx.x < 32) count_segments(a, begin);  // the step's arrays do not depend on the kernel before
  __syncthreads();
  const int groups = HeadGroup::count(a);
  const int items = begin[kMaxRows] * groups;
  if (items <= blockIdx.x) return pdl_wait();  // the kernel after this one waits for this one alone
  for (int item = blockIdx.x; item < items; item += gridDim.x) {
    const int row = row_of_segment(begin, item / groups);
    const Segments segments(a.step.slots[row], a.window);
    const int segment = item / groups - begin[row], g = item % groups;
    const HeadGroup group(a, g);
    const int2 range = segments.range(segment);
    attention.begin(row, group.kv_head, range.x, range.y);
    if (item == blockIdx.x) pdl_wait();
    attention.attend(row, group.head, group.heads);
    if (segments.count == 1) {
      for (int i = threadIdx.x; i < group.heads * kDim; i += kSimtThreads) {
        const int h = i / kDim, d = i % kDim;
        const float m = attention.merged_max(h);
        output_row<T, kDim>(a, row, group.head + h)[d] =
            from_float<T>(attention.merged_value(h, d, m) / attention.merged_sum(h, m));
      }
    } else {
      constexpr int kPartial = kDim + 2, kStride = kHeads * kPartial;
      const int64_t slot = int64_t{row} * groups + g;
      float* partials = a.partials + slot * cuda::kMaxSegments * kStride;
      for (int i = threadIdx.x; i < group.heads * kDim; i += kSimtThreads) {
        const int h = i / kDim, d = i % kDim;
        const float m = attention.merged_max(h);
        float* p = partials + segment * kStride + h * kPartial;
        p[d] = attention.merged_value(h, d, m);
        if (d == 0) p[kDim] = m, p[kDim + 1] = attention.merged_sum(h, m);
      }
      __threadfence();
      __syncthreads();
      if (threadIdx.x == 0) {
        last = atomicAdd(a.arrived + slot, 1) == segments.count - 1;
        if (last) a.arrived[slot] = 0;
        __threadfence();
      }
      __syncthreads();
      if (last) merge_segments<T, kDim>(a, partials, row, group, segments.count, shares);
    }
    __syncthreads();  // shared memory is used again
  }
}

// Grid: x groups of heads, y rows of the step. One block for each, over all keys: prefill where no matrix instructions
// serve.
template <class T, int kDim>
R1_DEVICE void attention_rows(const cuda::AttentionArgs& a) {
  __shared__ SimtShared<kDim> shared;
  pdl_trigger();
  const int row = blockIdx.y;
  const bool padding = a.step.row_sequence[row] < 0;
  pdl_wait();
  if (padding) return;
  const int slot = a.step.slots[row], first = first_visible(slot, a.window);
  const HeadGroup group(a, blockIdx.x);
  SimtAttention<T, kDim> attention(a, shared);
  attention.begin(row, group.kv_head, first, slot + 1);
  attention.attend(row, group.head, group.heads);
  for (int i = threadIdx.x; i < group.heads * kDim; i += kSimtThreads) {
    const int h = i / kDim, d = i % kDim;
    const float m = attention.merged_max(h);
    output_row<T, kDim>(a, row, group.head + h)[d] =
        from_float<T>(attention.merged_value(h, d, m) / attention.merged_sum(h, m));
  }
}

}  // namespace r1

#define R1_ATTENTION_ROWS(suffix, type, dim, blocks)                                              \
  extern "C" __global__ void __launch_bounds__(r1::kSimtThreads, blocks) attention_rows_##suffix( \
      const __grid_constant__ r1::cuda::AttentionArgs a) {                                        \
    r1::attention_rows<type, dim>(a);                                                             \
  }
#define R1_DECODE_SIMT(suffix, type, dim, blocks)                                                   \
  extern "C" __global__ void __launch_bounds__(r1::kSimtThreads, blocks) attention_decode_##suffix( \
      const __grid_constant__ r1::cuda::AttentionArgs a) {                                          \
    __shared__ r1::SimtShared<dim> shared;                                                          \
    r1::SimtAttention<type, dim> attention(a, shared);                                              \
    r1::attention_decode<type, dim>(a, attention);                                                  \
  }
R1_ATTENTION_ROWS(f32_d64, float, 64, 2)
R1_ATTENTION_ROWS(f32_d128, float, 128, 2)
R1_ATTENTION_ROWS(bf16_d64, r1::bf16, 64, 3)
R1_ATTENTION_ROWS(bf16_d128, r1::bf16, 128, 3)
R1_ATTENTION_ROWS(fp16_d64, r1::f16, 64, 2)
R1_ATTENTION_ROWS(fp16_d128, r1::f16, 128, 2)
R1_DECODE_SIMT(f32_d64, float, 64, 2)
R1_DECODE_SIMT(f32_d128, float, 128, 2)
R1_DECODE_SIMT(bf16_d64, r1::bf16, 64, 3)
R1_DECODE_SIMT(bf16_d128, r1::bf16, 128, 3)
R1_DECODE_SIMT(fp16_d64, r1::f16, 64, 2)
R1_DECODE_SIMT(fp16_d128, r1::f16, 128, 2)

#if __CUDA_ARCH__ >= 800 || !defined(__CUDA_ARCH__)
#define R1_SM80(code) code
#else
#define R1_SM80(code)
#endif
#define R1_DECODE_MMA(suffix, type, dim, blocks)                                                         \
  extern "C" __global__ void __launch_bounds__(r1::kSimtThreads, blocks) attention_decode_sm80_##suffix( \
      const __grid_constant__ r1::cuda::AttentionArgs a) {                                               \
    extern __shared__ __align__(128) uint8_t dynamic[];                                                  \
    R1_SM80(r1::MmaAttention<type R1_COMMA dim> attention(a, dynamic);                                   \
            r1::attention_decode<type R1_COMMA dim>(a, attention);)                                      \
  }
#define R1_COMMA ,
R1_DECODE_MMA(bf16_d64, r1::bf16, 64, 3)
R1_DECODE_MMA(bf16_d128, r1::bf16, 128, 2)
R1_DECODE_MMA(fp16_d64, r1::f16, 64, 3)
R1_DECODE_MMA(fp16_d128, r1::f16, 128, 2)
