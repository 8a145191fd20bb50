// What the threads of a block of prefill attention on sm_90a share, and its producer (attention_prefill_sm90.cu).
#pragma once
#include "backend/cuda/attention_deal.h"
#include "kv_cache.cuh"
#include "ptx.cuh"

namespace r1 {

using cuda::AttentionArgs;
using cuda::PrefillTile;

constexpr int kKeys = cuda::kWideKeys;  // of a tile
constexpr int kGroupThreads = 128, kMembers = 64;
constexpr int kHalfBytes = kKeys * 128;  // of 64 dimensions of a tile
constexpr int kStages = 2;

/**
 * Shared memory: queries [2 warpgroups], K [kStages], V [kStages], each in slices of 64 dimensions, rows of 128 bytes
 * with a 128-byte swizzle; then the sums of the segments before, float4 [2 warpgroups][kDim / 8][thread].
 */
template <int kDim>
struct WideShared {
  static constexpr int kSlices = kDim / 64;
  static constexpr int kQueryBytes = kSlices * kMembers * 128, kTileBytes = kSlices * kHalfBytes;
  static constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;
  uint32_t base;
  R1_DEVICE uint32_t queries(int group) const { return base + group * kQueryBytes; }
  R1_DEVICE uint32_t keys(int stage) const { return base + 2 * kQueryBytes + stage * kTileBytes; }
  R1_DEVICE uint32_t values(int stage) const { return keys(kStages + stage); }
  /** Of this thread, in a warpgroup of consumers; the next accumulators are kGroupThreads float4s further. */
  R1_DEVICE uint32_t totals(int group) const {
    return keys(2 * kStages) + (group * (kDim / 8) * kGroupThreads + threadIdx.x % kGroupThreads) * 16;
  }
};

struct WideBarriers {
  uint64_t full_keys[kStages], empty_keys[kStages], full_values[kStages], empty_values[kStages];
  uint64_t end_values;  // V of the last tile, before what lies behind the last key is cleared
};
enum NamedBarrier : int { kTurn = 1, kProducers = 3, kGroup = 4, kConsumers = 6 };  // kTurn and kGroup: one each

/**
 * What a warpgroup knows of the piece of work that it is at: some rows' members and a run of their keys. In shared
 * memory, one for each warpgroup: registers are full of sums.
 */
struct WideWork {
  PrefillTile tile;
  int group, kv_head, first_member, members, last_slot;
  int begin, end;            // tiles of 128 keys
  int segments;              // that some row of the tile sees
  int before;                // dealt: the block that has the keys before these, -1 where there are none
  int ends;                  // whether no block has keys behind these; always where tiles are not dealt
  int own;                   // members of this warpgroup
  int open_begin, open_end;  // keys [open_begin, open_end) are visible to all of those
  int64_t first, left;       // dealt: [first, left) is what is left of a block's part
  int source;                // the block before it that has work

  R1_DEVICE int row_of(int member) const { return tile.first_row + (first_member + member) / group; }
  R1_DEVICE int head_of(int member) const { return kv_head * group + (first_member + member) % group; }
  R1_DEVICE int slot_of(const AttentionArgs& a, int member) const { return a.step.slots[row_of(member)]; }
};
R1_DEVICE int first_of(const AttentionArgs& a, int slot) { return a.window > 0 ? max(0, slot + 1 - a.window) : 0; }

/** Goes through the pieces of a block's work: one thread does, for its warpgroup. Where tiles are not dealt it is one.
 */
template <bool kDealt>
class WidePieces {
 public:
  R1_DEVICE WidePieces(const AttentionArgs& a, WideWork& work) : a_(a), work_(work) {}

  /** The first piece; work.members is 0 where there is none, and after the last. */
  R1_DEVICE void begin() const {
    work_.group = a_.heads / a_.kv_heads;
    if (kDealt) {
      const cuda::TileDeal line = deal();
      work_.first = line.cut(blockIdx.x), work_.left = line.cut(blockIdx.x + 1);
      work_.source = blockIdx.x > 0 ? line.block_before(blockIdx.x) : -1;
      return next();
    }
    choose(a_.tiles[blockIdx.y], blockIdx.x, gridDim.x);
    if (work_.members > 0 && gridDim.z > 1) take_segment(blockIdx.z);
  }
  R1_DEVICE void next() const {
    work_.members = 0;
    if (!kDealt) return;
    const cuda::TileDeal line = deal();
    while (work_.left > work_.first) {
      const cuda::TileDeal::Piece piece = line.piece(work_.first, work_.left);
      work_.left -= piece.end - piece.begin;
      choose(a_.tiles[piece.tile], piece.column, line.columns);
      if (work_.members > 0 && piece.begin < work_.end) return cut(piece);
      work_.members = 0;
    }
  }

