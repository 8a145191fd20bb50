// The kernels in plain C++, for any CPU.
#include "backend/cpu/vec_generic.h"
// The vectors above come first: the templates below are written in them.
#include "backend/cpu/table_impl.h"

namespace r1::cpu {

const Kernels* generic_kernels() {
  static constexpr Kernels kTable = make_kernels("generic", "portable C++");
  return &kTable;
}

}  // namespace r1::cpu
