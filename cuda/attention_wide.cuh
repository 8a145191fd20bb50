// What the threads of a block of prefill attention on sm_90a share, and its producers (attention_prefill_sm90.cu).
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
constexpr int kTilesNearEnd = 4;  // which take as long as to describe the next piece, and longer

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

/** Those of queries (of each warpgroup of consumers) and of work (of each place) are used only where blocks stay. */
struct WideBarriers {
  uint64_t full_keys[kStages], empty_keys[kStages], full_values[kStages], empty_values[kStages];
  uint64_t end_values[kStages];  // V of an item's last tile, before what lies behind the last key is cleared
  uint64_t full_queries[2], empty_queries[2];
  uint64_t full_work[2], empty_work[2];
  uint64_t near_end;  // of an item that was claimed: its last tiles are being loaded

  /** By one thread; of so many warpgroups of consumers. */
  R1_DEVICE void init(int consumers) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(shared_address(&full_keys[i]), 1);
      barrier_init(shared_address(&full_values[i]), 1);
      barrier_init(shared_address(&empty_keys[i]), 4 * consumers);
      barrier_init(shared_address(&empty_values[i]), 4 * consumers);
      barrier_init(shared_address(&end_values[i]), 1);
    }
    for (int i = 0; i < 2; ++i) {
      barrier_init(shared_address(&full_queries[i]), 1);
      barrier_init(shared_address(&empty_queries[i]), 4);
      barrier_init(shared_address(&full_work[i]), 1);
      barrier_init(shared_address(&empty_work[i]), 4 * consumers + 3);  // every warp but the one that describes
    }
    barrier_init(shared_address(&near_end), 1);
    barrier_init_fence();
  }
};
enum NamedBarrier : int { kTurn = 1, kClear = 3, kGroup = 4, kConsumers = 6 };  // kTurn and kGroup: one each
/**
 * Warps of the producers' warpgroup. All but the first clear V; where blocks stay, kQueries and the one behind it bring
 * queries, too, and the last describes work instead.
 */
enum ProducerWarp : int { kLoader = 0, kQueries = 1, kDescriber = 3 };

/** A piece of work: some rows' members and a run of their keys. In shared memory: registers are full of sums. */
struct WideWork {
  PrefillTile tile;
  int blocks;  // where those of the tile's sequence begin in the step's tail
  int group, kv_head, first_member, members, last_slot;
  int begin, end;                  // tiles of 128 keys
  int segments;                    // that some row of the tile sees
  int before;                      // dealt: the block that has the keys before these, -1 where there are none
  int ends;                        // whether no block has keys behind these; always where tiles are not dealt
  int own[2];                      // members of each warpgroup of consumers
  int open_begin[2], open_end[2];  // keys [open_begin, open_end) are visible to all of those

  R1_DEVICE int row_of(int member) const { return tile.first_row + (first_member + member) / group; }
  R1_DEVICE int head_of(int member) const { return kv_head * group + (first_member + member) % group; }
  R1_DEVICE int slot_of(const AttentionArgs& a, int member) const { return a.step.slots[row_of(member)]; }
};
R1_DEVICE int first_of(const AttentionArgs& a, int slot) { return a.window > 0 ? max(0, slot + 1 - a.window) : 0; }

/** A tile in that column of so many, with all keys of its members; members <= 0 where there are none. */
R1_DEVICE void describe_item(const AttentionArgs& a, const PrefillTile& tile, int column, int columns, WideWork& work) {
  const int parts = columns / a.kv_heads;
  work.tile = tile;
  work.blocks = a.step.sequence_begin[tile.sequence];
  work.group = a.heads / a.kv_heads;
  work.kv_head = column / parts;
  work.first_member = column % parts * 2 * kMembers;
  work.members = min(2 * kMembers, tile.rows * work.group - work.first_member);
  if (work.members <= 0) return;
  const int last = work.members - 1;
  const int slots[4] = {work.slot_of(a, 0), work.slot_of(a, min(kMembers - 1, last)),
                        work.slot_of(a, min(kMembers, last)), work.slot_of(a, last)};
  work.last_slot = slots[3];
#pragma unroll
  for (int i = 0; i < 2; ++i) {  // of the last member's keys where a group has none
    work.own[i] = min(kMembers, work.members - i * kMembers);
    work.open_begin[i] = first_of(a, slots[2 * i + 1]);
    work.open_end[i] = slots[2 * i] + 1;
  }
  const int first_block = first_of(a, slots[0]) / kBlockTokens, end_block = slots[3] / kBlockTokens + 1;
  work.segments = cuda::segment_of_tile(end_block - 1) - cuda::segment_of_tile(first_block) + 1;
  work.begin = first_block / 2, work.end = (end_block + 1) / 2;
  work.before = -1, work.ends = 1;
}

