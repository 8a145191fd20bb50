// Attention of the decode class: the keys of each row are cut into segments; a block takes a run of them.
#include "attention_mma.cuh"
#include "attention_simt.cuh"

namespace r1 {

constexpr int kMaxRows = cuda::kMaxDecodeStepRows;

/**
 * How a row's keys are cut: segments of whole KV blocks, two or as many as kMaxSegments allow; by position and window
 * alone.
 */
struct Segments {
  int first, slot, first_block, per_segment, count;
  R1_DEVICE Segments(int slot_, int window) : first(first_visible(slot_, window)), slot(slot_) {
    first_block = first / kBlockTokens;
    const int blocks = slot / kBlockTokens - first_block + 1;
    per_segment = max(2, (blocks + cuda::kMaxSegments - 1) / cuda::kMaxSegments);
    count = (blocks + per_segment - 1) / per_segment;
  }
  /** Keys [x, y) of a segment. */
  R1_DEVICE int2 range(int segment) const {
    const int begin = (first_block + segment * per_segment) * kBlockTokens;
    return make_int2(max(first, begin), min(slot + 1, begin + per_segment * kBlockTokens));
  }
};

/** The step's runs: of up to `length` segments of a row, so long that the grid has a block for each, about. */
struct Runs {
  int length;
  int begin[kMaxRows + 1];  // begin[r]: runs of all rows before r

  /** By the first warp. */
  R1_DEVICE void plan(const cuda::AttentionArgs& a, int groups) {
    constexpr int kHalves = kMaxRows / 32;
    const int lane = threadIdx.x;
    int n[kHalves], all = 0;
#pragma unroll
    for (int i = 0; i < kHalves; ++i) {
      const int row = 32 * i + lane;
      n[i] = row < a.rows && a.step.row_sequence[row] >= 0 ? Segments(a.step.slots[row], a.window).count : 0;
      all += n[i];
    }
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) all += __shfl_xor_sync(~0u, all, offset);
    const int blocks = gridDim.x;
    const int most = max(1, (all * groups + blocks - 1) / blocks);
    if (lane == 0) length = most, begin[0] = 0;
    int carried = 0;
#pragma unroll
    for (int i = 0; i < kHalves; ++i) {
      int sum = (n[i] + most - 1) / most;
      for (int offset = 1; offset < 32; offset *= 2) {
        const int before = __shfl_up_sync(~0u, sum, offset);
        if (lane >= offset) sum += before;
      }
      begin[32 * i + lane + 1] = carried + sum;
      carried += __shfl_sync(~0u, sum, 31);
    }
  }
  R1_DEVICE int row_of(int run) const {
    int row = 0;
    for (int step = kMaxRows / 2; step > 0; step /= 2) {
      if (begin[row + step] <= run) row += step;
    }
    return row;
  }
};

template <class T, int kDim>
R1_DEVICE T* output_row(const cuda::AttentionArgs& a, int row, int head) {
  return static_cast<T*>(a.out) + (int64_t{row} * a.heads + head) * kDim;
}

