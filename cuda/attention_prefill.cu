// Causal attention of many query rows with warp matrix instructions, after Dao, "FlashAttention-2", 2023: a block keeps
// 64 query rows in registers and passes over tiles of 64 keys with an online softmax.
// Every row sees the same aligned tiles in the same order, and a tile that is masked for it changes no bit of its
// state, so a row's result does not depend on the rows beside it. After every segment of tiles (kernel_params.h) the
// state starts anew and is merged with that of the segments before: by the same block, or where rows are too few for
// the card by the last of the segments' blocks to finish.
#include "attention_state.cuh"
#include "block.cuh"
#include "kv_cache.cuh"

namespace r1 {

constexpr int kPrefillThreads = 128;  // 4 warps of 16 query rows
constexpr int kTile = 64;             // keys, a KV block

/**
 * kAsync: copies run in the background into two buffers each of K and V, products have k = 16 (sm_80); else one buffer
 * and k = 8 (sm_75). Shared memory: kStages of K, then of V, each [64 keys][kDim], where the 16-byte piece p of key n
 * lies at piece p ^ (n % 8), so that ldmatrix meets no bank twice.
 */
template <class T, int kDim, bool kAsync>
class PrefillAttention {
  using State = AttentionState<kDim>;
  static constexpr int kStages = kAsync ? 2 : 1;
  static constexpr int kPieces = kDim / 8;  // of 16 bytes in a key
  static constexpr int kTileBytes = kTile * kDim * 2;

 public:
  R1_DEVICE PrefillAttention(const cuda::AttentionArgs& a, const cuda::PrefillTile& tile, uint32_t shared)
      : a_(a), tile_(tile), shared_(shared), head_(blockIdx.x), kv_head_(head_ / (a.heads / a.kv_heads)) {
    blocks_ = sequence_blocks(a.step, tile.sequence);
    last_slot_ = a.step.slots[tile.first_row + tile.rows - 1];
    const int first_slot = a.step.slots[tile.first_row];
    begin_ = first_of(first_slot) / kTile, end_ = last_slot_ / kTile + 1;
    first_segment_ = cuda::segment_of_tile(begin_);
    segments_ = cuda::segment_of_tile(end_ - 1) - first_segment_ + 1;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      row_[i] = warp() * 16 + lane() / 4 + 8 * i;
      const bool valid = row_[i] < tile.rows;
      slot_[i] = valid ? a.step.slots[tile.first_row + row_[i]] : last_slot_;
    }
    state_.clear();
  }

  /**
   * All segments of these rows, or where the grid has a block for each its own. True where segments are left to merge,
   * by the last block to come here.
   */
  R1_DEVICE bool run() {
    const bool all = gridDim.z == 1;
    if (!all) {
      const int segment = first_segment_ + blockIdx.z;
      if (static_cast<int>(blockIdx.z) >= segments_) return false;
      begin_ = max(begin_, cuda::first_tile_of(segment)), end_ = min(end_, cuda::first_tile_of(segment + 1));
    }
    load_queries();
    if (kAsync) {
      run_async(all ? partial(0) : nullptr);
    } else {
      run_plain(all ? partial(0) : nullptr);
    }
    if (all || segments_ == 1) {
      store();
      return false;
    }
    state_.save(partial(blockIdx.z));
    return true;
  }

  R1_DEVICE int segments() const { return segments_; }

  R1_DEVICE void merge_segments(uint8_t* shared) const {
    const SegmentMerger<kDim> merger{partial(0), segments_, tile_.rows, shared};
    merger.template run<T>(weight_factor(), [] { __syncthreads(); }, [&](int row) { return output_row(row); });
  }

 private:
  R1_DEVICE static int warp() { return threadIdx.x / 32; }
  R1_DEVICE static int lane() { return threadIdx.x % 32; }
  R1_DEVICE int first_of(int slot) const { return a_.window > 0 ? max(0, slot + 1 - a_.window) : 0; }
  R1_DEVICE uint32_t k_buffer(int tile) const { return shared_ + (tile % kStages) * kTileBytes; }
  R1_DEVICE uint32_t v_buffer(int tile) const { return k_buffer(tile) + kStages * kTileBytes; }

  R1_DEVICE float weight_factor() const { return a_.scale * 1.44269504f; }
  R1_DEVICE float4* partial(int segment) const {
    const int64_t block = int64_t{blockIdx.y} * gridDim.x + blockIdx.x;
    return reinterpret_cast<float4*>(a_.partials) + (block * gridDim.z + segment) * cuda::prefill_partial(kDim);
  }

