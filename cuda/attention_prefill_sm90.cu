// Causal attention of many query rows on sm_90a with warpgroup matrix instructions, after Shah et al.,
// "FlashAttention-3", 2024: one warpgroup feeds a ring of K and V tiles by TMA, two keep 64 query members each in
// registers and take turns, so that one multiplies while the other computes its softmax.
// A member is a (row, query head) pair of one KV head: the heads of a group share their keys, and few rows of many
// heads fill a tile. Segments of keys are merged as in attention_prefill.cu; the sums of all before stay in registers.
#include "attention_state.cuh"
#include "kv_cache.cuh"
#include "wgmma.cuh"

namespace r1 {

using cuda::AttentionArgs;
using cuda::PrefillTile;

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

constexpr int kKeys = 128;  // of a tile: two KV blocks
constexpr int kGroupThreads = 128, kMembers = 64;
constexpr int kHalfBytes = kKeys * 128;  // of 64 dimensions of a tile
constexpr int kStages = 2;

/** Shared memory: queries [2 warpgroups], K [kStages], V [kStages], each in slices of 64 dimensions, rows of 128 bytes
 * with a 128-byte swizzle. */
template <int kDim>
struct WideShared {
  static constexpr int kSlices = kDim / 64;
  static constexpr int kQueryBytes = kSlices * kMembers * 128, kTileBytes = kSlices * kHalfBytes;
  static constexpr int kProducerRegisters = kDim > 64 ? 24 : 40, kConsumerRegisters = kDim > 64 ? 240 : 232;
  uint32_t base;
  R1_DEVICE uint32_t queries(int group) const { return base + group * kQueryBytes; }
  R1_DEVICE uint32_t keys(int stage) const { return base + 2 * kQueryBytes + stage * kTileBytes; }
  R1_DEVICE uint32_t values(int stage) const { return keys(kStages + stage); }
};

struct WideBarriers {
  uint64_t full_keys[kStages], empty_keys[kStages], full_values[kStages], empty_values[kStages];
  uint64_t end_values;  // V of the last tile, before what lies behind the last key is cleared
};
enum NamedBarrier : int { kTurn = 1, kProducers = 3, kGroup = 4, kConsumers = 6 };  // kTurn and kGroup: one each

/** What all threads of a block know of its work. */
struct WideWork {
  const AttentionArgs& a;
  PrefillTile tile;
  int group, kv_head, first_member, members, last_slot;
  int begin, end;               // tiles of 128 keys
  int first_segment, segments;  // that some row of the tile sees

  R1_DEVICE WideWork(const AttentionArgs& args) : a(args), tile(args.tiles[blockIdx.y]) {
    group = a.heads / a.kv_heads;
    const int parts = gridDim.x / a.kv_heads;
    kv_head = blockIdx.x / parts;
    first_member = blockIdx.x % parts * 2 * kMembers;
    members = min(2 * kMembers, tile.rows * group - first_member);
    if (members <= 0) return;
    last_slot = slot_of(members - 1);
    const int first = first_of(slot_of(0));
    // In KV blocks, which segments are made of.
    int first_block = first / kBlockTokens, end_block = last_slot / kBlockTokens + 1;
    first_segment = cuda::segment_of_tile(first_block);
    segments = cuda::segment_of_tile(end_block - 1) - first_segment + 1;
    if (gridDim.z > 1) {
      const int segment = first_segment + blockIdx.z;
      if (static_cast<int>(blockIdx.z) >= segments) {
        members = 0;
        return;
      }
      first_block = max(first_block, cuda::first_tile_of(segment));
      end_block = min(end_block, cuda::first_tile_of(segment + 1));
    }
    begin = first_block / 2, end = (end_block + 1) / 2;
  }
  R1_DEVICE int row_of(int member) const { return tile.first_row + (first_member + member) / group; }
  R1_DEVICE int head_of(int member) const { return kv_head * group + (first_member + member) % group; }
  R1_DEVICE int slot_of(int member) const { return a.step.slots[row_of(member)]; }
  R1_DEVICE int first_of(int slot) const { return a.window > 0 ? max(0, slot + 1 - a.window) : 0; }
};

// ---- the producer

template <int kDim>
class WideProducer {
 public:
  R1_DEVICE WideProducer(const WideWork& work, const TensorMap& cache, WideShared<kDim> shared, WideBarriers& barriers)
      : work_(work), cache_(cache), shared_(shared), barriers_(barriers) {
    blocks_ = sequence_blocks(work.a.step, work.tile.sequence);
    end_block_ = work.last_slot / kBlockTokens + 1;
    rows_per_block_ = static_cast<int>(work.a.kv.block_bytes / (kDim * 2));
  }

