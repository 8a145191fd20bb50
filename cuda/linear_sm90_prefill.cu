// Linear layers of many rows on sm_90a: a persistent kernel. One warpgroup's first thread feeds a TMA ring; two
// consumer warpgroups each keep the sums of 64 tokens x BN weight rows of a tile of 128 tokens and run free of each
// other, so that one stores while the other multiplies. BN is chosen such that the tiles fill whole waves of the card.
// K is added in order whatever the tile, so a row's bits depend on the layer alone. Where x comes as a NormInput, the
// first warpgroup's other warps make the factors of a tile's tokens meanwhile.
#include "tile_epilogue.cuh"
#include "wgmma.cuh"

namespace r1 {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

constexpr int kTokenBytes = kTileTokens * 128;  // of a stage: 64 values of K

/** Token tiles vary fastest inside a band, so that a weight tile is read from memory once per band. */
struct TileOrder {
  int token_tiles, weight_tiles, band;
  R1_DEVICE TileOrder(const LinearTileParams& p, int columns)
      : token_tiles((p.out.rows + kTileTokens - 1) / kTileTokens),
        weight_tiles((p.stored_rows + columns - 1) / columns),
        band(p.band) {}
  R1_DEVICE int count() const { return token_tiles * weight_tiles; }
  /** x: first token tile's index, y: weight tile's */
  R1_DEVICE int2 at(int i) const {
    const int b = i / (band * weight_tiles), rest = i - b * band * weight_tiles;
    const int height = min(band, token_tiles - b * band);
    return make_int2(b * band + rest % height, rest / height);
  }
};

/** A tile's weights in pairs (tensor_map.h), by boxes of so many rows as a head has a whole number of. */
template <int BN>
R1_DEVICE void load_pairs(uint32_t to, const TensorMap& weights, const LinearTileParams& p, int tile, int k,
                          uint32_t barrier, uint64_t policy) {
  constexpr int kRows = staged_columns(BN);
#pragma unroll 1
  for (int row = 0; row < BN; row += kRows) {
    const PairGroup group(p.rope, (tile * BN + row) / 16);
    tensor_load_pairs(to + row * 128, &weights, k * 64, group.in_head, group.head, barrier, policy);
  }
}

template <int BN, int STAGES>
R1_DEVICE void produce(const TensorMap& x, const TensorMap& weights, const LinearTileParams& p, uint32_t ring,
                       uint32_t full, uint32_t empty) {
  constexpr int kStageBytes = kTokenBytes + BN * 128;
  const TileOrder order(p, BN);
  const uint64_t x_policy = l2_evict_last(), weight_policy = l2_evict_normal();
  const bool paired = p.out.epilogue == LinearEpilogue::kRopeAppend;
  auto load_weights = [&](int tile, int k, int stage) {
    barrier_expect(full + 8 * stage, kStageBytes);
    const uint32_t to = ring + stage * kStageBytes + kTokenBytes;
    if (paired) return load_pairs<BN>(to, weights, p, tile, k, full + 8 * stage, weight_policy);
    tensor_load(to, &weights, k * 64, tile * BN, full + 8 * stage, weight_policy);
  };
  auto load_x = [&](int tile, int k, int stage) {
    tensor_load(ring + stage * kStageBytes, &x, k * 64, tile * kTileTokens, full + 8 * stage, x_policy);
  };
  const int prefetched = min(STAGES, p.k_blocks);
  const int2 first = order.at(blockIdx.x);
  for (int k = 0; k < prefetched; k++) load_weights(first.y, k, k);
  pdl_wait();
  for (int k = 0; k < prefetched; k++) load_x(first.x, k, k);
  int stage = prefetched % STAGES, phase = prefetched == STAGES ? 0 : 1;
  for (int i = blockIdx.x, k = prefetched; i < order.count(); i += gridDim.x, k = 0) {
    const int2 tile = order.at(i);
    for (; k < p.k_blocks; k++) {
      barrier_wait(empty + 8 * stage, phase);
      load_weights(tile.y, k, stage);
      load_x(tile.x, k, stage);
      if (++stage == STAGES) stage = 0, phase ^= 1;
    }
  }
}

template <int BN, int STAGES>
R1_DEVICE void consume(const LinearTileParams& p, TileShared& shared, uint32_t ring, uint32_t full, uint32_t empty) {
  constexpr int kStageBytes = kTokenBytes + BN * 128, kStagingBytes = 16 * (staged_columns(BN) * 2 + 16);
  const TileOrder order(p, BN);
  const int consumer = threadIdx.x / 128 - 1, warp = threadIdx.x / 32 - 4, lane = threadIdx.x % 32;
  auto release = [&](int stage) {
    if (lane == 0) barrier_arrive(empty + 8 * stage);
  };
  TermQueue terms(shared);
  int stage = 0, phase = 0;
  for (int i = blockIdx.x; i < order.count(); i += gridDim.x, terms.next()) {
    const int2 tile = order.at(i);
    float sums[BN / 2];
    int previous = 0;
    for (int k = 0; k < p.k_blocks; k++) {
      barrier_wait(full + 8 * stage, phase);
      const uint64_t a = wgmma_operand(ring + stage * kStageBytes + consumer * 8192);
      const uint64_t b = wgmma_operand(ring + stage * kStageBytes + kTokenBytes);
      wgmma_fence();
#pragma unroll
      for (int j = 0; j < 4; j++) Wgmma<BN>::multiply_add(sums, a + 2 * j, b + 2 * j, k > 0 || j > 0);
      wgmma_commit();
      if (k > 0) {
        wgmma_wait<1>();
        release(previous);
      }
      previous = stage;
      if (++stage == STAGES) stage = 0, phase ^= 1;
    }
    wgmma_wait<0>();
    wgmma_pin(sums);
    release(previous);
    if (p.norm.squares) terms.wait_filled();
    const int token = consumer * 64 + warp % 4 * 16;  // of the tile
    WarpTile<BN> result{p,
                        sums,
                        terms.now(),
                        token,
                        tile.x * kTileTokens + token,
                        tile.y * BN,
                        ring + STAGES * kStageBytes + warp * kStagingBytes,
                        lane};
    result.finish();
    if (p.norm.squares) terms.release();
  }
}

/** By warp `warp` of kTermWarps: what the epilogue needs of tokens, tile by tile. */
template <int BN>
R1_DEVICE void make_terms(const LinearTileParams& p, TileShared& shared, int warp) {
  if (!p.norm.squares) return;
  const TileOrder order(p, BN);
  TermQueue terms(shared);
  pdl_wait();
#pragma unroll 1
  for (int i = blockIdx.x; i < order.count(); i += gridDim.x, terms.next()) {
    terms.wait_free();
    fill_terms(p, terms.now(), order.at(i).x * kTileTokens, warp);
    terms.publish();
  }
}

/** grid: blocks that take tiles in turn; block: 3 warpgroups, of which the first produces */
template <int BN, int STAGES>
R1_DEVICE void linear_prefill(const TensorMap& x, const TensorMap& weights, const LinearTileParams& p) {
  extern __shared__ uint8_t dynamic[];
  __shared__ __align__(8) uint64_t barriers[2 * STAGES];
  __shared__ TileShared shared;
  const uint32_t ring = (shared_address(dynamic) + 1023) & ~1023u;
  const uint32_t full = shared_address(barriers), empty = full + 8 * STAGES;
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; i++) {
      barrier_init(full + 8 * i, 1);
      barrier_init(empty + 8 * i, 8);  // the consumers' warps
    }
    shared.init();
    barrier_init_fence();
    tensor_prefetch(&x);
    tensor_prefetch(&weights);
    pdl_trigger();
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    const int warp = threadIdx.x / 32;
    if (threadIdx.x == 0) produce<BN, STAGES>(x, weights, p, ring, full, empty);
    if (warp > 0) make_terms<BN>(p, shared, warp - 1);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    consume<BN, STAGES>(p, shared, ring, full, empty);
  }
}

#endif  // __CUDA_ARCH_FEAT_SM90_ALL

}  // namespace r1

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define R1_PREFILL_BODY(columns, stages) r1::linear_prefill<columns, stages>(x, weights, params)
#else
#define R1_PREFILL_BODY(columns, stages)
#endif

// linear_sm90_prefill_n<BN>; the ring's stages are those of kPrefillTiles in csrc/backend/cuda/linear_tiles.h.
#define R1_PREFILL_KERNEL(columns, stages)                                                    \
  extern "C" __global__ void __launch_bounds__(384, 1) linear_sm90_prefill_n##columns(        \
      const __grid_constant__ r1::TensorMap x, const __grid_constant__ r1::TensorMap weights, \
      const __grid_constant__ r1::cuda::LinearTileParams params) {                            \
    R1_PREFILL_BODY(columns, stages);                                                         \
  }

R1_PREFILL_KERNEL(64, 8)
R1_PREFILL_KERNEL(96, 7)
R1_PREFILL_KERNEL(128, 6)
R1_PREFILL_KERNEL(192, 5)
R1_PREFILL_KERNEL(224, 4)
R1_PREFILL_KERNEL(256, 4)
