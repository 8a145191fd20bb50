#include "backend/cpu/kernels.h"

#include <string>

#include "base/error.h"

namespace r1::cpu {
namespace {

struct Family {
  std::string_view name;
  const Kernels* (*kernels)();
  bool (*runs_here)();
};

#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
bool has_avx512bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
bool has_avx512bf16() { return false; }
#endif
bool always() { return true; }

// Best first.
constexpr Family kFamilies[] = {
    {"avx512bf16", avx512bf16_kernels, has_avx512bf16},
    {"avx512", avx512_kernels, has_avx512},
    {"avx2", avx2_kernels, has_avx2},
    {"neon", neon_kernels, always},
    {"generic", generic_kernels, always},
};

}  // namespace

const Kernels& choose_kernels(std::string_view family) {
  std::string present;
  for (const Family& candidate : kFamilies) {
    if (!candidate.kernels() || !candidate.runs_here()) continue;
    if (family.empty() || family == candidate.name) return *candidate.kernels();
    present += present.empty() ? "" : ", ";
    present += candidate.name;
  }
  R1_THROW(ErrorCode::kUnsupported, "CPU kernel family \"" + std::string(family) +
                                        "\" cannot run on this machine; it can run: " + present +
                                        ". Leave the family out to take the best");
}

}  // namespace r1::cpu
