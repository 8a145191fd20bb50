// Linear layers in plain f32 arithmetic: any activation type times any weight type, on every card. All there is for
// precision f32, and the fallback of the tensor-core families.
#include "linear_epilogue.cuh"

namespace r1 {

using cuda::LinearSimtParams;

/** `kCount` values as floats; p is aligned to their size or 16 bytes. */
template <int kCount>
R1_DEVICE void load_values(const float* p, float (&v)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; i += 4) {
    const float4 four = __ldcg(reinterpret_cast<const float4*>(p + i));
    v[i] = four.x, v[i + 1] = four.y, v[i + 2] = four.z, v[i + 3] = four.w;
  }
}
template <int kCount, class T>
R1_DEVICE void load_values(const T* p, float (&v)[kCount]) {
  uint32_t words[kCount / 2];
  if constexpr (kCount == 8) {
    const uint4 w = __ldcg(reinterpret_cast<const uint4*>(p));
    words[0] = w.x, words[1] = w.y, words[2] = w.z, words[3] = w.w;
  } else {
    const uint2 w = __ldcg(reinterpret_cast<const uint2*>(p));
    words[0] = w.x, words[1] = w.y;
  }
#pragma unroll
  for (int i = 0; i < kCount; i++) v[i] = to_float(T{static_cast<uint16_t>(words[i / 2] >> (i % 2 * 16))});
}

constexpr int kDecodeWarps = 8;
constexpr int kDecodeTokens = 8;
constexpr int kLaneValues = 8;                 // consecutive values of K that a lane takes
constexpr int kStepValues = 32 * kLaneValues;  // of a warp

/**
 * grid (ceil(row pairs / pairs of a block), token tiles of 8), block 8 warps. A warp takes the weight rows r and r + 8
 * of a group of 16 over one of k_split ranges of K, 8 tokens at a time. Each lane adds its own values in the order of
 * K, lanes are added as a tree, ranges in order: the order depends on K and k_split alone.
 */
