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

template <int TN, int WARPGROUPS, int KS>
R1_DEVICE void produce(const TensorMap& weights, const TensorMap& x, const LinearStreamParams& p, KRange<KS> k,
                       uint32_t ring, uint32_t full, uint32_t empty, bool clustered) {
  using Tile = StreamTile<TN, WARPGROUPS, KS>;
  const uint64_t weight_policy = l2_evict_first(), x_policy = l2_evict_last();
  const int row = blockIdx.x * Tile::kRows, token = blockIdx.y * TN, stages = p.stages;
  const bool paired = p.out.epilogue == LinearEpilogue::kRopeAppend;
  const HalfHead half(p.rope, blockIdx.x * WARPGROUPS);
  auto load_weights = [&](int step, int stage) {
    barrier_expect(full + 8 * stage, Tile::kStageBytes);
#pragma unroll
    for (int q = 0; q < KS; q++) {
      const uint32_t to = ring + stage * Tile::kStageBytes + q * Tile::kWeightBytes;
      const int block = k.first_block + step * KS + q;
      if (paired) {
        tensor_load_pairs(to, &weights, block * 64, half.part * 4, half.head, full + 8 * stage, weight_policy);
      } else {
        tensor_load_weights(to, &weights, block, row, p.packed, full + 8 * stage, weight_policy);
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
  for (int i = 0; i < prefetched; i++) load_weights(i, i);
  pdl_wait();
#pragma unroll 1
  for (int i = 0; i < prefetched; i++) load_x(i, i);
#pragma unroll 1
  for (int i = prefetched, stage = 0, phase = 0; i < k.steps; i++) {
    barrier_wait(empty + 8 * stage, phase);
    load_weights(i, stage);
    load_x(i, stage);
    if (++stage == stages) stage = 0, phase ^= 1;
  }
  if (clustered) cluster_wait();
}

/** The sums of one warpgroup's 64 weight rows over this block's range of K. */
template <int TN, int WARPGROUPS, int KS>
R1_DEVICE void multiply(float (&sums)[TN / 2], int stages, KRange<KS> k, uint32_t ring, uint32_t full, uint32_t empty) {
  using Tile = StreamTile<TN, WARPGROUPS, KS>;
  const int warpgroup = threadIdx.x / 128;
  const bool elected = threadIdx.x % 32 == 0;
#pragma unroll
  for (int i = 0; i < TN / 2; i++) sums[i] = 0.0f;
  int stage = 0, phase = 0, previous = 0;
#pragma unroll 1
  for (int i = 0; i < k.steps; i++) {
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
    if (i > 0 && elected) barrier_arrive(empty + 8 * previous);  // its products are done: the ring needs 2 stages
    previous = stage;
    if (++stage == stages) stage = 0, phase ^= 1;
  }
  wgmma_wait<0>();
  wgmma_pin(sums);
}

/** grid (weight tiles, token tiles, S), cluster (1, 1, S), block 128 * WARPGROUPS consumers, a warp for the producer
 * and one that reads ahead for the epilogue */
template <int TN, int WARPGROUPS, int KS>
R1_DEVICE void linear_stream(const TensorMap& weights, const TensorMap& x, const LinearStreamParams& p) {
  using Tile = StreamTile<TN, WARPGROUPS, KS>;
  constexpr int kGroups = Tile::kGroups, kConsumers = Tile::kConsumers;
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
    if (tid == kConsumers) {
      produce<TN, WARPGROUPS, KS>(weights, x, p, k, ring, full, empty, splits > 1);
      return;
    }
    if (tid >= kConsumers + 32) ReadAhead<TN, WARPGROUPS>(p, shared, first_group * 8, end_group * 8).run();
    if (splits > 1) cluster_wait();
    return;
  }
  StreamEpilogue<TN, WARPGROUPS> epilogue(p, shared);
  float sums[TN / 2];
  multiply<TN, WARPGROUPS, KS>(sums, p.stages, k, ring, full, empty);

  if (splits > 1) {
    cluster_wait();  // the peers' inbox barriers exist
#pragma unroll
    for (int g = 0; g < kGroups; g++) {
      const int owner =
          ((g + 1) * splits - 1) / kGroups;  // kGroups * owner / splits <= g < kGroups * (owner + 1) / splits
      const int slot = split * inbox_groups + g - kGroups * owner / splits;
      cluster_send(inbox + (slot * kConsumers + tid) * 16, inbox_full, owner,
                   make_float4(sums[4 * g], sums[4 * g + 1], sums[4 * g + 2], sums[4 * g + 3]));
    }
  }
  epilogue.sync();
  float2 next = epilogue.term(8 * first_group);
  if (splits > 1 && end_group > first_group) barrier_wait(inbox_full, 0);
#pragma unroll 1
  for (int g = first_group; g < end_group; g++) {
    float d[4] = {sums[0], sums[1], sums[2], sums[3]};
    if (splits > 1) {
      float4 total = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
      for (int q = 0; q < splits; q++) {
        const float4 part = load_shared_float4(inbox + ((q * inbox_groups + g - first_group) * kConsumers + tid) * 16);
        total.x += part.x, total.y += part.y, total.z += part.z, total.w += part.w;
      }
      d[0] = total.x, d[1] = total.y, d[2] = total.z, d[3] = total.w;
    } else {
#pragma unroll
      for (int i = 4; i < TN / 2; i++) sums[i - 4] = sums[i];
    }
#pragma unroll 1
    for (int j = 0; j < 2; j++) {
      const float2 term = next;
      next = epilogue.term(8 * g + (j ? 8 : 1));  // past the end it is none that counts
      epilogue.finish(8 * g + j, j ? d[1] : d[0], j ? d[3] : d[2], term);
    }
  }
  epilogue.end(first_group * 8, end_group * 8);
}

#endif  // __CUDA_ARCH_FEAT_SM90_ALL

}  // namespace r1

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define R1_STREAM_BODY(tokens, warpgroups, blocks) r1::linear_stream<tokens, warpgroups, blocks>(weights, x, params)
#else
#define R1_STREAM_BODY(tokens, warpgroups, blocks)
#endif

// linear_sm90_stream_t<TN>_m<BM>
#define R1_STREAM_KERNEL(tokens, rows, warpgroups, blocks)                                                       \
  extern "C" __global__ void __launch_bounds__(warpgroups * 128 + 64, 2) linear_sm90_stream_t##tokens##_m##rows( \
      const __grid_constant__ r1::TensorMap weights, const __grid_constant__ r1::TensorMap x,                    \
      const __grid_constant__ r1::cuda::LinearStreamParams params) {                                             \
    R1_STREAM_BODY(tokens, warpgroups, blocks);                                                                  \
  }

R1_STREAM_KERNEL(8, 64, 1, 2)
R1_STREAM_KERNEL(16, 64, 1, 2)
R1_STREAM_KERNEL(32, 64, 1, 2)
R1_STREAM_KERNEL(64, 64, 1, 1)
R1_STREAM_KERNEL(8, 128, 2, 1)
R1_STREAM_KERNEL(16, 128, 2, 1)
R1_STREAM_KERNEL(32, 128, 2, 1)
R1_STREAM_KERNEL(64, 128, 2, 1)
R1_STREAM_KERNEL(8, 192, 3, 1)
R1_STREAM_KERNEL(16, 192, 3, 1)
R1_STREAM_KERNEL(32, 192, 3, 1)
