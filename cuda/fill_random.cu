#include "backend/cuda/kernel_params.h"
#include "backend/random_weights.h"
#include "ptx.cuh"

namespace r1 {

/** Rounds as a checkpoint of DType `stored` (0 f32, 1 bf16, 2 fp16) would hold the value. */
R1_DEVICE float as_stored(float v, int stored) {
  if (stored == 1) return to_float(from_float<bf16>(v));
  if (stored == 2) return to_float(from_float<f16>(v));
  return v;
}

// Grid: blocks stride over the rows of one part, threads over its columns. Values depend on the place in the part
// alone.
template <class T>
R1_DEVICE void fill_random(const cuda::FillRandomArgs& a) {
  for (int64_t r = blockIdx.x; r < a.rows; r += gridDim.x) {
    int64_t to = a.first_row + r;
    if (a.gate_rows > 0) {  // groups of 8 gate rows, then 8 up rows
      const bool up = to >= a.gate_rows;
      const int64_t i = up ? to - a.gate_rows : to;
      to = i / 8 * 16 + i % 8 + (up ? 8 : 0);
    }
    T* out = static_cast<T*>(a.out) + to * a.ld;
    for (int64_t c = threadIdx.x; c < a.cols; c += blockDim.x) {
      out[c] =
          from_float<T>(as_stored(random_weight(a.seed, static_cast<uint64_t>(r * a.cols + c), a.scale), a.stored));
    }
  }
}

}  // namespace r1

extern "C" __global__ void __launch_bounds__(256) fill_random_f32(r1::cuda::FillRandomArgs a) {
  r1::fill_random<float>(a);
}
extern "C" __global__ void __launch_bounds__(256) fill_random_bf16(r1::cuda::FillRandomArgs a) {
  r1::fill_random<r1::bf16>(a);
}
extern "C" __global__ void __launch_bounds__(256) fill_random_fp16(r1::cuda::FillRandomArgs a) {
  r1::fill_random<r1::f16>(a);
}
