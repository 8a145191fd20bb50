// Loops over one row of values: norms, rotation, softmax, the ways out of a tile. Included after a vec_*.h.
#pragma once
#include <cmath>
#include <cstdint>

#include "backend/cpu/kernels.h"

namespace r1::cpu {
namespace {

/** The coefficient of log2 e, for functions of base 2. */
constexpr float kLog2E = 1.44269504f;

/**
 * 2^x for x <= 127: x = n + f with n whole and |f| <= 1/2, a polynomial in f (the Taylor series of 2^f; its last term
 * is below 2^-25), times 2^n. exp2(0) is exactly 1, NaN stays NaN; below −125 the result is 0, because denormal numbers
 * are slow.
 */
inline Vec exp2(Vec x) {
  const Vec near = max(set1(-125.25f), x);  // what follows would be slow where it underflows
  const Vec n = round_whole(near);
  const Vec f = sub(near, n);
  Vec p = set1(1.5403530e-4f);
  p = fma(p, f, set1(1.3333558e-3f));
  p = fma(p, f, set1(9.6181291e-3f));
  p = fma(p, f, set1(5.5504109e-2f));
  p = fma(p, f, set1(2.4022651e-1f));
  p = fma(p, f, set1(6.9314718e-1f));
  p = fma(p, f, set1(1.0f));
  return if_below(x, set1(-125.0f), set1(0.0f), scale_pow2(p, n));
}

/** e^x for x <= 88. The rounding of x · log2 e costs a relative 2^-24 · |x|. */
inline Vec exp(Vec x) { return exp2(mul(x, set1(kLog2E))); }

inline int lanes_left(int i, int n) { return n - i < 16 ? n - i : 16; }

inline Vec load_some(const float* p, int n) { return n == 16 ? load(p) : load_n(p, n); }

/** Elements [i, i + n) of an activation row. */
inline Vec load_act(const void* p, int i, int n, Store type) {
  if (type == Store::kBF16) {
    const uint16_t* q = static_cast<const uint16_t*>(p) + i;
    return n == 16 ? load_bf16(q) : load_bf16_n(q, n);
  }
  return load_some(static_cast<const float*>(p) + i, n);
}

inline void store_act(void* p, int i, int n, const Vec& value, Store type) {
  if (type == Store::kBF16) {
    uint16_t* q = static_cast<uint16_t*>(p) + i;
    if (n == 16) return store_bf16(q, value);
    return store_bf16_n(q, value, n);
  }
  float* q = static_cast<float*>(p) + i;
  const Vec v = type == Store::kF32Rounded ? round_bf16(value) : value;
  if (n == 16) return store(q, v);
  store_n(q, v, n);
}

inline float inverse_rms(Vec squares, int n, float eps) {
  return 1.0f / std::sqrt(reduce_add(squares) / static_cast<float>(n) + eps);
}

void norm_row(const NormRowParams& p) {
  Vec squares = set1(0.0f);
  for (int i = 0; i < p.n; i += 16) {
    const Vec x = load_some(p.x + i, lanes_left(i, p.n));
    squares = fma(x, x, squares);
  }
  const Vec inverse = set1(inverse_rms(squares, p.n, p.eps));
  for (int i = 0; i < p.n; i += 16) {
    const int n = lanes_left(i, p.n);
    store_act(p.out, i, n, mul(mul(load_some(p.x + i, n), inverse), load_some(p.gain + i, n)), p.store);
  }
}

inline Vec with_bias(const float* c, const float* bias, int n) {
  return bias ? add(load(c), load_some(bias, n)) : load(c);
}

void store_tile(const StoreTileParams& p) {
  for (int r = 0; r < p.rows; ++r) {
    const float* c = p.c + r * p.c_stride;
    char* out = static_cast<char*>(p.out) + r * p.out_stride;
    for (int i = 0; i < p.columns; i += 16) {
      const int n = lanes_left(i, p.columns);
      store_act(out, i, n, with_bias(c + i, p.bias ? p.bias + i : nullptr, n), p.store);
    }
  }
}

void add_tile(const StoreTileParams& p) {
  for (int r = 0; r < p.rows; ++r) {
    const float* c = p.c + r * p.c_stride;
    float* out = reinterpret_cast<float*>(static_cast<char*>(p.out) + r * p.out_stride);
    for (int i = 0; i < p.columns; i += 16) {
      const int n = lanes_left(i, p.columns);
      const Vec sum = add(load_some(out + i, n), with_bias(c + i, p.bias ? p.bias + i : nullptr, n));
      store_act(out, i, n, sum, Store::kF32);
    }
  }
}

void swiglu_tile(const StoreTileParams& p) {
  for (int r = 0; r < p.rows; ++r) {
    const float* c = p.c + r * p.c_stride;
    const Vec gate = with_bias(c, p.bias, p.columns);
    const Vec up = with_bias(c + 16, p.bias_up, p.columns);
    // e^88 is as good as infinity under a division, and cannot overflow.
    const Vec silu = div(gate, add(set1(1.0f), exp(min(set1(88.0f), sub(set1(0.0f), gate)))));
    store_act(static_cast<char*>(p.out) + r * p.out_stride, 0, p.columns, mul(silu, up), p.store);
  }
}

/** How far, in powers of two, a score may exceed the maximum that weights are relative to. */
constexpr float kMaxSlack = 8.0f;

/** The scores of a row, −infinity where it does not see the key. */
template <bool Masked>
inline void load_scores(const SoftmaxParams& p, int row, Vec (&score)[4]) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) score[i] = load(p.scores + row * kTile + 16 * i);
  if constexpr (Masked) {
    const KeyRange visible = p.visible[row];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      score[i] = keep(score[i], visible.begin - 16 * i, visible.end - 16 * i, -__builtin_inff());
    }
  }
}

