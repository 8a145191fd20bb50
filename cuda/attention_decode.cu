// Attention of the decode class: the keys of each row are cut into segments; a team takes a run of them.
#include "attention_mma.cuh"
#include "attention_simt.cuh"

namespace r1 {

constexpr int kMaxRows = cuda::kMaxDecodeStepRows;

/**
 * The step's runs: each row's segments are cut into as many as give every team of the grid one, about. A row of two
 * segments is one run where a block is one team, since to merge two runs takes longer than to attend to a segment.
 * Where it is two teams they take a segment each and merge in shared memory; each row's first run is then its block's
 * first.
 */
struct Runs {
  int begin[kMaxRows + 1];  // begin[r]: runs of all rows before r, some of which may have no segment
  int paired;               // whether neighbouring runs are of a block's two teams

  /** By one warp. */
  R1_DEVICE void plan(const cuda::AttentionArgs& a, int groups) {
    constexpr int kHalves = kMaxRows / 32;
    const int lane = threadIdx.x;
    int blocks[kHalves], segments[kHalves], all = 0, rows = 0;
    bool pairs = false;
#pragma unroll
    for (int i = 0; i < kHalves; ++i) {
      const int row = min(32 * i + lane, a.rows - 1);
      const Segments cut(a.step.slots[row], a.window);
      const bool valid = a.step.row_sequence[row] >= 0 && row == 32 * i + lane;
      blocks[i] = valid ? cut.blocks : 0, segments[i] = valid ? cut.count : 0;
      all += blocks[i], rows += valid;
      pairs |= a.run_teams == 2 && segments[i] == 2;
    }
    all = sum(all), rows = sum(rows);
    pairs = __any_sync(~0u, pairs);
    const int room = a.run_blocks / groups * a.run_teams;
    int most = max(1, (all + room - 1) / max(1, room)), runs[kHalves];  // KV blocks of a run
    // Longer until each team has one run at most; where there are more rows than blocks they take turns. As many runs
    // as leave none with more segments than so many blocks are: one more in a few runs would have all wait for those.
    for (;; most += max(1, most / 8)) {
      int count = 0;
#pragma unroll
      for (int i = 0; i < kHalves; ++i) {
        const int each = max(1, most * segments[i] / max(1, blocks[i]));
        runs[i] = segments[i] <= 2 ? min(segments[i], 1) : (segments[i] + each - 1) / each;
        if (pairs) runs[i] = (runs[i] + 1) / 2 * 2;
        count += runs[i];
      }
      if (rows > room || sum(count) <= room) break;
    }
    if (lane == 0) begin[0] = 0, paired = pairs;
    int carried = 0;
#pragma unroll
    for (int i = 0; i < kHalves; ++i) {
      int before_next = runs[i];
      for (int offset = 1; offset < 32; offset *= 2) {
        const int before = __shfl_up_sync(~0u, before_next, offset);
        if (lane >= offset) before_next += before;
      }
      begin[32 * i + lane + 1] = carried + before_next;
      carried += __shfl_sync(~0u, before_next, 31);
    }
  }
  R1_DEVICE int row_of(int run) const {
    int row = 0;
    for (int step = kMaxRows / 2; step > 0; step /= 2) {
      if (begin[row + step] <= run) row += step;
    }
    return row;
  }

 private:
  R1_DEVICE static int sum(int v) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(~0u, v, offset);
    return v;
  }
};

template <class T, int kDim>
R1_DEVICE T* output_row(const cuda::AttentionArgs& a, int row, int head) {
  return static_cast<T*>(a.out) + (int64_t{row} * a.heads + head) * kDim;
}

