// A warpgroup that computes 64 query members of prefill attention on sm_90a (attention_prefill_sm90.cu).
#pragma once
#include "attention_state.cuh"
#include "attention_wide.cuh"
#include "wgmma.cuh"

namespace r1 {

template <int kDim, bool kStays>
class WideConsumer {
  using State = AttentionState<kDim>;

 public:
  R1_DEVICE WideConsumer(const AttentionArgs& a, WideShared<kDim> shared, WideBarriers& barriers, bool shared_turns)
      : a_(a),
        shared_(shared),
        barriers_(barriers),
        group_(uniform(threadIdx.x / kGroupThreads) - 1),
        shared_turns_(shared_turns) {}

  /** A piece of work; without members of its own the group takes its turns all the same. */
  R1_DEVICE void run(const WideWork& work) {
    work_ = &work;
#pragma unroll
    for (int i = 0; i < 2; ++i) last_[i] = slot(min(member(i), work_->own[group_] - 1));
    begin_queries();
    state_.clear();
    fresh_ = true, has_total_ = false;
    if (kStays && work_->before >= 0) take_over();
    float s[kKeys / 8][4], shrink[2];
    uint32_t p[kKeys / 16][4];
    barrier_wait(full(barriers_.full_keys, done_), parity(done_));
    begin_turn();
    multiply_keys(done_, s);
    end_turn();
    wgmma_wait<0>();
    wgmma_pin(s);
    release(barriers_.empty_keys, done_);
    if (work_->begin + 1 == work_->end) end_queries();
    soften(work_->begin, s, state_, shrink);
    pack(s, p);
    barrier_wait(full(barriers_.full_values, done_), parity(done_));
#pragma unroll 1
    for (int tile = work_->begin; tile + 1 < work_->end; ++tile) {
      const int i = uniform(done_++);
      barrier_wait(full(barriers_.full_keys, i + 1), parity(i + 1));
      begin_turn();
      multiply_keys(i + 1, s);
      add_values(i, p, shrink);
      end_turn();
      wgmma_wait<1>();
      wgmma_pin(s);
      release(barriers_.empty_keys, i + 1);
      if (tile + 2 == work_->end) end_queries();
      const bool ends = ends_segment(tile);
      RowSums next = state_;
      if (ends) next.clear();
      soften(tile + 1, s, next, shrink);
      // Before the products are waited for, not after: the branch keeps the compiler from waiting for those at once.
      barrier_wait(full(barriers_.full_values, i + 1), parity(i + 1));
      end_values(i, p);
      pack(s, p);
      if (ends) {
        end_segment();
        keep_total();
      }
      static_cast<RowSums&>(state_) = next;
    }
    const int i = uniform(done_++);
    begin_turn();
    add_values(i, p, shrink);
    end_turn();
    end_values(i, p);
    end_segment();
    finish();
  }

 private:
  /** What all threads of a warp have alike, so that the compiler knows and keeps what follows in uniform registers. */
  R1_DEVICE static int uniform(int v) { return __shfl_sync(~0u, v, 0); }
  R1_DEVICE static uint32_t full(const uint64_t (&barriers)[kStages], int i) {
    return shared_address(&barriers[i % kStages]);
  }
  R1_DEVICE static int parity(int i) { return i / kStages & 1; }
  R1_DEVICE static void release(const uint64_t (&barriers)[kStages], int i) {
    if (threadIdx.x % 32 == 0) barrier_arrive(full(barriers, i));
  }
  R1_DEVICE int first_member() const { return group_ * kMembers; }
  /** Of one of the group's members, or of the piece's last where the group has none. */
  R1_DEVICE int slot(int member) const { return work_->slot_of(a_, min(first_member() + member, work_->members - 1)); }
  R1_DEVICE float weight_factor() const { return a_.scale * 1.44269504f; }

  // The other warpgroup computes its softmax meanwhile. The first turn is the first one's.
  R1_DEVICE void begin_turn() const {
    if (kStays || shared_turns_) named_sync(kTurn + group_, 2 * kGroupThreads);
  }
  R1_DEVICE void end_turn() const {
    if (kStays || shared_turns_) named_arrive(kTurn + 1 - group_, 2 * kGroupThreads);
  }

  /** The first are brought by the group itself, which has nothing else to do. */
  R1_DEVICE void begin_queries() {
    if (kStays && pieces_++ > 0) {
      barrier_wait(shared_address(&barriers_.full_queries[group_]), pieces_ & 1);
    } else {
      WideQueries<kDim, kGroupThreads>(a_, *work_, group_, threadIdx.x % kGroupThreads).load(shared_.queries(group_));
      group_sync();
    }
  }
  /** No product reads them any more. */
  R1_DEVICE void end_queries() const {
    if (kStays && threadIdx.x % 32 == 0) barrier_arrive(shared_address(&barriers_.empty_queries[group_]));
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
  /** The scores of a tile become weights. */
  R1_DEVICE void soften(int tile, float (&s)[kKeys / 8][4], RowSums& sums, float (&shrink)[2]) const {
    const int first_key = tile * kKeys;
    if (first_key < work_->open_begin[group_] || first_key + kKeys > work_->open_end[group_]) {
#pragma unroll
      for (int i = 0; i < 2; ++i) State::mask(s, i, first_key, first_of(a_, last_[i]), last_[i]);
    }
    sums.take(s, weight_factor(), shrink);
  }

  R1_DEVICE static void pack(const float (&s)[kKeys / 8][4], uint32_t (&p)[kKeys / 16][4]) {
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
#pragma unroll
      for (int i = 0; i < 4; ++i) p[k][i] = pack2<bf16>(s[2 * k + i / 2][i % 2 * 2], s[2 * k + i / 2][i % 2 * 2 + 1]);
    }
  }

