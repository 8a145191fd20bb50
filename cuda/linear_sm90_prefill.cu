// Linear layers of many rows on sm_90a: a persistent kernel. One warpgroup's first thread feeds a TMA ring; two
// consumer warpgroups each keep the sums of 64 tokens x BN weight rows of a tile of 128 tokens and run free of each
// other, so that one stores while the other multiplies. BN is chosen such that the tiles fill whole waves of the card.
// K is added in order whatever the tile, so a row's bits depend on the layer alone.
#include "linear_epilogue.cuh"
#include "wgmma.cuh"

namespace r1 {

using cuda::LinearTileParams;

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

constexpr int kTileTokens = 128;
constexpr int kTokenBytes = kTileTokens * 128;  // of a stage: 64 values of K

/** Columns that a warp stages at a time, of `columns` that it holds. */
__host__ __device__ constexpr int staged_columns(int columns) {
  return columns % 64 == 0 ? 64 : columns % 32 == 0 ? 32 : 16;
}

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

template <int BN, int STAGES>
R1_DEVICE void produce(const TensorMap& x, const TensorMap& weights, const LinearTileParams& p, uint32_t ring,
                       uint32_t full, uint32_t empty) {
  constexpr int kStageBytes = kTokenBytes + BN * 128;
  const TileOrder order(p, BN);
  const uint64_t x_policy = l2_evict_last(), weight_policy = l2_evict_normal();
  auto load_weights = [&](int tile, int k, int stage) {
    barrier_expect(full + 8 * stage, kStageBytes);
    tensor_load(ring + stage * kStageBytes + kTokenBytes, &weights, k * 64, tile * BN, full + 8 * stage, weight_policy);
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

/** What a warp holds of a tile: tokens first_token + 0..15, weight rows first_row + 0..BN-1 (layout: wgmma.cuh). */
template <int BN>
struct WarpTile {
  const LinearOutput& out;
  float (&sums)[BN / 2];
  int first_token, first_row;
  uint32_t staging;  // this warp's own 16 rows of shared memory
  int lane;

  /** Adds the bias and scales: sum i of group g, of the token `first_token + lane / 4 + (i / 2) * 8`. */
  R1_DEVICE void add_bias() {
    if (out.x_scale) {
      const int token = first_token + lane / 4;
      const float s0 = token < out.rows ? __ldcg(out.x_scale + token) : 0.0f;
      const float s1 = token + 8 < out.rows ? __ldcg(out.x_scale + token + 8) : 0.0f;
#pragma unroll
      for (int i = 0; i < BN / 2; i++) sums[i] = __fmul_rn(sums[i], i % 4 < 2 ? s0 : s1);
    }
    if (!out.bias) return;
    const bool gate_up = out.epilogue == LinearEpilogue::kSwiglu;
#pragma unroll
    for (int g = 0; g < BN / 8; g++) {
      // With SwiGLU even groups are gate, odd ones up, of the same 8 columns of y.
      const int column = gate_up ? first_row / 2 + g / 2 * 8 + lane % 4 * 2 : first_row + g * 8 + lane % 4 * 2;
      const float* bias = out.bias + (gate_up && g % 2 ? out.columns : 0) + column;
      const float b0 = column < out.columns ? bias[0] : 0.0f, b1 = column + 1 < out.columns ? bias[1] : 0.0f;
#pragma unroll
      for (int i = 0; i < 4; i++) sums[4 * g + i] = __fadd_rn(sums[4 * g + i], i % 2 ? b1 : b0);
    }
  }

  /** Sum i of output group g, 8 columns of y wide. */
  template <bool kGateUp>
  R1_DEVICE float value(int g, int i) const {
    return kGateUp ? swiglu(sums[8 * g + i], sums[8 * g + 4 + i]) : sums[4 * g + i];
  }

  /** bf16, through shared memory, so that rows of y are written in runs of 16 bytes. */
  template <bool kGateUp>
  R1_DEVICE void store() const {
    constexpr int kColumns = kGateUp ? BN / 2 : BN, kStaged = staged_columns(kColumns), kPitch = kStaged * 2 + 16;
    constexpr int kChunks = kStaged / 8;  // 16-byte chunks of a staged row
    const int first_column = kGateUp ? first_row / 2 : first_row;
    bf16* y = static_cast<bf16*>(out.y);
#pragma unroll
    for (int c = 0; c < kColumns / kStaged; c++) {
#pragma unroll
      for (int j = 0; j < kStaged / 16; j++) {
        uint32_t v[4];
#pragma unroll
        for (int h = 0; h < 2; h++) {
          const int g = c * (kStaged / 8) + j * 2 + h;
          v[2 * h] = pack2<bf16>(value<kGateUp>(g, 0), value<kGateUp>(g, 1));
          v[2 * h + 1] = pack2<bf16>(value<kGateUp>(g, 2), value<kGateUp>(g, 3));
        }
        stmatrix_x4(staging + lane % 16 * kPitch + (j * 16 + lane / 16 * 8) * 2, v);
      }
      __syncwarp();
#pragma unroll
      for (int i = 0; i < 16 * kChunks / 32; i++) {
        const int row = (i * 32 + lane) / kChunks, chunk = (i * 32 + lane) % kChunks;
        const uint4 v = load_shared_16(staging + row * kPitch + chunk * 16);
        const int column = first_column + c * kStaged + chunk * 8;
        if (first_token + row < out.rows) store_chunk(y + (first_token + row) * out.ldy + column, column, v);
      }
      __syncwarp();
    }
  }
  R1_DEVICE void store_chunk(bf16* y, int column, const uint4& v) const {
    if (out.vector && column + 8 <= out.columns) {
      *reinterpret_cast<uint4*>(y) = v;
      return;
    }
    const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int e = 0; e < 8; e++) {
      if (column + e < out.columns) y[e] = bf16{static_cast<uint16_t>(words[e / 2] >> (e % 2 * 16))};
    }
  }

  /** Two neighbouring f32 of y, at group g and token half h. */
  R1_DEVICE float2 load_pair(int g, int h) const {
    const int token = first_token + lane / 4 + h * 8, column = first_row + g * 8 + lane % 4 * 2;
    const float* y = static_cast<const float*>(out.y) + token * out.ldy + column;
    if (token >= out.rows || column >= out.columns) return make_float2(0.0f, 0.0f);
    if (out.vector && column + 1 < out.columns) return __ldcg(reinterpret_cast<const float2*>(y));
    return make_float2(__ldcg(y), column + 1 < out.columns ? __ldcg(y + 1) : 0.0f);
  }
  R1_DEVICE void store_pair(int g, int h, float2 v) const {
    const int token = first_token + lane / 4 + h * 8, column = first_row + g * 8 + lane % 4 * 2;
    float* y = static_cast<float*>(out.y) + token * out.ldy + column;
    if (token >= out.rows || column >= out.columns) return;
    if (out.vector && column + 1 < out.columns) {
      *reinterpret_cast<float2*>(y) = v;
    } else {
      y[0] = v.x;
      if (column + 1 < out.columns) y[1] = v.y;
    }
  }
  R1_DEVICE void store_f32() const {
#pragma unroll
    for (int g = 0; g < BN / 8; g++) {
      store_pair(g, 0, make_float2(sums[4 * g], sums[4 * g + 1]));
      store_pair(g, 1, make_float2(sums[4 * g + 2], sums[4 * g + 3]));
    }
  }
  /** The loads of the next groups are on their way while these are added: each costs a trip to L2. */
  R1_DEVICE void add_residual() const {
    constexpr int kGroups = 4, kRounds = BN / 8 / kGroups;
    float2 old[2][kGroups][2];
    auto load = [&](int round) {
#pragma unroll
      for (int i = 0; i < kGroups; i++) {
        old[round % 2][i][0] = load_pair(round * kGroups + i, 0);
        old[round % 2][i][1] = load_pair(round * kGroups + i, 1);
      }
    };
    load(0);
#pragma unroll
    for (int round = 0; round < kRounds; round++) {
      if (round + 1 < kRounds) load(round + 1);
#pragma unroll
      for (int i = 0; i < kGroups; i++) {
        const int g = round * kGroups + i;
#pragma unroll
        for (int h = 0; h < 2; h++) {
          const float2 v = old[round % 2][i][h];
          store_pair(g, h, make_float2(__fadd_rn(v.x, sums[4 * g + 2 * h]), __fadd_rn(v.y, sums[4 * g + 2 * h + 1])));
        }
      }
    }
  }
  R1_DEVICE void finish() {
    add_bias();
    switch (out.epilogue) {
      case LinearEpilogue::kStore:
        return store<false>();
      case LinearEpilogue::kSwiglu:
        return store<true>();
      case LinearEpilogue::kStoreF32:
        return store_f32();
      case LinearEpilogue::kAddResidual:
        return add_residual();
    }
  }
};

template <int BN, int STAGES>
R1_DEVICE void consume(const LinearTileParams& p, uint32_t ring, uint32_t full, uint32_t empty) {
  constexpr int kStageBytes = kTokenBytes + BN * 128, kStagingBytes = 16 * (staged_columns(BN) * 2 + 16);
  const TileOrder order(p, BN);
  const int consumer = threadIdx.x / 128 - 1, warp = threadIdx.x / 32 - 4, lane = threadIdx.x % 32;
  auto release = [&](int stage) {
    if (lane == 0) barrier_arrive(empty + 8 * stage);
  };
  int stage = 0, phase = 0;
  for (int i = blockIdx.x; i < order.count(); i += gridDim.x) {
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
    WarpTile<BN> result{p.out,
                        sums,
                        tile.x * kTileTokens + consumer * 64 + warp % 4 * 16,
                        tile.y * BN,
                        ring + STAGES * kStageBytes + warp * kStagingBytes,
                        lane};
    result.finish();
  }
}

/** grid: blocks that take tiles in turn; block: 3 warpgroups, of which the first produces */
template <int BN, int STAGES>
R1_DEVICE void linear_prefill(const TensorMap& x, const TensorMap& weights, const LinearTileParams& p) {
  extern __shared__ uint8_t dynamic[];
  __shared__ __align__(8) uint64_t barriers[2 * STAGES];
  const uint32_t ring = (shared_address(dynamic) + 1023) & ~1023u;
  const uint32_t full = shared_address(barriers), empty = full + 8 * STAGES;
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; i++) {
      barrier_init(full + 8 * i, 1);
      barrier_init(empty + 8 * i, 8);  // the consumers' warps
    }
    barrier_init_fence();
    tensor_prefetch(&x);
    tensor_prefetch(&weights);
    pdl_trigger();
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x == 0) produce<BN, STAGES>(x, weights, p, ring, full, empty);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    consume<BN, STAGES>(p, ring, full, empty);
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