  R1_DEVICE void run() {
    const int64_t head = int64_t{work_.kv_head} * kBlockTokens;
    const int keys = static_cast<int>(work_.a.kv.k_offset / (kDim * 2) + head);
    const int values = static_cast<int>(work_.a.kv.v_offset / (kDim * 2) + head);
    const int tiles = work_.end - work_.begin;
    for (int i = 0; i < tiles; ++i) {
      const int stage = i % kStages, tile = work_.begin + i;
      const bool ends = (tile + 1) * kKeys > work_.last_slot + 1;
      if (threadIdx.x == 0) {
        const uint32_t parity = (i / kStages - 1) & 1;
        if (i >= kStages) barrier_wait(shared_address(&barriers_.empty_keys[stage]), parity);
        load(tile, keys, shared_.keys(stage), shared_address(&barriers_.full_keys[stage]));
        if (i >= kStages) barrier_wait(shared_address(&barriers_.empty_values[stage]), parity);
        load(tile, values, shared_.values(stage),
             shared_address(ends ? &barriers_.end_values : &barriers_.full_values[stage]));
      }
      if (ends) {  // only the last tile
        barrier_wait(shared_address(&barriers_.end_values), 0);
        clear(shared_.values(stage), work_.last_slot + 1 - tile * kKeys);
        async_proxy_fence();
        named_sync(kProducers, kGroupThreads);
        if (threadIdx.x == 0) barrier_arrive(shared_address(&barriers_.full_values[stage]));
      }
    }
  }

 private:
  /** The blocks of a tile that exist; `plane` is the first row of the head's K or V in a block. */
  R1_DEVICE void load(int tile, int plane, uint32_t to, uint32_t barrier) {
    const int count = min(2, end_block_ - 2 * tile);
    barrier_expect(barrier, count * WideShared<kDim>::kTileBytes / 2);
    const uint64_t policy = l2_evict_normal();
    for (int b = 0; b < count; ++b) {
      const int row = blocks_[2 * tile + b] * rows_per_block_ + plane;
#pragma unroll
      for (int s = 0; s < WideShared<kDim>::kSlices; ++s) {
        tensor_load(to + s * kHalfBytes + b * (kHalfBytes / 2), &cache_, s * 64, row, barrier, policy);
      }
    }
  }
  /** V from key `valid` on: the weights there are 0, and what memory holds might be NaN. */
  R1_DEVICE void clear(uint32_t values, int valid) {
    for (int i = valid * 8 + threadIdx.x; i < kKeys * 8; i += kGroupThreads) {
#pragma unroll
      for (int s = 0; s < WideShared<kDim>::kSlices; ++s) {
        asm volatile("st.shared.v4.u32 [%0], {%1, %1, %1, %1};" ::"r"(values + s * kHalfBytes + i * 16), "r"(0)
                     : "memory");
      }
    }
  }

  const WideWork& work_;
  const TensorMap& cache_;
  const WideShared<kDim> shared_;
  WideBarriers& barriers_;
  const int32_t* blocks_;
  int end_block_, rows_per_block_;
};

// ---- a consumer: 64 members

template <int kDim>
class WideConsumer {
  using State = AttentionState<kDim>;

 public:
  R1_DEVICE WideConsumer(const WideWork& work, WideShared<kDim> shared, WideBarriers& barriers)
      : work_(work), shared_(shared), barriers_(barriers), group_(threadIdx.x / kGroupThreads - 1) {
    members_ = min(kMembers, work.members - group_ * kMembers);
    shared_turns_ = work.members > kMembers;
    const int first_slot = work.slot_of(first_member()), last_slot = work.slot_of(first_member() + members_ - 1);
    open_begin_ = work.first_of(last_slot), open_end_ = first_slot + 1;
  }

  R1_DEVICE void run() {
    load_queries();
    state_.clear();
    total_.clear_to_append();
    float s[kKeys / 8][4];
    begin_turn();
    barrier_wait(full(barriers_.full_keys, 0), 0);
    multiply_keys(0, s);
    end_turn();
    wgmma_wait<0>();
    wgmma_pin(s);
    const int tiles = work_.end - work_.begin;
    for (int i = 0; i < tiles; ++i) {
      release(barriers_.empty_keys, i);
      const int first_key = (work_.begin + i) * kKeys;
      if (first_key < open_begin_ || first_key + kKeys > open_end_) mask(first_key, s);
      state_.take(s, weight_factor());
      uint32_t p[kKeys / 16][4];
      pack(s, p);
      barrier_wait(full(barriers_.full_values, i), parity(i));
      const bool more = i + 1 < tiles;
      if (more) barrier_wait(full(barriers_.full_keys, i + 1), parity(i + 1));
      begin_turn();
      multiply_values(i, p);
      wgmma_wait<0>();
      wgmma_pin(state_.o);
      if (more) multiply_keys(i + 1, s);
      end_turn();
      release(barriers_.empty_values, i);
      end_tile(work_.begin + i);
      wgmma_wait<0>();
      wgmma_pin(s);
    }
    finish();
  }

