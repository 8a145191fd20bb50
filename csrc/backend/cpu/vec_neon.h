// Sixteen float32 lanes in four NEON registers. Included by one translation unit.
#pragma once
#include <arm_neon.h>

#include <cstdint>

namespace r1::cpu {
namespace {

struct Vec {
  float32x4_t v[4];
};

// A register tile: 5 rows by 1 vector are 20 of the 32 registers.
constexpr int kRowBlock = 5;
constexpr int kWideRows = 2, kWideVectors = 2;  // up to kWideRows rows are kWideVectors wide, more are kNarrowVectors
constexpr int kNarrowVectors = 1;
constexpr int kSpinChains = 6;

template <class Quarter>
inline Vec each(Quarter quarter) {
  return {{quarter(0), quarter(1), quarter(2), quarter(3)}};
}
inline Vec set1(float x) {
  return each([&](int) { return vdupq_n_f32(x); });
}
inline Vec load(const float* p) {
  return each([&](int i) { return vld1q_f32(p + 4 * i); });
}
inline void store(float* p, Vec a) {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.v[i]);
}
inline Vec load_n(const float* p, int n) {
  float lanes[16] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
inline void store_n(float* p, Vec a, int n) {
  float lanes[16];
  store(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
inline Vec add(Vec a, Vec b) {
  return each([&](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline Vec sub(Vec a, Vec b) {
  return each([&](int i) { return vsubq_f32(a.v[i], b.v[i]); });
}
inline Vec mul(Vec a, Vec b) {
  return each([&](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline Vec div(Vec a, Vec b) {
  return each([&](int i) { return vdivq_f32(a.v[i], b.v[i]); });
}
inline Vec fma(Vec a, Vec b, Vec c) {
  return each([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
inline void accumulate(Vec& sum, const Vec& a, const Vec& b) { sum = fma(a, b, sum); }
/** The second operand where either is NaN. */
inline Vec max(Vec a, Vec b) {
  return each([&](int i) { return vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline Vec min(Vec a, Vec b) {
  return each([&](int i) { return vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline float first(Vec a) { return vgetq_lane_f32(a.v[0], 0); }
inline float reduce_add(Vec a) { return vaddvq_f32(vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]))); }
inline float reduce_max(Vec a) { return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.v[0], a.v[2]), vmaxq_f32(a.v[1], a.v[3]))); }
/** Whether a lane of `x` is above the same lane of `limit`. */
inline bool any_above(Vec x, Vec limit) {
  uint32x4_t above = vcgtq_f32(x.v[0], limit.v[0]);
  for (int i = 1; i < 4; ++i) above = vorrq_u32(above, vcgtq_f32(x.v[i], limit.v[i]));
  return vmaxvq_u32(above) != 0;
}
/** x < limit ? yes : no */
inline Vec if_below(Vec x, Vec limit, Vec yes, Vec no) {
  return each([&](int i) { return vbslq_f32(vcltq_f32(x.v[i], limit.v[i]), yes.v[i], no.v[i]); });
}
/** Lanes outside [begin, end) become `other`. */
inline Vec keep(Vec a, int begin, int end, float other) {
  static const int32_t kLanes[4] = {0, 1, 2, 3};
  const int32x4_t lane = vld1q_s32(kLanes);
  return each([&](int i) {
    const uint32x4_t inside =
        vandq_u32(vcgeq_s32(lane, vdupq_n_s32(begin - 4 * i)), vcltq_s32(lane, vdupq_n_s32(end - 4 * i)));
    return vbslq_f32(inside, a.v[i], vdupq_n_f32(other));
  });
}
inline Vec round_whole(Vec a) {
  return each([&](int i) { return vrndnq_f32(a.v[i]); });
}
inline Vec floor(Vec a) {
  return each([&](int i) { return vrndmq_f32(a.v[i]); });
}
/** a · 2^n for whole n in [−126, 127]. */
inline Vec scale_pow2(Vec a, Vec n) {
  return each([&](int i) {
    const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n.v[i]), vdupq_n_s32(127));
    return vmulq_f32(a.v[i], vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
  });
}
/** The first and the second of sixteen pairs of bfloat16. */
inline Vec load_even(const void* p) {
  const uint32_t* u = static_cast<const uint32_t*>(p);
  return each([&](int i) { return vreinterpretq_f32_u32(vshlq_n_u32(vld1q_u32(u + 4 * i), 16)); });
}
inline Vec load_odd(const void* p) {
  const uint32_t* u = static_cast<const uint32_t*>(p);
  return each([&](int i) { return vreinterpretq_f32_u32(vandq_u32(vld1q_u32(u + 4 * i), vdupq_n_u32(0xffff0000u))); });
}
inline Vec load_f16(const uint16_t* p) {
  return each([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))); });
}
inline Vec load_bf16(const uint16_t* p) {
  return each([&](int i) { return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vld1_u16(p + 4 * i)), 16)); });
}
inline Vec load_bf16_n(const uint16_t* p, int n) {
  uint16_t lanes[16] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load_bf16(lanes);
}
inline uint32x4_t rounded_bits(float32x4_t x) {  // the bfloat16 is in the upper halves
  const uint32x4_t u = vreinterpretq_u32_f32(x);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(u, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  return vbslq_u32(vceqq_f32(x, x), rounded, vorrq_u32(u, vdupq_n_u32(0x400000)));
}
inline void store_bf16(uint16_t* p, Vec a) {
  for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vshrn_n_u32(rounded_bits(a.v[i]), 16));
}
inline void store_bf16_n(uint16_t* p, Vec a, int n) {
  uint16_t lanes[16];
  store_bf16(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
inline Vec round_bf16(Vec a) {
  return each([&](int i) { return vreinterpretq_f32_u32(vandq_u32(rounded_bits(a.v[i]), vdupq_n_u32(0xffff0000u))); });
}
inline void prefetch(const void* p) { __builtin_prefetch(p); }
inline void prefetch_far(const void* p) { __builtin_prefetch(p, 0, 2); }  // to the second-level cache

}  // namespace
}  // namespace r1::cpu
