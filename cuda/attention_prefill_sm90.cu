// Causal attention of many query rows on sm_90a with warpgroup matrix instructions, after Shah et al.,
// "FlashAttention-3", 2024: one warpgroup feeds a ring of K and V tiles by TMA, two keep the sums of 64 query members
// each in registers and take turns, so that one multiplies while the other computes its softmax. In its turn a group
// starts Q K^T of the next tile and P V of this one: its softmax of the next runs while P V does.
// A member is a (row, query head) pair of one KV head: the heads of a group share their keys, and few rows of many
// heads fill a tile. Segments of keys are merged as in attention_prefill.cu; the sums of all before lie in shared
// memory.
#include "attention_wide_consumer.cuh"

namespace r1 {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/** Of a warpgroup; false after the last. */
R1_DEVICE bool next_piece(const WidePieces<true>& pieces, const WideWork& work, int barrier) {
  __syncwarp();
  named_sync(barrier, kGroupThreads);  // nobody needs to know any more what the piece before was
  if (threadIdx.x % kGroupThreads == 0) pieces.next();
  __syncwarp();
  named_sync(barrier, kGroupThreads);
  return work.members > 0;
}
template <class Pieces>
R1_DEVICE bool next_piece(const Pieces&, const WideWork&, int) {
  return false;
}

// Grid, dealt: any number of blocks, among whom tiles are dealt (attention_deal.h). Else x KV heads times the parts of
// 128 members that a tile of rows has at most, y tiles of up to 128 rows of one sequence, those with the most keys
// first; z: 1, or where blocks are few as many as there are segments.
template <int kDim, bool kDealt>
R1_DEVICE void attention_prefill_wide(const TensorMap& cache, const AttentionArgs& a) {
  extern __shared__ __align__(1024) uint8_t dynamic[];
  __shared__ WideBarriers barriers;
  __shared__ WideWork works[3];
  WideWork& work = works[threadIdx.x / kGroupThreads];
  const WidePieces<kDealt> pieces(a, work);
  if (threadIdx.x % kGroupThreads == 0) pieces.begin();
  __syncthreads();
  if (work.members <= 0) return;
  const WideShared<kDim> shared{(shared_address(dynamic) + 1023) & ~1023u};
  const int consumers = kDealt || work.members > kMembers ? 2 : 1;
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
    WideProducer<kDim> producer(a, cache, shared, barriers);
    do {
      producer.run(work);
    } while (kDealt && next_piece(pieces, work, kProducers));
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(WideShared<kDim>::kConsumerRegisters));
    const int group = threadIdx.x / kGroupThreads - 1;
    if (group >= consumers) return;
    if (consumers == 2 && group == 1) named_arrive(kTurn, 2 * kGroupThreads);  // the first turn
    WideConsumer<kDim, kDealt> consumer(a, work, shared, barriers, consumers == 2);
    do {
      consumer.run();
    } while (kDealt && next_piece(pieces, work, kGroup + group));
  }
}

#endif  // __CUDA_ARCH_FEAT_SM90_ALL

}  // namespace r1

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define R1_WIDE_BODY(dim, dealt) r1::attention_prefill_wide<dim, dealt>(cache, args)
#else
#define R1_WIDE_BODY(dim, dealt)
#endif
#define R1_WIDE_KERNEL(name, dim, dealt)                                                                   \
  extern "C" __global__ void __launch_bounds__(384, 1) attention_prefill_sm90_##name##bf16_d##dim(         \
      const __grid_constant__ r1::TensorMap cache, const __grid_constant__ r1::cuda::AttentionArgs args) { \
    R1_WIDE_BODY(dim, dealt);                                                                              \
  }
R1_WIDE_KERNEL(, 64, false)
R1_WIDE_KERNEL(, 128, false)
R1_WIDE_KERNEL(dealt_, 64, true)
R1_WIDE_KERNEL(dealt_, 128, true)
