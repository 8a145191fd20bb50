// Causal attention of many query rows on sm_90a with warpgroup matrix instructions, after Shah et al.,
// "FlashAttention-3", 2024: one warpgroup feeds a ring of K and V tiles by TMA, two keep 64 query members each in
// registers and take turns, so that one multiplies while the other computes its softmax.
// A member is a (row, query head) pair of one KV head: the heads of a group share their keys, and few rows of many
// heads fill a tile. Segments of keys are merged as in attention_prefill.cu; the sums of all before stay in registers.
#include "attention_wide_consumer.cuh"

namespace r1 {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

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
