// Linear layers on warp tensor cores (mma.sync), shared by the sm_80 and sm_75 families. The operands are swapped: a
// block's BM weight rows are the M side, TN tokens the N side, so decode and prefill are one kernel with different
// tiles and SwiGLU finds gate and up in one thread. Tiles of 64 values of K lie in shared memory as rows of 128 bytes,
// the 16-byte chunk c of row r at chunk c ^ (r % 8), which ldmatrix reads without bank conflicts.
//
// Splits of K (decode) leave their sums in a workspace; the last block of a tile adds them in the order of K. Splits
// and order depend on the layer's shape alone, so a row's bits are the same for every TN.
#pragma once
#include "linear_epilogue.cuh"

namespace r1 {

using cuda::LinearMmaParams;

/** How a block's BM x TN tile is dealt to warps. */
template <int BM, int TN, int WARPS_M, int WARPS_N>
struct MmaTile {
  static constexpr int kRows = BM, kTokens = TN, kThreads = 32 * WARPS_M * WARPS_N;
  static constexpr int kWarpRows = BM / WARPS_M, kWarpTokens = TN / WARPS_N;
  static constexpr int kRowFragments = kWarpRows / 16, kTokenFragments = kWarpTokens / 8;
  static constexpr int kStageBytes = (BM + TN) * 128;
  static constexpr int kWarpsM = WARPS_M;
};

/** The k = 16 product: one instruction from sm_80 on, two before. */
template <bool kSm80, class T>
R1_DEVICE void multiply_16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (kSm80) {
    mma_m16n8k16(T{}, d, a, b0, b1);
  } else {
    mma_m16n8k8(T{}, d, a[0], a[1], b0);
    mma_m16n8k8(T{}, d, a[2], a[3], b1);
  }
}

/** The products of one stage, 64 values of K. */
template <bool kSm80, class T, class Tile>
R1_DEVICE void multiply_stage(float (&sums)[Tile::kRowFragments][Tile::kTokenFragments][4], uint32_t stage) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int row = warp % Tile::kWarpsM * Tile::kWarpRows, token = warp / Tile::kWarpsM * Tile::kWarpTokens;
  const uint32_t x = stage + Tile::kRows * 128;
  auto address = [](uint32_t base, int r, int chunk) { return base + r * 128 + ((chunk ^ (r & 7)) << 4); };
#pragma unroll
  for (int k = 0; k < 4; k++) {  // 16 values, 2 chunks
    uint32_t a[Tile::kRowFragments][4];
#pragma unroll
    for (int i = 0; i < Tile::kRowFragments; i++) {
      ldmatrix_x4(a[i], address(stage, row + i * 16 + lane % 16, k * 2 + lane / 16));
    }
    if constexpr (Tile::kTokenFragments == 1) {
      uint32_t b[2];
      ldmatrix_x2(b, address(x, token + lane % 8, k * 2 + lane / 8 % 2));
#pragma unroll
      for (int i = 0; i < Tile::kRowFragments; i++) multiply_16<kSm80, T>(sums[i][0], a[i], b[0], b[1]);
    } else {
#pragma unroll
      for (int j = 0; j < Tile::kTokenFragments; j += 2) {
        uint32_t b[4];
        ldmatrix_x4(b, address(x, token + j * 8 + lane % 8 + lane / 16 * 8, k * 2 + lane / 8 % 2));
#pragma unroll
        for (int i = 0; i < Tile::kRowFragments; i++) {
          multiply_16<kSm80, T>(sums[i][j], a[i], b[0], b[1]);
          multiply_16<kSm80, T>(sums[i][j + 1], a[i], b[2], b[3]);
        }
      }
    }
  }
}

/**
 * A thread's share of a stage's copies: 16-byte chunks, one column of chunks, every kRowStep-th row of the weights and
 * then of the tokens. Chunks outside the matrices are zeros.
 */
template <class Tile>
class TileCopies {
 public:
  static constexpr int kRowStep = Tile::kThreads / 8;
  static constexpr int kWeightChunks = Tile::kRows / kRowStep;
  static constexpr int kTokenChunks = (Tile::kTokens + kRowStep - 1) / kRowStep;
  static constexpr int kChunks = kWeightChunks + kTokenChunks;
  static_assert(Tile::kRows % kRowStep == 0 && kRowStep % 8 == 0);

