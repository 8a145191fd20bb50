// Attention of one query row over a range of keys with warp matrix instructions (sm_80): the query heads that share a
// KV head are the rows of the product, so that K and V are read once. Each of four warps takes 16 keys of every KV
// block, with a softmax of its own, and copies them to shared memory in the background; the four are merged at the end,
// in order.
#pragma once
#include "attention_state.cuh"
#include "kv_cache.cuh"

namespace r1 {

/** Dynamic shared memory of a block: a warp's slices of K and V, kStages of each; then what it found. */
template <int kDim>
struct MmaShared {
  static constexpr int kStages = 2, kWarps = 4, kWarpKeys = 16;
  static constexpr int kSliceBytes = kWarpKeys * kDim * 2;
  static constexpr int kWarpBytes = 2 * kStages * kSliceBytes;
  static constexpr int kResultStride = kDim + 4;  // floats of a head: the sums, m and l
};

template <class T, int kDim>
class MmaAttention {
  using Shared = MmaShared<kDim>;
  static constexpr int kHeads = cuda::kHeadsPerBlock;
  static constexpr int kPieces = kDim / 8;  // of 16 bytes in a key
  static constexpr float kNone = -__builtin_huge_valf();

 public:
  R1_DEVICE MmaAttention(const cuda::AttentionArgs& a, uint8_t* shared)
      : a_(a),
        results_(reinterpret_cast<float*>(shared)),
        slices_(shared_address(shared) + warp() * Shared::kWarpBytes) {}

  /**
   * Keys [first, end) of a row's sequence; `first` may lie inside the first block. Those older than any row of this
   * step may be on their way before the kernel that appends the newest has ended: their first block is asked for here.
   */
  R1_DEVICE void begin(int row, int kv_head, int first, int end) {
    blocks_ = sequence_blocks(a_.step, a_.step.row_sequence[row]);
    kv_head_ = kv_head, first_ = first, end_ = end;
    const int newest = a_.step.slots[row] - (cuda::kMaxDecodeStepRows - 1);  // or a later one
    loaded_ = (first / kBlockTokens + 1) * kBlockTokens <= newest;
    if (loaded_) load(first / kBlockTokens, 0);
  }

  /** Leaves the four warps' results in shared memory, synchronised. Heads [head, head + heads) share the KV head. */
  R1_DEVICE void attend(int row, int head, int heads) {
    const int first_block = first_ / kBlockTokens, end_block = (end_ - 1) / kBlockTokens + 1;
    if (!loaded_) load(first_block, 0);
    uint32_t q[kDim / 16][2];
    load_queries(row, head, heads, q);
    m_ = kNone, l_ = 0.0f;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) o_[n][i] = 0.0f;
    }
    for (int block = first_block; block < end_block; ++block) {
      const int stage = (block - first_block) % Shared::kStages;
      if (block + 1 < end_block) {
        load(block + 1, (stage + 1) % Shared::kStages);
        cp_async_wait<1>();
      } else {
        cp_async_wait<0>();
      }
      __syncwarp();
      add_keys(block * kBlockTokens + warp() * Shared::kWarpKeys, k_slice(stage), v_slice(stage), q);
      __syncwarp();  // the stage is filled again in the next round
    }
    publish();
  }

  R1_DEVICE float merged_max(int h) const {
    float m = result(0, h)[kDim];
#pragma unroll
    for (int w = 1; w < Shared::kWarps; ++w) m = fmaxf(m, result(w, h)[kDim]);
    return m;
  }
  R1_DEVICE float merged_sum(int h, float m) const {
    float l = 0.0f;
#pragma unroll
    for (int w = 0; w < Shared::kWarps; ++w) l += result(w, h)[kDim + 1] * share(w, h, m);
    return l;
  }
  R1_DEVICE float merged_value(int h, int d, float m) const {
    float v = 0.0f;
#pragma unroll
    for (int w = 0; w < Shared::kWarps; ++w) v += result(w, h)[d] * share(w, h, m);
    return v;
  }

 private:
  R1_DEVICE static int warp() { return threadIdx.x / 32; }
  R1_DEVICE static int lane() { return threadIdx.x % 32; }
  R1_DEVICE uint32_t k_slice(int stage) const { return slices_ + stage * Shared::kSliceBytes; }
  R1_DEVICE uint32_t v_slice(int stage) const { return k_slice(Shared::kStages + stage); }
  R1_DEVICE const float* result(int w, int h) const {
    return results_ + w * (Shared::kWarpBytes / 4) + h * Shared::kResultStride;
  }
  R1_DEVICE float share(int w, int h, float m) const {
    const float its = result(w, h)[kDim];
    return its == kNone ? 0.0f : exp2_fast(its - m);
  }

  /** This warp's 16 keys of a block: piece p of key n at p ^ (n % 8). Zeros past the newest key: memory there may hold
   * anything. */
  R1_DEVICE void load(int block, int stage) {
    const int key = block * kBlockTokens + warp() * Shared::kWarpKeys;
    const T* k = cache_row<T>(a_.kv, a_.kv.k_offset, blocks_, key, kv_head_, kDim);
    const T* v = cache_row<T>(a_.kv, a_.kv.v_offset, blocks_, key, kv_head_, kDim);
#pragma unroll
    for (int i = 0; i < Shared::kWarpKeys * kPieces / 32; ++i) {
      const int at = lane() + i * 32, n = at / kPieces, piece = at % kPieces;
      const uint32_t place = n * (kDim * 2) + (piece ^ (n & 7)) * 16;
      cp_async_16(k_slice(stage) + place, k + at * 8, key + n < end_);
      cp_async_16(v_slice(stage) + place, v + at * 8, key + n < end_);
    }
    cp_async_commit();
  }

  /** Rows 0..7 of the A fragments: head lane / 4; rows 8..15 are zero. */
  R1_DEVICE void load_queries(int row, int head, int heads, uint32_t (&q)[kDim / 16][2]) const {
    const T* from = static_cast<const T*>(a_.qkv) + (int64_t{row} * (a_.heads + 2 * a_.kv_heads) + head) * kDim;
    const bool valid = lane() / 4 < heads;
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const T* at = from + lane() / 4 * kDim + k * 16 + i * 8 + lane() % 4 * 2;
        q[k][i] = valid ? __ldcg(reinterpret_cast<const unsigned*>(at)) : 0u;
      }
    }
  }

  R1_DEVICE void add_keys(int first_key, uint32_t k_slice, uint32_t v_slice, const uint32_t (&q)[kDim / 16][2]) {
    float s[2][4] = {};
    const uint32_t k_row = k_slice + (lane() / 16 * 8 + lane() % 8) * (kDim * 2);
    const int k_swizzle = (lane() / 8 % 2) ^ (lane() % 8);
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      const uint32_t a[4] = {q[k][0], 0, q[k][1], 0};
      uint32_t b[4];
      ldmatrix_x4(b, k_row + ((2 * k) ^ k_swizzle) * 16);
      mma_m16n8k16(T{}, s[0], a, b[0], b[1]);
      mma_m16n8k16(T{}, s[1], a, b[2], b[3]);
    }
    soften(first_key, s);
    const uint32_t p[4] = {pack2<T>(s[0][0], s[0][1]), 0, pack2<T>(s[1][0], s[1][1]), 0};
    const uint32_t v_row = v_slice + (lane() % 16) * (kDim * 2);
    const int v_swizzle = (lane() / 16) ^ (lane() % 8);
