// Packing of an attention tile with AVX-512 shuffles. Included after vec_avx512.h.
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "backend/cpu/kernels.h"

namespace r1::cpu {
namespace {

/** out[column][0..16) = rows[0..16)[column] for sixteen 32-bit columns; rows of `out` are kPanel units apart. */
inline void transpose16(__m512i (&r)[16], uint32_t* out) {
  __m512i t[16];
  // Within 128-bit lanes: pairs of rows, then pairs of pairs.
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  // r[4g + c] lane l holds column 4l + c of rows 4g .. 4g + 3: transpose the 4 x 4 lanes for each c.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i a = _mm512_shuffle_i32x4(r[c], r[4 + c], 0x88), b = _mm512_shuffle_i32x4(r[c], r[4 + c], 0xdd);
    const __m512i d = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0x88),
                  e = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0xdd);
    _mm512_storeu_si512(out + (0 + c) * kPanel, _mm512_shuffle_i32x4(a, d, 0x88));
    _mm512_storeu_si512(out + (4 + c) * kPanel, _mm512_shuffle_i32x4(b, e, 0x88));
    _mm512_storeu_si512(out + (8 + c) * kPanel, _mm512_shuffle_i32x4(a, d, 0xdd));
    _mm512_storeu_si512(out + (12 + c) * kPanel, _mm512_shuffle_i32x4(b, e, 0xdd));
  }
}

void pack_keys_avx512(const void* in, int64_t in_stride, int keys, int units, void* out) {
  uint32_t* to = static_cast<uint32_t*>(out);
  for (int half = 0; half < 2; ++half, to += 16) {
    const char* from = static_cast<const char*>(in) + half * 16 * in_stride;
    const int rows = keys - half * 16;
    int u = 0;
    for (; u + 16 <= units; u += 16) {
      __m512i r[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        r[i] = i < rows ? _mm512_loadu_si512(from + i * in_stride + 4 * u) : _mm512_setzero_si512();
      }
      transpose16(r, to + u * kPanel);
    }
    for (; u < units; ++u) {
      for (int i = 0; i < 16; ++i) {
        to[u * kPanel + i] = i < rows ? reinterpret_cast<const uint32_t*>(from + i * in_stride)[u] : 0;
      }
    }
  }
}

void pack_values_avx512(const uint16_t* in, int64_t in_stride, int keys, int dims, uint16_t* out) {
  alignas(64) uint16_t order[32];
  for (int i = 0; i < 16; ++i) {
    order[2 * i] = static_cast<uint16_t>(i);
    order[2 * i + 1] = static_cast<uint16_t>(32 + i);
  }
  const __m512i first = _mm512_load_si512(order);
  const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
  const __mmask32 real = dims >= 32 ? ~0u : (1u << dims) - 1u;
  for (int key = 0; key < kTile; key += 2, out += 2 * kPanel) {
    const __m512i even = _mm512_maskz_loadu_epi16(key < keys ? real : 0, in + key * in_stride);
    const __m512i odd = _mm512_maskz_loadu_epi16(key + 1 < keys ? real : 0, in + (key + 1) * in_stride);
    _mm512_storeu_si512(out, _mm512_permutex2var_epi16(even, first, odd));
    _mm512_storeu_si512(out + kPanel, _mm512_permutex2var_epi16(even, second, odd));
  }
}

}  // namespace
}  // namespace r1::cpu