// Grid: a.run_blocks blocks of kTeams teams, at least one block for each group of heads; the teams take (run, group of
// heads) items in turn, or blocks pairs of runs. All layers of a step have the same runs, planned once
// (attention_decode_plan): to plan takes longer than to attend to a short row. `shared` is of each team.
template <class T, int kDim, int kTeams, class Attention>
R1_DEVICE void attention_decode(const cuda::AttentionArgs& a, Attention& attention, RunShared<kDim>* shared) {
  __shared__ Runs runs;
  if (a.runs_are_new) pdl_wait();  // and only then the kernel behind may begin
  pdl_trigger();
  const int groups = HeadGroup::count(a);
  if (threadIdx.x <= kMaxRows) runs.begin[threadIdx.x] = __ldcg(a.runs + threadIdx.x);  // older than the kernel before
  if (kTeams > 1 && threadIdx.x == kMaxRows + 1) runs.paired = __ldcg(a.runs + cuda::kRunsInts - 1);
  __syncthreads();
  const bool paired = kTeams > 1 && runs.paired;
  const int per_item = paired ? kTeams : 1, turn = gridDim.x * (paired ? 1 : kTeams);
  const int begin = blockIdx.x + (paired ? 0 : team() * gridDim.x), items = runs.begin[kMaxRows] / per_item * groups;
  if (items <= begin) return pdl_wait();  // the kernel after this one waits for this one alone
  for (int item = begin; item < items; item += turn) {
    const int index = item / groups * per_item + (paired ? team() : 0), g = item % groups, row = runs.row_of(index);
    const Segments segments(a.step.slots[row], a.window);
    const int count = min(runs.begin[row + 1] - runs.begin[row], segments.count), at = index - runs.begin[row];
    const int first = segments.part_begin(at, count), end = segments.part_begin(at + 1, count);
    const bool active = at < count;
    const HeadGroup group(a, g);
    const int2 keys = segments.range(first, end);
    if (active) {
      attention.begin(row, group.kv_head, keys.x, keys.y, __ldcg(a.runs + kMaxRows + 1 + row));
      attention.set_heads(row, group.head, group.heads);
    }
    const int64_t slot = int64_t{row} * groups + g;
    Run<T, kDim, Attention::kMergedAtOnce> run(shared[team()], group.heads, output_row<T, kDim>(a, row, group.head));
    if (item == begin) pdl_wait();
    if (!active) continue;
    attention.load_heads();
    if (paired && segments.count == 2) {
      attention.attend(keys.y);
      __syncthreads();
      if (team() == 0) run.store_pair(shared[1].results);
      __syncthreads();
      continue;
    }
    run.begin(first, end, a.partials + slot * cuda::kMaxSegments * kHeads * cuda::decode_partial(kDim),
              a.arrived + slot * cuda::kDecodeCounters);
    for (int segment = first; segment < end; ++segment) {
      attention.attend(segments.range(segment, segment + 1).y);
      run.close_segment(segments, segment);
    }
    run.finish(segments, a.merge_apart);
  }
}

// Grid: x heads, y rows. Behind attention_decode, where a.merge_apart. To fetch the code of a merge takes longer than
// to merge, so there is one on whatever lies there while the results are still to come.
template <class T, int kDim>
R1_DEVICE void attention_decode_merge(const cuda::AttentionArgs& a) {
  pdl_trigger();
  const int row = blockIdx.y, head = blockIdx.x, per_kv = a.heads / a.kv_heads, in_kv = head % per_kv;
  const int group = head / per_kv * (HeadGroup::count(a) / a.kv_heads) + in_kv / kHeads;
  const Segments segments(a.step.slots[row], a.window);
  const int runs = min(__ldcg(a.runs + row + 1) - __ldcg(a.runs + row), segments.count);  // none: no row
  const bool paired = __ldcg(a.runs + cuda::kRunsInts - 1);
  if (runs == 0 || (runs == 1 && segments.spans == 1) || (paired && segments.count == 2)) {  // is there already
    return pdl_wait();
  }
  using Layout = PartialResults<kDim>;
  const float* results = a.partials +
                         (int64_t{row} * HeadGroup::count(a) + group) * cuda::kMaxSegments * Layout::kStride +
                         in_kv % kHeads * Layout::kPartial;
#pragma unroll 1
  for (int pass = 0; pass < 2; ++pass) {
    if (pass == 1) pdl_wait();
    merge_row<T, kDim>(segments, runs, results, output_row<T, kDim>(a, row, head), pass == 0);
  }
}

/** Of rows lane and 32 + lane, the first slot that this step may fill: the row's own where its sequence has no other.
 */
R1_DEVICE int2 first_fresh(const cuda::AttentionArgs& a) {
  static_assert(kMaxRows == 64);
  const int lane = threadIdx.x, low = lane < a.rows ? lane : -1, high = 32 + lane < a.rows ? 32 + lane : -1;
  const int2 of = make_int2(low < 0 ? -1 : a.step.row_sequence[low], high < 0 ? -1 : a.step.row_sequence[high]);
  bool alone_low = __popc(__match_any_sync(~0u, of.x)) == 1, alone_high = __popc(__match_any_sync(~0u, of.y)) == 1;
  for (int i = 0; i < 32; ++i) {
    alone_low &= __shfl_sync(~0u, of.y, i) != of.x, alone_high &= __shfl_sync(~0u, of.x, i) != of.y;
  }
  const auto first = [&](int row, bool alone) { return row < 0 ? 0 : a.step.slots[row] - (alone ? 0 : kMaxRows - 1); };
  return make_int2(first(low, alone_low), first(high, alone_high));
}

