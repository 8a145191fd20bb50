// What linear_sm90_stream_* does before and after the products: the scaling of a norm whose input the op before has
// left (backend.h, NormInput), the input of the next norm, RoPE and the append to the KV cache.
#pragma once
#include "kv_cache.cuh"
#include "linear_epilogue.cuh"

namespace r1 {

using cuda::LinearStreamParams;

template <int TN, int WARPGROUPS>
struct StreamShared {
  float roots[TN];                    // 1 / root of the mean square
  float squares[4 * WARPGROUPS][TN];  // of each warp's 16 columns
  bf16* rows[WARPGROUPS][TN];         // where the warpgroup's head of a token goes; null for padding
};

/** The 64 weight rows `unit` of pairs: 32 of a head's dimensions i, and their partners i + head_dim / 2. */
struct HalfHead {
  int head, part;
  R1_DEVICE HalfHead(const cuda::RopeAppend& rope, int unit) {
    const int parts = rope.head_dim / 64;
    head = parts > 1 ? unit / parts : unit, part = parts > 1 ? unit % parts : 0;
  }
};

static_assert(cuda::kSquaresOf == 64);  // the columns of a warpgroup
constexpr int kReadAheadBarrier = 1;    // of the consumers and the warp that reads ahead
constexpr int kSquaresBarrier = 2;      // of the consumers

/** What becomes of a tile's sums. A kernel of its own for each: what an SM has to fetch of its code counts. */
enum class StreamEnd { kStore, kResidual, kSwiglu, kRope };

/**
 * A warp that the products do not wait for: it fetches what the epilogue needs of the tile's tokens [first, end), while
 * x is on its way.
 */
template <int TN, int WARPGROUPS, StreamEnd END>
class ReadAhead {
 public:
  R1_DEVICE ReadAhead(const LinearStreamParams& p, StreamShared<TN, WARPGROUPS>& shared, int first, int end)
      : p_(p), shared_(shared), first_(first), end_(min(end, p.out.rows - static_cast<int>(blockIdx.y) * TN)) {}

  R1_DEVICE void run() {
    if (!p_.norm.squares) return;
    if (END == StreamEnd::kRope) place_rows();
    pdl_wait();
#pragma unroll 1
    for (int first = first_; first < end_; first += kTokens * kRounds) read_roots(first);
    named_arrive(kReadAheadBarrier, 128 * WARPGROUPS + 32);
  }

 private:
  static constexpr int kTokens = 4, kRounds = 4,
                       kPieces = 2;  // at a time: tokens, by 8 lanes each, and 16 bytes of each
  static R1_DEVICE int lane() { return threadIdx.x % 32; }
  R1_DEVICE int row(int token) const { return blockIdx.y * TN + token; }

  /** The order of a token's sum depends on the number of its terms alone. */
  R1_DEVICE void read_roots(int first) {
    const int groups = cuda::squares_count(p_.norm.columns), stride = cuda::squares_pitch(groups);
    float sums[kRounds] = {};
#pragma unroll 1
    for (int begin = 4 * (lane() % 8); begin < stride; begin += 32 * kPieces) {
      float4 v[kRounds][kPieces];  // all of them asked for before any is added
#pragma unroll
      for (int r = 0; r < kRounds; ++r) {
#pragma unroll
        for (int j = 0; j < kPieces; ++j) {
          const int t = first + r * kTokens + lane() / 8, i = begin + 32 * j;
          v[r][j] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
          if (t < end_ && i < groups) {
            v[r][j] = __ldcg(reinterpret_cast<const float4*>(p_.norm.squares + int64_t{row(t)} * stride + i));
          }
        }
      }
#pragma unroll
      for (int r = 0; r < kRounds; ++r) {
#pragma unroll
        for (int j = 0; j < kPieces; ++j) sums[r] = add(sums[r], v[r][j], groups - begin - 32 * j);
      }
    }
    float sum = 0.0f;
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
#pragma unroll
      for (int offset = 4; offset > 0; offset /= 2) {
        sums[r] = __fadd_rn(sums[r], __shfl_xor_sync(~0u, sums[r], offset));
      }
      if (lane() % 8 == r) sum = sums[r];
    }
    const int t = first + lane() % 8 * kTokens + lane() / 8;
    if (lane() % 8 < kRounds && t < end_) shared_.roots[t] = norm_root(p_.norm, sum);
  }
  /** The first `count` of four. */
  static R1_DEVICE float add(float sum, float4 v, int count) {
    sum = __fadd_rn(sum, v.x);
    sum = __fadd_rn(sum, count > 1 ? v.y : 0.0f);
    sum = __fadd_rn(sum, count > 2 ? v.z : 0.0f);
    return __fadd_rn(sum, count > 3 ? v.w : 0.0f);
  }

