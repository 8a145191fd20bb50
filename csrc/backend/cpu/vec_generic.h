// Sixteen float32 lanes in plain C++, for the compiler to vectorise. Included by one translation unit.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/dtype.h"

namespace r1::cpu {
namespace {

struct Vec {
  float v[16];
};

constexpr int kRowBlock = 2;                    // rows of a register tile
constexpr int kWideRows = 0, kWideVectors = 1;  // up to kWideRows rows are kWideVectors wide, more are kNarrowVectors
constexpr int kNarrowVectors = 1;
constexpr int kSpinChains = 3;

template <class Lane>
inline Vec each(Lane lane) {
  Vec r;
  for (int i = 0; i < 16; ++i) r.v[i] = lane(i);
  return r;
}
inline uint32_t bits(float x) { return std::bit_cast<uint32_t>(x); }

inline Vec set1(float x) {
  return each([&](int) { return x; });
}
inline Vec load(const float* p) {
  return each([&](int i) { return p[i]; });
}
inline Vec load_n(const float* p, int n) {
  return each([&](int i) { return i < n ? p[i] : 0.0f; });
}
inline void store(float* p, const Vec& a) {
  for (int i = 0; i < 16; ++i) p[i] = a.v[i];
}
inline void store_n(float* p, const Vec& a, int n) {
  for (int i = 0; i < n; ++i) p[i] = a.v[i];
}
inline Vec add(const Vec& a, const Vec& b) {
  return each([&](int i) { return a.v[i] + b.v[i]; });
}
inline Vec sub(const Vec& a, const Vec& b) {
  return each([&](int i) { return a.v[i] - b.v[i]; });
}
inline Vec mul(const Vec& a, const Vec& b) {
  return each([&](int i) { return a.v[i] * b.v[i]; });
}
inline Vec div(const Vec& a, const Vec& b) {
  return each([&](int i) { return a.v[i] / b.v[i]; });
}
/** Rounded twice: a fused operation would be a library call per lane here. */
inline Vec fma(const Vec& a, const Vec& b, const Vec& c) {
  return each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
inline void accumulate(Vec& sum, const Vec& a, const Vec& b) { sum = fma(a, b, sum); }
/** The second operand where either is NaN. */
inline Vec max(const Vec& a, const Vec& b) {
  return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vec min(const Vec& a, const Vec& b) {
  return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline float first(const Vec& a) { return a.v[0]; }
inline float reduce_add(Vec a) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a.v[i] += a.v[i + half];
  }
  return a.v[0];
}
inline float reduce_max(const Vec& a) {
  float m = a.v[0];
  for (int i = 1; i < 16; ++i) m = a.v[i] > m ? a.v[i] : m;
  return m;
}
/** Whether a lane of `x` is above the same lane of `limit`. */
inline bool any_above(const Vec& x, const Vec& limit) {
  bool above = false;
  for (int i = 0; i < 16; ++i) above |= x.v[i] > limit.v[i];
  return above;
}
/** x < limit ? yes : no */
inline Vec if_below(const Vec& x, const Vec& limit, const Vec& yes, const Vec& no) {
  return each([&](int i) { return x.v[i] < limit.v[i] ? yes.v[i] : no.v[i]; });
}
/** Lanes outside [begin, end) become `other`. */
inline Vec keep(const Vec& a, int begin, int end, float other) {
  return each([&](int i) { return i >= begin && i < end ? a.v[i] : other; });
}
/** To the nearest whole number, |x| < 2^22. */
inline Vec round_whole(const Vec& a) {
  return each([&](int i) { return (a.v[i] + 12582912.0f) - 12582912.0f; });  // 1.5 · 2^23
}
inline Vec floor(const Vec& a) {
  return each([&](int i) { return std::floor(a.v[i]); });
}
/** a · 2^n for whole n in [−126, 127]. */
inline Vec scale_pow2(const Vec& a, const Vec& n) {
  return each([&](int i) { return a.v[i] * std::bit_cast<float>((bits(n.v[i] + 12582912.0f) << 23) + 0x3f800000u); });
}
/** The first and the second of sixteen pairs of bfloat16. */
inline Vec load_even(const void* p) {
  return each([&](int i) { return std::bit_cast<float>(static_cast<const uint32_t*>(p)[i] << 16); });
}
inline Vec load_odd(const void* p) {
  return each([&](int i) { return std::bit_cast<float>(static_cast<const uint32_t*>(p)[i] & 0xffff0000u); });
}
inline Vec load_f16(const uint16_t* p) {
  return each([&](int i) { return f16_to_f32(p[i]); });
}
inline Vec load_bf16(const uint16_t* p) {
  return each([&](int i) { return std::bit_cast<float>(static_cast<uint32_t>(p[i]) << 16); });
}
inline Vec load_bf16_n(const uint16_t* p, int n) {
  return each([&](int i) { return i < n ? std::bit_cast<float>(static_cast<uint32_t>(p[i]) << 16) : 0.0f; });
}
inline uint32_t rounded_bits(float x) {
  const uint32_t u = bits(x);
  return x != x ? (u | 0x400000u) : u + 0x7fffu + ((u >> 16) & 1u);
}
inline void store_bf16_n(uint16_t* p, const Vec& a, int n) {
  for (int i = 0; i < n; ++i) p[i] = static_cast<uint16_t>(rounded_bits(a.v[i]) >> 16);
}
inline void store_bf16(uint16_t* p, const Vec& a) { store_bf16_n(p, a, 16); }
inline Vec round_bf16(const Vec& a) {
  return each([&](int i) { return std::bit_cast<float>(rounded_bits(a.v[i]) & 0xffff0000u); });
}
inline void prefetch(const void* p) { __builtin_prefetch(p); }
inline void prefetch_far(const void* p) { __builtin_prefetch(p, 0, 2); }  // to the second-level cache

}  // namespace
}  // namespace r1::cpu
