// Loops over one row of values: norms, rotation, softmax, the ways out of a tile. Included after a vec_*.h.
#pragma once
#include <cmath>
#include <cstdint>

#include "backend/cpu/kernels.h"

namespace r1::cpu {
namespace {

// e^x as in the Cephes library's expf: x = n·ln 2 + r, a polynomial in r, 2^n by the exponent bits. exp(0) is exactly
// 1, below −87 the result is 0, above 88 it stays at e^88, NaN stays NaN.
inline Vec exp(Vec x) {
  const Vec shift = set1(12582912.0f);  // 1.5 · 2^23: adding it rounds to an integer
  const Vec y = min(set1(88.0f), x);
  const Vec t = fma(y, set1(1.44269504f), shift);
  const Vec n = sub(t, shift);
  Vec r = fma(n, set1(-0.693359375f), y);
  r = fma(n, set1(2.12194440e-4f), r);
  Vec p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  p = add(fma(mul(r, r), p, r), set1(1.0f));
  return if_below(y, set1(-87.0f), set1(0.0f), mul(p, pow2_of_shifted(t)));
}

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

void store_row(const StoreRowParams& p) {
  for (int i = 0; i < p.columns; i += 16) {
    const int n = lanes_left(i, p.columns);
    store_act(p.out, i, n, with_bias(p.c + i, p.bias ? p.bias + i : nullptr, n), p.store);
  }
}

void add_row(const StoreRowParams& p) {
  float* out = static_cast<float*>(p.out);
  for (int i = 0; i < p.columns; i += 16) {
    const int n = lanes_left(i, p.columns);
    const Vec sum = add(load_some(out + i, n), with_bias(p.c + i, p.bias ? p.bias + i : nullptr, n));
    store_act(out, i, n, sum, Store::kF32);
  }
}

void swiglu_row(const StoreRowParams& p) {
  const Vec gate = with_bias(p.c, p.bias, p.columns);
  const Vec up = with_bias(p.c + 16, p.bias_up, p.columns);
  const Vec silu = div(gate, add(set1(1.0f), exp(sub(set1(0.0f), gate))));
  store_act(p.out, 0, p.columns, mul(silu, up), p.store);
}

float softmax_row(const SoftmaxRowParams& p) {
  constexpr float kNone = -__builtin_inff();
  Vec score[4];
  Vec largest = set1(kNone);
  for (int i = 0; i < 4; ++i) {
    score[i] = keep(mul(load(p.scores + 16 * i), set1(p.scale)), p.begin - 16 * i, p.end - 16 * i, kNone);
    largest = max(score[i], largest);
  }
  const float tile_max = reduce_max(largest);
  const float new_max = tile_max > *p.max ? tile_max : *p.max;
  if (new_max == kNone) {  // no key was visible so far
    for (int i = 0; i < 4; ++i) store_act(p.out, 16 * i, 16, set1(0.0f), p.store);
    return 1.0f;
  }
  const float factor = first(exp(set1(*p.max - new_max)));
  Vec sum = set1(0.0f);
  for (int i = 0; i < 4; ++i) {
    const Vec e = exp(sub(score[i], set1(new_max)));
    const Vec weight = p.store == Store::kBF16 ? round_bf16(e) : e;
    sum = add(sum, weight);
    store_act(p.out, 16 * i, 16, weight, p.store);
  }
  *p.max = new_max;
  *p.sum = *p.sum * factor + reduce_add(sum);
  return factor;
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

}  // namespace
}  // namespace r1::cpu