  /** For the tile at these rows and tokens, from 64-value block `first_block` of K on. */
  R1_DEVICE TileCopies(const LinearMmaParams& p, int first_row, int first_token, int first_block) : k_(p.k) {
    const int row = threadIdx.x / 8, chunk = threadIdx.x % 8;
    column_ = first_block * 64 + chunk * 8;
    w_ = static_cast<const uint16_t*>(p.w) + (first_row + row) * p.ldw + column_;
    x_ = static_cast<const uint16_t*>(p.x) + (first_token + row) * p.ldx + column_;
    w_step_ = kRowStep * p.ldw, x_step_ = kRowStep * p.ldx;
    rows_left_ = p.stored_rows - first_row - row, tokens_left_ = p.out.rows - first_token - row;
    offset_ = row * 128 + ((chunk ^ (row & 7)) << 4);
  }
  /** Whether chunk e of this thread lies in the tile. */
  R1_DEVICE bool present(int e) const {
    return e < kWeightChunks || (e - kWeightChunks) * kRowStep + threadIdx.x / 8 < Tile::kTokens;
  }
  /** Where chunk e of step i comes from, and whether there is anything. */
  R1_DEVICE const uint16_t* address(int e, int i) const {
    return (e < kWeightChunks ? w_ + e * w_step_ : x_ + (e - kWeightChunks) * x_step_) + i * 64;
  }
  R1_DEVICE bool valid(int e, int i) const {
    const bool row = e < kWeightChunks ? e * kRowStep < rows_left_ : (e - kWeightChunks) * kRowStep < tokens_left_;
    return row && column_ + i * 64 < k_;
  }
  /** Where it goes in the stage. */
  R1_DEVICE uint32_t offset(int e) const {
    return offset_ + (e < kWeightChunks ? e * kRowStep : Tile::kRows + (e - kWeightChunks) * kRowStep) * 128;
  }

 private:
  const uint16_t *w_, *x_;
  int64_t w_step_, x_step_;
  int k_, column_, rows_left_, tokens_left_;
  uint32_t offset_;
};

/** sm_80: a ring of stages filled by cp.async; weights are on their way before x exists. */
template <class T, class Tile>
R1_DEVICE void accumulate_async(float (&sums)[Tile::kRowFragments][Tile::kTokenFragments][4],
                                const TileCopies<Tile>& copies, uint32_t ring, int stages, int count) {
  constexpr int kWeights = TileCopies<Tile>::kWeightChunks, kAll = TileCopies<Tile>::kChunks;
  auto load = [&](int e, int i, int stage) {
    if (!copies.present(e)) return;
    cp_async_16(ring + stage * Tile::kStageBytes + copies.offset(e), copies.address(e, i), copies.valid(e, i));
  };
  const int ahead = stages - 1;
  for (int i = 0; i < min(ahead, count); i++) {
#pragma unroll
    for (int e = 0; e < kWeights; e++) load(e, i, i);
  }
  pdl_wait();
  for (int i = 0; i < ahead; i++) {
#pragma unroll
    for (int e = kWeights; e < kAll; e++) {
      if (i < count) load(e, i, i);
    }
    cp_async_commit();  // also without content, so that the number of groups under way tells the stage
  }
  for (int i = 0, stage = 0; i < count; i++) {
    switch (ahead) {
      case 5:
        cp_async_wait<4>();
        break;
      case 4:
        cp_async_wait<3>();
        break;
      case 3:
        cp_async_wait<2>();
        break;
      case 2:
        cp_async_wait<1>();
        break;
      default:
        cp_async_wait<0>();
    }
    __syncthreads();  // stage i has come for all, and all are done with stage i - 1, which is filled next
    if (i + ahead < count) {
#pragma unroll
      for (int e = 0; e < kAll; e++) load(e, i + ahead, stage == 0 ? ahead : stage - 1);
    }
    cp_async_commit();
    multiply_stage<true, T, Tile>(sums, ring + stage * Tile::kStageBytes);
    if (++stage == stages) stage = 0;
  }
}