  /** Where each token's heads go; the step's arrays do not depend on the kernel before. */
  R1_DEVICE void place_rows() {
#pragma unroll
    for (int w = 0; w < WARPGROUPS; ++w) {
      const HalfHead half(p_.rope, blockIdx.x * WARPGROUPS + w);
#pragma unroll 1
      for (int t = first_ + lane(); t < end_; t += 32) shared_.rows[w][t] = row_of(half.head, row(t));
    }
  }
  R1_DEVICE bf16* row_of(int head, int token) const {
    const cuda::RopeAppend& a = p_.rope;
    const int sequence = a.step.row_sequence[token];
    if (sequence < 0 || head >= a.heads + 2 * a.kv_heads) return nullptr;
    if (head < a.heads) return static_cast<bf16*>(p_.out.y) + token * p_.out.ldy + head * a.head_dim;
    const bool is_k = head < a.heads + a.kv_heads;
    return cache_row<bf16>(a.kv, is_k ? a.kv.k_offset : a.kv.v_offset, sequence_blocks(a.step, sequence),
                           a.step.slots[token], (head - a.heads) % a.kv_heads, a.head_dim);
  }

  const LinearStreamParams& p_;
  StreamShared<TN, WARPGROUPS>& shared_;
  const int first_, end_;
};

/**
 * For the consumers of a block, each with two rows of the weights, 8 apart, and of every group of 8 tokens two tokens.
 * A `rehearsal` does all but read and write memory.
 */
template <int TN, int WARPGROUPS, StreamEnd END>
class StreamEpilogue {
  static constexpr int kThreads = 128 * WARPGROUPS;

 public:
  /** Of two tokens: the residual of both columns, or cosine and sine. */
  struct Terms {
    float2 of[2];
  };

  R1_DEVICE StreamEpilogue(const LinearStreamParams& p, StreamShared<TN, WARPGROUPS>& shared, int tile, bool rehearsal)
      : p_(p),
        shared_(shared),
        tile_(tile),
        rows_(rehearsal ? 0 : p.out.rows - static_cast<int>(blockIdx.y) * TN),
        half_(p.rope, tile * WARPGROUPS + warp() / 4) {
    const int row = tile * 64 * WARPGROUPS + warp() * 16 + lane() / 4;
    int second = row + 8;
    column_ = row;
    if (END == StreamEnd::kSwiglu) {
      column_ = row / 16 * 8 + row % 16;
      second = column_ + p.out.columns;
    } else if (END == StreamEnd::kRope) {
      column_ = half_.head * p.rope.head_dim + dimension();
      second = column_ + p.rope.head_dim / 2;
    }
    first_ = column_ < p.out.columns;
    second_ = END == StreamEnd::kSwiglu ? first_ : second < p.out.columns;
    if (p.out.bias) bias_ = make_float2(first_ ? p.out.bias[column_] : 0.0f, second_ ? p.out.bias[second] : 0.0f);
    if (END == StreamEnd::kResidual && p.next.gain) {
      gain_ = make_float2(first_ ? p.next.gain[column_] : 0.0f, second_ ? p.next.gain[column_ + 8] : 0.0f);
    }
  }

  /** Before finish(), by all consumers: waits for what was read ahead. */
  R1_DEVICE void sync() const {
    if (p_.norm.squares) named_sync(kReadAheadBarrier, kThreads + 32);
  }