/** What is left of an item for the block that takes its segment i alone. */
R1_DEVICE void take_segment(int i, WideWork& work) {
  const int segment = cuda::segment_of_tile(2 * work.begin) + i;
  if (i >= work.segments) work.members = 0;
  work.begin = max(work.begin, cuda::first_tile_of(segment) / 2);
  work.end = min(work.end, cuda::first_tile_of(segment + 1) / 2);
}

/** The pieces of work of a block that stays, one after the other; by one thread. */
class WidePieces {
  using Piece = cuda::TileDeal::Piece;

 public:
  R1_DEVICE explicit WidePieces(const AttentionArgs& a) : a_(a) {
#pragma unroll 1
    for (int i = 0; dealt() && i < 2; ++i) first_ = left_, left_ = deal().cut(blockIdx.x + i);
  }
  /** The next one; members is 0 after the last. */
  R1_DEVICE void next(WideWork& work) {
    Piece piece;
    while (dealt() ? cut(piece) : claim(piece)) {
      describe_item(a_, a_.tiles[piece.tile], piece.column, a_.deal_columns, work);
      if (work.members <= 0 || piece.begin >= work.end) continue;
      work.ends = piece.end >= work.end;
      work.end = min(work.end, piece.end);
      if (piece.begin > 0) work.begin = piece.begin, work.before = deal().block_before(blockIdx.x, first_);
      return;
    }
    work.members = 0;
  }
  R1_DEVICE bool dealt() const { return a_.deal_total > 0; }

 private:
  R1_DEVICE cuda::TileDeal deal() const {
    return {a_.tiles, a_.deal_count, a_.deal_total, a_.deal_columns, static_cast<int>(gridDim.x)};
  }
  /** Of the block's part the last piece that is left, if any. */
  R1_DEVICE bool cut(Piece& piece) {
    if (left_ <= first_) return false;
    piece = deal().piece(first_, left_);
    left_ -= piece.end - piece.begin;
    return true;
  }
  /** After the block's first item the next that nobody has, if any: those with the most keys are first. */
  R1_DEVICE bool claim(Piece& piece) {
    int item = blockIdx.x;
    if (claims_++ > 0) {
      pdl_wait();  // a kernel before this one may have the counters
      item = static_cast<int>(gridDim.x) + atomicAdd(a_.arrived, 1);
    }
    piece = {item % a_.deal_columns, item / a_.deal_columns, 0, INT32_MAX};
    if (piece.tile < a_.deal_count) return true;
    // The last block leaves the counters as they were found.
    if (atomicAdd(a_.arrived + 1, 1) == static_cast<int>(gridDim.x) - 1) a_.arrived[0] = a_.arrived[1] = 0;
    return false;
  }

  const AttentionArgs& a_;
  int64_t first_ = 0, left_ = 0;  // dealt: [first, left) is what is left of the block's part
  int claims_ = 0;
};

/**
 * Describes the block's work, a piece ahead of the others; by one thread. Behind the last comes one without members. An
 * item is not claimed before the one before it comes to its end, so that blocks with short ones take more.
 */