  /** After a tile: at the end of a segment its result is merged with `total`, that of those before. */
  R1_DEVICE void end_tile(int tile, float4* total) {
    const bool last = tile + 1 == end_;
    const int segment = cuda::segment_of_tile(tile);
    if (!last && cuda::first_tile_of(segment + 1) != tile + 1) return;
    state_.close();
    if (total == nullptr) return;
    if (segment != first_segment_) state_.merge_into(total, weight_factor());
    if (last) return;
    state_.save(total);
    state_.clear();
  }

  R1_DEVICE void run_async(float4* total) {
    load_tile(a_.kv.k_offset, begin_, k_buffer(begin_));
    load_tile(a_.kv.v_offset, begin_, v_buffer(begin_));
    for (int tile = begin_; tile < end_; ++tile) {
      float s[kTile / 8][4];
      cp_async_wait<1>();  // K of this tile is there; V may be on its way
      __syncthreads();
      load_tile(a_.kv.k_offset, tile + 1, k_buffer(tile + 1));
      multiply_keys(k_buffer(tile), s);
      soften(tile, s);
      cp_async_wait<1>();
      __syncthreads();
      load_tile(a_.kv.v_offset, tile + 1, v_buffer(tile + 1));
      multiply_values(v_buffer(tile), s);
      end_tile(tile, total);
    }
    cp_async_wait<0>();
  }

  R1_DEVICE void run_plain(float4* total) {
    for (int tile = begin_; tile < end_; ++tile) {
      float s[kTile / 8][4];
      __syncthreads();
      load_tile(a_.kv.k_offset, tile, k_buffer(tile));
      load_tile(a_.kv.v_offset, tile, v_buffer(tile));
      __syncthreads();
      multiply_keys(k_buffer(tile), s);
      soften(tile, s);
      multiply_values(v_buffer(tile), s);
      end_tile(tile, total);
    }
  }

  /** One tile of K or V; zeros where keys are past the block's last, whose memory may hold anything. One group of
   * copies. */
  R1_DEVICE void load_tile(int64_t plane_offset, int tile, uint32_t to) {
    if (tile < end_) {
      const T* from = cache_row<T>(a_.kv, plane_offset, blocks_, tile * kTile, kv_head_, kDim);
#pragma unroll
      for (int i = 0; i < kTile * kPieces / kPrefillThreads; ++i) {
        const int at = threadIdx.x + i * kPrefillThreads, key = at / kPieces, piece = at % kPieces;
        const uint32_t place = to + key * (kDim * 2) + ((piece ^ (key & 7)) * 16);
        const bool valid = tile * kTile + key <= last_slot_;
        if (kAsync) {
          cp_async_16(place, from + at * 8, valid);
        } else {
          const uint4 v = valid ? __ldcg(reinterpret_cast<const uint4*>(from) + at) : make_uint4(0, 0, 0, 0);
          asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(place), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                       : "memory");
        }
      }
    }
    if (kAsync) cp_async_commit();
  }

  /** The A fragments of this warp's 16 query rows, straight from memory. */
  R1_DEVICE void load_queries() {
    const int64_t stride = int64_t{a_.heads + 2 * a_.kv_heads} * kDim;
    const T* q = static_cast<const T*>(a_.qkv) + tile_.first_row * stride + head_ * kDim + lane() % 4 * 2;
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {  // rows g and g + 8 of columns 0..7, then of columns 8..15
        const int row = row_[i % 2];
        const T* from = q + row * stride + k * 16 + i / 2 * 8;
        q_[k][i] = row < tile_.rows ? __ldcg(reinterpret_cast<const unsigned*>(from)) : 0u;
      }
    }
  }

  R1_DEVICE static void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    if constexpr (kAsync) {
      mma_m16n8k16(T{}, d, a, b0, b1);
    } else {
      mma_m16n8k8(T{}, d, a[0], a[1], b0);
      mma_m16n8k8(T{}, d, a[2], a[3], b1);
    }
  }

  /** s = Q K^T: lane l has keys 8n + 2(l % 4) and the next of rows l / 4 and l / 4 + 8. */
  R1_DEVICE void multiply_keys(uint32_t k_tile, float (&s)[kTile / 8][4]) const {
#pragma unroll
    for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) s[n][i] = 0.0f;
    }
    // Matrices of an ldmatrix: keys 0..7 of columns 0..7 and 8..15, then keys 8..15 of the same.
    const uint32_t row = k_tile + (lane() / 16 * 8 + lane() % 8) * (kDim * 2);
    const int swizzle = (lane() / 8 % 2) ^ (lane() % 8);
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
#pragma unroll
      for (int n = 0; n < kTile / 16; ++n) {
        uint32_t b[4];
        ldmatrix_x4(b, row + n * 16 * (kDim * 2) + ((2 * k) ^ swizzle) * 16);
        multiply(s[2 * n], q_[k], b[0], b[1]);
        multiply(s[2 * n + 1], q_[k], b[2], b[3]);
      }
    }
  }

  R1_DEVICE void soften(int tile, float (&s)[kTile / 8][4]) {
#pragma unroll
    for (int i = 0; i < 2; ++i) State::mask(s, i, tile * kTile, first_of(slot_[i]), slot_[i]);
    state_.take(s, weight_factor());
  }

  /** o += P V with P rounded to T. */
  R1_DEVICE void multiply_values(uint32_t v_tile, const float (&s)[kTile / 8][4]) {
    // Matrices of an ldmatrix: keys 0..7 and 8..15 of columns 0..7, then of columns 8..15, each transposed.
    const uint32_t row = v_tile + (lane() % 16) * (kDim * 2);
    const int swizzle = (lane() / 16) ^ (lane() % 8);
#pragma unroll
    for (int k = 0; k < kTile / 16; ++k) {
      const uint32_t p[4] = {pack2<T>(s[2 * k][0], s[2 * k][1]), pack2<T>(s[2 * k][2], s[2 * k][3]),
                             pack2<T>(s[2 * k + 1][0], s[2 * k + 1][1]), pack2<T>(s[2 * k + 1][2], s[2 * k + 1][3])};
#pragma unroll
      for (int n = 0; n < kDim / 16; ++n) {
        uint32_t b[4];
        ldmatrix_x4_transposed(b, row + k * 16 * (kDim * 2) + ((2 * n) ^ swizzle) * 16);
        multiply(state_.o[2 * n], p, b[0], b[1]);
        multiply(state_.o[2 * n + 1], p, b[2], b[3]);
      }
    }
  }

  R1_DEVICE T* output_row(int row) const {
    return static_cast<T*>(a_.out) + (int64_t{tile_.first_row + row} * a_.heads + head_) * kDim;
  }
  R1_DEVICE void store() const {
    T* const rows[2] = {row_[0] < tile_.rows ? output_row(row_[0]) : nullptr,
                        row_[1] < tile_.rows ? output_row(row_[1]) : nullptr};
    state_.store(rows);
  }

  const cuda::AttentionArgs& a_;
  const cuda::PrefillTile tile_;
  const uint32_t shared_;
  const int head_, kv_head_;
  const int32_t* blocks_;
  int last_slot_, begin_, end_;   // tiles [begin, end) of keys are visible to some row
  int first_segment_, segments_;  // those tiles' segments
  int row_[2], slot_[2];          // of this lane's two rows of the block
  State state_;
  uint32_t q_[kDim / 16][4];
};

