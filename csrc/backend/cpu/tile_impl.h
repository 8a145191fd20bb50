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
  static inline Vec weights(const char* p, int step) { return step == 0 ? load_even(p) : load_odd(p); }
  static inline Vec activation(const char* a, int step) { return set1(reinterpret_cast<const float*>(a)[step]); }
  static inline void mac(Vec& sum, const Vec& x, const Vec& w) { sum = fma(x, w, sum); }
};

struct F32xF32 {
  static constexpr int kSteps = 2;
  static constexpr int64_t kPair = 256, kHalf = 64, kActivation = 8;
  static inline Vec weights(const char* p, int step) { return load(reinterpret_cast<const float*>(p + 128 * step)); }
  static inline Vec activation(const char* a, int step) { return set1(reinterpret_cast<const float*>(a)[step]); }
  static inline void mac(Vec& sum, const Vec& x, const Vec& w) { accumulate(sum, x, w); }
};

struct F32xF16 {
  static constexpr int kSteps = 2;
  static constexpr int64_t kPair = 128, kHalf = 32, kActivation = 8;
  static inline Vec weights(const char* p, int step) {
    return load_f16(reinterpret_cast<const uint16_t*>(p + 64 * step));
  }
  static inline Vec activation(const char* a, int step) { return set1(reinterpret_cast<const float*>(a)[step]); }
  static inline void mac(Vec& sum, const Vec& x, const Vec& w) { sum = fma(x, w, sum); }
};

/** Weights are rows, of which a panel is 32 columns: only `register_tile` knows how far apart. */
struct F32xRows {
  static constexpr int kSteps = 2;
  static constexpr int64_t kPair = 0, kHalf = 64, kActivation = 8;
  static inline Vec weights(const char* p, int) { return load(reinterpret_cast<const float*>(p)); }
  static inline Vec activation(const char* a, int step) { return set1(reinterpret_cast<const float*>(a)[step]); }
  static inline void mac(Vec& sum, const Vec& x, const Vec& w) { accumulate(sum, x, w); }
};

/** Keeps the compiler from holding every row's address in a register or on the stack through the loop over k. */
inline void forget(float*& c, int64_t& stride) { asm("" : "+r"(c), "+r"(stride)); }

/** Whether activations' rows are few enough for weights to be streaming from memory. */
template <int Rows>
constexpr bool kStreams = Rows <= 2;

/** `Rows` rows by `Width` vectors from `first` on; the accumulators are registers for the whole loop over k. */
template <class F, int Rows, int Width>
void register_tile(const TileParams& p, int row, int first) {
  Vec sum[Rows][Width];
  const int64_t stride = p.a_stride;
  int64_t c_stride = p.c_stride;
  const int64_t row_bytes = F::kPair == 0 ? p.row_bytes : 0;
  float* c = p.c + row * c_stride + first * 16;
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int w = 0; w < Width; ++w) sum[r][w] = p.accumulate ? load(c + r * c_stride + w * 16) : set1(0.0f);
  }
  const char* a = static_cast<const char*>(p.a) + row * stride;
  const char* b[(Width + 1) / 2];  // a panel is two vectors wide
#pragma GCC unroll 2
  for (int i = 0; i < (Width + 1) / 2; ++i) {
    b[i] = static_cast<const char*>(p.panel) + (first / 2 + i) * p.panel_bytes + first % 2 * F::kHalf;
  }
#pragma GCC unroll 2
  for (int k = p.pairs; k > 0; --k) {
    if (kStreams<Rows>) {
#pragma GCC unroll 4
      for (int w = 0; w < Width; ++w) prefetch(b[w / 2] + w % 2 * 64 + kPrefetchBytes);
    }
#pragma GCC unroll 2
    for (int step = 0; step < F::kSteps; ++step) {
      Vec weights[Width];  // of this step alone: those of both would not leave registers for the rest
#pragma GCC unroll 4
      for (int w = 0; w < Width; ++w) weights[w] = F::weights(b[w / 2] + step * row_bytes + w % 2 * F::kHalf, step);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const Vec x = F::activation(a + r * stride, step);
#pragma GCC unroll 4
        for (int w = 0; w < Width; ++w) F::mac(sum[r][w], x, weights[w]);
      }
    }
    a += F::kActivation;
#pragma GCC unroll 2
    for (int i = 0; i < (Width + 1) / 2; ++i) b[i] += F::kPair + F::kSteps * row_bytes;
  }
  forget(c, c_stride);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int w = 0; w < Width; ++w) store(c + r * c_stride + w * 16, sum[r][w]);
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

/** Walks the lines of an Ahead, equally many at each of `blocks` steps. */
class Fetcher {
 public:
  Fetcher(const Ahead& ahead, int blocks)
      : at_(static_cast<const char*>(ahead.at)),
        skip_(ahead.stride - ahead.bytes),
        run_(ahead.bytes / 64),
        left_(run_),
        lines_(ahead.at ? run_ * ahead.runs : 0),
        step_(lines_ == 0 ? 0 : lines_ / blocks + 1) {}

  void advance() {
    const int64_t end = lines_ < step_ ? 0 : lines_ - step_;
    for (; lines_ > end; --lines_, at_ += 64) {
      if (left_-- == 0) {
        at_ += skip_;
        left_ = run_ - 1;
      }
      prefetch_far(at_);
    }
  }

 private:
  const char* at_;
  const int64_t skip_, run_;
  int64_t left_, lines_;  // of the run, of all
  const int64_t step_;
};

template <class F>
void tile(const TileParams& p) {
  const int blocks = p.rows < kRowBlock ? 1 : p.rows / kRowBlock;
  Fetcher weights(p.weights, blocks), outputs(p.outputs, blocks);
  int row = 0;
  for (; row + kRowBlock <= p.rows; row += kRowBlock) {
    weights.advance();
    outputs.advance();
    row_block<F, kRowBlock>(p, row);
  }
  last_rows<F, kRowBlock - 1>(p, row, p.rows - row);
}

}  // namespace
}  // namespace r1::cpu