// Grid: any number of blocks of 128 threads; they take (row, group of heads, run) items in turn. The last block to
// finish a row's group merges its segments where there are several runs.
template <class T, int kDim, class Attention>
R1_DEVICE void attention_decode(const cuda::AttentionArgs& a, Attention& attention, RunShared<kDim>& shared) {
  __shared__ Runs runs;
  pdl_trigger();
  const int groups = HeadGroup::count(a);
  if (threadIdx.x < 32) runs.plan(a, groups);  // the step's arrays do not depend on the kernel before
  __syncthreads();
  const int items = runs.begin[kMaxRows] * groups;
  if (items <= blockIdx.x) return pdl_wait();  // the kernel after this one waits for this one alone
  for (int item = blockIdx.x; item < items; item += gridDim.x) {
    const int index = item / groups, g = item % groups, row = runs.row_of(index);
    const Segments segments(a.step.slots[row], a.window);
    const int first = (index - runs.begin[row]) * runs.length, end = min(first + runs.length, segments.count);
    const HeadGroup group(a, g);
    attention.begin(row, group.kv_head, segments.range(first).x, segments.range(end - 1).y);
    if (item == blockIdx.x) pdl_wait();
    attention.set_heads(row, group.head, group.heads);
    const int64_t slot = int64_t{row} * groups + g;
    float* partials = segments.count > runs.length
                          ? a.partials + slot * cuda::kMaxSegments * kHeads * cuda::decode_partial(kDim)
                          : nullptr;
    Run<T, kDim> run(shared, group.heads, output_row<T, kDim>(a, row, group.head));
    for (int segment = first; segment < end; ++segment) {
      attention.attend(segments.range(segment).y);
      run.close_segment(partials, segment);
    }
    if (partials) {
      run.store_with_others(partials, segments.count, a.arrived + slot, runs.begin[row + 1] - runs.begin[row]);
    } else {
      run.store();
    }
  }
}

// Grid: x groups of heads, y rows of the step. One block for each, over all keys: prefill where no matrix instructions
// serve.
template <class T, int kDim>
R1_DEVICE void attention_rows(const cuda::AttentionArgs& a) {
  __shared__ SimtQueries<kDim> queries;
  __shared__ RunShared<kDim> shared;
  pdl_trigger();
  const int row = blockIdx.y;
  const bool padding = a.step.row_sequence[row] < 0;
  pdl_wait();
  if (padding) return;
  const int slot = a.step.slots[row];
  const HeadGroup group(a, blockIdx.x);
  SimtAttention<T, kDim> attention(a, queries, shared.results);
  attention.begin(row, group.kv_head, first_visible(slot, a.window), slot + 1);
  attention.set_heads(row, group.head, group.heads);
  attention.attend(slot + 1);
  Run<T, kDim> run(shared, group.heads, output_row<T, kDim>(a, row, group.head));
  run.close_segment(nullptr, 0);
  run.store();
}

}  // namespace r1

#define R1_ATTENTION_ROWS(suffix, type, dim, blocks)                                             \
  extern "C" __global__ void __launch_bounds__(r1::kRunThreads, blocks) attention_rows_##suffix( \
      const __grid_constant__ r1::cuda::AttentionArgs a) {                                       \
    r1::attention_rows<type, dim>(a);                                                            \
  }
#define R1_DECODE_SIMT(suffix, type, dim, blocks)                                                  \
  extern "C" __global__ void __launch_bounds__(r1::kRunThreads, blocks) attention_decode_##suffix( \
      const __grid_constant__ r1::cuda::AttentionArgs a) {                                         \
    __shared__ r1::SimtQueries<dim> queries;                                                       \
    __shared__ r1::RunShared<dim> shared;                                                          \
    r1::SimtAttention<type, dim> attention(a, queries, shared.results);                            \
    r1::attention_decode<type, dim>(a, attention, shared);                                         \
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
#define R1_DECODE_MMA(suffix, type, dim, blocks)                                                        \
  extern "C" __global__ void __launch_bounds__(r1::kRunThreads, blocks) attention_decode_sm80_##suffix( \
      const __grid_constant__ r1::cuda::AttentionArgs a) {                                              \
    extern __shared__ __align__(128) uint8_t dynamic[];                                                 \
    R1_SM80(__shared__ r1::RunShared<dim> shared;                                                       \
            r1::MmaAttention<type R1_COMMA dim> attention(a, dynamic, shared.results);                  \
            r1::attention_decode<type R1_COMMA dim>(a, attention, shared);)                             \
  }
#define R1_COMMA ,
R1_DECODE_MMA(bf16_d64, r1::bf16, 64, 3)
R1_DECODE_MMA(bf16_d128, r1::bf16, 128, 2)
R1_DECODE_MMA(fp16_d64, r1::f16, 64, 3)
R1_DECODE_MMA(fp16_d128, r1::f16, 128, 2)