/**
 * One pass over the scores: a row's maximum is searched for only when a score exceeds the running one by so much that
 * 2^(score − max) would grow large, which is rare after a row's first tile.
 */
template <bool Masked>
void softmax_rows(const SoftmaxParams& p) {
  const float scale = p.scale * kLog2E;  // in base 2 from here on
  for (int r = 0; r < p.rows; ++r) {
    Vec score[4];
    load_scores<Masked>(p, r, score);
    const Vec largest = max(max(score[0], score[1]), max(score[2], score[3]));
    float* const sum = p.sum + r * kSumLanes;
    p.factor[r] = 1.0f;
    if (any_above(mul(largest, set1(scale)), set1(p.max[r] + kMaxSlack))) {
      const float tile_max = reduce_max(largest) * scale;
      p.factor[r] = first(exp2(set1(p.max[r] - tile_max)));
      p.max[r] = tile_max;
      store(sum, mul(load(sum), set1(p.factor[r])));
    }
    const Vec offset = set1(-p.max[r]);
    Vec weight[4];
    void* out = static_cast<char*>(p.out) + r * kTile * sizeof(float);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      weight[i] = exp2(fma(score[i], set1(scale), offset));
      if (p.store == Store::kBF16) weight[i] = round_bf16(weight[i]);
      store_act(out, 16 * i, 16, weight[i], p.store);
    }
    store(sum, add(load(sum), add(add(weight[0], weight[1]), add(weight[2], weight[3]))));
  }
}

void softmax(const SoftmaxParams& p) {
  if (p.visible) return softmax_rows<true>(p);
  softmax_rows<false>(p);
}

void rope_head(const RopeHeadParams& p) {
  const int half = p.head_dim / 2;
  float inverse = 1.0f;
  if (p.gain) {
    Vec squares = set1(0.0f);
    for (int i = 0; i < p.head_dim; i += 16) {
      const Vec x = load_act(p.in, i, lanes_left(i, p.head_dim), p.store);
      squares = fma(x, x, squares);
    }
    inverse = inverse_rms(squares, p.head_dim, p.eps);
  }
  for (int i = 0; i < half; i += 16) {
    const int n = lanes_left(i, half);
    Vec x = load_act(p.in, i, n, p.store), y = load_act(p.in, half + i, n, p.store);
    if (p.gain) {
      x = mul(mul(x, set1(inverse)), load_some(p.gain + i, n));
      y = mul(mul(y, set1(inverse)), load_some(p.gain + half + i, n));
    }
    const Vec cos = load_some(p.cos + i, n), sin = load_some(p.sin + i, n);
    store_act(p.out, i, n, sub(mul(x, cos), mul(y, sin)), p.store);
    store_act(p.out, half + i, n, add(mul(y, cos), mul(x, sin)), p.store);
  }
}