  /** Of tokens 8 · group + 2 · (lane % 4) and the one behind. After pdl_wait(). */
  R1_DEVICE Terms terms(int group) const {
    Terms terms;
#pragma unroll
    for (int j = 0; j < 2; ++j) terms.of[j] = term(group * 8 + lane() % 4 * 2 + j);
    return terms;
  }

  /** d: (row, token), (row, token + 1), (row + 8, token), (row + 8, token + 1). By all lanes at once. */
  R1_DEVICE void finish(int group, const float (&d)[4], const Terms& terms) {
    float2 v[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const float scale = scale_of(group * 8 + lane() % 4 * 2 + j);
      v[j] = make_float2(__fadd_rn(__fmul_rn(d[j], scale), bias_.x), __fadd_rn(__fmul_rn(d[2 + j], scale), bias_.y));
    }
    if (END == StreamEnd::kSwiglu) {
      store_pairs(static_cast<bf16*>(p_.out.y), p_.out.ldy, group, swiglu(v[0].x, v[0].y), swiglu(v[1].x, v[1].y), 0);
    } else if (END == StreamEnd::kRope) {
      append(group, v, terms);
    } else if (END == StreamEnd::kResidual) {
      add_residual(group, v, terms);
    } else if (p_.out.epilogue == LinearEpilogue::kStoreF32) {
      store_f32(group, v);
    } else {
      store_columns(static_cast<bf16*>(p_.out.y), p_.out.ldy, group, v);
    }
  }

  /** After the last group, by all consumers. */
  R1_DEVICE void end(int first, int end) const {
    if (END != StreamEnd::kResidual || !p_.next.gain) return;
    named_sync(kSquaresBarrier, kThreads);
    const int groups = cuda::squares_count(p_.out.columns);
#pragma unroll 1
    for (int i = threadIdx.x; i < (end - first) * WARPGROUPS; i += kThreads) {
      const int tile_token = first + i / WARPGROUPS, warpgroup = i % WARPGROUPS;
      const int group = tile_ * WARPGROUPS + warpgroup;
      const auto part = [&](int w) { return shared_.squares[4 * warpgroup + w][tile_token]; };
      const float sum = __fadd_rn(__fadd_rn(part(0), part(1)), __fadd_rn(part(2), part(3)));
      if (tile_token < rows_ && group < groups) {
        p_.next.squares[global(tile_token) * cuda::squares_pitch(groups) + group] = sum;
      }
    }
    if (p_.tiles > static_cast<int>(gridDim.x)) named_sync(kSquaresBarrier, kThreads);  // before the next tile's
  }

 private:
  static R1_DEVICE int warp() { return threadIdx.x / 32; }
  static R1_DEVICE int lane() { return threadIdx.x % 32; }
  static R1_DEVICE int64_t global(int token) { return int64_t{blockIdx.y} * TN + token; }
  R1_DEVICE int dimension() const { return half_.part * 32 + warp() % 4 * 8 + lane() / 4; }
  R1_DEVICE bool rotated() const { return half_.head < p_.rope.heads + p_.rope.kv_heads; }

  R1_DEVICE float scale_of(int token) const {
    if (p_.norm.squares) return shared_.roots[token];
    return p_.out.x_scale && token < rows_ ? __ldcg(p_.out.x_scale + global(token)) : 1.0f;
  }

  R1_DEVICE float2 term(int token) const {
    float2 v = {0.0f, 0.0f};
    if (END == StreamEnd::kResidual) {
      const float* y = static_cast<const float*>(p_.out.y) + global(token) * p_.out.ldy + column_;
      if (token < rows_ && first_) v.x = __ldcg(y);
      if (token < rows_ && second_) v.y = __ldcg(y + 8);
    } else if (END == StreamEnd::kRope) {
      v.x = 1.0f;
      const float2* rotations = reinterpret_cast<const float2*>(p_.rope.rotations);
      if (rotated() && token < rows_) v = __ldcg(rotations + global(token) * (p_.rope.head_dim / 2) + dimension());
    }
    return v;
  }

