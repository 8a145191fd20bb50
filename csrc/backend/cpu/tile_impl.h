// Tiles of a product of staged activations and packed weights, for every Format. Included after a vec_*.h.
#pragma once
#include <cstdint>

#include "backend/cpu/kernels.h"

namespace r1::cpu {
namespace {

/** Bytes ahead of the loads at which weights are asked for: they stream from memory when rows are few. */
constexpr int64_t kPrefetchBytes = 2048;

// A Format type says how a pair of columns is read: `kSteps` multiply-adds per vector, weights, broadcast activation.
// kPair and kHalf are the bytes of a pair and of its first sixteen rows; kActivation those of a pair of activations.

struct F32xBF16 {
  static constexpr int kSteps = 2;
  static constexpr int64_t kPair = 128, kHalf = 64, kActivation = 8;
  static inline void weights(const char* p, Vec* w) { load_pairs(p, &w[0], &w[1]); }
  static inline Vec activation(const char* a, int step) { return set1(reinterpret_cast<const float*>(a)[step]); }
  static inline Vec mac(const Vec& x, const Vec& w, const Vec& sum) { return fma(x, w, sum); }
};

struct F32xF32 {
  static constexpr int kSteps = 2;
  static constexpr int64_t kPair = 256, kHalf = 64, kActivation = 8;
  static inline void weights(const char* p, Vec* w) {
    w[0] = load(reinterpret_cast<const float*>(p));
    w[1] = load(reinterpret_cast<const float*>(p + 128));
  }
  static inline Vec activation(const char* a, int step) { return set1(reinterpret_cast<const float*>(a)[step]); }
  static inline Vec mac(const Vec& x, const Vec& w, const Vec& sum) { return fma(x, w, sum); }
};

struct F32xF16 {
  static constexpr int kSteps = 2;
  static constexpr int64_t kPair = 128, kHalf = 32, kActivation = 8;
  static inline void weights(const char* p, Vec* w) {
    w[0] = load_f16(reinterpret_cast<const uint16_t*>(p));
    w[1] = load_f16(reinterpret_cast<const uint16_t*>(p + 64));
  }
  static inline Vec activation(const char* a, int step) { return set1(reinterpret_cast<const float*>(a)[step]); }
  static inline Vec mac(const Vec& x, const Vec& w, const Vec& sum) { return fma(x, w, sum); }
};

/** Whether activations' rows are few enough for weights to be streaming from memory. */
template <int Rows>
constexpr bool kStreams = Rows <= 2;

/** `Rows` rows by `Width` vectors from `first` on; the accumulators are registers for the whole loop over k. */
template <class F, int Rows, int Width>
void register_tile(const TileParams& p, int row, int first) {
  Vec sum[Rows][Width];
  float* c = p.c + row * p.c_stride + first * 16;
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int w = 0; w < Width; ++w) sum[r][w] = p.accumulate ? load(c + r * p.c_stride + w * 16) : set1(0.0f);
  }
  const int64_t stride = p.a_stride;
  const char* a = static_cast<const char*>(p.a) + row * stride;
  const char* b[(Width + 1) / 2];  // a panel is two vectors wide
#pragma GCC unroll 2
  for (int i = 0; i < (Width + 1) / 2; ++i) {
    b[i] = static_cast<const char*>(p.panel) + (first / 2 + i) * p.panel_bytes + first % 2 * F::kHalf;
  }
  for (int k = 0; k < p.pairs; ++k) {
    Vec weights[Width][F::kSteps];
#pragma GCC unroll 4
    for (int w = 0; w < Width; ++w) {
      F::weights(b[w / 2] + w % 2 * F::kHalf, weights[w]);
      if (kStreams<Rows>) prefetch(b[w / 2] + w % 2 * 64 + kPrefetchBytes);
    }
#pragma GCC unroll 2
    for (int step = 0; step < F::kSteps; ++step) {
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const Vec x = F::activation(a + r * stride, step);
#pragma GCC unroll 4
        for (int w = 0; w < Width; ++w) sum[r][w] = F::mac(x, weights[w][step], sum[r][w]);
      }
    }
    a += F::kActivation;
#pragma GCC unroll 2
    for (int i = 0; i < (Width + 1) / 2; ++i) b[i] += F::kPair;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int w = 0; w < Width; ++w) store(c + r * p.c_stride + w * 16, sum[r][w]);
  }
}

template <class F, int Rows>
void row_block(const TileParams& p, int row) {
  constexpr int kWidth = Rows <= kWideRows ? kWideVectors : kNarrowVectors;
  const int vectors = 2 * p.panels;
  int first = 0;
  for (; first + kWidth <= vectors; first += kWidth) register_tile<F, Rows, kWidth>(p, row, first);
  if constexpr (kWidth > 2) {
    if (first < vectors) register_tile<F, Rows, 2>(p, row, first);
  }
}

/** Calls row_block<F, rows> for 1 <= rows <= Rows. */
template <class F, int Rows>
void last_rows(const TileParams& p, int row, int rows) {
  if constexpr (Rows > 0) {
    if (rows == Rows) return row_block<F, Rows>(p, row);
    last_rows<F, Rows - 1>(p, row, rows);
  }
}

template <class F>
void tile(const TileParams& p) {
  int row = 0;
  for (; row + kRowBlock <= p.rows; row += kRowBlock) row_block<F, kRowBlock>(p, row);
  last_rows<F, kRowBlock - 1>(p, row, p.rows - row);
}

}  // namespace
}  // namespace r1::cpu
