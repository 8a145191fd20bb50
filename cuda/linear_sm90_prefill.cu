// Linear layers of many rows on sm_90a: a persistent kernel. One warpgroup's first thread feeds a TMA ring; two
// consumer warpgroups each keep the sums of 64 tokens x BN weight rows of a tile of 128 tokens and run free of each
// other, so that one stores while the other multiplies. The blocks of a cluster, if there are two, take neighbouring
// token tiles of the same weight rows: each loads half of the weights, to both. BN is chosen such that the tiles fill
// whole waves of the card. K is added in order whatever the tile, so a row's bits depend on the layer alone. What the
// epilogue adds the sums to follows a tile's weights through the ring. Where x comes as a NormInput, the first
// warpgroup's other warps make the factors of a tile's tokens meanwhile.
#include "tile_epilogue.cuh"
#include "wgmma.cuh"

namespace r1 {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

constexpr int kTokenBytes = kTileTokens * 128;  // of a stage: 64 values of K

template <int BN>
__host__ __device__ constexpr int stage_bytes() {
  return kTokenBytes + BN * 128;
}

/** A block's tiles. Groups of token tiles vary fastest inside a band, so that memory gives a weight tile once a band.
 */
class TileOrder {
 public:
  R1_DEVICE TileOrder(const LinearTileParams& p, int columns)
      : cluster_(p.cluster),
        groups_((p.out.rows + kTileTokens * p.cluster - 1) / (kTileTokens * p.cluster)),
        weight_tiles_((p.stored_rows + columns - 1) / columns),
        band_(p.band),
        i_(blockIdx.x / p.cluster),
        rank_(blockIdx.x % p.cluster) {}
  R1_DEVICE bool done() const { return i_ >= groups_ * weight_tiles_; }
  R1_DEVICE void next() { i_ += gridDim.x / cluster_; }
  /** x: token tile's index, y: weight tile's */
  R1_DEVICE int2 now() const {
    const int b = i_ / (band_ * weight_tiles_), rest = i_ - b * band_ * weight_tiles_;
    const int height = min(band_, groups_ - b * band_);
    return make_int2((b * band_ + rest % height) * cluster_ + rank_, rest / height);
  }

