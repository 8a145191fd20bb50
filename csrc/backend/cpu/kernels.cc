#include "backend/cpu/kernels.h"

#include <string>

#include "base/error.h"

namespace r1::cpu {
namespace {

struct Family {
  std::string_view name;
  const Kernels* (*kernels)();
  bool (*runs_here)();
  bool (*pays_here)();  // whether it is faster than the next one; otherwise it must be asked for by name
};

bool always() { return true; }
#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
bool has_avx512bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
/**
 * AMD's cores (Zen 4 on) do twice as many bfloat16 products as float32 ones. Intel's Sapphire Rapids does half as many:
 * 36 against 70 G multiply-adds a second and core measured, so there weights are widened and multiplied in float32.
 */
bool bf16_dots_pay() { return __builtin_cpu_is("amd") > 0; }
#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
bool has_avx512bf16() { return false; }
bool bf16_dots_pay() { return false; }
#endif

// Best first.
constexpr Family kFamilies[] = {
    {"avx512bf16", avx512bf16_kernels, has_avx512bf16, bf16_dots_pay},
    {"avx512", avx512_kernels, has_avx512, always},
    {"avx2", avx2_kernels, has_avx2, always},
    {"neon", neon_kernels, always, always},
    {"generic", generic_kernels, always, always},
};

}  // namespace

const Kernels& choose_kernels(std::string_view family) {
  std::string present;
  for (const Family& candidate : kFamilies) {
    if (!candidate.kernels() || !candidate.runs_here()) continue;
    if (family.empty() ? candidate.pays_here() : family == candidate.name) return *candidate.kernels();
    present += present.empty() ? "" : ", ";
    present += candidate.name;
  }
  R1_THROW(ErrorCode::kUnsupported, "CPU kernel family \"" + std::string(family) +
                                        "\" cannot run on this machine; it can run: " + present +
                                        ". Leave the family out to take the best");
}

const Kernels* bf16_dot_kernels() { return has_avx512bf16() ? avx512bf16_kernels() : nullptr; }

}  // namespace r1::cpu
