// NEON is part of every 64-bit Arm CPU.
#include "backend/cpu/kernels.h"

#if defined(__aarch64__)
#include "backend/cpu/vec_neon.h"
// The vectors above come first: the templates below are written in them.
#include "backend/cpu/table_impl.h"

namespace r1::cpu {
const Kernels* neon_kernels() {
  static constexpr Kernels kTable = make_kernels("neon", "NEON");
  return &kTable;
}
}  // namespace r1::cpu
#else
namespace r1::cpu {
const Kernels* neon_kernels() { return nullptr; }
}  // namespace r1::cpu
#endif