 private:
  int cluster_, groups_, weight_tiles_, band_, i_, rank_;
};

/** The ring's next stage, and the parity of its barriers' phase. */
template <int STAGES>
struct RingPlace {
  int stage = 0, phase = 0;
  R1_DEVICE void next() {
    if (++stage == STAGES) stage = 0, phase ^= 1;
  }
};

/** A tile's weights in pairs (tensor_map.h), by boxes of so many rows as a head has a whole number of. */
template <int BN>
R1_DEVICE void load_pairs(uint32_t to, const TensorMap& weights, const LinearTileParams& p, int tile, int k,
                          uint32_t barrier, uint64_t policy) {
  constexpr int kRows = staged_columns(BN);
  const int first = p.cluster == 1 ? 0 : cluster_rank();
#pragma unroll 1
  for (int row = first * kRows; row < BN; row += p.cluster * kRows) {
    const PairGroup group(p.rope, (tile * BN + row) / 16);
    if (p.cluster == 1) {
      tensor_load_pairs(to + row * 128, &weights, k * 64, group.in_head, group.head, barrier, policy);
    } else {
      tensor_load_pairs_both(to + row * 128, &weights, k * 64, group.in_head, group.head, barrier, policy);
    }
  }
}

template <int BN, int STAGES>
R1_DEVICE void produce(const TensorMap& x, const TensorMap& weights, const TensorMap& residual,
                       const LinearTileParams& p, uint32_t ring, uint32_t full, uint32_t empty) {
  constexpr int kStageBytes = stage_bytes<BN>(), kHalf = BN / 2;
  const uint64_t x_policy = l2_evict_last(), weight_policy = l2_evict_normal();
  const bool paired = p.out.epilogue == LinearEpilogue::kRopeAppend;
  auto load_weights = [&](int tile, int k, int stage) {
    const uint32_t barrier = full + 8 * stage, to = ring + stage * kStageBytes + kTokenBytes;
    barrier_expect(barrier, kStageBytes);
    if (paired) return load_pairs<BN>(to, weights, p, tile, k, barrier, weight_policy);
    if (p.cluster == 1) return tensor_load(to, &weights, k * 64, tile * BN, barrier, weight_policy);
    const int row = cluster_rank() * kHalf;
    tensor_load_both(to + row * 128, &weights, k * 64, tile * BN + row, barrier, weight_policy);
  };
  auto load_x = [&](int tile, int k, int stage) {
    tensor_load(ring + stage * kStageBytes, &x, k * 64, tile * kTileTokens, full + 8 * stage, x_policy);
  };
  auto load_residual = [&](int2 tile, int first_box, int stage) {
    const int boxes = min(residual_boxes(kStageBytes), BN / kResidualColumns - first_box);
    barrier_expect(full + 8 * stage, boxes * kResidualBytes);
    for (int i = 0; i < boxes; i++) {
      tensor_load(ring + stage * kStageBytes + i * kResidualBytes, &residual,
                  tile.y * BN + (first_box + i) * kResidualColumns, tile.x * kTileTokens, full + 8 * stage,
                  weight_policy);
    }
  };
  TileOrder order(p, BN);
  const int prefetched = min(STAGES, p.k_blocks);
  const int2 first = order.now();
  for (int k = 0; k < prefetched; k++) load_weights(first.y, k, k);
  pdl_wait();
  for (int k = 0; k < prefetched; k++) load_x(first.x, k, k);
  RingPlace<STAGES> place{prefetched % STAGES, prefetched == STAGES ? 0 : 1};
  for (int k = prefetched; !order.done(); order.next(), k = 0) {
    const int2 tile = order.now();
    for (; k < p.k_blocks; k++, place.next()) {
      barrier_wait(empty + 8 * place.stage, place.phase);
      load_weights(tile.y, k, place.stage);
      load_x(tile.x, k, place.stage);
    }
    if (!residual_in_ring(p.out)) continue;
    for (int box = 0; box < BN / kResidualColumns; box += residual_boxes(kStageBytes), place.next()) {
      barrier_wait(empty + 8 * place.stage, place.phase);
      load_residual(tile, box, place.stage);
    }
  }
}

/** The ring as a consumer warp reads it: wait() for the next stage, go on, and release() it once it has been read. */
template <int BN, int STAGES>
class RingReader {
 public:
  R1_DEVICE RingReader(const LinearTileParams& p, uint32_t ring, uint32_t full, uint32_t empty, int lane)
      : cluster_(p.cluster), ring_(ring), full_(full), empty_(empty), lane_(lane) {}
  /** Its address. */
  R1_DEVICE uint32_t wait() const {
    barrier_wait(full_ + 8 * place_.stage, place_.phase);
    return ring_ + place_.stage * stage_bytes<BN>();
  }
  /** The number of the stage that was waited for; the next one follows. */
  R1_DEVICE int go_on() {
    const int stage = place_.stage;
    place_.next();
    return stage;
  }
  R1_DEVICE void release(int stage) const {
    if (cluster_ == 1) {
      if (lane_ == 0) barrier_arrive(empty_ + 8 * stage);
    } else if (lane_ < 2) {
      barrier_arrive_at(empty_ + 8 * stage, lane_);
    }
  }