#pragma unroll
    for (int n = 0; n < kDim / 16; ++n) {
      uint32_t b[4];
      ldmatrix_x4_transposed(b, v_row + ((2 * n) ^ v_swizzle) * 16);
      mma_m16n8k16(T{}, o_[2 * n], p, b[0], b[1]);
      mma_m16n8k16(T{}, o_[2 * n + 1], p, b[2], b[3]);
    }
  }

  /** Scores of this lane's head to weights 2^(score · scale · log2 e - m); the sums are brought to the new maximum. */
  R1_DEVICE void soften(int first_key, float (&s)[2][4]) {
    const float factor = a_.scale * 1.44269504f;
    float most = m_;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int key = first_key + 8 * n + lane() % 4 * 2 + j;
        s[n][j] = key < first_ || key >= end_ ? kNone : s[n][j] * factor;
        most = fmaxf(most, s[n][j]);
      }
    }
    most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
    most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
    const float base = most == kNone ? 0.0f : most;
    const float shrink = exp2_fast(m_ - base);
    m_ = most;
    l_ *= shrink;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        s[n][j] = exp2_fast(s[n][j] - base);
        l_ += s[n][j];
      }
    }
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) o_[n][0] *= shrink, o_[n][1] *= shrink;
  }

  /** Where this warp's keys were: nobody else reads or writes there. */
  R1_DEVICE void publish() {
    float l = l_;
    l += __shfl_xor_sync(~0u, l, 1);
    l += __shfl_xor_sync(~0u, l, 2);
    float* mine = results_ + warp() * (Shared::kWarpBytes / 4) + lane() / 4 * Shared::kResultStride;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      *reinterpret_cast<float2*>(mine + n * 8 + lane() % 4 * 2) = make_float2(o_[n][0], o_[n][1]);
    }
    if (lane() % 4 == 0) mine[kDim] = m_, mine[kDim + 1] = l;
    __syncthreads();
  }

  const cuda::AttentionArgs& a_;
  float* const results_;
  const uint32_t slices_;
  const int32_t* blocks_ = nullptr;
  int kv_head_ = 0, first_ = 0, end_ = 0;
  bool loaded_ = false;
  float m_, l_;  // of head lane / 4; l of this lane's keys alone
  float o_[kDim / 8][4];
};

}  // namespace r1
