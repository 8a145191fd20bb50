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
constexpr int kEpilogueBarrier = 1;     // of the consumers, and once of the warp that reads ahead as well

/**
 * A warp that the products do not wait for: it fetches what the epilogue needs of the tile's tokens [first, end), while
 * x is on its way.
 */
template <int TN, int WARPGROUPS>
class ReadAhead {
 public:
  R1_DEVICE ReadAhead(const LinearStreamParams& p, StreamShared<TN, WARPGROUPS>& shared, int first, int end)
      : p_(p), shared_(shared), first_(first), end_(min(end, p.out.rows - static_cast<int>(blockIdx.y) * TN)) {}

  R1_DEVICE void run() {
    if (!p_.norm.squares) return;
    if (p_.out.epilogue == LinearEpilogue::kRopeAppend) place_rows();
    pdl_wait();
#pragma unroll 1
    for (int first = first_; first < end_; first += kTokens * kRounds) read_roots(first);
    named_arrive(kEpilogueBarrier, 128 * WARPGROUPS + 32);
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

/** For the consumers of a block, each with two rows of the weights and, of every group of 8 tokens, two tokens. */
template <int TN, int WARPGROUPS>
class StreamEpilogue {
  static constexpr int kThreads = 128 * WARPGROUPS;

 public:
  R1_DEVICE StreamEpilogue(const LinearStreamParams& p, StreamShared<TN, WARPGROUPS>& shared)
      : p_(p), shared_(shared), half_(p.rope, unit()), pair_(make_pair(p, half_)) {
    if (p.next.gain) {
      gain_.x = pair_.column() < p.out.columns ? p.next.gain[pair_.column()] : 0.0f;
      gain_.y = pair_.column() + 8 < p.out.columns ? p.next.gain[pair_.column() + 8] : 0.0f;
    }
  }

  /** Before the other methods, by all consumers: waits for what was read ahead. */
  R1_DEVICE void sync() const {
    if (p_.norm.squares) named_sync(kEpilogueBarrier, kThreads + 32);
  }

  /** The residual, or cosine and sine, of a token of this thread. */
  R1_DEVICE float2 term(int token) const {
    if (!rope()) return pair_.residual(global(token));
    if (!rotated() || global(token) >= p_.out.rows) return make_float2(1.0f, 0.0f);
    const float2* rotations = reinterpret_cast<const float2*>(p_.rope.rotations);
    return __ldcg(rotations + int64_t{global(token)} * (p_.rope.head_dim / 2) + dimension());
  }

  /** The sums of a token of this thread: of its row, and of the one 8 below. By all lanes at once. */
  R1_DEVICE void finish(int token, float a, float b, float2 term) {
    const float scale = p_.norm.squares ? shared_.roots[in_tile(token)] : pair_.scale(global(token));
    if (rope()) return append(token, pair_.sums(a, b, scale), term);
    const float2 y = pair_.finish(global(token), a, b, term, scale);
    if (p_.next.gain) prepare(token, y);
  }

  /** After the last token, by all consumers. */
  R1_DEVICE void end(int first, int end) const {
    if (!p_.next.gain) return;
    named_sync(kEpilogueBarrier, kThreads);
    const int groups = cuda::squares_count(p_.out.columns);
#pragma unroll 1
    for (int i = threadIdx.x; i < (end - first) * WARPGROUPS; i += kThreads) {
      const int tile_token = first + i / WARPGROUPS, warpgroup = i % WARPGROUPS;
      const int64_t token = blockIdx.y * TN + tile_token;
      const int group = blockIdx.x * WARPGROUPS + warpgroup;
      if (token >= p_.out.rows || group >= groups) continue;
      const auto part = [&](int w) { return shared_.squares[4 * warpgroup + w][tile_token]; };
      const float sum = __fadd_rn(__fadd_rn(part(0), part(1)), __fadd_rn(part(2), part(3)));
      p_.next.squares[token * cuda::squares_pitch(groups) + group] = sum;
    }
  }

 private:
  static R1_DEVICE int warp() { return threadIdx.x / 32; }
  static R1_DEVICE int lane() { return threadIdx.x % 32; }
  static R1_DEVICE int unit() { return blockIdx.x * WARPGROUPS + warp() / 4; }
  /** Of a token of this thread, by its place in the tile less 2 · (lane % 4). */
  static R1_DEVICE int in_tile(int token) { return token + lane() % 4 * 2; }
  static R1_DEVICE int global(int token) { return blockIdx.y * TN + in_tile(token); }

  static R1_DEVICE PairEpilogue<bf16> make_pair(const LinearStreamParams& p, const HalfHead& half) {
    if (p.out.epilogue != LinearEpilogue::kRopeAppend) {
      return {p.out, static_cast<int>(blockIdx.x) * 64 * WARPGROUPS + warp() * 16 + lane() / 4};
    }
    const int column = half.head * p.rope.head_dim + dimension(half);
    return {p.out, column, column + p.rope.head_dim / 2};
  }
  static R1_DEVICE int dimension(const HalfHead& half) { return half.part * 32 + warp() % 4 * 8 + lane() / 4; }
  R1_DEVICE int dimension() const { return dimension(half_); }

  R1_DEVICE bool rope() const { return p_.out.epilogue == LinearEpilogue::kRopeAppend; }
  R1_DEVICE bool rotated() const { return half_.head < p_.rope.heads + p_.rope.kv_heads; }
  R1_DEVICE void append(int token, float2 v, float2 rotation) const {
    bf16* to = global(token) < p_.out.rows ? shared_.rows[warp() / 4][in_tile(token)] : nullptr;
    if (!to) return;
    if (rotated()) v = rotate(v, rotation.x, rotation.y);
    to[dimension()] = from_float<bf16>(v.x);
    to[dimension() + p_.rope.head_dim / 2] = from_float<bf16>(v.y);
  }

  /** y: what has become of the residual of a token, in two columns. */
  R1_DEVICE void prepare(int token, float2 y) {
    if (global(token) < p_.out.rows) {
      bf16* to = static_cast<bf16*>(p_.next.scaled) + int64_t{global(token)} * p_.out.columns + pair_.column();
      if (pair_.column() < p_.out.columns) to[0] = from_float<bf16>(__fmul_rn(y.x, gain_.x));
      if (pair_.column() + 8 < p_.out.columns) to[8] = from_float<bf16>(__fmul_rn(y.y, gain_.y));
    }
    float sum = __fmaf_rn(y.y, y.y, __fmul_rn(y.x, y.x));
#pragma unroll
    for (int offset = 4; offset < 32; offset *= 2) {  // over the lanes that share the token
      sum = __fadd_rn(sum, __shfl_xor_sync(~0u, sum, offset));
    }
    if (lane() < 4) shared_.squares[warp()][in_tile(token)] = sum;
  }

  const LinearStreamParams& p_;
  StreamShared<TN, WARPGROUPS>& shared_;
  const HalfHead half_;
  const PairEpilogue<bf16> pair_;
  float2 gain_ = {0.0f, 0.0f};
};

}  // namespace r1