void scale_row(float* x, float factor, int n) {
  for (int i = 0; i < n; i += 16) {
    const int m = lanes_left(i, n);
    store_act(x, i, m, mul(load_some(x + i, m), set1(factor)), Store::kF32);
  }
}

void convert_row(const float* x, float factor, int n, void* out, Store type) {
  for (int i = 0; i < n; i += 16) {
    const int m = lanes_left(i, n);
    store_act(out, i, m, mul(load_some(x + i, m), set1(factor)), type);
  }
}

void expand_row(const uint16_t* x, int n, float* out) {
  for (int i = 0; i < n; i += 16) {
    const int m = lanes_left(i, n);
    store_act(out, i, m, load_act(x, i, m, Store::kBF16), Store::kF32);
  }
}

float row_max(const float* x, int64_t n, bool* bad) {
  const float infinity = __builtin_inff();
  Vec largest = set1(-infinity), not_finite = set1(0.0f);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const Vec v = load(x + i);
    largest = max(v, largest);
    not_finite = if_below(v, set1(infinity), not_finite, set1(1.0f));
  }
  float result = reduce_max(largest);
  bool found = reduce_max(not_finite) > 0;
  for (; i < n; ++i) {
    result = x[i] > result ? x[i] : result;
    found = found || !(x[i] < infinity);
  }
  *bad = found;
  return result;
}

double sum_exp(const float* x, float largest, int64_t n) {
  double sums[16] = {};
  float lanes[16];
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    store(lanes, exp(sub(load(x + i), set1(largest))));
    for (int j = 0; j < 16; ++j) sums[j] += static_cast<double>(lanes[j]);
  }
  const int rest = static_cast<int>(n - i);
  store(lanes, exp(sub(load_n(x + i, rest), set1(largest))));
  for (int j = 0; j < rest; ++j) sums[j] += static_cast<double>(lanes[j]);
  double total = 0;
  for (double s : sums) total += s;
  return total;
}

/** Sixteen weights; the steps of sampling::weight_of (backend/sample_math.h) in vectors. */
inline void weigh16(Vec z, Vec temperature, Vec z_max, uint64_t* out) {
  const Vec x = mul(sub(div(z, temperature), z_max), set1(kLog2E));
  const Vec n = floor(x);
  const Vec f = sub(x, n);
  Vec p = set1(0.00015469732f);
  for (float c : {0.0013427734f, 0.009618129f, 0.05550411f, 0.24022651f, 0.69314718f, 1.0f}) {
    p = add(mul(p, f), set1(c));  // rounded twice, as the definition asks
  }
  float powers[16], exponents[16];
  store(powers, p);
  store(exponents, if_below(x, set1(-32.0f), set1(-60.0f), n));  // -60 makes the weight 0
  for (int i = 0; i < 16; ++i) {
    uint32_t u;
    __builtin_memcpy(&u, powers + i, sizeof u);
    u = u > 0x3fffffffu ? 0x3fffffffu : u;
    const uint64_t mantissa = (u & 0x7fffffu) | 0x800000u;
    const int shift = static_cast<int>(exponents[i]) + 9;
    const int left = shift > 0 ? shift : 0, right = shift < 0 ? -shift : 0;
    out[i] = (mantissa << (left & 63)) >> (right & 63);
  }
}

void weigh(const float* z, float largest, float temperature, int64_t n, uint64_t* out) {
  const Vec t = set1(temperature), z_max = set1(largest / temperature);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) weigh16(load(z + i), t, z_max, out + i);
  if (i == n) return;
  uint64_t last[16];
  weigh16(load_n(z + i, static_cast<int>(n - i)), t, z_max, last);
  __builtin_memcpy(out + i, last, static_cast<size_t>(n - i) * sizeof *out);
}

}  // namespace
}  // namespace r1::cpu
