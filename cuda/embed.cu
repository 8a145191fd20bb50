#include "backend/cuda/kernel_params.h"
#include "ptx.cuh"

namespace r1 {

// Grid: a block for each row of the step; its threads run over the columns.
template <class T>
R1_DEVICE void embed(const cuda::EmbedArgs& a) {
  pdl_trigger();
  const int64_t row = blockIdx.x;
  int64_t token = a.step.tokens[row];
  if (token < 0) token = max(a.step.results[-1 - token].token, 0);  // -1 where nothing could be drawn
  const T* from = static_cast<const T*>(a.table) + token * a.ld;
  float* to = a.residual + row * a.hidden;
  for (int i = threadIdx.x; i < a.hidden; i += blockDim.x) to[i] = to_float(from[i]);
}

}  // namespace r1

extern "C" __global__ void __launch_bounds__(256) embed_f32(r1::cuda::EmbedArgs a) { r1::embed<float>(a); }
extern "C" __global__ void __launch_bounds__(256) embed_bf16(r1::cuda::EmbedArgs a) { r1::embed<r1::bf16>(a); }
extern "C" __global__ void __launch_bounds__(256) embed_fp16(r1::cuda::EmbedArgs a) { r1::embed<r1::f16>(a); }