R1_DEVICE void describe(const AttentionArgs& a, WideBarriers& barriers, WideWork (&works)[2]) {
  WidePieces pieces(a);
#pragma unroll 1
  for (int i = 0;; ++i) {
    WideWork& work = works[i % 2];
    if (i >= 1 && !pieces.dealt()) barrier_wait(shared_address(&barriers.near_end), (i - 1) & 1);
    if (i >= 2) barrier_wait(shared_address(&barriers.empty_work[i % 2]), (i / 2 - 1) & 1);
    pieces.next(work);
    const bool last = work.members <= 0;
    barrier_arrive(shared_address(&barriers.full_work[i % 2]));
    if (last) return;
  }
}
/** Calls take(work) for each piece of the block; whole warps do, all but the one that describes. */
template <bool kStays, class Take>
R1_DEVICE void for_each_work(WideBarriers& barriers, const WideWork (&works)[2], const Take& take) {
  if constexpr (kStays) {
#pragma unroll 1
    for (int i = 0;; ++i) {
      const WideWork& work = works[i % 2];
      barrier_wait(shared_address(&barriers.full_work[i % 2]), i / 2 & 1);
      if (work.members <= 0) return;
      take(work);
      __syncwarp();
      if (threadIdx.x % 32 == 0) barrier_arrive(shared_address(&barriers.empty_work[i % 2]));
    }
  } else {
    take(works[0]);
  }
}

/** Brings the queries of a group's members to where they belong, zeros for members that do not exist; by kThreads. */
template <int kDim, int kThreads>
class WideQueries {
  static constexpr int kChunks = kDim / 8;                // of 16 bytes
  static constexpr int kAtOnce = kThreads / kChunks;      // members
  static constexpr int kRun = kAtOnce < 8 ? 8 : kAtOnce;  // members after which the swizzle begins anew

 public:
  R1_DEVICE WideQueries(const AttentionArgs& a, const WideWork& work, int group, int thread)
      : heads_(work.group), own_(work.own[group]), member_(thread / kChunks), chunk_(thread % kChunks) {
    const int first = work.first_member + group * kMembers + member_;
    const int64_t row = work.tile.first_row + first / heads_, stride = int64_t{a.heads + 2 * a.kv_heads} * kDim * 2;
    head_ = first % heads_;
    from_ = static_cast<const char*>(a.qkv) + row * stride + ((work.kv_head * heads_ + head_) * kChunks + chunk_) * 16;
    wrap_ = static_cast<int>(stride) - heads_ * kDim * 2;
    step_ = kAtOnce * kDim * 2 + kAtOnce / heads_ * wrap_;
  }
  R1_DEVICE void load(uint32_t to) {
    uint32_t places[kRun / kAtOnce];
#pragma unroll
    for (int i = 0; i < kRun / kAtOnce; ++i) {
      const int member = i * kAtOnce + member_;
      places[i] = to + chunk_ / 8 * (kMembers * 128) + member * 128 + ((chunk_ ^ member) & 7) * 16;
    }
    const int heads = kAtOnce % heads_;
#pragma unroll 1
    for (int run = 0; run < kMembers; run += kRun) {
#pragma unroll
      for (int i = 0; i < kRun / kAtOnce; ++i) {
        cp_async_16(places[i] + run * 128, from_, run + i * kAtOnce + member_ < own_);
        from_ += step_, head_ += heads;
        if (head_ >= heads_) head_ -= heads_, from_ += wrap_;
      }
    }
    cp_async_commit();
    cp_async_wait<0>();
    async_proxy_fence();
  }

 private:
  const int heads_, own_, member_, chunk_;
  const char* from_;
  int head_, wrap_, step_;  // wrap: from a row's last head to the next row's first
};

/** Brings tiles of K and V; one thread does. Where items are `claimed` it says when one comes to its end. */
template <int kDim>
class WideLoader {
 public:
  R1_DEVICE WideLoader(const AttentionArgs& a, const TensorMap& cache, WideShared<kDim> shared, WideBarriers& barriers,
                       bool claimed)
      : a_(a), cache_(cache), shared_(shared), barriers_(barriers), claimed_(claimed) {}