 private:
  int cluster_;
  uint32_t ring_, full_, empty_;
  int lane_;
  RingPlace<STAGES> place_;
};

template <int BN, int STAGES>
R1_DEVICE void consume(const LinearTileParams& p, TileShared& shared, uint32_t ring, uint32_t full, uint32_t empty) {
  constexpr int kStagingBytes = 16 * (staged_columns(BN) * 2 + 16);
  const int consumer = threadIdx.x / 128 - 1, warp = threadIdx.x / 32 - 4, lane = threadIdx.x % 32;
  TermQueue terms(shared);
  RingReader<BN, STAGES> reader(p, ring, full, empty, lane);
  for (TileOrder order(p, BN); !order.done(); order.next(), terms.next()) {
    const int2 tile = order.now();
    float sums[BN / 2];
    int previous = 0;
    for (int k = 0; k < p.k_blocks; k++) {
      const uint32_t stage = reader.wait();
      const uint64_t a = wgmma_operand(stage + consumer * 8192), b = wgmma_operand(stage + kTokenBytes);
      wgmma_fence();
#pragma unroll
      for (int j = 0; j < 4; j++) Wgmma<BN>::multiply_add(sums, a + 2 * j, b + 2 * j, k > 0 || j > 0);
      wgmma_commit();
      if (k > 0) {
        wgmma_wait<1>();
        reader.release(previous);
      }
      previous = reader.go_on();
    }
    wgmma_wait<0>();
    wgmma_pin(sums);
    reader.release(previous);
    if (p.norm.squares) terms.wait_filled();
    const int token = consumer * 64 + warp % 4 * 16;  // of the tile
    WarpTile<BN> result{p,
                        sums,
                        terms.now(),
                        token,
                        tile.x * kTileTokens + token,
                        tile.y * BN,
                        ring + STAGES * stage_bytes<BN>() + warp * kStagingBytes,
                        lane};
    result.finish(reader);
    if (p.norm.squares) terms.release();
  }
}

/** By warp `warp` of kTermWarps: what the epilogue needs of tokens, tile by tile. */
template <int BN>
R1_DEVICE void make_terms(const LinearTileParams& p, TileShared& shared, int warp) {
  if (!p.norm.squares) return;
  TermQueue terms(shared);
  pdl_wait();
#pragma unroll 1
  for (TileOrder order(p, BN); !order.done(); order.next(), terms.next()) {
    terms.wait_free();
    fill_terms(p, terms.now(), order.now().x * kTileTokens, warp);
    terms.publish();
  }
}

/** grid: blocks that take tiles in turn; block: 3 warpgroups, of which the first produces */
template <int BN, int STAGES>
R1_DEVICE void linear_prefill(const TensorMap& x, const TensorMap& weights, const TensorMap& residual,
                              const LinearTileParams& p) {
  extern __shared__ uint8_t dynamic[];
  __shared__ __align__(8) uint64_t barriers[2 * STAGES];
  __shared__ TileShared shared;
  const uint32_t ring = (shared_address(dynamic) + 1023) & ~1023u;
  const uint32_t full = shared_address(barriers), empty = full + 8 * STAGES;
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; i++) {
      barrier_init(full + 8 * i, 1);
      barrier_init(empty + 8 * i, 8 * p.cluster);  // the consumers' warps
    }
    shared.init();
    barrier_init_fence();
    tensor_prefetch(&x);
    tensor_prefetch(&weights);
    pdl_trigger();
  }
  if (p.cluster > 1) {  // before anybody copies to the other block
    cluster_arrive();
    cluster_wait();
  } else {
    __syncthreads();
  }
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    const int warp = threadIdx.x / 32;
    if (threadIdx.x == 0) produce<BN, STAGES>(x, weights, residual, p, ring, full, empty);
    if (warp > 0) make_terms<BN>(p, shared, warp - 1);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    consume<BN, STAGES>(p, shared, ring, full, empty);
  }
  if (p.cluster > 1) {  // the other block may still give stages back here
    cluster_arrive();
    cluster_wait();
  }
}

#endif  // __CUDA_ARCH_FEAT_SM90_ALL

}  // namespace r1

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define R1_PREFILL_BODY(columns, stages) r1::linear_prefill<columns, stages>(x, weights, residual, params)
#else
#define R1_PREFILL_BODY(columns, stages)
#endif

// linear_sm90_prefill_n<BN>; the ring's stages are those of kPrefillTiles in csrc/backend/cuda/linear_tiles.h.
#define R1_PREFILL_KERNEL(columns, stages)                                                                         \
  extern "C" __global__ void __launch_bounds__(384, 1) linear_sm90_prefill_n##columns(                             \
      const __grid_constant__ r1::TensorMap x, const __grid_constant__ r1::TensorMap weights,                      \
      const __grid_constant__ r1::TensorMap residual, const __grid_constant__ r1::cuda::LinearTileParams params) { \
    R1_PREFILL_BODY(columns, stages);                                                                              \
  }

R1_PREFILL_KERNEL(64, 8)
R1_PREFILL_KERNEL(96, 7)
R1_PREFILL_KERNEL(128, 6)
R1_PREFILL_KERNEL(192, 5)
R1_PREFILL_KERNEL(224, 4)
R1_PREFILL_KERNEL(256, 4)