  /** Starts o = o * shrink + P V with P rounded to bf16; o = P V for the first tile of a segment. */
  R1_DEVICE void add_values(int i, const uint32_t (&p)[kKeys / 16][4], const float (&shrink)[2]) {
    if (!fresh_ && __any_sync(~0u, shrink[0] != 1.0f || shrink[1] != 1.0f)) state_.shrink_by(shrink);
    const uint64_t v = wgmma_rows(shared_.values(i % kStages), kHalfBytes);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) WgmmaValues<kDim>::multiply_add(state_.o, p[k], v + k * 128, k > 0 || !fresh_);
    wgmma_commit();
    fresh_ = false;
  }
  R1_DEVICE void end_values(int i, uint32_t (&p)[kKeys / 16][4]) {
    wgmma_wait<0>();
    wgmma_pin(state_.o);
    wgmma_pin(p);
    release(barriers_.empty_values, i);
  }

  R1_DEVICE static bool ends_segment(int tile) {
    const int next_block = 2 * (tile + 1);
    return cuda::first_tile_of(cuda::segment_of_tile(next_block)) == next_block;
  }
  /** The state is then that of all keys so far. */
  R1_DEVICE void end_segment() {
    state_.close();
    if (!has_total_) return;
    const auto total = [&](int n) { return load_shared_float4(shared_.totals(group_) + n * kGroupThreads * 16); };
    state_.merge_into(total_sums_, total, weight_factor());
  }
  /** What end_segment() or another block left is that of the segments before. */
  R1_DEVICE void keep_total() {
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      const float(&o)[4] = state_.o[n];
      store_shared_float4(shared_.totals(group_) + n * kGroupThreads * 16, make_float4(o[0], o[1], o[2], o[3]));
    }
    total_sums_ = make_float4(state_.m[0], state_.l[0], state_.m[1], state_.l[1]);
    static_cast<RowSums&>(state_).clear();
    fresh_ = has_total_ = true;
  }

  R1_DEVICE bf16* output(int member) const {
    const int m = first_member() + member;
    return static_cast<bf16*>(a_.out) + (int64_t{work_->row_of(m)} * a_.heads + work_->head_of(m)) * kDim;
  }

  /** This thread's part of the result that a block hands to a later one. */
  R1_DEVICE int handed(int block) const { return block * 2 + group_; }
  R1_DEVICE float4* handed_state(int block) const {
    return reinterpret_cast<float4*>(a_.partials) + int64_t{handed(block)} * cuda::prefill_partial(kDim);
  }
  R1_DEVICE void group_sync() const { named_sync(kGroup + group_, kGroupThreads); }

  R1_DEVICE void hand_over() const {
    state_.save(handed_state(blockIdx.x));
    group_sync();
    if (threadIdx.x % kGroupThreads == 0) {
      __threadfence();
      atomicExch(a_.arrived + handed(blockIdx.x), 1);
    }
  }
  /** Of a block with a lower index, which has begun before this one and taken that piece first. */
  R1_DEVICE void take_over() {
    if (threadIdx.x % kGroupThreads == 0) {
      int32_t* flag = a_.arrived + handed(work_->before);
      while (atomicCAS(flag, 1, 0) == 0) __nanosleep(100);
      __threadfence();
    }
    __syncwarp();
    group_sync();
    state_.load(handed_state(work_->before));
    keep_total();
  }

  R1_DEVICE void finish() {
    if (kStays && !work_->ends) return hand_over();
    if (kStays || gridDim.z == 1 || work_->segments == 1) {
      bf16* const rows[2] = {member(0) < work_->own[group_] ? output(member(0)) : nullptr,
                             member(1) < work_->own[group_] ? output(member(1)) : nullptr};
      return state_.store(rows);
    }
    const int64_t part = (int64_t{blockIdx.y} * gridDim.x + blockIdx.x) * 2 + group_;
    float4* partials = reinterpret_cast<float4*>(a_.partials) + part * gridDim.z * cuda::prefill_partial(kDim);
    state_.save(partials + blockIdx.z * cuda::prefill_partial(kDim));
    __shared__ bool last[2];
    named_sync(kConsumers, shared_turns_ ? 2 * kGroupThreads : kGroupThreads);  // K and V have been read by both
    if (threadIdx.x % kGroupThreads == 0) last[group_] = last_to_arrive(a_.arrived + part, work_->segments);
    const auto sync = [&] { group_sync(); };
    sync();
    if (!last[group_]) return;
    extern __shared__ __align__(1024) uint8_t dynamic[];
    const SegmentMerger<kDim> merger{partials, work_->segments, work_->own[group_],
                                     dynamic + group_ * cuda::merge_bytes(work_->segments)};
    merger.template run<bf16>(weight_factor(), sync, [&](int member) { return output(member); });
  }

  const AttentionArgs& a_;
  const WideShared<kDim> shared_;
  const WideBarriers& barriers_;
  const int group_;
  const bool shared_turns_;
  const WideWork* work_;
  int pieces_ = 0, done_ = 0;  // pieces of work, tiles of all of them
  int last_[2];                // slots of this thread's rows
  State state_;                // of this segment
  float4 total_sums_;  // maxima and sums of weights of the segments before, whose accumulators are in shared memory
  bool has_total_;     // whether there are any
  bool fresh_;         // whether no P V of this segment has been started
};

}  // namespace r1
