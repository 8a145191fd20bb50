// Linear layers of the sm_80 family: bf16 and fp16, cp.async, mma.sync m16n8k16.
#include "linear_mma.cuh"

#if __CUDA_ARCH__ >= 800
#define R1_LINEAR_BODY(type, ...) r1::linear_mma<true, r1::type, r1::MmaTile<__VA_ARGS__>>(params)
#else
#define R1_LINEAR_BODY(type, ...)
#endif

// linear_sm80_decode_<type>_t<TN>: 64 weight rows, a warp for each 16. linear_sm80_prefill_<type>: 128 x 128.
#define R1_LINEAR_KERNEL(name, threads, type, ...)                \
  extern "C" __global__ void __launch_bounds__(threads) name(     \
      const __grid_constant__ r1::cuda::LinearMmaParams params) { \
    R1_LINEAR_BODY(type, __VA_ARGS__);                            \
  }

R1_LINEAR_KERNEL(linear_sm80_decode_bf16_t8, 128, bf16, 64, 8, 4, 1)
R1_LINEAR_KERNEL(linear_sm80_decode_bf16_t16, 128, bf16, 64, 16, 4, 1)
R1_LINEAR_KERNEL(linear_sm80_decode_bf16_t32, 128, bf16, 64, 32, 4, 1)
R1_LINEAR_KERNEL(linear_sm80_decode_bf16_t64, 128, bf16, 64, 64, 4, 1)
R1_LINEAR_KERNEL(linear_sm80_prefill_bf16, 256, bf16, 128, 128, 4, 2)
R1_LINEAR_KERNEL(linear_sm80_decode_fp16_t8, 128, f16, 64, 8, 4, 1)
R1_LINEAR_KERNEL(linear_sm80_decode_fp16_t16, 128, f16, 64, 16, 4, 1)
R1_LINEAR_KERNEL(linear_sm80_decode_fp16_t32, 128, f16, 64, 32, 4, 1)
R1_LINEAR_KERNEL(linear_sm80_decode_fp16_t64, 128, f16, 64, 64, 4, 1)
R1_LINEAR_KERNEL(linear_sm80_prefill_fp16, 256, f16, 128, 128, 4, 2)