// Grid: x query heads, y tiles of 64 rows of one sequence, those with the most keys first; z: 1, or where blocks are
// few as many as there are segments.
template <class T, int kDim, bool kAsync>
R1_DEVICE void attention_prefill(const cuda::AttentionArgs& a) {
  extern __shared__ __align__(128) uint8_t shared[];
  pdl_trigger();
  PrefillAttention<T, kDim, kAsync> attention(a, a.tiles[blockIdx.y], shared_address(shared));
  pdl_wait();
  if (!attention.run()) return;
  __shared__ bool last;
  __syncthreads();
  if (threadIdx.x == 0) {
    last = last_to_arrive(a.arrived + int64_t{blockIdx.y} * gridDim.x + blockIdx.x, attention.segments());
  }
  __syncthreads();
  if (last) attention.merge_segments(shared);
}

}  // namespace r1

#if __CUDA_ARCH__ >= 800 || !defined(__CUDA_ARCH__)
#define R1_SM80(code) code
#else
#define R1_SM80(code)
#endif
// Two blocks of 64 KB are what an SM of 164 KB holds.
#define R1_PREFILL_SM80(suffix, type, dim)                                                        \
  extern "C" __global__ void                                                                      \
      __launch_bounds__(r1::kPrefillThreads, dim == 128 ? 2 : 3) attention_prefill_sm80_##suffix( \
          const __grid_constant__ r1::cuda::AttentionArgs a) {                                    \
    R1_SM80((r1::attention_prefill<type, dim, true>(a)));                                         \
  }
#define R1_PREFILL_SM75(suffix, type, dim)                                                              \
  extern "C" __global__ void __launch_bounds__(r1::kPrefillThreads, 2) attention_prefill_sm75_##suffix( \
      const __grid_constant__ r1::cuda::AttentionArgs a) {                                              \
    r1::attention_prefill<type, dim, false>(a);                                                         \
  }
R1_PREFILL_SM80(bf16_d64, r1::bf16, 64)
R1_PREFILL_SM80(bf16_d128, r1::bf16, 128)
R1_PREFILL_SM80(fp16_d64, r1::f16, 64)
R1_PREFILL_SM80(fp16_d128, r1::f16, 128)
R1_PREFILL_SM75(fp16_d64, r1::f16, 64)
R1_PREFILL_SM75(fp16_d128, r1::f16, 128)
