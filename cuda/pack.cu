#include "backend/cuda/kernel_params.h"
#include "block.cuh"

// Grid: blocks stride over the rows; a thread moves 16 bytes at a time.
extern "C" __global__ void __launch_bounds__(256) pack_16bit(r1::cuda::PackArgs a) {
  constexpr int kValues = 8, kPieces = 64 / kValues;  // of 16 bytes, and of a row in 64 columns
  const uint4* from = static_cast<const uint4*>(a.from);
  uint4* to = static_cast<uint4*>(a.to);
  const int64_t pieces = a.cols / kValues;
  for (int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) {
    for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
      to[(i / kPieces * a.rows + row) * kPieces + i % kPieces] = __ldcs(from + row * pieces + i);
    }
  }
}
