// Sixteen float32 lanes in one AVX-512 register. Included by one translation unit per instruction set.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace r1::cpu {
namespace {

struct Vec {
  __m512 v;
};

// A register tile: 6 rows by 4 vectors are 24 accumulators; wide rather than tall, since a broadcast then serves 4
// products.
constexpr int kRowBlock = 6;
constexpr int kWideRows = 6, kWideVectors = 4;  // up to kWideRows rows are kWideVectors wide, more are kNarrowVectors
constexpr int kNarrowVectors = 4;
constexpr int kSpinChains = 24;

inline __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
inline Vec set1(float x) { return {_mm512_set1_ps(x)}; }
inline Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Vec load_n(const float* p, int n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
inline void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
inline void store_n(float* p, Vec a, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), a.v); }
inline Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/**
 * sum += a · b. In assembly, and kept in order, because GCC otherwise overwrites `a` or `b` in some of a loop's
 * products and reorders the rest until it has to move registers: an instruction per eight products, which shows where a
 * hyperthread shares the core's front end.
 */
inline void accumulate(Vec& sum, Vec a, Vec b) {
  asm volatile("vfmadd231ps %2, %1, %0" : "+v"(sum.v) : "v"(a.v), "v"(b.v));
}
/** The second operand where either is NaN. */
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline float first(Vec a) { return _mm512_cvtss_f32(a.v); }
inline float reduce_add(Vec a) { return _mm512_reduce_add_ps(a.v); }
inline float reduce_max(Vec a) { return _mm512_reduce_max_ps(a.v); }
/** Whether a lane of `x` is above the same lane of `limit`. */
inline bool any_above(Vec x, Vec limit) { return _mm512_cmp_ps_mask(x.v, limit.v, _CMP_GT_OQ) != 0; }
/** x < limit ? yes : no */
inline Vec if_below(Vec x, Vec limit, Vec yes, Vec no) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, limit.v, _CMP_LT_OQ), no.v, yes.v)};
}
/** Lanes outside [begin, end) become `other`. */
inline Vec keep(Vec a, int begin, int end, float other) {
  begin = begin < 0 ? 0 : begin > 16 ? 16 : begin;
  end = end < 0 ? 0 : end > 16 ? 16 : end;
  const __mmask16 mask = static_cast<__mmask16>(first_lanes(end) & ~first_lanes(begin));
  return {_mm512_mask_mov_ps(_mm512_set1_ps(other), mask, a.v)};
}
/** To the nearest whole number, |x| < 2^22; half the work of VRNDSCALEPS. */
inline Vec round_whole(Vec a) {
  const __m512 whole = _mm512_set1_ps(12582912.0f);  // 1.5 · 2^23
  return {_mm512_sub_ps(_mm512_add_ps(a.v, whole), whole)};
}
inline Vec floor(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
/** a · 2^n for whole n in [−126, 127]. */
inline Vec scale_pow2(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }
/** The first and the second of sixteen pairs of bfloat16. */
inline Vec load_even(const void* p) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))}; }
inline Vec load_odd(const void* p) {
  const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), high))};
}
inline Vec load_f16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline Vec load_bf16(const uint16_t* p) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
inline Vec load_bf16_n(const uint16_t* p, int n) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(n), p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
inline __m256i to_bf16(Vec a) {
  const __m512i u = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m512i quiet = _mm512_or_si512(u, _mm512_set1_epi32(0x400000));
  const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, nan, quiet), 16));
}
inline void store_bf16(uint16_t* p, Vec a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), to_bf16(a)); }
inline void store_bf16_n(uint16_t* p, Vec a, int n) { _mm256_mask_storeu_epi16(p, first_lanes(n), to_bf16(a)); }
inline Vec round_bf16(Vec a) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(to_bf16(a)), 16))}; }
inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
inline void prefetch_far(const void* p) { __builtin_prefetch(p, 0, 2); }  // to the second-level cache

}  // namespace
}  // namespace r1::cpu
