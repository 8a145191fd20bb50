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

// Grid, of blocks that stay: one to an SM, which take items (a tile of up to 128 rows of one sequence in one column: a
// KV head's part of 128 members) one after the other, those with the most keys first, or what is dealt to them
// (attention_deal.h). While an item is computed the next is described, and its K, V and queries are brought as soon as
// there is room. Else x columns, y tiles; z: 1, or where blocks are few as many as there are segments.
template <int kDim, bool kStays>
R1_DEVICE void attention_prefill_wide(const TensorMap& cache, const AttentionArgs& a) {
  extern __shared__ __align__(1024) uint8_t dynamic[];
  __shared__ WideBarriers barriers;
  __shared__ WideWork works[2];
  const WideShared<kDim> shared{(shared_address(dynamic) + 1023) & ~1023u};
  if (!kStays) {
    if (threadIdx.x == 0) {
      describe_item(a, a.tiles[blockIdx.y], blockIdx.x, gridDim.x, works[0]);
      if (works[0].members > 0 && gridDim.z > 1) take_segment(blockIdx.z, works[0]);
    }
    __syncthreads();
    if (works[0].members <= 0) return;
  }
  const int consumers = kStays || works[0].members > kMembers ? 2 : 1;
  if (threadIdx.x == 0) {
    barriers.init(consumers);
    tensor_prefetch(&cache);
    if (!kStays) pdl_trigger();  // blocks that stay have all SMs to the end, and room for no other
  }
  __syncthreads();
  if (threadIdx.x < kGroupThreads) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(WideShared<kDim>::kProducerRegisters));
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (kStays && warp == kDescriber) {
      if (lane == 0) describe(a, barriers, works);
      return;
    }
    pdl_wait();
    if (warp == kLoader) {
      WideLoader<kDim> loader(a, cache, shared, barriers, kStays && a.deal_total == 0);
      for_each_work<kStays>(barriers, works, [&](const WideWork& work) {
        if (lane == 0) loader.run(work);
      });
      return;
    }
    WideClearer<kDim, kStays ? 64 : 96> clearer(shared, barriers, threadIdx.x - 32 * kQueries);
    const int group = warp - kQueries;
    int pieces = 0;
    for_each_work<kStays>(barriers, works, [&](const WideWork& work) {
      if (kStays && pieces++ > 0) {  // of the first piece the consumers do
        WideQueries<kDim, 32> queries(a, work, group, lane);
        barrier_wait(shared_address(&barriers.empty_queries[group]), pieces & 1);
        queries.load(shared.queries(group));
        __syncwarp();
        if (lane == 0) barrier_arrive(shared_address(&barriers.full_queries[group]));
      }
      clearer.run(work);
    });
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(WideShared<kDim>::kConsumerRegisters));
    const int group = threadIdx.x / kGroupThreads - 1;
    if (group >= consumers) return;
    pdl_wait();
    if (consumers == 2 && group == 1) named_arrive(kTurn, 2 * kGroupThreads);  // the first turn
    WideConsumer<kDim, kStays> consumer(a, shared, barriers, consumers == 2);
    for_each_work<kStays>(barriers, works, [&](const WideWork& work) { consumer.run(work); });
  }
}

#endif  // __CUDA_ARCH_FEAT_SM90_ALL

}  // namespace r1

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define R1_WIDE_BODY(dim, stays) r1::attention_prefill_wide<dim, stays>(cache, args)
#else
#define R1_WIDE_BODY(dim, stays)
#endif
#define R1_WIDE_KERNEL(name, dim, stays)                                                                   \
  extern "C" __global__ void __launch_bounds__(384, 1) attention_prefill_sm90_##name##bf16_d##dim(         \
      const __grid_constant__ r1::TensorMap cache, const __grid_constant__ r1::cuda::AttentionArgs args) { \
    R1_WIDE_BODY(dim, stays);                                                                              \
  }
R1_WIDE_KERNEL(, 64, false)
R1_WIDE_KERNEL(, 128, false)
R1_WIDE_KERNEL(staying_, 64, true)
R1_WIDE_KERNEL(staying_, 128, true)