/** sm_75: two stages; the next is read into registers while this one is multiplied. */
template <class T, class Tile>
R1_DEVICE void accumulate_staged(float (&sums)[Tile::kRowFragments][Tile::kTokenFragments][4],
                                 const TileCopies<Tile>& copies, uint8_t* ring, int count) {
  constexpr int kChunks = TileCopies<Tile>::kChunks;
  uint4 next[kChunks];
  auto load = [&](int i) {
#pragma unroll
    for (int e = 0; e < kChunks; e++) {
      next[e] = make_uint4(0, 0, 0, 0);
      if (copies.present(e) && copies.valid(e, i)) {
        next[e] = __ldcg(reinterpret_cast<const uint4*>(copies.address(e, i)));
      }
    }
  };
  auto store = [&](int i) {
#pragma unroll
    for (int e = 0; e < kChunks; e++) {
      if (copies.present(e)) *reinterpret_cast<uint4*>(ring + i % 2 * Tile::kStageBytes + copies.offset(e)) = next[e];
    }
  };
  pdl_wait();
  load(0);
  store(0);
  __syncthreads();
  for (int i = 0; i < count; i++) {
    if (i + 1 < count) load(i + 1);
    multiply_stage<false, T, Tile>(sums, shared_address(ring) + i % 2 * Tile::kStageBytes);
    if (i + 1 < count) store(i + 1);  // into the stage that all left at the last barrier
    __syncthreads();
  }
}

/** Adds the sums of all splits of the tile in the last block to come; false in the others. `last`: shared memory. */
template <class Tile>
R1_DEVICE bool combine_splits(float (&sums)[Tile::kRowFragments][Tile::kTokenFragments][4], const LinearMmaParams& p,
                              volatile uint32_t* last) {
  constexpr int kFragments = Tile::kRowFragments * Tile::kTokenFragments;
  const int splits = gridDim.z, tile = blockIdx.y;
  float4* partials = reinterpret_cast<float4*>(p.partials) + int64_t{tile} * splits * kFragments * Tile::kThreads;
  auto slot = [&](int split, int fragment) {
    return partials + (split * kFragments + fragment) * Tile::kThreads + threadIdx.x;
  };
#pragma unroll
  for (int f = 0; f < kFragments; f++) {
    const float(&d)[4] = sums[f / Tile::kTokenFragments][f % Tile::kTokenFragments];
    __stcg(slot(blockIdx.z, f), make_float4(d[0], d[1], d[2], d[3]));
  }
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    *last = atomicAdd(p.counters + tile, 1u) == splits - 1u;
    if (*last) p.counters[tile] = 0;
    __threadfence();
  }
  __syncthreads();
  if (!*last) return false;
#pragma unroll
  for (int f = 0; f < kFragments; f++) {
    float(&d)[4] = sums[f / Tile::kTokenFragments][f % Tile::kTokenFragments];
    float4 total = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int q = 0; q < splits; q++) {
      const float4 part = __ldcg(slot(q, f));
      total.x += part.x, total.y += part.y, total.z += part.z, total.w += part.w;
    }
    d[0] = total.x, d[1] = total.y, d[2] = total.z, d[3] = total.w;
  }
  return true;
}

/**
 * grid (token tiles, weight tiles, splits of K): token tiles vary fastest, so that a weight tile is read from memory
 * once. With splits there is one token tile.
 */
template <bool kSm80, class T, class Tile>
R1_DEVICE void linear_mma(const LinearMmaParams& p) {
  extern __shared__ __align__(128) uint8_t ring[];
  const int first_row = blockIdx.y * Tile::kRows, first_token = blockIdx.x * Tile::kTokens;
  const int k_blocks = (p.k + 63) / 64, split = blockIdx.z, splits = gridDim.z;
  const int first = k_blocks * split / splits, count = k_blocks * (split + 1) / splits - first;
  const TileCopies<Tile> copies(p, first_row, first_token, first);
  pdl_trigger();

  float sums[Tile::kRowFragments][Tile::kTokenFragments][4] = {};
  if constexpr (kSm80) {
    accumulate_async<T, Tile>(sums, copies, shared_address(ring), p.stages, count);
  } else {
    accumulate_staged<T, Tile>(sums, copies, ring, count);
  }
  if (splits > 1 && !combine_splits<Tile>(sums, p, reinterpret_cast<uint32_t*>(ring))) return;

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int row = first_row + warp % Tile::kWarpsM * Tile::kWarpRows + lane / 4;
  const int token = first_token + warp / Tile::kWarpsM * Tile::kWarpTokens + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < Tile::kRowFragments; i++) {
    const PairEpilogue<T> epilogue(p.out, row + i * 16);
    float2 residual[Tile::kTokenFragments][2];
#pragma unroll
    for (int j = 0; j < Tile::kTokenFragments; j++) {
      residual[j][0] = epilogue.residual(token + j * 8);
      residual[j][1] = epilogue.residual(token + j * 8 + 1);
    }
#pragma unroll
    for (int j = 0; j < Tile::kTokenFragments; j++) {
      epilogue.finish_fragment(token + j * 8, sums[i][j], residual[j][0], residual[j][1]);
    }
  }
}

}  // namespace r1
