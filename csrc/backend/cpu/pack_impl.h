// Packing of an attention tile's keys and values, and the loops behind measure_ceilings. Included after a vec_*.h.
#pragma once
#include <cstdint>
#include <cstring>

#include "backend/cpu/kernels.h"

namespace r1::cpu {
namespace {

void pack_keys(const void* in, int64_t in_stride, int keys, int units, void* out) {
  uint32_t* to = static_cast<uint32_t*>(out);
  for (int key = 0; key < kPanel; ++key) {
    const uint32_t* from =
        key < keys ? reinterpret_cast<const uint32_t*>(static_cast<const char*>(in) + key * in_stride) : nullptr;
    for (int u = 0; u < units; ++u) to[u * kPanel + key] = from ? from[u] : 0;
  }
}

void pack_values_bf16(const uint16_t* in, int64_t in_stride, int keys, int dims, uint16_t* out) {
  for (int key = 0; key < kTile; key += 2) {
    const uint16_t* even = in + key * in_stride;
    const uint16_t* odd = even + in_stride;
    for (int d = 0; d < kPanel; ++d) {
      out[2 * d] = key < keys && d < dims ? even[d] : uint16_t{0};
      out[2 * d + 1] = key + 1 < keys && d < dims ? odd[d] : uint16_t{0};
    }
    out += 2 * kPanel;
  }
}

void expand_panel(const void* panel, int pairs, float* out) {
  const char* from = static_cast<const char*>(panel);
  for (int k = 0; k < pairs; ++k, from += 128, out += 2 * kPanel) {
    for (int half = 0; half < 2; ++half) {
      store(out + half * 16, load_even(from + half * 64));
      store(out + kPanel + half * 16, load_odd(from + half * 64));
    }
  }
}

/** Two streams at once, as the tiles of a decode step read their two panels. */
float stream_read(const void* data, int64_t bytes) {
  const int64_t half = bytes / 2;
  const char* p[2] = {static_cast<const char*>(data), static_cast<const char*>(data) + half};
  Vec sum[4] = {set1(0.0f), set1(0.0f), set1(0.0f), set1(0.0f)};
  for (int64_t i = 0; i + 128 <= half; i += 128) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const char* at = p[j / 2] + i + j % 2 * 64;
      sum[j] = add(sum[j], load(reinterpret_cast<const float*>(at)));
      prefetch(at + 2048);
    }
  }
  return reduce_add(add(add(sum[0], sum[1]), add(sum[2], sum[3])));
}

/** As many independent chains as registers hold; returns multiply-adds done. */
template <int Chains>
int64_t spin_f32_chains(int64_t rounds, float* sink) {
  Vec sum[Chains];
  const Vec factor = set1(*sink), term = set1(1.0f);
#pragma GCC unroll 24
  for (int i = 0; i < Chains; ++i) sum[i] = set1(static_cast<float>(i));
  for (int64_t n = 0; n < rounds; ++n) {
#pragma GCC unroll 24
    for (int i = 0; i < Chains; ++i) sum[i] = fma(sum[i], factor, term);
  }
  Vec total = set1(0.0f);
#pragma GCC unroll 24
  for (int i = 0; i < Chains; ++i) total = add(total, sum[i]);
  *sink = reduce_add(total);
  return rounds * Chains * 16;
}

}  // namespace
}  // namespace r1::cpu
