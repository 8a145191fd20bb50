// Linear layers of 1 to 64 rows on sm_90a, which stream the weights once. The operands are swapped: 64 weight rows are
// the M side of wgmma, up to TN tokens its N side. A block owns BM weight rows and a range of K; the S blocks of a
// cluster share a tile, each sending its partial sums from registers into the shared memory of the block that finishes
// them, always added in the order of K. One producer thread fills a ring of stages with TMA; under programmatic launch
// it fills it with weights before it waits for the kernel that makes x.
//
// Loops that are not worth it are not unrolled: a kernel runs for a few microseconds on an SM whose instruction cache
// has been used by others meanwhile, so what is fetched counts more than what is executed.
//
// The range of K of split z and the order of all sums depend on K and S alone, and S on the layer's shape alone, so a
// row's bits are the same for every TN, BM and number of stages. With S = 1 they are those of linear_sm90_prefill_*: a
// product's bits do not depend on which operand is wgmma's A (tested).
#include "stream_epilogue.cuh"
#include "wgmma.cuh"

namespace r1 {

using cuda::LinearStreamParams;

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

constexpr int kMaxStages = 16;

/** Shared memory of a block: ring[stages][KS][BM rows of 128 bytes][TN rows of 128 bytes], inbox, barriers. */
template <int TN, int WARPGROUPS, int KS>
struct StreamTile {
  static constexpr int kRows = 64 * WARPGROUPS;
  static constexpr int kConsumers = 128 * WARPGROUPS;
  static constexpr int kWeightBytes = kRows * 128;  // of 64 values of K
  static constexpr int kTokenBytes = TN * 128;
  static constexpr int kStageBytes = KS * (kWeightBytes + kTokenBytes);
  static constexpr int kGroups = TN / 8;  // of 8 tokens: what split-K deals out
};

struct Barriers {
  uint64_t full[kMaxStages], empty[kMaxStages], inbox;
  int tile[kMaxStages];  // whose first piece is in that stage; p.tiles: there is none any more
};

/** The steps of K of this block. A split is a whole number of pairs of 64-value blocks, whatever KS is. */
template <int KS>
struct KRange {
  int first_block, steps;
  R1_DEVICE KRange(int k_blocks, int split, int splits) {
    const int pairs = (k_blocks + 1) / 2;
    first_block = pairs * split / splits * 2;
    const int end = min(pairs * (split + 1) / splits * 2, k_blocks);
    steps = (end - first_block + KS - 1) / KS;
  }
};

/**
 * Fills the ring, for one tile after the other: the weights of the first `stages` before x is there. Where there are
 * more tiles than blocks, a block takes the next one that nobody has: SMs do not read at one speed.
 */
template <int TN, int WARPGROUPS, int KS, StreamEnd END>
R1_DEVICE void produce(const TensorMap& weights, const TensorMap& x, const LinearStreamParams& p, KRange<KS> k,
                       uint32_t ring, uint32_t full, uint32_t empty, int* tile_of) {
  using Tile = StreamTile<TN, WARPGROUPS, KS>;
  const uint64_t weight_policy = l2_evict_first(), x_policy = l2_evict_last();
  const int token = blockIdx.y * TN, stages = p.stages;
  auto load_weights = [&](int tile, int step, int stage) {
    barrier_expect(full + 8 * stage, Tile::kStageBytes);
#pragma unroll
    for (int q = 0; q < KS; q++) {
      const uint32_t to = ring + stage * Tile::kStageBytes + q * Tile::kWeightBytes;
      const int column = (k.first_block + step * KS + q) * 64;
      if (END == StreamEnd::kRope) {
        const HalfHead half(p.rope, tile * WARPGROUPS);
        tensor_load_pairs(to, &weights, column, half.part * 4, half.head, full + 8 * stage, weight_policy);
      } else {
        tensor_load(to, &weights, column, tile * Tile::kRows, full + 8 * stage, weight_policy);
      }
    }
  };
  auto load_x = [&](int step, int stage) {
#pragma unroll
    for (int q = 0; q < KS; q++) {
      tensor_load(ring + stage * Tile::kStageBytes + KS * Tile::kWeightBytes + q * Tile::kTokenBytes, &x,
                  (k.first_block + step * KS + q) * 64, token, full + 8 * stage, x_policy);
    }
  };
  const int prefetched = min(k.steps, stages);
#pragma unroll 1
  for (int i = 0; i < prefetched; i++) load_weights(blockIdx.x, i, i);
  pdl_wait();
#pragma unroll 1
  for (int i = 0; i < prefetched; i++) load_x(i, i);
  const bool more = p.tiles > static_cast<int>(gridDim.x);
  int step = prefetched, stage = prefetched < stages ? prefetched : 0, phase = prefetched < stages ? 1 : 0;
#pragma unroll 1
  for (int tile = blockIdx.x; tile < p.tiles; step = 0) {
    const int next = more ? static_cast<int>(gridDim.x + atomicAdd(p.claims, 1u)) : p.tiles;
#pragma unroll 1
    for (; step < k.steps; step++) {
      barrier_wait(empty + 8 * stage, phase);
      if (step == 0) tile_of[stage] = tile;
      load_weights(tile, step, stage);
      load_x(step, stage);
      if (++stage == stages) stage = 0, phase ^= 1;
    }
    tile = next;
  }
  if (!more) return;
  barrier_wait(empty + 8 * stage, phase);
  tile_of[stage] = p.tiles;
  barrier_arrive(full + 8 * stage);
  // The last block leaves the counters as they were found.
  if (atomicAdd(p.claims + 1, 1u) == gridDim.x - 1) p.claims[0] = p.claims[1] = 0;
}

/** The sums of one warpgroup's 64 weight rows of a tile over this block's range of K. */
template <int TN, int WARPGROUPS, int KS>
struct Multiplier {
  using Tile = StreamTile<TN, WARPGROUPS, KS>;
  const int stages;
  const uint32_t ring, full, empty;
  int stage = 0, phase = 0;

