// Linear layers of the sm_75 family: fp16, two stages filled through registers, mma.sync m16n8k8.
#include "linear_mma.cuh"

// linear_sm75_decode_fp16_t<TN>: 64 weight rows, a warp for each 16. linear_sm75_prefill_fp16: 128 x 128.
#define R1_LINEAR_KERNEL(name, threads, ...)                          \
  extern "C" __global__ void __launch_bounds__(threads) name(         \
      const __grid_constant__ r1::cuda::LinearMmaParams params) {     \
    r1::linear_mma<false, r1::f16, r1::MmaTile<__VA_ARGS__>>(params); \
  }

R1_LINEAR_KERNEL(linear_sm75_decode_fp16_t8, 128, 64, 8, 4, 1)
R1_LINEAR_KERNEL(linear_sm75_decode_fp16_t16, 128, 64, 16, 4, 1)
R1_LINEAR_KERNEL(linear_sm75_decode_fp16_t32, 128, 64, 32, 4, 1)
R1_LINEAR_KERNEL(linear_sm75_decode_fp16_t64, 128, 64, 64, 4, 1)
R1_LINEAR_KERNEL(linear_sm75_prefill_fp16, 256, 128, 128, 4, 2)
