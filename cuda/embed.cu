#include "backend/cuda/kernel_params.h"
#include "block.cuh"

namespace r1 {

using cuda::kSquaresOf;

// What the first norm needs of a row: a warp takes 64 columns at a time.
template <class T>
R1_DEVICE void prepare_row(const cuda::EmbedArgs& a, const T* from, int64_t row) {
  const int lane = threadIdx.x % 32, groups = cuda::squares_count(a.hidden);
  T* scaled = static_cast<T*>(a.scaled) + row * a.hidden;
  for (int g = threadIdx.x / 32; g < groups; g += blockDim.x / 32) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < kSquaresOf / 32; ++i) {
      const int c = g * kSquaresOf + i * 32 + lane;
      if (c >= a.hidden) break;
      const float v = to_float(from[c]);
      scaled[c] = from_float<T>(__fmul_rn(v, a.gain[c]));
      sum = fmaf(v, v, sum);
    }
    sum = warp_sum(sum);
    const int64_t at = row * cuda::squares_pitch(groups);
    if (lane == 0 && a.halves) {
      *reinterpret_cast<float2*>(a.squares + 2 * (at + g)) = make_float2(sum, 0.0f);
    } else if (lane == 0) {
      a.squares[at + g] = sum;
    }
  }
}

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
  if (a.gain) prepare_row(a, from, row);
}

}  // namespace r1

extern "C" __global__ void __launch_bounds__(256) embed_f32(r1::cuda::EmbedArgs a) { r1::embed<float>(a); }
extern "C" __global__ void __launch_bounds__(256) embed_bf16(r1::cuda::EmbedArgs a) { r1::embed<r1::bf16>(a); }
extern "C" __global__ void __launch_bounds__(256) embed_fp16(r1::cuda::EmbedArgs a) { r1::embed<r1::f16>(a); }
