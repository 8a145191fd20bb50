// What a consumer warp of linear_sm90_prefill_* does with its sums. The bits are StreamEpilogue's
// (stream_epilogue.cuh): the same row may be computed by either, depending on how many are in its step.
#pragma once
#include "tile_terms.cuh"

namespace r1 {

/** Columns that a warp stages at a time, of `columns` that it holds. */
__host__ __device__ constexpr int staged_columns(int columns) {
  return columns % 64 == 0 ? 64 : columns % 32 == 0 ? 32 : 16;
}

// The residual stream comes through the ring in boxes, as a tensor map with 128-byte swizzle leaves them: 128 tokens of
// 32 columns, a token's 16-byte chunk c at c ^ (token % 8).
constexpr int kResidualColumns = 32;
constexpr int kResidualBytes = kTileTokens * 128;
/** Boxes that a stage of the ring has room for. */
__host__ __device__ constexpr int residual_boxes(int stage_bytes) { return stage_bytes / kResidualBytes; }

/** 16 weight rows of pairs, of which 8 are dimensions from `dimension()` on and 8 their partners. */
struct PairGroup {
  int head, in_head;
  R1_DEVICE PairGroup(const cuda::RopeAppend& rope, int group) {
    const int shift = rope.head_dim == 128 ? 3 : 2;  // 64 else
    head = group >> shift, in_head = group & ((1 << shift) - 1);
  }
  R1_DEVICE int dimension() const { return in_head * 8; }
};

/** What a warp holds of a tile: tokens first_token + 0..15, weight rows first_row + 0..BN-1 (layout: wgmma.cuh). */
template <int BN>
struct WarpTile {
  const LinearTileParams& p;
  float (&sums)[BN / 2];
  const TokenTerms& terms;
  int first_term;  // of the tokens in the tile
  int first_token, first_row;
  uint32_t staging;  // this warp's own 16 rows of shared memory
  int lane;

  /** `reader` of the ring, which the residual stream comes through. */
  template <class Reader>
  R1_DEVICE void finish(Reader& reader) {
    const LinearOutput& out = p.out;
    scale();
    add_bias();
    switch (out.epilogue) {
      case LinearEpilogue::kSwiglu:
        return store<true>(static_cast<bf16*>(out.y), out.ldy, out.vector);
      case LinearEpilogue::kStoreF32:
        return store_f32();
      case LinearEpilogue::kRopeAppend:
        rotate_pairs();
        return store_pairs();
      case LinearEpilogue::kAddResidual:
        if (residual_in_ring(out)) {
          add_residual(reader);
        } else {
          add_residual_in_place();
        }
        if (!p.next.gain) return;
        store_squares();
        return store_scaled();
      case LinearEpilogue::kStore:
        return store<false>(static_cast<bf16*>(out.y), out.ldy, out.vector);
    }
  }

 private:
  /** Of sums i of a group: the first token's are 0 and 1, the second one's 2 and 3. */
  R1_DEVICE int token(int h) const { return first_token + lane / 4 + h * 8; }
  /** Of sums 4g and 4g + 2; the others are of the next one. */
  R1_DEVICE int column(int g) const { return first_row + g * 8 + lane % 4 * 2; }

  R1_DEVICE void scale() {
    float s[2];
    if (p.norm.squares) {
      s[0] = terms.roots[first_term + lane / 4], s[1] = terms.roots[first_term + lane / 4 + 8];
    } else if (p.out.x_scale) {
#pragma unroll
      for (int h = 0; h < 2; h++) s[h] = token(h) < p.out.rows ? __ldcg(p.out.x_scale + token(h)) : 0.0f;
    } else {
      return;
    }
#pragma unroll
    for (int i = 0; i < BN / 2; i++) sums[i] = __fmul_rn(sums[i], s[i / 2 % 2]);
  }

