// What the threads of a block of prefill attention on sm_90a share, and its producer (attention_prefill_sm90.cu).
#pragma once
#include "kv_cache.cuh"
#include "ptx.cuh"

namespace r1 {

using cuda::AttentionArgs;
using cuda::PrefillTile;

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

}  // namespace r1
