#include "backend/cuda/kernel_params.h"
#include "block.cuh"
#include "linear_epilogue.cuh"

namespace r1 {

constexpr int kSwigluThreads = 512;

/** SwiGLU of column i out of the sums of stored rows: 8 gate, 8 up, 8 gate, and so on. */
R1_DEVICE float swiglu_column(const cuda::SwigluScaleArgs& a, const float* x, int i) {
  const int at = i / 8 * 16 + i % 8;
  float gate = __ldcg(x + at), up = __ldcg(x + at + 8);
  if (a.bias) gate = __fadd_rn(gate, a.bias[i]), up = __fadd_rn(up, a.bias[a.columns + i]);
  return swiglu(gate, up);
}

/** A power of two that brings |most| down to 2^14 or less; 1 where it is small enough or not finite. */
R1_DEVICE float row_scale(float most) {
  if (!(most > 16384.0f) || isinf(most)) return 1.0f;
  const int exponent = static_cast<int>(__float_as_uint(most) >> 23) - 127;  // 2^exponent <= most < 2^(exponent + 1)
  return __uint_as_float(static_cast<uint32_t>(exponent + 1 - 14 + 127) << 23);
}

// Grid: a block for each row. The row is read twice: for its largest value, then to be scaled.
R1_DEVICE void swiglu_scale(const cuda::SwigluScaleArgs& a) {
  __shared__ float shared[kSwigluThreads / 32];
  pdl_trigger();
  pdl_wait();
  const int64_t row = blockIdx.x;
  const float* x = a.x + row * a.ld_x;
  float most = 0.0f;
  for (int i = threadIdx.x; i < a.columns; i += kSwigluThreads) most = fmaxf(most, fabsf(swiglu_column(a, x, i)));
  const float scale = row_scale(block_max<kSwigluThreads / 32>(most, shared));
  const float inverse = 1.0f / scale;  // exact
  f16* out = static_cast<f16*>(a.out) + row * a.columns;
  for (int i = threadIdx.x; i < a.columns; i += kSwigluThreads) {
    out[i] = from_float<f16>(swiglu_column(a, x, i) * inverse);
  }
  if (threadIdx.x == 0) a.scale[row] = scale;
}

}  // namespace r1

extern "C" __global__ void __launch_bounds__(r1::kSwigluThreads) swiglu_scale_fp16(r1::cuda::SwigluScaleArgs a) {
  r1::swiglu_scale(a);
}
