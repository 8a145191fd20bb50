// Attention of one query row over a range of keys with warp matrix instructions (sm_80): the query heads that share a
// KV head go together, so that K and V are read once. Each of four warps takes 16 keys of every KV block, with a
// softmax of its own, and copies them to shared memory in the background. Products have keys or dimensions as their 16
// rows and the heads as their 8 columns: S = K Q^T, then O^T += V^T P.
#pragma once
#include "attention_run.cuh"
#include "kv_cache.cuh"

namespace r1 {

template <class T, int kDim>
class MmaAttention {
  static constexpr int kPieces = kDim / 8;  // of 16 bytes in a key
  static constexpr int kWarpKeys = 16, kSliceBytes = kWarpKeys * kDim * 2;

 public:
  static constexpr int kMergedAtOnce = cuda::kSpanSegments;  // results of segments; registers allow it

  /** Dynamic shared memory: each warp's slices of K and V of a KV block, as many as fit. */
  R1_DEVICE MmaAttention(const cuda::AttentionArgs& a, uint8_t* shared, int teams, WarpResults<kDim>& results)
      : a_(a), results_(results) {
    stages_ = dynamic_shared_bytes() / (teams * cuda::decode_ring_bytes(kDim, 1));
    slices_ = shared_address(shared) + (threadIdx.x / 32) * stages_ * 2 * kSliceBytes;
  }

  /**
   * A run of keys [first, end) of a row's sequence. Those before `fresh` may be on their way before the kernel that
   * appends the others has ended: as many as there is room for are asked for here.
   */
  R1_DEVICE void begin(int row, int kv_head, int first, int end, int fresh) {
    blocks_ = sequence_blocks(a_.step, a_.step.row_sequence[row]);
    kv_head_ = kv_head, first_ = first, end_ = end, fresh_ = fresh;
    first_block_ = block_ = loaded_ = first / kBlockTokens;
    end_block_ = (end - 1) / kBlockTokens + 1;
    next_id_ = last_id_ = blocks_[loaded_];
    load_stage_ = stage_ = 0;
    while (loaded_ < min(first_block_ + stages_, end_block_)) {
      last_id_ = next_id_;
      load(0, fresh);
    }
    early_end_ = loaded_;
  }

  /** The heads [head, head + heads), which share the KV head: where to find them, for load_heads(). */
  R1_DEVICE void set_heads(int row, int head, int heads) {
    const T* from = static_cast<const T*>(a_.qkv) + (int64_t{row} * (a_.heads + 2 * a_.kv_heads) + head) * kDim;
    queries_ = lane() / 4 < heads ? from + lane() / 4 * kDim + lane() % 4 * 2 : nullptr;
    fresh_block_ = max(first_block_, fresh_ / kBlockTokens);
  }
  /** After the kernel before has ended. */
  R1_DEVICE void load_heads() {
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {  // B fragments: head lane / 4
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        q_[k][i] = queries_ ? __ldcg(reinterpret_cast<const unsigned*>(queries_ + k * 16 + i * 8)) : 0u;
      }
    }
#pragma unroll 1
    for (int block = fresh_block_; block < early_end_; ++block) {
      copy(block, block == early_end_ - 1 ? last_id_ : blocks_[block], block - first_block_, fresh_, end_, false);
    }
    cp_async_commit();
  }