 private:
  R1_DEVICE cuda::TileDeal deal() const {
    return {a_.tiles, a_.deal_count, a_.deal_total, a_.deal_columns, static_cast<int>(gridDim.x)};
  }
  /** All keys of a tile's members in that column of so many. */
  R1_DEVICE void choose(const PrefillTile& tile, int column, int columns) const {
    const int parts = columns / a_.kv_heads;
    work_.tile = tile;
    work_.kv_head = column / parts;
    work_.first_member = column % parts * 2 * kMembers;
    work_.members = min(2 * kMembers, tile.rows * work_.group - work_.first_member);
    work_.before = -1, work_.ends = 1;
    if (work_.members <= 0) return;
    work_.last_slot = work_.slot_of(a_, work_.members - 1);
    const int first_block = this->first_block(), end_block = work_.last_slot / kBlockTokens + 1;
    own();
    work_.segments = cuda::segment_of_tile(end_block - 1) - cuda::segment_of_tile(first_block) + 1;
    work_.begin = first_block / 2, work_.end = (end_block + 1) / 2;
  }
  /** What a warpgroup of consumers has; of the last member's keys where it has none. */
  R1_DEVICE void own() const {
    const int group = static_cast<int>(threadIdx.x / kGroupThreads) - 1, last = work_.members - 1;
    if (group < 0) return;
    const int first = group * kMembers;
    work_.own = min(kMembers, work_.members - first);
    work_.open_begin = first_of(a_, work_.slot_of(a_, min(first + kMembers - 1, last)));
    work_.open_end = work_.slot_of(a_, min(first, last)) + 1;
  }
  R1_DEVICE int first_block() const { return first_of(a_, work_.slot_of(a_, 0)) / kBlockTokens; }
  R1_DEVICE void take_segment(int i) const {
    const int segment = cuda::segment_of_tile(first_block()) + i;
    if (i >= work_.segments) work_.members = 0;
    work_.begin = max(work_.begin, cuda::first_tile_of(segment) / 2);
    work_.end = min(work_.end, cuda::first_tile_of(segment + 1) / 2);
  }
  R1_DEVICE void cut(const cuda::TileDeal::Piece& piece) const {
    work_.ends = piece.end >= work_.end;
    work_.end = min(work_.end, piece.end);
    if (piece.begin > 0) work_.begin = piece.begin, work_.before = work_.source;
  }

  const AttentionArgs& a_;
  WideWork& work_;
};

template <int kDim>
class WideProducer {
 public:
  R1_DEVICE WideProducer(const AttentionArgs& a, const TensorMap& cache, WideShared<kDim> shared,
                         WideBarriers& barriers)
      : a_(a), cache_(cache), shared_(shared), barriers_(barriers) {}

  R1_DEVICE void run(const WideWork& work) {
    blocks_ = sequence_blocks(a_.step, work.tile.sequence);
    end_block_ = work.last_slot / kBlockTokens + 1;
    rows_per_block_ = static_cast<int>(a_.kv.block_bytes / (kDim * 2));
    const int64_t head = int64_t{work.kv_head} * kBlockTokens;
    const int keys = static_cast<int>(a_.kv.k_offset / (kDim * 2) + head);
    const int values = static_cast<int>(a_.kv.v_offset / (kDim * 2) + head);
#pragma unroll 1
    for (int tile = work.begin; tile < work.end; ++tile, ++done_) {
      const int i = done_, stage = i % kStages;
      const bool ends = (tile + 1) * kKeys > work.last_slot + 1;
      if (threadIdx.x == 0) {
        const uint32_t parity = (i / kStages - 1) & 1;
        if (i >= kStages) barrier_wait(shared_address(&barriers_.empty_keys[stage]), parity);
        load(tile, keys, shared_.keys(stage), shared_address(&barriers_.full_keys[stage]));
        if (i >= kStages) barrier_wait(shared_address(&barriers_.empty_values[stage]), parity);
        load(tile, values, shared_.values(stage),
             shared_address(ends ? &barriers_.end_values : &barriers_.full_values[stage]));
      }
      if (ends) {  // only the last tile
        barrier_wait(shared_address(&barriers_.end_values), ended_++ & 1);
        clear(shared_.values(stage), work.last_slot + 1 - tile * kKeys);
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
#pragma unroll 1
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
#pragma unroll 1
    for (int i = valid * 8 + threadIdx.x; i < kKeys * 8; i += kGroupThreads) {
#pragma unroll
      for (int s = 0; s < WideShared<kDim>::kSlices; ++s) {
        asm volatile("st.shared.v4.u32 [%0], {%1, %1, %1, %1};" ::"r"(values + s * kHalfBytes + i * 16), "r"(0)
                     : "memory");
      }
    }
  }

  const AttentionArgs& a_;
  const TensorMap& cache_;
  const WideShared<kDim> shared_;
  WideBarriers& barriers_;
  const int32_t* blocks_;
  int end_block_, rows_per_block_;
  int done_ = 0, ended_ = 0;  // tiles of all pieces, those with the last key
};

}  // namespace r1