  R1_DEVICE void add_bias() {
    const LinearOutput& out = p.out;
    if (!out.bias) return;
    const bool gate_up = out.epilogue == LinearEpilogue::kSwiglu, pairs = out.epilogue == LinearEpilogue::kRopeAppend;
#pragma unroll
    for (int g = 0; g < BN / 8; g++) {
      int first = column(g);  // of y
      const float* bias = out.bias;
      if (gate_up) {  // even groups are gate, odd ones up, of the same 8 columns of y
        first = first_row / 2 + g / 2 * 8 + lane % 4 * 2;
        bias += g % 2 ? out.columns : 0;
      } else if (pairs) {
        const PairGroup group(p.rope, first_row / 16 + g / 2);
        first = group.head * p.rope.head_dim + group.dimension() + g % 2 * (p.rope.head_dim / 2) + lane % 4 * 2;
      }
      const float b0 = first < out.columns ? bias[first] : 0.0f, b1 = first + 1 < out.columns ? bias[first + 1] : 0.0f;
#pragma unroll
      for (int i = 0; i < 4; i++) sums[4 * g + i] = __fadd_rn(sums[4 * g + i], i % 2 ? b1 : b0);
    }
  }

  // ---- bf16, through shared memory, so that rows are written in runs of 16 bytes

  /** Two neighbours of group g of 8 columns of y, of token half h. */
  template <bool kGateUp>
  R1_DEVICE uint32_t packed(int g, int h) const {
    if (!kGateUp) return pack2<bf16>(sums[4 * g + 2 * h], sums[4 * g + 2 * h + 1]);
    const float* gate = sums + 8 * g + 2 * h;
    return pack2<bf16>(swiglu(gate[0], gate[4]), swiglu(gate[1], gate[5]));
  }

  /**
   * Stages the c-th kStaged columns, values(group, token half) in pairs, and calls put(row, chunk, 16 bytes) for each
   * 16 bytes of the staged rows. kPairs: even groups first, then the odd ones.
   */
  template <int kStaged, bool kPairs, class Values, class Put>
  R1_DEVICE void stage(int c, const Values& values, const Put& put) const {
    constexpr int kPitch = kStaged * 2 + 16, kChunks = kStaged / 8;
    constexpr int kStep = kPairs ? 8 : 16, kOdd = kPairs ? kStaged / 2 : 8;  // columns
#pragma unroll
    for (int j = 0; j < kStaged / 16; j++) {
      const int g = c * kChunks + j * 2;
      const uint32_t v[4] = {values(g, 0), values(g, 1), values(g + 1, 0), values(g + 1, 1)};
      stmatrix_x4(staging + lane % 16 * kPitch + (j * kStep + lane / 16 * kOdd) * 2, v);
    }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 16 * kChunks / 32; i++) {
      const int row = (i * 32 + lane) / kChunks, chunk = (i * 32 + lane) % kChunks;
      put(row, chunk, load_shared_16(staging + row * kPitch + chunk * 16));
    }
    __syncwarp();
  }

