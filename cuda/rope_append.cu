#include "block.cuh"
#include "kv_cache.cuh"

namespace r1 {

constexpr int kRopeWarps = 8;
constexpr int kMostHalf = 256;  // head_dim / 2, at most
constexpr int kPairsPerLane = kMostHalf / 32;

// One head, by one warp: lane l has the pairs i = l, l + 32, and so on, of elements i and i + half.
template <class T>
R1_DEVICE void rope_head(const cuda::RopeAppendArgs& a, const T* x, T* to, const float* norm, bool rotate,
                         const float2* rotations) {
  const int half = a.head_dim / 2, lane = threadIdx.x % 32;
  float low[kPairsPerLane], high[kPairsPerLane];
  float sum = 0.0f;
#pragma unroll
  for (int j = 0; j < kPairsPerLane; ++j) {
    const int i = lane + 32 * j;
    if (i >= half) break;
    low[j] = to_float(x[i]), high[j] = to_float(x[i + half]);
    sum += low[j] * low[j] + high[j] * high[j];
  }
  float r = 1.0f;
  if (norm) r = 1.0f / sqrtf(warp_sum(sum) / static_cast<float>(a.head_dim) + a.norm_eps);
#pragma unroll
  for (int j = 0; j < kPairsPerLane; ++j) {
    const int i = lane + 32 * j;
    if (i >= half) break;
    float u = low[j], v = high[j];
    if (norm) u = u * r * norm[i], v = v * r * norm[i + half];
    if (rotate) {
      const float c = rotations[i].x, s = rotations[i].y;
      const float rotated = u * c - v * s;
      v = v * c + u * s;
      u = rotated;
    }
    to[i] = from_float<T>(u), to[i + half] = from_float<T>(v);
  }
}

// Grid: x rows of the step, y groups of kRopeWarps heads (Q, then K, then V); a warp for each head.
template <class T>
R1_DEVICE void rope_append(const cuda::RopeAppendArgs& a) {
  pdl_trigger();
  const int64_t row = blockIdx.x;
  const int heads = a.heads + 2 * a.kv_heads;
  const int sequence = a.step.row_sequence[row];  // came with the step's copy: read before the wait
  const int slot = a.step.slots[row];
  const float2* rotations = reinterpret_cast<const float2*>(a.rotations) + row * (a.head_dim / 2);
  pdl_wait();
  const int head = blockIdx.y * kRopeWarps + threadIdx.x / 32;
  if (sequence < 0 || head >= heads) return;
  T* x = static_cast<T*>(a.qkv) + (row * heads + head) * a.head_dim;
  if (head < a.heads) return rope_head<T>(a, x, x, a.q_norm, true, rotations);
  const bool is_k = head < a.heads + a.kv_heads;
  const int kv_head = head - a.heads - (is_k ? 0 : a.kv_heads);
  T* to = cache_row<T>(a.kv, is_k ? a.kv.k_offset : a.kv.v_offset, sequence_blocks(a.step, sequence), slot, kv_head,
                       a.head_dim);
  rope_head<T>(a, x, to, is_k ? a.k_norm : nullptr, is_k, rotations);
}

// Grid: a block for each row of the step; its threads run over the pairs.
R1_DEVICE void make_rotations(const cuda::RotationsArgs& a) {
  pdl_trigger();
  const int64_t row = blockIdx.x;
  // Positions came with the step's copy and the frequencies are constants; of the step before nobody reads any more.
  const float position = static_cast<float>(a.positions[row]);
  float2* to = reinterpret_cast<float2*>(a.rotations) + row * a.pairs;
  for (int i = threadIdx.x; i < a.pairs; i += blockDim.x) {
    float s, c;
    sincosf(position * a.inv_freq[i], &s, &c);
    to[i] = make_float2(c * a.scale, s * a.scale);
  }
  pdl_wait();  // the kernel after this one waits for this one alone
}

}  // namespace r1

extern "C" __global__ void __launch_bounds__(64) rotations(r1::cuda::RotationsArgs a) { r1::make_rotations(a); }

#define R1_ROPE(name, type)                                                                            \
  extern "C" __global__ void __launch_bounds__(32 * r1::kRopeWarps) name(r1::cuda::RopeAppendArgs a) { \
    r1::rope_append<type>(a);                                                                          \
  }
R1_ROPE(rope_append_f32, float)
R1_ROPE(rope_append_bf16, r1::bf16)
R1_ROPE(rope_append_fp16, r1::f16)