template <class X, class W>
R1_DEVICE void linear_simt_decode(const LinearSimtParams& p) {
  __shared__ float partial[kDecodeWarps][2 * kDecodeTokens];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int pairs = kDecodeWarps / p.k_split, range = warp / pairs, pair = blockIdx.x * pairs + warp % pairs;
  const int row = pair / 8 * 16 + pair % 8, first_token = blockIdx.y * kDecodeTokens;
  const PairEpilogue<X> epilogue(p.out, row);
  const int steps = (p.k + kStepValues - 1) / kStepValues;
  const int begin = steps * range / p.k_split * kStepValues,
            end = min(steps * (range + 1) / p.k_split * kStepValues, p.k);
  const bool first_row = row < p.stored_rows, second_row = row + 8 < p.stored_rows;
  const W* w = static_cast<const W*>(p.w) + row * p.ldw;
  const X* x = static_cast<const X*>(p.x) + first_token * p.ldx;
  pdl_trigger();
  pdl_wait();

  float sums[kDecodeTokens][2] = {};
  for (int k = begin + lane * kLaneValues; k < end; k += kStepValues) {
    float w0[kLaneValues] = {}, w1[kLaneValues] = {};
    if (first_row) load_values(w + k, w0);
    if (second_row) load_values(w + 8 * p.ldw + k, w1);
#pragma unroll
    for (int t = 0; t < kDecodeTokens; t++) {
      if (first_token + t >= p.out.rows) continue;
      float v[kLaneValues];
      load_values(x + t * p.ldx + k, v);
#pragma unroll
      for (int i = 0; i < kLaneValues; i++) {
        sums[t][0] = __fmaf_rn(v[i], w0[i], sums[t][0]);
        sums[t][1] = __fmaf_rn(v[i], w1[i], sums[t][1]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 2 * kDecodeTokens; i++) {
    float v = sums[i / 2][i % 2];
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) v = __fadd_rn(v, __shfl_xor_sync(0xffffffffu, v, mask));
    if (lane == i) partial[warp][i] = v;
  }
  __syncthreads();
  if (range != 0 || lane >= kDecodeTokens) return;
  float a = 0.0f, b = 0.0f;  // of token `lane`
  for (int q = 0; q < p.k_split; q++) {
    a = __fadd_rn(a, partial[q * pairs + warp][2 * lane]);
    b = __fadd_rn(b, partial[q * pairs + warp][2 * lane + 1]);
  }
  epilogue.finish(first_token + lane, a, b, epilogue.residual(first_token + lane));
}

constexpr int kTile = 64;   // tokens and weight rows of a block
constexpr int kTileK = 16;  // values of K at a time
constexpr int kPitch = kTile + 4;

/**
 * grid (token tiles, weight tiles), block 256. Thread (tx, ty) keeps 4 tokens x 2 pairs of weight rows (r, r + 8); K is
 * added in order.
 */
template <class X, class W>
R1_DEVICE void linear_simt_prefill(const LinearSimtParams& p) {
  __shared__ __align__(16) float xs[2][kTileK][kPitch], ws[2][kTileK][kPitch];
  const int tid = threadIdx.x, tx = tid % 16, ty = tid / 16;
  const int first_token = blockIdx.x * kTile, first_row = blockIdx.y * kTile;
  const int load_row = tid / 4, load_k = tid % 4 * 4;
  const W* w = static_cast<const W*>(p.w) + (first_row + load_row) * p.ldw + load_k;
  const X* x = static_cast<const X*>(p.x) + (first_token + load_row) * p.ldx + load_k;
  const bool w_valid = first_row + load_row < p.stored_rows, x_valid = first_token + load_row < p.out.rows;
  pdl_trigger();
  pdl_wait();

  float next_x[4], next_w[4];
  auto load = [&](int k) {
#pragma unroll
    for (int i = 0; i < 4; i++) next_x[i] = next_w[i] = 0.0f;
    if (k + load_k >= p.k) return;  // K is a multiple of 8: all 4 values or none
    if (x_valid) load_values(x + k, next_x);
    if (w_valid) load_values(w + k, next_w);
  };
  auto store = [&](int buffer) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      xs[buffer][load_k + i][load_row] = next_x[i];
      ws[buffer][load_k + i][load_row] = next_w[i];
    }
  };
  const int row = tx / 8 * 16 + tx % 8;  // in the tile; the other three are 8, 32 and 40 on
  float sums[4][4] = {};
  load(0);
  store(0);
  __syncthreads();
  const int steps = (p.k + kTileK - 1) / kTileK;
  for (int s = 0; s < steps; s++) {
    if (s + 1 < steps) load((s + 1) * kTileK);
#pragma unroll
    for (int k = 0; k < kTileK; k++) {
      const float4 v = *reinterpret_cast<const float4*>(&xs[s % 2][k][ty * 4]);
      const float xv[4] = {v.x, v.y, v.z, v.w};
      const float* wk = &ws[s % 2][k][row];
      const float wv[4] = {wk[0], wk[8], wk[32], wk[40]};
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) sums[i][j] = __fmaf_rn(xv[i], wv[j], sums[i][j]);
      }
    }
    if (s + 1 < steps) store((s + 1) % 2);  // into the buffer that all left at the last barrier
    __syncthreads();
  }
#pragma unroll
  for (int j = 0; j < 4; j += 2) {
    const PairEpilogue<X> epilogue(p.out, first_row + row + j * 16);
    float2 residual[4];
#pragma unroll
    for (int i = 0; i < 4; i++) residual[i] = epilogue.residual(first_token + ty * 4 + i);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      epilogue.finish(first_token + ty * 4 + i, sums[i][j], sums[i][j + 1], residual[i]);
    }
  }
}

}  // namespace r1

// linear_simt_{decode,prefill}_<activation>_<weight>; four blocks an SM leave a thread of prefill the 64 registers it
// needs.
#define R1_LINEAR_KERNELS(x_name, x_type, w_name, w_type)                                       \
  extern "C" __global__ void __launch_bounds__(256) linear_simt_decode_##x_name##_##w_name(     \
      const __grid_constant__ r1::cuda::LinearSimtParams params) {                              \
    r1::linear_simt_decode<x_type, w_type>(params);                                             \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256, 4) linear_simt_prefill_##x_name##_##w_name( \
      const __grid_constant__ r1::cuda::LinearSimtParams params) {                              \
    r1::linear_simt_prefill<x_type, w_type>(params);                                            \
  }

R1_LINEAR_KERNELS(f32, float, f32, float)
R1_LINEAR_KERNELS(f32, float, bf16, r1::bf16)
R1_LINEAR_KERNELS(f32, float, fp16, r1::f16)
R1_LINEAR_KERNELS(bf16, r1::bf16, f32, float)
R1_LINEAR_KERNELS(bf16, r1::bf16, bf16, r1::bf16)
R1_LINEAR_KERNELS(bf16, r1::bf16, fp16, r1::f16)
R1_LINEAR_KERNELS(fp16, r1::f16, f32, float)
R1_LINEAR_KERNELS(fp16, r1::f16, bf16, r1::bf16)
R1_LINEAR_KERNELS(fp16, r1::f16, fp16, r1::f16)