  R1_DEVICE void store_f32(int group, const float2 (&v)[2]) const {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int token = group * 8 + lane() % 4 * 2 + j;
      float* y = static_cast<float*>(p_.out.y) + global(token) * p_.out.ldy + column_;
      if (token < rows_ && first_) y[0] = v[j].x;
      if (token < rows_ && second_) y[8] = v[j].y;
    }
  }

  /** One value of both tokens: a row of the fragment, turned so that a thread has two columns of one token. */
  R1_DEVICE void store_pairs(bf16* y, int64_t ldy, int group, float a, float b, int offset) const {
    const uint32_t pair = transpose_8x8(pack2<bf16>(a, b));
    const int token = group * 8 + lane() / 4, column = column_ - lane() / 4 + offset + lane() % 4 * 2;
    bf16* to = y + global(token) * ldy + column;
    if (ldy % 2 == 0) {
      if (token < rows_ && column + 1 < p_.out.columns) *reinterpret_cast<uint32_t*>(to) = pair;
    } else if (token < rows_ && column + 1 < p_.out.columns) {
      to[1] = bf16{static_cast<uint16_t>(pair >> 16)};
    }
    const bool odd = column + 1 == p_.out.columns || (ldy % 2 != 0 && column < p_.out.columns);
    if (token < rows_ && odd) to[0] = bf16{static_cast<uint16_t>(pair)};
  }
  R1_DEVICE void store_columns(bf16* y, int64_t ldy, int group, const float2 (&v)[2]) const {
    store_pairs(y, ldy, group, v[0].x, v[1].x, 0);
    store_pairs(y, ldy, group, v[0].y, v[1].y, 8);
  }

  R1_DEVICE void append(int group, float2 (&v)[2], const Terms& terms) const {
    if (rotated()) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        v[j] = rotate(v[j], terms.of[j].x, terms.of[j].y);
      }
    }
    const uint32_t low = transpose_8x8(pack2<bf16>(v[0].x, v[1].x));
    const uint32_t high = transpose_8x8(pack2<bf16>(v[0].y, v[1].y));
    const int token = group * 8 + lane() / 4;
    bf16* to = token < rows_ ? shared_.rows[warp() / 4][token] : nullptr;
    if (!to) return;
    to += half_.part * 32 + warp() % 4 * 8 + lane() % 4 * 2;
    *reinterpret_cast<uint32_t*>(to) = low;
    *reinterpret_cast<uint32_t*>(to + p_.rope.head_dim / 2) = high;
  }

  R1_DEVICE void add_residual(int group, float2 (&v)[2], const Terms& terms) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      v[j].x = first_ ? __fadd_rn(terms.of[j].x, v[j].x) : 0.0f;
      v[j].y = second_ ? __fadd_rn(terms.of[j].y, v[j].y) : 0.0f;
    }
    store_f32(group, v);
    if (!p_.next.gain) return;
    float sums[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) sums[j] = __fmaf_rn(v[j].y, v[j].y, __fmul_rn(v[j].x, v[j].x));
#pragma unroll
    for (int offset = 4; offset < 32; offset *= 2) {  // over the lanes that share the tokens
#pragma unroll
      for (int j = 0; j < 2; ++j) sums[j] = __fadd_rn(sums[j], __shfl_xor_sync(~0u, sums[j], offset));
    }
    if (lane() < 4) {
#pragma unroll
      for (int j = 0; j < 2; ++j) shared_.squares[warp()][group * 8 + lane() * 2 + j] = sums[j];
    }
#pragma unroll
    for (int j = 0; j < 2; ++j) v[j] = make_float2(__fmul_rn(v[j].x, gain_.x), __fmul_rn(v[j].y, gain_.y));
    store_columns(static_cast<bf16*>(p_.next.scaled), p_.out.columns, group, v);
  }

  const LinearStreamParams& p_;
  StreamShared<TN, WARPGROUPS>& shared_;
  const int tile_;
  const int rows_;  // of this tile of tokens that count
  const HalfHead half_;
  int column_;
  bool first_, second_;
  float2 bias_ = {0.0f, 0.0f}, gain_ = {0.0f, 0.0f};
};

}  // namespace r1
