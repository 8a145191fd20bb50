// Attention of one query row over a range of keys with warp matrix instructions (sm_80): the query heads that share a
// KV head are the rows of the product, so that K and V are read once. Each of four warps takes 16 keys of every KV
// block, with a softmax of its own, and copies them to shared memory in the background.
#pragma once
#include "attention_run.cuh"
#include "kv_cache.cuh"

namespace r1 {

/** Dynamic shared memory of a block: each warp's slices of K, then of V, kStages of each. */
template <int kDim>
struct MmaShared {
  static constexpr int kStages = 2, kWarpKeys = 16;
  static constexpr int kSliceBytes = kWarpKeys * kDim * 2;
  static constexpr int kWarpBytes = 2 * kStages * kSliceBytes;
};

template <class T, int kDim>
class MmaAttention {
  using Shared = MmaShared<kDim>;
  static constexpr int kPieces = kDim / 8;  // of 16 bytes in a key

 public:
  R1_DEVICE MmaAttention(const cuda::AttentionArgs& a, uint8_t* shared, WarpResults<kDim>& results)
      : a_(a), results_(results), slices_(shared_address(shared) + warp() * Shared::kWarpBytes) {}

  /**
   * A run of keys [first, end) of a row's sequence. Those older than any row of this step may be on their way before
   * the kernel that appends the newest has ended: they are asked for here.
   */
  R1_DEVICE void begin(int row, int kv_head, int first, int end) {
    blocks_ = sequence_blocks(a_.step, a_.step.row_sequence[row]);
    kv_head_ = kv_head, first_ = first, end_ = end;
    first_block_ = block_ = loaded_ = first / kBlockTokens;
    end_block_ = (end - 1) / kBlockTokens + 1;
    const int newest = a_.step.slots[row] - (cuda::kMaxDecodeStepRows - 1);  // or a later one
    while (loaded_ < min(first_block_ + Shared::kStages, end_block_) && (loaded_ + 1) * kBlockTokens <= newest) load();
  }

  /** The heads [head, head + heads), which share the KV head. */
  R1_DEVICE void set_heads(int row, int head, int heads) {
    const T* from = static_cast<const T*>(a_.qkv) + (int64_t{row} * (a_.heads + 2 * a_.kv_heads) + head) * kDim;
    const bool valid = lane() / 4 < heads;
    while (loaded_ < min(first_block_ + Shared::kStages, end_block_)) load();
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {  // rows 0..7 of the A fragments: head lane / 4; rows 8..15 are zero
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const T* at = from + lane() / 4 * kDim + k * 16 + i * 8 + lane() % 4 * 2;
        q_[k][i] = valid ? __ldcg(reinterpret_cast<const unsigned*>(at)) : 0u;
      }
    }
  }

  /** The keys of the run that are left before `end`: what each warp finds in its share is left in shared memory. */
  R1_DEVICE void attend(int end) {
    m_ = kNone, l_ = 0.0f;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) o_[n][i] = 0.0f;
    }
    for (; block_ * kBlockTokens < end; ++block_) {
      if (loaded_ - block_ > 1) {
        cp_async_wait<1>();
      } else {
        cp_async_wait<0>();
      }
      __syncwarp();
      const int stage = (block_ - first_block_) % Shared::kStages;
      add_keys(block_ * kBlockTokens + warp() * Shared::kWarpKeys, k_slice(stage), v_slice(stage));
      __syncwarp();  // the stage is filled again
      if (loaded_ < end_block_) load();
    }
    publish();
  }

 private:
  R1_DEVICE static int warp() { return threadIdx.x / 32; }
  R1_DEVICE static int lane() { return threadIdx.x % 32; }
  R1_DEVICE uint32_t k_slice(int stage) const { return slices_ + stage * Shared::kSliceBytes; }
  R1_DEVICE uint32_t v_slice(int stage) const { return k_slice(Shared::kStages + stage); }
  /** This warp's 16 keys of the next block: piece p of key n at p ^ (n % 8). Zeros past the newest key: memory there
   * may hold anything. */
  R1_DEVICE void load() {
    const int stage = (loaded_ - first_block_) % Shared::kStages;
    const int key = loaded_ * kBlockTokens + warp() * Shared::kWarpKeys;
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
    ++loaded_;
  }

  R1_DEVICE void add_keys(int first_key, uint32_t k_slice, uint32_t v_slice) {
    float s[2][4] = {};
    const uint32_t k_row = k_slice + (lane() / 16 * 8 + lane() % 8) * (kDim * 2);
    const int k_swizzle = (lane() / 8 % 2) ^ (lane() % 8);
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      const uint32_t a[4] = {q_[k][0], 0, q_[k][1], 0};
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

  R1_DEVICE void publish() {
    float l = l_;
    l += __shfl_xor_sync(~0u, l, 1);
    l += __shfl_xor_sync(~0u, l, 2);
    const int head = lane() / 4;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      *reinterpret_cast<float2*>(&results_.acc[warp()][head][n * 8 + lane() % 4 * 2]) = make_float2(o_[n][0], o_[n][1]);
    }
    if (lane() % 4 == 0) results_.m[warp()][head] = m_, results_.l[warp()][head] = l;
  }

  const cuda::AttentionArgs& a_;
  WarpResults<kDim>& results_;
  const uint32_t slices_;
  const int32_t* blocks_ = nullptr;
  int kv_head_ = 0, first_ = 0, end_ = 0;
  int first_block_ = 0, end_block_ = 0;  // of the run
  int block_ = 0, loaded_ = 0;           // the next to be computed, to be loaded
  uint32_t q_[kDim / 16][2];
  float m_, l_;  // of head lane / 4; l of this lane's keys alone
  float o_[kDim / 8][4];
};

}  // namespace r1
