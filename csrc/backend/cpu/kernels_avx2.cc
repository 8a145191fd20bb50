// Compiled with AVX2, FMA and F16C (CMakeLists.txt), called only where the CPU has them.
#include "backend/cpu/kernels.h"

#if defined(__x86_64__)
#include "backend/cpu/vec_avx2.h"
// The vectors above come first: the templates below are written in them.
#include "backend/cpu/table_impl.h"

namespace r1::cpu {
const Kernels* avx2_kernels() {
  static constexpr Kernels kTable = make_kernels("avx2", "AVX2, FMA, F16C");
  return &kTable;
}
}  // namespace r1::cpu
#else
namespace r1::cpu {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace r1::cpu
#endif
