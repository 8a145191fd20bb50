// What the epilogue of linear_sm90_prefill_* needs of a tile's tokens where x comes as a NormInput (backend.h), made
// while the products are under way: the factors of the norm, and where RoPE's heads go.
#pragma once
#include "kv_cache.cuh"
#include "linear_epilogue.cuh"

namespace r1 {

using cuda::kSquaresHalf;
using cuda::LinearTileParams;

constexpr int kTileTokens = 128;
constexpr int kTermWarps = 3;  // that make terms

/** Of a tile's tokens. */
struct TokenTerms {
  float roots[kTileTokens];   // 1 / root of the mean square
  bf16* cached[kTileTokens];  // kRopeAppend: the token in the first KV head, were the plane at 0; null for padding
};

/** The terms of two tiles, handed over by barriers. */
struct TileShared {
  TokenTerms terms[2];
  uint64_t filled[2], free[2];

  R1_DEVICE void init() {
    for (int i = 0; i < 2; ++i) {
      barrier_init(shared_address(&filled[i]), kTermWarps);
      barrier_init(shared_address(&free[i]), 8);  // the consumers' warps
    }
  }
};

/** The terms of a block's tiles one after the other, as seen by a warp that makes them or by one that uses them. */
class TermQueue {
 public:
  R1_DEVICE explicit TermQueue(TileShared& shared) : shared_(shared) {}
  R1_DEVICE TokenTerms& now() const { return shared_.terms[slot()]; }
  R1_DEVICE void next() { ++tile_; }

  /** Nobody waits for the first two: the phase before a barrier's first one counts as complete. */
  R1_DEVICE void wait_free() const { barrier_wait(shared_address(&shared_.free[slot()]), ~tile_ / 2 & 1); }
  R1_DEVICE void wait_filled() const { barrier_wait(shared_address(&shared_.filled[slot()]), tile_ / 2 & 1); }
  /** By all lanes of a warp, after they have written, or read. */
  R1_DEVICE void publish() const { arrive(shared_.filled); }
  R1_DEVICE void release() const { arrive(shared_.free); }

 private:
  R1_DEVICE int slot() const { return tile_ % 2; }
  R1_DEVICE void arrive(uint64_t (&barriers)[2]) const {
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(shared_address(&barriers[slot()]));
  }

  TileShared& shared_;
  unsigned tile_ = 0;
};

/** Two sums of 64 columns, whose halves follow each other, of which the first `count` are there. */
R1_DEVICE float add_halves(float sum, float4 v, int count) {
  sum = __fadd_rn(sum, __fadd_rn(count > 0 ? v.x : 0.0f, count > 1 ? v.y : 0.0f));
  return __fadd_rn(sum, __fadd_rn(count > 2 ? v.z : 0.0f, count > 3 ? v.w : 0.0f));
}

/**
 * The roots, by warp `warp` of kTermWarps; 8 lanes share a token. The order of a token's sum is ReadAhead's
 * (stream_epilogue.cuh): a lane has every eighth group of four sums of 64 columns.
 */
R1_DEVICE void fill_roots(const LinearTileParams& p, float* roots, int first_token, int warp) {
  const int lane = threadIdx.x % 32;
  const int halves = (p.norm.columns + kSquaresHalf - 1) / kSquaresHalf;
  const int stride = 2 * cuda::squares_pitch(cuda::squares_count(p.norm.columns));
#pragma unroll 1
  for (int t = warp * 4 + lane / 8; t < kTileTokens; t += kTermWarps * 4) {
    const int token = min(first_token + t, p.out.rows - 1);  // behind the last one: of no use, but there
    float sum = 0.0f;
#pragma unroll 1
    for (int begin = lane % 8 * 8; begin < halves; begin += 64) {
      const float4* from = reinterpret_cast<const float4*>(p.norm.squares + int64_t{token} * stride + begin);
      const float4 v[2] = {__ldcg(from), __ldcg(from + 1)};  // a row is a whole number of these
      sum = add_halves(add_halves(sum, v[0], halves - begin), v[1], halves - begin - 4);
    }
#pragma unroll
    for (int offset = 4; offset > 0; offset /= 2) sum = __fadd_rn(sum, __shfl_xor_sync(~0u, sum, offset));
    if (lane % 8 == 0) roots[t] = norm_root(p.norm, sum);
  }
}

/** By warp `warp` of kTermWarps, after pdl_wait(). */
R1_DEVICE void fill_terms(const LinearTileParams& p, TokenTerms& terms, int first_token, int warp) {
  if (p.out.epilogue == LinearEpilogue::kRopeAppend) {
    const cuda::StepArrays& step = p.rope.step;
#pragma unroll 1
    for (int t = warp * 32 + threadIdx.x % 32; t < kTileTokens; t += kTermWarps * 32) {
      const int token = first_token + t;
      const int sequence = token < p.out.rows ? step.row_sequence[token] : -1;
      terms.cached[t] = sequence < 0 ? nullptr
                                     : cache_row<bf16>(p.rope.kv, 0, sequence_blocks(step, sequence), step.slots[token],
                                                       0, p.rope.head_dim);
    }
  }
  fill_roots(p, terms.roots, first_token, warp);
}

}  // namespace r1
