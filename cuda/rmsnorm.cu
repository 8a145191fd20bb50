#include "backend/cuda/kernel_params.h"
#include "block.cuh"

namespace r1 {

constexpr int kNormThreads = 512;
constexpr int kNormCached = 4;  // groups of 4 columns that a thread keeps in registers: rows up to 8192 are read once

template <class T>
R1_DEVICE void store_4(T* to, float4 v) {
  *reinterpret_cast<uint2*>(to) = make_uint2(pack2<T>(v.x, v.y), pack2<T>(v.z, v.w));
}
template <>
R1_DEVICE void store_4<float>(float* to, float4 v) {
  *reinterpret_cast<float4*>(to) = v;
}

R1_DEVICE float4 scale_4(float4 v, float r, float4 g) {
  return make_float4(v.x * r * g.x, v.y * r * g.y, v.z * r * g.z, v.w * r * g.w);
}

// Grid: a block of kNormThreads for each row of the output. Columns in groups of 4, hidden is a multiple of 4.
template <class T>
R1_DEVICE void rmsnorm_vector(const cuda::RmsNormArgs& a, const float* x, T* out, float* shared) {
  const float4* x4 = reinterpret_cast<const float4*>(x);
  const float4* gain4 = reinterpret_cast<const float4*>(a.gain);
  const int groups = a.hidden / 4;
  float4 cached[kNormCached], gain[kNormCached];
#pragma unroll
  for (int i = 0; i < kNormCached; ++i) {  // gains are constants: loaded before the wait
    const int g = threadIdx.x + i * kNormThreads;
    gain[i] = g < groups ? gain4[g] : make_float4(0, 0, 0, 0);
  }
  pdl_wait();
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < kNormCached; ++i) {
    const int g = threadIdx.x + i * kNormThreads;
    cached[i] = g < groups ? __ldcg(x4 + g) : make_float4(0, 0, 0, 0);
    const float4 v = cached[i];
    sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  for (int g = threadIdx.x + kNormCached * kNormThreads; g < groups; g += kNormThreads) {
    const float4 v = __ldcg(x4 + g);
    sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  const float mean = block_sum<kNormThreads / 32>(sum, shared) / static_cast<float>(a.hidden);
  const float r = 1.0f / sqrtf(mean + a.eps);
#pragma unroll
  for (int i = 0; i < kNormCached; ++i) {
    const int g = threadIdx.x + i * kNormThreads;
    if (g < groups) store_4<T>(out + 4 * g, scale_4(cached[i], r, gain[i]));
  }
  for (int g = threadIdx.x + kNormCached * kNormThreads; g < groups; g += kNormThreads) {
    store_4<T>(out + 4 * g, scale_4(__ldcg(x4 + g), r, gain4[g]));
  }
}

// Grid: the same, column by column, for any hidden size.
template <class T>
R1_DEVICE void rmsnorm_scalar(const cuda::RmsNormArgs& a, const float* x, T* out, float* shared) {
  pdl_wait();
  float sum = 0.0f;
  for (int i = threadIdx.x; i < a.hidden; i += kNormThreads) {
    const float v = __ldcg(x + i);
    sum += v * v;
  }
  const float mean = block_sum<kNormThreads / 32>(sum, shared) / static_cast<float>(a.hidden);
  const float r = 1.0f / sqrtf(mean + a.eps);
  for (int i = threadIdx.x; i < a.hidden; i += kNormThreads) out[i] = from_float<T>(__ldcg(x + i) * r * a.gain[i]);
}

// Grid: a block for each row of the output.
template <class T>
R1_DEVICE void rmsnorm(const cuda::RmsNormArgs& a) {
  __shared__ float shared[kNormThreads / 32];
  pdl_trigger();
  const int64_t row = blockIdx.x;
  // row_of came with the copy at the step's beginning, so it may be read before the wait.
  const float* x = a.x + (a.row_of ? a.row_of[row] : row) * static_cast<int64_t>(a.hidden);
  T* out = static_cast<T*>(a.out) + row * a.ld;
  if (a.hidden % 4 == 0) {
    rmsnorm_vector<T>(a, x, out, shared);
  } else {
    rmsnorm_scalar<T>(a, x, out, shared);
  }
  for (int64_t i = a.hidden + threadIdx.x; i < a.ld; i += kNormThreads) out[i] = from_float<T>(0.0f);
}

}  // namespace r1

#define R1_RMSNORM(name, type) \
  extern "C" __global__ void __launch_bounds__(r1::kNormThreads) name(r1::cuda::RmsNormArgs a) { r1::rmsnorm<type>(a); }
R1_RMSNORM(rmsnorm_f32, float)
R1_RMSNORM(rmsnorm_bf16, r1::bf16)
R1_RMSNORM(rmsnorm_fp16, r1::f16)