  /** The keys of the run that are left before `end`: what each warp finds in its share is left in shared memory. */
  R1_DEVICE void attend(int end) {
#pragma unroll
    for (int j = 0; j < 2; ++j) m_[j] = kNone, l_[j] = 0.0f;
#pragma unroll
    for (int n = 0; n < kDim / 16; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) o_[n][i] = 0.0f;
    }
    for (; block_ * kBlockTokens < end; ++block_) {
      wait(loaded_ - first_block_ - copies_before(block_));
      __syncwarp();
      add_keys(block_ * kBlockTokens + team_warp() * kWarpKeys, k_slice(stage_));
      __syncwarp();  // the stage is filled again
      stage_ = next(stage_);
      if (loaded_ < end_block_) load(0, end_);
    }
    publish();
  }

 private:
  R1_DEVICE static int lane() { return threadIdx.x % 32; }
  /** Of a stage; the slice of V follows. */
  R1_DEVICE uint32_t k_slice(int stage) const { return slices_ + stage * 2 * kSliceBytes; }
  R1_DEVICE int next(int stage) const { return stage + 1 == stages_ ? 0 : stage + 1; }
  R1_DEVICE static int dynamic_shared_bytes() {
    int bytes;
    asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(bytes));
    return bytes;
  }
  /** Groups of copies that were asked for before the last one of a block: the fresh keys' follow the early blocks'. */
  R1_DEVICE int copies_before(int block) const {
    if (block >= early_end_) return block - first_block_ + 1;
    return block >= fresh_ / kBlockTokens ? early_end_ - first_block_ : block - first_block_;
  }
  /** Until at most so many groups of copies are under way. */
  R1_DEVICE static void wait(int pending) {
    if (pending >= 4) {
      cp_async_wait<4>();
    } else if (pending == 3) {
      cp_async_wait<3>();
    } else if (pending == 2) {
      cp_async_wait<2>();
    } else if (pending == 1) {
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
  }

  /**
   * Of this warp's 16 keys of a block those in [from, to): piece p of key n at p ^ (n % 8). With `zeros` also zeros
   * past the newest key: memory there may hold anything.
   */
  R1_DEVICE void copy(int block, int id, int stage, int from, int to, bool zeros) const {
    const int key = block * kBlockTokens + team_warp() * kWarpKeys;
    const char* memory = a_.kv.base + int64_t{id} * a_.kv.block_bytes;
    const int64_t first = (int64_t{kv_head_} * kBlockTokens + team_warp() * kWarpKeys) * kDim + lane() * 8;
    const T* k = reinterpret_cast<const T*>(memory + a_.kv.k_offset) + first;
    const T* v = reinterpret_cast<const T*>(memory + a_.kv.v_offset) + first;
    const uint32_t slice = k_slice(stage);
#pragma unroll
    for (int i = 0; i < kWarpKeys * kPieces / 32; ++i) {
      const int n = (lane() + i * 32) / kPieces, piece = lane() % kPieces;
      const uint32_t place = slice + n * (kDim * 2) + (piece ^ (n & 7)) * 16;
      const bool valid = key + n < end_;
      if (valid ? key + n < from || key + n >= to : !zeros) continue;
      cp_async_16(place, k + i * 256, valid);
      cp_async_16(place + kSliceBytes, v + i * 256, valid);
    }
  }
  /** The next block's keys in [from, to). */
  R1_DEVICE void load(int from, int to) {
    copy(loaded_, next_id_, load_stage_, from, to, true);
    cp_async_commit();
    load_stage_ = next(load_stage_);
    if (++loaded_ < end_block_) next_id_ = blocks_[loaded_];  // long before it is needed
  }

  R1_DEVICE void add_keys(int first_key, uint32_t k_slice) {
    float s[4] = {}, odd[4] = {};  // two chains of products, so that one need not wait for the other
    // Matrices of an ldmatrix: keys 0..7 and 8..15 of columns 0..7, then of columns 8..15.
    const uint32_t k_row = k_slice + (lane() % 16) * (kDim * 2);
    const int k_swizzle = (lane() / 16) ^ (lane() % 8);
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      uint32_t a[4];
      ldmatrix_x4(a, k_row + ((2 * k) ^ k_swizzle) * 16);
      mma_m16n8k16(T{}, k % 2 ? odd : s, a, q_[k][0], q_[k][1]);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) s[i] += odd[i];
    soften(first_key, s);
    const uint32_t p[2] = {transpose_8x8(pack2<T>(s[0], s[1])), transpose_8x8(pack2<T>(s[2], s[3]))};
    // Columns 0..7 and 8..15 of keys 0..7, then of keys 8..15, each transposed.
    const uint32_t v_row = k_slice + kSliceBytes + (lane() / 16 * 8 + lane() % 8) * (kDim * 2);
    const int v_swizzle = (lane() / 8 % 2) ^ (lane() % 8);
#pragma unroll
    for (int n = 0; n < kDim / 16; ++n) {
      uint32_t a[4];
      ldmatrix_x4_transposed(a, v_row + ((2 * n) ^ v_swizzle) * 16);
      mma_m16n8k16(T{}, o_[n], a, p[0], p[1]);
    }
  }

  /**
   * Scores of keys lane / 4 and 8 further, each of this lane's two heads, to weights 2^(score · scale · log2 e - m);
   * the sums are brought to the new maximum.
   */
  R1_DEVICE void soften(int first_key, float (&s)[4]) {
    const float factor = a_.scale * 1.44269504f;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int key = first_key + lane() / 4 + 8 * i;
      const bool visible = key >= first_ && key < end_;
#pragma unroll
      for (int j = 0; j < 2; ++j) s[2 * i + j] = visible ? s[2 * i + j] * factor : kNone;
    }
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      float most = fmaxf(s[j], s[2 + j]);
#pragma unroll
      for (int offset = 4; offset < 32; offset *= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, offset));
      most = fmaxf(m_[j], most);
      const float base = most == kNone ? 0.0f : most;
      const float shrink = exp2_fast(m_[j] - base);
      m_[j] = most;
      s[j] = exp2_fast(s[j] - base), s[2 + j] = exp2_fast(s[2 + j] - base);
      l_[j] = fmaf(l_[j], shrink, s[j] + s[2 + j]);
#pragma unroll
      for (int n = 0; n < kDim / 16; ++n) o_[n][j] *= shrink, o_[n][2 + j] *= shrink;
    }
  }

  R1_DEVICE void publish() {
    team_sync();  // what was published before has been taken
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int head = lane() % 4 * 2 + j;
#pragma unroll
      for (int offset = 4; offset < 32; offset *= 2) l_[j] += __shfl_xor_sync(~0u, l_[j], offset);
#pragma unroll
      for (int n = 0; n < kDim / 16; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) *results_.sums(team_warp(), head, n * 16 + 8 * i + lane() / 4) = o_[n][2 * i + j];
      }
      if (lane() < 4) results_.m[team_warp()][head] = m_[j], results_.l[team_warp()][head] = l_[j];
    }
  }

  const cuda::AttentionArgs& a_;
  WarpResults<kDim>& results_;
  uint32_t slices_;
  int stages_;
  const int32_t* blocks_ = nullptr;
  int kv_head_ = 0, first_ = 0, end_ = 0, fresh_ = 0;
  int first_block_ = 0, end_block_ = 0, early_end_ = 0;  // of the run; of what is loaded early
  int block_ = 0, loaded_ = 0;                           // the next to be computed, to be loaded
  int stage_ = 0, load_stage_ = 0;                       // where they are, go
  int next_id_ = 0, last_id_ = 0;                        // KV block to be loaded next, the last one loaded early
  const T* queries_ = nullptr;                           // of this lane, null for none
  int fresh_block_ = 0;                                  // the first that may have fresh keys
  uint32_t q_[kDim / 16][2];
  float m_[2], l_[2];      // of heads 2 (lane % 4) and the next; l of this lane's keys alone
  float o_[kDim / 16][4];  // of dimensions lane / 4 and 8 further, each of these heads
};

}  // namespace r1