 private:
  R1_DEVICE static uint32_t full(const uint64_t (&barriers)[kStages], int i) {
    return shared_address(&barriers[i % kStages]);
  }
  R1_DEVICE static int parity(int i) { return i / kStages & 1; }
  R1_DEVICE static void release(const uint64_t (&barriers)[kStages], int i) {
    if (threadIdx.x % 32 == 0) barrier_arrive(full(barriers, i));
  }
  R1_DEVICE int first_member() const { return group_ * kMembers; }
  R1_DEVICE float weight_factor() const { return work_.a.scale * 1.44269504f; }

  // The other warpgroup computes its softmax meanwhile. The first turn is the first one's.
  R1_DEVICE void begin_turn() const {
    if (shared_turns_) named_sync(kTurn + group_, 2 * kGroupThreads);
  }
  R1_DEVICE void end_turn() const {
    if (shared_turns_) named_arrive(kTurn + 1 - group_, 2 * kGroupThreads);
  }

  R1_DEVICE void load_queries() {
    constexpr int kChunks = kDim / 8;  // of 16 bytes
    const int64_t stride = int64_t{work_.a.heads + 2 * work_.a.kv_heads} * kDim;
    const bf16* q = static_cast<const bf16*>(work_.a.qkv);
    const uint32_t to = shared_.queries(group_);
    for (int i = threadIdx.x % kGroupThreads; i < kMembers * kChunks; i += kGroupThreads) {
      const int member = i / kChunks, chunk = i % kChunks;
      uint4 v = make_uint4(0, 0, 0, 0);
      if (member < members_) {
        const int m = first_member() + member;
        v = __ldcg(reinterpret_cast<const uint4*>(q + work_.row_of(m) * stride + work_.head_of(m) * kDim) + chunk);
      }
      const uint32_t place = to + chunk / 8 * (kMembers * 128) + member * 128 + ((chunk ^ member) & 7) * 16;
      asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(place), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                   : "memory");
    }
    async_proxy_fence();
    named_sync(kGroup + group_, kGroupThreads);
  }

  /** Starts s = Q K^T. */
  R1_DEVICE void multiply_keys(int i, float (&s)[kKeys / 8][4]) const {
    const uint64_t q = wgmma_operand(shared_.queries(group_)), k = wgmma_operand(shared_.keys(i % kStages));
    wgmma_fence();
#pragma unroll
    for (int j = 0; j < kDim / 16; ++j) {
      const int slice = j / 4, step = j % 4 * 2;
      const uint64_t a = q + slice * (kMembers * 128 / 16) + step, b = k + slice * (kHalfBytes / 16) + step;
      if (j == 0) {
        Wgmma<kKeys>::multiply(s, a, b);
      } else {
        Wgmma<kKeys>::multiply_add(s, a, b, 1);
      }
    }
    wgmma_commit();
  }