  /** Until the first piece of the next tile is there. Returns its stage. */
  R1_DEVICE int wait() const {
    barrier_wait(full + 8 * stage, phase);
    return stage;
  }
  R1_DEVICE void run(float (&sums)[TN / 2], int steps) {
    const int warpgroup = threadIdx.x / 128;
    const bool elected = threadIdx.x % 32 == 0;
#pragma unroll
    for (int i = 0; i < TN / 2; i++) sums[i] = 0.0f;
    int previous = -1;
#pragma unroll 1
    for (int i = 0; i < steps; i++) {
      barrier_wait(full + 8 * stage, phase);
      const uint32_t w = ring + stage * Tile::kStageBytes, x = w + KS * Tile::kWeightBytes;
      wgmma_fence();
#pragma unroll
      for (int q = 0; q < KS; q++) {
        const uint64_t a = wgmma_operand(w + q * Tile::kWeightBytes + warpgroup * 8192);
        const uint64_t b = wgmma_operand(x + q * Tile::kTokenBytes);
#pragma unroll
        for (int j = 0; j < 4; j++) Wgmma<TN>::multiply_add(sums, a + 2 * j, b + 2 * j, 1);
      }
      wgmma_commit();
      wgmma_wait<1>();
      if (previous >= 0 && elected) barrier_arrive(empty + 8 * previous);  // its products are done: 2 stages at least
      previous = stage;
      if (++stage == stages) stage = 0, phase ^= 1;
    }
    wgmma_wait<0>();
    wgmma_pin(sums);
    if (previous >= 0 && elected) barrier_arrive(empty + 8 * previous);
  }
};

/** Sends each group of 8 tokens to the block of the cluster that finishes it. */
template <int TN, int WARPGROUPS>
R1_DEVICE void exchange(const float (&sums)[TN / 2], uint32_t inbox, uint32_t inbox_full, int split, int splits) {
  constexpr int kGroups = TN / 8, kConsumers = 128 * WARPGROUPS;
  const int inbox_groups = (kGroups + splits - 1) / splits;
#pragma unroll
  for (int g = 0; g < kGroups; g++) {
    const int owner =
        ((g + 1) * splits - 1) / kGroups;  // kGroups * owner / splits <= g < kGroups * (owner + 1) / splits
    const int slot = split * inbox_groups + g - kGroups * owner / splits;
    cluster_send(inbox + (slot * kConsumers + threadIdx.x) * 16, inbox_full, owner,
                 make_float4(sums[4 * g], sums[4 * g + 1], sums[4 * g + 2], sums[4 * g + 3]));
  }
}

R1_DEVICE void add(float (&sums)[4], const float4& v) {
  sums[0] += v.x, sums[1] += v.y, sums[2] += v.z, sums[3] += v.w;
}

/**
 * grid (blocks that take weight tiles, token tiles: 1 where those are more than blocks, S), cluster (1, 1, S), block
 * 128 * WARPGROUPS consumers, a warp for the producer and one that reads ahead for the epilogue. With S > 1 a block has
 * one tile.
 *
 * The consumers first go through their code once without work, while they would wait for the kernel before: an SM has
 * forgotten it since the layer before, and would fetch it piece by piece when every microsecond counts.
 */
template <int TN, int WARPGROUPS, int KS, StreamEnd END>
R1_DEVICE void linear_stream(const TensorMap& weights, const TensorMap& x, const LinearStreamParams& p) {
  using Tile = StreamTile<TN, WARPGROUPS, KS>;
  constexpr int kGroups = Tile::kGroups, kConsumers = Tile::kConsumers;
  // Whether two groups are finished at a time, so that one need not wait for the other. Registers must allow it.
  constexpr bool kPairs = TN == 64 && (WARPGROUPS == 1 || END != StreamEnd::kResidual);
  extern __shared__ uint8_t dynamic[];
  __shared__ __align__(8) Barriers barriers;
  __shared__ StreamShared<TN, WARPGROUPS> shared;
  const uint32_t ring = (shared_address(dynamic) + 1023) & ~1023u;
  const uint32_t inbox = ring + p.stages * Tile::kStageBytes;
  const uint32_t full = shared_address(barriers.full), empty = shared_address(barriers.empty);
  const uint32_t inbox_full = shared_address(&barriers.inbox);
  const int tid = threadIdx.x, splits = gridDim.z, split = blockIdx.z;
  const KRange<KS> k(p.k_blocks, split, splits);
  // This block finishes groups first_group .. end_group - 1; nobody finishes more than inbox_groups.
  const int first_group = kGroups * split / splits, end_group = kGroups * (split + 1) / splits;
  const int inbox_groups = (kGroups + splits - 1) / splits;

  if (tid == kConsumers) {
#pragma unroll 1
    for (int i = 0; i < p.stages; i++) {
      barrier_init(full + 8 * i, 1);
      barrier_init(empty + 8 * i, WARPGROUPS * 4);
    }
    barrier_init(inbox_full, 1);
    barrier_init_fence();
    if (splits > 1) barrier_expect(inbox_full, splits * (end_group - first_group) * kConsumers * 16);
    tensor_prefetch(&weights);
    tensor_prefetch(&x);
    pdl_trigger();
  }
  __syncthreads();
  if (splits > 1) cluster_arrive();

  if (tid >= kConsumers) {
    if (tid == kConsumers) produce<TN, WARPGROUPS, KS, END>(weights, x, p, k, ring, full, empty, barriers.tile);
    if (tid >= kConsumers + 32) {
      ReadAhead<TN, WARPGROUPS, END>(p, shared, first_group * 8, end_group * 8).run();
    }
    __syncwarp();
    if (splits > 1) cluster_wait();
    return;
  }
  Multiplier<TN, WARPGROUPS, KS> multiplier{p.stages, ring, full, empty};
  const int turns = p.tiles > static_cast<int>(gridDim.x) ? p.tiles : 1;  // at most
#pragma unroll 1
  for (int turn = -1; turn < turns; turn++) {
    const bool rehearsal = turn < 0;
    const int tile = turn > 0 ? barriers.tile[multiplier.wait()] : static_cast<int>(blockIdx.x);
    if (tile >= p.tiles) break;
    if (turn == 0) pdl_wait();  // for what the epilogue reads; x comes later anyway
    StreamEpilogue<TN, WARPGROUPS, END> epilogue(p, shared, tile, rehearsal);
    typename StreamEpilogue<TN, WARPGROUPS, END>::Terms next = epilogue.terms(first_group), after;
    if constexpr (kPairs) after = epilogue.terms(min(first_group + 1, kGroups - 1));
    float sums[TN / 2];
    multiplier.run(sums, rehearsal ? 0 : k.steps);
    if (splits > 1 && !rehearsal) {
      cluster_wait();  // the peers' inbox barriers exist
      exchange<TN, WARPGROUPS>(sums, inbox, inbox_full, split, splits);
    }
    if (turn == 0) epilogue.sync();
    if (splits > 1 && !rehearsal && end_group > first_group) barrier_wait(inbox_full, 0);
    if constexpr (kPairs) {
#pragma unroll 1
      for (int g = first_group; g < end_group; g += 2) {
        const bool two = g + 1 < end_group;
        float d[2][4];
#pragma unroll
        for (int i = 0; i < 8; i++) d[i / 4][i % 4] = splits > 1 ? 0.0f : sums[i];
#pragma unroll 1
        for (int q = 0; splits > 1 && q < splits; q++) {
          const uint32_t parts = inbox + ((q * inbox_groups + g - first_group) * kConsumers + tid) * 16;
          add(d[0], load_shared_float4(parts));
          if (two) add(d[1], load_shared_float4(parts + kConsumers * 16));
        }
#pragma unroll
        for (int i = 8; i < TN / 2; i++) sums[i - 8] = sums[i];
        const auto first = next, second = after;
        next = epilogue.terms(min(g + 2, kGroups - 1));
        after = epilogue.terms(min(g + 3, kGroups - 1));
        epilogue.finish(g, d[0], first);
        if (two) epilogue.finish(g + 1, d[1], second);
      }
    } else {
#pragma unroll 1
      for (int g = first_group; g < end_group; g++) {
        float d[4] = {sums[0], sums[1], sums[2], sums[3]};
        if (splits > 1) {
          float4 total = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
          for (int q = 0; q < splits; q++) {
            const float4 part =
                load_shared_float4(inbox + ((q * inbox_groups + g - first_group) * kConsumers + tid) * 16);
            total.x += part.x, total.y += part.y, total.z += part.z, total.w += part.w;
          }
          d[0] = total.x, d[1] = total.y, d[2] = total.z, d[3] = total.w;
        } else {
#pragma unroll
          for (int i = 4; i < TN / 2; i++) sums[i - 4] = sums[i];
        }
        const auto terms = next;
        next = epilogue.terms(min(g + 1, kGroups - 1));
        epilogue.finish(g, d, terms);
      }
    }
    epilogue.end(first_group * 8, end_group * 8);
  }
}

#endif  // __CUDA_ARCH_FEAT_SM90_ALL

}  // namespace r1

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define R1_STREAM_BODY(tokens, warpgroups, blocks, end) \
  r1::linear_stream<tokens, warpgroups, blocks, r1::StreamEnd::end>(weights, x, params)
