// Compiled with AVX-512 F, BW, DQ and VL (CMakeLists.txt), called only where the CPU has them.
#include "backend/cpu/kernels.h"

#if defined(__x86_64__)
#include "backend/cpu/vec_avx512.h"
// The vectors above come first: the templates below are written in them.
#include "backend/cpu/pack_avx512.h"
#include "backend/cpu/table_impl.h"

namespace r1::cpu {
const Kernels* avx512_kernels() {
  static constexpr Kernels kTable = [] {
    Kernels k = make_kernels("avx512", "AVX-512 F BW DQ VL");
    k.pack_keys = pack_keys_avx512;
    k.pack_values_bf16 = pack_values_avx512;
    return k;
  }();
  return &kTable;
}
}  // namespace r1::cpu
#else
namespace r1::cpu {
const Kernels* avx512_kernels() { return nullptr; }
}  // namespace r1::cpu
#endif