// One warp. The kernel behind it waits for it before it lets others begin: those find the runs before their pdl_wait().
R1_DEVICE void plan_decode(const cuda::AttentionArgs& a) {
  __shared__ Runs runs;
  pdl_trigger();
  runs.plan(a, HeadGroup::count(a));  // the step's arrays do not depend on the kernel before
  const int2 fresh = first_fresh(a);
  __syncwarp();
  pdl_wait();
  for (int i = threadIdx.x; i <= kMaxRows; i += 32) a.runs[i] = runs.begin[i];
  a.runs[cuda::kRunsInts - 1] = runs.paired;
  a.runs[kMaxRows + 1 + threadIdx.x] = fresh.x, a.runs[kMaxRows + 33 + threadIdx.x] = fresh.y;
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
  attention.begin(row, group.kv_head, first_visible(slot, a.window), slot + 1, slot);
  attention.set_heads(row, group.head, group.heads);
  attention.load_heads();
  attention.attend(slot + 1);
  Run<T, kDim, 1> run(shared, group.heads, output_row<T, kDim>(a, row, group.head));
  run.store(run.take());
}

}  // namespace r1

extern "C" __global__ void __launch_bounds__(32) attention_decode_plan(
    const __grid_constant__ r1::cuda::AttentionArgs a) {
  r1::plan_decode(a);
}

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
    r1::attention_decode<type, dim, 1>(a, attention, &shared);                                     \
  }
#define R1_DECODE_MERGE(suffix, type, dim)                                                                           \
  extern "C" __global__ void __launch_bounds__(r1::cuda::decode_merge_threads(dim)) attention_decode_merge_##suffix( \
      const __grid_constant__ r1::cuda::AttentionArgs a) {                                                           \
    r1::attention_decode_merge<type, dim>(a);                                                                        \
  }
R1_DECODE_MERGE(bf16_d64, r1::bf16, 64)
R1_DECODE_MERGE(bf16_d128, r1::bf16, 128)
R1_DECODE_MERGE(fp16_d64, r1::f16, 64)
R1_DECODE_MERGE(fp16_d128, r1::f16, 128)
R1_ATTENTION_ROWS(f32_d64, float, 64, 2)
R1_ATTENTION_ROWS(f32_d128, float, 128, 2)
R1_ATTENTION_ROWS(bf16_d64, r1::bf16, 64, 2)
R1_ATTENTION_ROWS(bf16_d128, r1::bf16, 128, 2)
R1_ATTENTION_ROWS(fp16_d64, r1::f16, 64, 2)
R1_ATTENTION_ROWS(fp16_d128, r1::f16, 128, 2)
R1_DECODE_SIMT(f32_d64, float, 64, 2)
R1_DECODE_SIMT(f32_d128, float, 128, 2)
R1_DECODE_SIMT(bf16_d64, r1::bf16, 64, 2)
R1_DECODE_SIMT(bf16_d128, r1::bf16, 128, 2)
R1_DECODE_SIMT(fp16_d64, r1::f16, 64, 2)
R1_DECODE_SIMT(fp16_d128, r1::f16, 128, 2)

#if __CUDA_ARCH__ >= 800 || !defined(__CUDA_ARCH__)
#define R1_SM80(code) code
#else
#define R1_SM80(code)
#endif
#define R1_DECODE_MMA(name, type, dim, teams, blocks)                                                        \
  extern "C" __global__ void __launch_bounds__(teams* r1::kRunThreads, blocks) attention_decode_sm80_##name( \
      const __grid_constant__ r1::cuda::AttentionArgs a) {                                                   \
    extern __shared__ __align__(128) uint8_t dynamic[];                                                      \
    R1_SM80(__shared__ r1::RunShared<dim> shared[teams];                                                     \
            r1::MmaAttention<type R1_COMMA dim> attention(a, dynamic, teams, shared[r1::team()].results);    \
            r1::attention_decode<type R1_COMMA dim R1_COMMA teams>(a, attention, shared);)                   \
  }
#define R1_COMMA ,
R1_DECODE_MMA(bf16_d64, r1::bf16, 64, 1, 3)
R1_DECODE_MMA(bf16_d128, r1::bf16, 128, 1, 2)
R1_DECODE_MMA(fp16_d64, r1::f16, 64, 1, 3)
R1_DECODE_MMA(fp16_d128, r1::f16, 128, 1, 2)
R1_DECODE_MMA(pairs_bf16_d64, r1::bf16, 64, 2, 1)
R1_DECODE_MMA(pairs_bf16_d128, r1::bf16, 128, 2, 1)
R1_DECODE_MMA(pairs_fp16_d64, r1::f16, 64, 2, 1)
R1_DECODE_MMA(pairs_fp16_d128, r1::f16, 128, 2, 1)
