// Which variants of the kernels a device gets.
#pragma once
#include <string>
#include <string_view>

#include "base/dtype.h"

namespace r1::cuda {

/** Families of kernels. A device can run its own and those of older devices, so that each can be tested on any card. */
enum class KernelFamily : uint8_t {
  kSimt,  // plain arithmetic; all there is for f32
  kSm75,  // mma.sync m16n8k8 of fp16
  kSm80,  // cp.async, mma.sync m16n8k16 of bf16 and fp16
  kSm90,  // TMA and wgmma
};

std::string_view family_name(KernelFamily family);

/**
 * The family for compute capability `cc` (75, 80, 86, 90, 120, …) at a precision; `forced` is "" or a family's name.
 * Throws kUnsupported where the device cannot run the precision or the forced family.
 */
KernelFamily choose_family(int cc, DType precision, std::string_view forced);

/** Rows of one sequence that a block of prefill attention takes. */
int prefill_tile_rows(KernelFamily family, DType act);

}  // namespace r1::cuda