  R1_DEVICE void run(const WideWork& work) {
    const int32_t* const blocks = a_.step.tail + work.blocks;
    const int end = work.end, keys_end = work.last_slot + 1, end_block = work.last_slot / kBlockTokens + 1;
    const int rows_per_block = static_cast<int>(a_.kv.block_bytes / (kDim * 2));
    const int head = work.kv_head * kBlockTokens;
    const int keys = static_cast<int>(a_.kv.k_offset / (kDim * 2)) + head;
    const int values = static_cast<int>(a_.kv.v_offset / (kDim * 2)) + head;
#pragma unroll 1
    for (int tile = work.begin; tile < end; ++tile, ++done_) {
      const int i = done_, stage = i % kStages;
      if (claimed_ && tile == max(work.begin, end - kTilesNearEnd)) barrier_arrive(shared_address(&barriers_.near_end));
      const uint32_t parity = (i / kStages - 1) & 1;
      const bool ends = (tile + 1) * kKeys > keys_end;
      const bool both = 2 * tile + 1 < end_block;
      // Before the stages are waited for: these loads take a while, too.
      const int first = blocks[2 * tile] * rows_per_block;
      const int second = both ? blocks[2 * tile + 1] * rows_per_block : -1;
      if (i >= kStages) barrier_wait(shared_address(&barriers_.empty_keys[stage]), parity);
      load(first + keys, second < 0 ? -1 : second + keys, shared_.keys(stage),
           shared_address(&barriers_.full_keys[stage]));
      if (i >= kStages) barrier_wait(shared_address(&barriers_.empty_values[stage]), parity);
      load(first + values, second < 0 ? -1 : second + values, shared_.values(stage),
           shared_address(ends ? &barriers_.end_values[stage] : &barriers_.full_values[stage]));
    }
  }

 private:
  /** The blocks of a tile, which begin with these rows of the cache; the second is -1 where there is none. */
  R1_DEVICE void load(int first, int second, uint32_t to, uint32_t barrier) {
    const uint64_t policy = l2_evict_normal();
    barrier_expect(barrier, WideShared<kDim>::kTileBytes / (second < 0 ? 2 : 1));
#pragma unroll
    for (int s = 0; s < WideShared<kDim>::kSlices; ++s) {
      tensor_load(to + s * kHalfBytes, &cache_, s * 64, first, barrier, policy);
    }
    if (second < 0) return;
#pragma unroll
    for (int s = 0; s < WideShared<kDim>::kSlices; ++s) {
      tensor_load(to + s * kHalfBytes + kHalfBytes / 2, &cache_, s * 64, second, barrier, policy);
    }
  }

  const AttentionArgs& a_;
  const TensorMap& cache_;
  const WideShared<kDim> shared_;
  WideBarriers& barriers_;
  const bool claimed_;
  int done_ = 0;  // tiles of all pieces
};

/** Clears V behind an item's last key: the weights there are 0, and what memory holds might be NaN. By kThreads. */
template <int kDim, int kThreads>
class WideClearer {
 public:
  R1_DEVICE WideClearer(WideShared<kDim> shared, WideBarriers& barriers, int thread)
      : shared_(shared), barriers_(barriers), thread_(thread) {}

  R1_DEVICE void run(const WideWork& work) {
    done_ += work.end - work.begin;
    const int stage = (done_ - 1) % kStages, valid = work.last_slot + 1 - (work.end - 1) * kKeys;
    if (valid >= kKeys) return;
    barrier_wait(shared_address(&barriers_.end_values[stage]), ended_ >> stage & 1);
    ended_ ^= 1u << stage;
#pragma unroll 1
    for (int i = valid * 8 + thread_; i < kKeys * 8; i += kThreads) {
#pragma unroll
      for (int s = 0; s < WideShared<kDim>::kSlices; ++s) {
        store_shared_float4(shared_.values(stage) + s * kHalfBytes + i * 16, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
      }
    }
    async_proxy_fence();
    __syncwarp();
    named_sync(kClear, kThreads);
    if (thread_ == 0) barrier_arrive(shared_address(&barriers_.full_values[stage]));
  }

 private:
  const WideShared<kDim> shared_;
  WideBarriers& barriers_;
  const int thread_;
  int done_ = 0;        // tiles of all pieces
  uint32_t ended_ = 0;  // of each stage a bit: whether end_values has had an odd number of tiles
};

}  // namespace r1
