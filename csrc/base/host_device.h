// For functions that g++ and nvcc compile alike.
#pragma once

#if defined(__CUDACC__)
#define R1_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define R1_HOST_DEVICE inline
#endif