  template <bool kGateUp>
  R1_DEVICE void store(bf16* y, int64_t ldy, bool vector) const {
    constexpr int kColumns = kGateUp ? BN / 2 : BN, kStaged = staged_columns(kColumns);
    const int first_column = kGateUp ? first_row / 2 : first_row;
#pragma unroll
    for (int c = 0; c < kColumns / kStaged; c++) {
      const auto values = [&](int g, int h) { return packed<kGateUp>(g, h); };
      stage<kStaged, false>(c, values, [&](int row, int chunk, const uint4& v) {
        const int first = first_column + c * kStaged + chunk * 8;
        if (first_token + row < p.out.rows) store_chunk(y + (first_token + row) * ldy + first, first, v, vector);
      });
    }
  }
  R1_DEVICE void store_chunk(bf16* y, int first, const uint4& v, bool vector) const {
    if (vector && first + 8 <= p.out.columns) {
      *reinterpret_cast<uint4*>(y) = v;
      return;
    }
    const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int e = 0; e < 8; e++) {
      if (first + e < p.out.columns) y[e] = bf16{static_cast<uint16_t>(words[e / 2] >> (e % 2 * 16))};
    }
  }

  // ---- f32

  /** Two neighbouring f32 of y, at group g and token half h. */
  R1_DEVICE float2 load_pair(int g, int h) const {
    const LinearOutput& out = p.out;
    const float* y = static_cast<const float*>(out.y) + token(h) * out.ldy + column(g);
    if (token(h) >= out.rows || column(g) >= out.columns) return make_float2(0.0f, 0.0f);
    if (out.vector && column(g) + 1 < out.columns) return __ldcg(reinterpret_cast<const float2*>(y));
    return make_float2(__ldcg(y), column(g) + 1 < out.columns ? __ldcg(y + 1) : 0.0f);
  }
  R1_DEVICE void store_pair(int g, int h) const {
    const LinearOutput& out = p.out;
    const float2 v = make_float2(sums[4 * g + 2 * h], sums[4 * g + 2 * h + 1]);
    float* y = static_cast<float*>(out.y) + token(h) * out.ldy + column(g);
    if (token(h) >= out.rows || column(g) >= out.columns) return;
    if (out.vector && column(g) + 1 < out.columns) {
      *reinterpret_cast<float2*>(y) = v;
    } else {
      y[0] = v.x;
      if (column(g) + 1 < out.columns) y[1] = v.y;
    }
  }
  R1_DEVICE void store_f32() const {
#pragma unroll
    for (int i = 0; i < BN / 4; i++) store_pair(i / 2, i % 2);
  }
  /** Leaves what it has stored in `sums`. */
  template <class Reader>
  R1_DEVICE void add_residual(Reader& reader) {
    constexpr int kBoxes = BN / kResidualColumns, kAtOnce = residual_boxes(kTileTokens * 128 + BN * 128);
    const uint32_t row = (first_term + lane / 4) * 128 + lane % 2 * 8;
#pragma unroll
    for (int box = 0; box < kBoxes; box++) {
      const uint32_t place = reader.wait() + box % kAtOnce * kResidualBytes + row;
#pragma unroll
      for (int i = 0; i < 8; i++) {
        const int h = i % 2, chunk = i / 2 * 2 + lane % 4 / 2;
        add_and_store(box * 4 + i / 2, h, load_shared_float2(place + h * 1024 + (chunk ^ (lane / 4)) * 16));
      }
      if (box % kAtOnce < kAtOnce - 1 && box < kBoxes - 1) continue;  // more of this stage
      __syncwarp();
      reader.release(reader.go_on());
    }
  }
  R1_DEVICE void add_residual_in_place() {
#pragma unroll
    for (int i = 0; i < BN / 4; i++) add_and_store(i / 2, i % 2, load_pair(i / 2, i % 2));
  }
  R1_DEVICE void add_and_store(int g, int h, float2 residual) {
    float* y = sums + 4 * g + 2 * h;
    y[0] = __fadd_rn(residual.x, y[0]), y[1] = __fadd_rn(residual.y, y[1]);
    store_pair(g, h);
  }

  // ---- the next norm's input, of the residual in `sums`

  /** Sums of the squares of 32 columns. Four lanes share a token: each passes on what it does not keep. */
  R1_DEVICE void store_squares() const {
    const int stride = 2 * cuda::squares_pitch(cuda::squares_count(p.out.columns));
    const int own = token(lane % 2);
#pragma unroll
    for (int k = 0; k < BN / kSquaresHalf; k++) {
      const float first = shared_squares(4 * k), second = shared_squares(4 * k + 2);
      const bool high = lane & 2;
      const float kept = __fadd_rn(high ? second : first, __shfl_xor_sync(~0u, high ? first : second, 2));
      const float sum = __fadd_rn(kept, __shfl_xor_sync(~0u, kept, 2));
      const int column = first_row + k * kSquaresHalf;
      if (!high && own < p.out.rows && column < p.out.columns) {
        p.next.squares[int64_t{own} * stride + column / kSquaresHalf] = sum;
      }
    }
  }
  /** Of groups g and g + 1, of 8 of 16 columns: this lane's and its neighbour's, of token half lane % 2. */
  R1_DEVICE float shared_squares(int g) const {
    float of[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const float *a = sums + 4 * g + 2 * h, *b = a + 4;
      of[h] = __fadd_rn(__fmaf_rn(b[0], b[0], __fmul_rn(a[0], a[0])), __fmaf_rn(b[1], b[1], __fmul_rn(a[1], a[1])));
    }
    const bool odd = lane & 1;
    return __fadd_rn(odd ? of[1] : of[0], __shfl_xor_sync(~0u, odd ? of[0] : of[1], 1));
  }

  R1_DEVICE void store_scaled() const {
    constexpr int kStaged = staged_columns(BN), kGroups = kStaged / 8;
    const int columns = p.out.columns;  // a multiple of 8
    float2 gains[2][kGroups];
    const auto load = [&](int c) {
#pragma unroll
      for (int i = 0; i < kGroups; i++) {
        const int at = column(c * kGroups + i);
        gains[c % 2][i] = make_float2(0.0f, 0.0f);
        if (at < columns) gains[c % 2][i] = *reinterpret_cast<const float2*>(p.next.gain + at);
      }
    };
    load(0);
#pragma unroll
    for (int c = 0; c < BN / kStaged; c++) {
      if (c + 1 < BN / kStaged) load(c + 1);
      const auto values = [&](int g, int h) {
        const float2 gain = gains[c % 2][g % kGroups];
        return pack2<bf16>(__fmul_rn(sums[4 * g + 2 * h], gain.x), __fmul_rn(sums[4 * g + 2 * h + 1], gain.y));
      };
      stage<kStaged, false>(c, values, [&](int row, int chunk, const uint4& v) {
        const int first = first_row + c * kStaged + chunk * 8;
        bf16* to = static_cast<bf16*>(p.next.scaled) + int64_t{first_token + row} * columns + first;
        if (first_token + row < p.out.rows && first < columns) *reinterpret_cast<uint4*>(to) = v;
      });
    }
  }

  // ---- RoPE and the append; groups 2j and 2j + 1 are dimensions and their partners

  R1_DEVICE bool rotated(int j) const {
    return PairGroup(p.rope, first_row / 16 + j).head < p.rope.heads + p.rope.kv_heads;
  }
  /** Cosine and sine of two neighbouring dimensions. */
  R1_DEVICE float4 angles(int j, int h) const {
    const int64_t dimension = PairGroup(p.rope, first_row / 16 + j).dimension() + lane % 4 * 2;
    const float* from = p.rope.rotations + 2 * (int64_t{token(h)} * (p.rope.head_dim / 2) + dimension);
    if (!rotated(j) || token(h) >= p.out.rows) return make_float4(1.0f, 0.0f, 1.0f, 0.0f);
    return __ldcg(reinterpret_cast<const float4*>(from));
  }

  R1_DEVICE void rotate_pairs() {
    constexpr int kPairs = BN / 16, kPeriod = 8;  // groups j and j + 8 are of the same dimensions, in other heads
    constexpr int kAtOnce = kPairs % 4 == 0 ? 4 : 2;
#pragma unroll
    for (int first = 0; first < (kPairs < kPeriod ? kPairs : kPeriod); first += kAtOnce) {
      float4 a[kAtOnce][2];
#pragma unroll
      for (int i = 0; i < 2 * kAtOnce; i++) a[i / 2][i % 2] = angles(first + i / 2, i % 2);
#pragma unroll
      for (int k = 0; k < kAtOnce; k++) {
#pragma unroll
        for (int j = first + k; j < kPairs; j += kPeriod) {
          if (rotated(j)) rotate_group(j, a[k]);
        }
      }
    }
  }
  R1_DEVICE void rotate_group(int j, const float4 (&a)[2]) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      float &x = sums[8 * j + i], &y = sums[8 * j + 4 + i];
      const float2 v = rotate(make_float2(x, y), i % 2 ? a[i / 2].z : a[i / 2].x, i % 2 ? a[i / 2].w : a[i / 2].y);
      x = v.x, y = v.y;
    }
  }

  R1_DEVICE void store_pairs() const {
    constexpr int kStaged = staged_columns(BN), kPart = kStaged / 16;  // 16-byte chunks of dimensions, then of partners
    const cuda::RopeAppend& a = p.rope;
#pragma unroll
    for (int c = 0; c < BN / kStaged; c++) {
      const PairGroup group(a, first_row / 16 + c * kPart);
      if (group.head >= a.heads + 2 * a.kv_heads) return;
      const bool is_q = group.head < a.heads, is_k = group.head < a.heads + a.kv_heads;
      const int kv_head = (group.head - a.heads) % a.kv_heads;
      const int64_t plane = is_k ? a.kv.k_offset : a.kv.v_offset;  // bytes
      const auto values = [&](int g, int h) { return packed<false>(g, h); };
      stage<kStaged, true>(c, values, [&](int row, int chunk, const uint4& v) {
        bf16* cached = terms.cached[first_term + row];
        if (first_token + row >= p.out.rows || !cached) return;
        bf16* to = is_q ? static_cast<bf16*>(p.out.y) + (first_token + row) * p.out.ldy + group.head * a.head_dim
                        : cached + plane / int64_t{sizeof(bf16)} + kv_head * kBlockTokens * a.head_dim;
        const int dimension = group.dimension() + chunk % kPart * 8 + chunk / kPart * (a.head_dim / 2);
        *reinterpret_cast<uint4*>(to + dimension) = v;
      });
    }
  }
};

}  // namespace r1