  /** Of this thread's row i of the tile; those past the last member are computed for nothing, like it. */
  R1_DEVICE static int member(int i) { return threadIdx.x / 32 % 4 * 16 + threadIdx.x % 32 / 4 + 8 * i; }
  R1_DEVICE void mask(int first_key, float (&s)[kKeys / 8][4]) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int slot = work_.slot_of(first_member() + min(member(i), members_ - 1));
      State::mask(s, i, first_key, work_.first_of(slot), slot);
    }
  }

  R1_DEVICE static void pack(const float (&s)[kKeys / 8][4], uint32_t (&p)[kKeys / 16][4]) {
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
#pragma unroll
      for (int i = 0; i < 4; ++i) p[k][i] = pack2<bf16>(s[2 * k + i / 2][i % 2 * 2], s[2 * k + i / 2][i % 2 * 2 + 1]);
    }
  }

  /** Starts o += P V with P rounded to bf16. */
  R1_DEVICE void multiply_values(int i, const uint32_t (&p)[kKeys / 16][4]) {
    const uint64_t v = wgmma_rows(shared_.values(i % kStages), kHalfBytes);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) WgmmaValues<kDim>::multiply_add(state_.o, p[k], v + k * 128);
    wgmma_commit();
  }

  /** A tile may end a segment, or the last of them. */
  R1_DEVICE void end_tile(int tile) {
    const int next_block = 2 * (tile + 1);
    if (cuda::first_tile_of(cuda::segment_of_tile(next_block)) != next_block && tile + 1 < work_.end) return;
    state_.close();
    total_.append(state_, weight_factor());
    state_.clear();
  }

  R1_DEVICE bf16* output(int member) const {
    const int m = first_member() + member;
    return static_cast<bf16*>(work_.a.out) + (int64_t{work_.row_of(m)} * work_.a.heads + work_.head_of(m)) * kDim;
  }

  R1_DEVICE void finish() {
    if (gridDim.z == 1 || work_.segments == 1) {
      bf16* const rows[2] = {member(0) < members_ ? output(member(0)) : nullptr,
                             member(1) < members_ ? output(member(1)) : nullptr};
      return total_.store(rows);
    }
    const int64_t part = (int64_t{blockIdx.y} * gridDim.x + blockIdx.x) * 2 + group_;
    float4* partials = reinterpret_cast<float4*>(work_.a.partials) + part * gridDim.z * cuda::prefill_partial(kDim);
    total_.save(partials + blockIdx.z * cuda::prefill_partial(kDim));
    __shared__ bool last[2];
    named_sync(kConsumers, shared_turns_ ? 2 * kGroupThreads : kGroupThreads);  // K and V have been read by both
    if (threadIdx.x % kGroupThreads == 0) last[group_] = last_to_arrive(work_.a.arrived + part, work_.segments);
    const auto sync = [&] { named_sync(kGroup + group_, kGroupThreads); };
    sync();
    if (!last[group_]) return;
    extern __shared__ __align__(1024) uint8_t dynamic[];
    const SegmentMerger<kDim> merger{partials, work_.segments, members_,
                                     dynamic + group_ * cuda::merge_bytes(work_.segments)};
    merger.template run<bf16>(weight_factor(), sync, [&](int member) { return output(member); });
  }

  const WideWork& work_;
  const WideShared<kDim> shared_;
  const WideBarriers& barriers_;
  const int group_;
  int members_;
  bool shared_turns_;
  int open_begin_, open_end_;  // keys [open_begin, open_end) are visible to all members
  State state_, total_;        // of this segment, of those before
};

// Grid: x KV heads times the parts of 128 members that a tile of rows has at most, y tiles of up to 128 rows of one
// sequence, those with the most keys first; z: 1, or where blocks are few as many as there are segments.
template <int kDim>
R1_DEVICE void attention_prefill_wide(const TensorMap& cache, const AttentionArgs& a) {
  extern __shared__ __align__(1024) uint8_t dynamic[];
  __shared__ WideBarriers barriers;
  const WideWork work(a);
  if (work.members <= 0) return;
  const WideShared<kDim> shared{(shared_address(dynamic) + 1023) & ~1023u};
  const int consumers = work.members > kMembers ? 2 : 1;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(shared_address(&barriers.full_keys[i]), 1);
      barrier_init(shared_address(&barriers.full_values[i]), 1);
      barrier_init(shared_address(&barriers.empty_keys[i]), 4 * consumers);
      barrier_init(shared_address(&barriers.empty_values[i]), 4 * consumers);
    }
    barrier_init(shared_address(&barriers.end_values), 1);
    barrier_init_fence();
    tensor_prefetch(&cache);
    pdl_trigger();
  }
  __syncthreads();
  pdl_wait();
  if (threadIdx.x < kGroupThreads) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(WideShared<kDim>::kProducerRegisters));
    WideProducer<kDim>(work, cache, shared, barriers).run();
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(WideShared<kDim>::kConsumerRegisters));
    const int group = threadIdx.x / kGroupThreads - 1;
    if (group >= consumers) return;
    if (consumers == 2 && group == 1) named_arrive(kTurn, 2 * kGroupThreads);  // the first turn
    WideConsumer<kDim>(work, shared, barriers).run();
  }
}

#endif  // __CUDA_ARCH_FEAT_SM90_ALL

}  // namespace r1

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define R1_WIDE_BODY(dim) r1::attention_prefill_wide<dim>(cache, args)
#else
#define R1_WIDE_BODY(dim)
#endif
#define R1_WIDE_KERNEL(dim)                                                                                \
  extern "C" __global__ void __launch_bounds__(384, 1) attention_prefill_sm90_bf16_d##dim(                 \
      const __grid_constant__ r1::TensorMap cache, const __grid_constant__ r1::cuda::AttentionArgs args) { \
    R1_WIDE_BODY(dim);                                                                                     \
  }
R1_WIDE_KERNEL(64)
R1_WIDE_KERNEL(128)