#else
#define R1_STREAM_BODY(tokens, warpgroups, blocks, end)
#endif

#define R1_STREAM_KERNEL(tokens, rows, warpgroups, blocks, name, end)                                            \
  extern "C" __global__ void __launch_bounds__(warpgroups * 128 + 64, rows == 64 && tokens < 64 ? 3 : 2)         \
  linear_sm90_stream_t##tokens##_m##rows##_##name(const __grid_constant__ r1::TensorMap weights,                 \
                                                  const __grid_constant__ r1::TensorMap x,                       \
                                                  const __grid_constant__ r1::cuda::LinearStreamParams params) { \
    R1_STREAM_BODY(tokens, warpgroups, blocks, end);                                                             \
  }

// linear_sm90_stream_t<TN>_m<BM>_<what becomes of the sums>; pairs of rows for RoPE come in tiles of 64
#define R1_STREAM_KERNELS(tokens, rows, warpgroups, blocks)               \
  R1_STREAM_KERNEL(tokens, rows, warpgroups, blocks, store, kStore)       \
  R1_STREAM_KERNEL(tokens, rows, warpgroups, blocks, residual, kResidual) \
  R1_STREAM_KERNEL(tokens, rows, warpgroups, blocks, swiglu, kSwiglu)

R1_STREAM_KERNELS(8, 64, 1, 2)
R1_STREAM_KERNEL(8, 64, 1, 2, rope, kRope)
R1_STREAM_KERNELS(16, 64, 1, 2)
R1_STREAM_KERNEL(16, 64, 1, 2, rope, kRope)
R1_STREAM_KERNELS(32, 64, 1, 2)
R1_STREAM_KERNEL(32, 64, 1, 2, rope, kRope)
R1_STREAM_KERNELS(64, 64, 1, 1)
R1_STREAM_KERNEL(64, 64, 1, 1, rope, kRope)
R1_STREAM_KERNELS(8, 128, 2, 1)
R1_STREAM_KERNELS(16, 128, 2, 1)
R1_STREAM_KERNELS(32, 128, 2, 1)
R1_STREAM_KERNELS(64, 128, 2, 1)
