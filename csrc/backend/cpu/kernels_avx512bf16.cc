// Compiled with AVX-512 F, BW, DQ, VL and BF16 (CMakeLists.txt), called only where the CPU has them.
#include "backend/cpu/kernels.h"

#if defined(__x86_64__)
#include "backend/cpu/vec_avx512.h"
// The vectors above come first: the templates below are written in them.
#include "backend/cpu/pack_avx512.h"
#include "backend/cpu/table_impl.h"

namespace r1::cpu {
namespace {

/** VDPBF16PS: each lane adds two products of bfloat16 to its float32. */
struct BF16xBF16 {
  static constexpr int kSteps = 1;
  static constexpr int64_t kPair = 128, kHalf = 64, kActivation = 4;
  static inline Vec weights(const char* p, int) { return load(reinterpret_cast<const float*>(p)); }
  static inline Vec activation(const char* a, int) {
    int pair;
    std::memcpy(&pair, a, sizeof pair);
    return {_mm512_castsi512_ps(_mm512_set1_epi32(pair))};
  }
  static inline void mac(Vec& sum, const Vec& x, const Vec& w) {
    sum.v = _mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(x.v), reinterpret_cast<__m512bh>(w.v));
  }
};

int64_t spin_bf16(int64_t rounds, float* sink) {
  constexpr int kChains = 24;
  Vec sum[kChains];
  const Vec factor = set1(*sink);
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) sum[i] = set1(static_cast<float>(i));
  for (int64_t n = 0; n < rounds; ++n) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) BF16xBF16::mac(sum[i], factor, factor);
  }
  Vec total = set1(0.0f);
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) total = add(total, sum[i]);
  *sink = reduce_add(total);
  return rounds * kChains * 32;
}

constexpr Kernels make_table() {
  Kernels k = make_kernels("avx512bf16", "AVX-512 F BW DQ VL BF16");
  k.bf16_dots = true;
  k.pack_keys = pack_keys_avx512;
  k.pack_values_bf16 = pack_values_avx512;
  k.tile[static_cast<int>(Format::kBF16xBF16)] = tile<BF16xBF16>;
  k.spin_bf16 = spin_bf16;
  return k;
}

}  // namespace

const Kernels* avx512bf16_kernels() {
  static constexpr Kernels kTable = make_table();
  return &kTable;
}
}  // namespace r1::cpu
#else
namespace r1::cpu {
const Kernels* avx512bf16_kernels() { return nullptr; }
}  // namespace r1::cpu
#endif
