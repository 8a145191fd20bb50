// The first kernel of a decode step: brings the step's arrays from host memory. A copy in the stream would have the
// card change between its copy engine and its kernels twice a step.
//
// Which step: the host packs steps into two places in turn, and packs the next while this one runs or waits, so a graph
// cannot know the place. Each place has its step's number, and numbers ascend; steps run in order, so this step is the
// first one above the last that was taken. Its place was packed before it was launched, and is packed anew only once
// its results were read (StepBuffer). The other place has a step that was taken before, or the next one, perhaps half
// packed: its number is not above the last taken, or above this step's, and nothing else of it is used. A step whose
// arrays are copied has a number, too, and no pieces. Where no number is above the last taken the step is run again.
//
// Order: this kernel and the one behind it are launched without overlap (StepBuffer::fetch). So it starts when all of
// the step before has ended, whose kernels read the arrays and the results; and no kernel of this step starts before it
// has ended and what it wrote is visible, as each starts after the one before it has started. All of them may read the
// arrays before their pdl_wait().
#include "backend/cuda/kernel_params.h"
#include "ptx.cuh"

namespace r1 {

using cuda::kFetchThreads;

/** Not from a cache, and not into one: the host writes there. */
R1_DEVICE uint4 read_host(const uint4* from) { return __ldcv(from); }

R1_DEVICE int64_t number_of(uint4 head) { return static_cast<int64_t>(uint64_t{head.y} << 32 | head.x); }

// One block. Its threads read the first pieces of both places at once, which is all of a short step: a read of host
// memory takes longer than what else there is to do.
R1_DEVICE void fetch_step(const cuda::StepFetchArgs& a) {
  __shared__ int place, pieces;
  const auto* first = reinterpret_cast<const uint4*>(a.places[0]);
  const auto* second = reinterpret_cast<const uint4*>(a.places[1]);
  auto* to = reinterpret_cast<uint4*>(a.to);
  const int thread = threadIdx.x;
  uint4 of_first = {}, of_second = {};
  if (thread < a.ahead) of_first = read_host(first + thread), of_second = read_host(second + thread);
  if (thread == 0) {
    const int64_t taken = __ldcg(a.taken), x = number_of(of_first), y = number_of(of_second);
    place = x > taken && (y <= taken || x < y) ? 0 : y > taken ? 1 : -1;
    pieces = static_cast<int>(place == 0 ? of_first.z : of_second.z);
    if (place >= 0) *a.taken = place == 0 ? x : y;
  }
  __syncthreads();
  if (place < 0) return;
  if (thread < min(a.ahead, pieces)) to[thread] = place == 0 ? of_first : of_second;
  const uint4* from = place == 0 ? first : second;
  constexpr int kAtOnce = 4;
  for (int begin = a.ahead + thread; begin < pieces; begin += kAtOnce * kFetchThreads) {
    uint4 v[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (begin + i * kFetchThreads < pieces) v[i] = read_host(from + begin + i * kFetchThreads);
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (begin + i * kFetchThreads < pieces) to[begin + i * kFetchThreads] = v[i];
    }
  }
}

}  // namespace r1

extern "C" __global__ void __launch_bounds__(r1::cuda::kFetchThreads) step_fetch(r1::cuda::StepFetchArgs a) {
  r1::fetch_step(a);
}
