#include "backend/cuda/family.h"

#include <array>

#include "base/error.h"

namespace r1::cuda {
namespace {

struct FamilyRow {
  KernelFamily family;
  std::string_view name;
  int cc;        // the least compute capability
  int cc_limit;  // the first one that cannot run it any more
  bool f32, bf16, fp16;
};

// In order of preference, the best last. wgmma exists on compute capability 9.0 alone.
constexpr std::array<FamilyRow, 4> kFamilies = {{
    {KernelFamily::kSimt, "simt", 75, 1000, true, true, true},
    {KernelFamily::kSm75, "sm75", 75, 1000, false, false, true},
    {KernelFamily::kSm80, "sm80", 80, 1000, false, true, true},
    {KernelFamily::kSm90, "sm90", 90, 91, false, true, true},
}};

bool computes(const FamilyRow& row, DType precision) {
  return precision == DType::kF32 ? row.f32 : precision == DType::kBF16 ? row.bf16 : row.fp16;
}

bool runs_on(const FamilyRow& row, int cc) { return cc >= row.cc && cc < row.cc_limit; }

}  // namespace

std::string_view family_name(KernelFamily family) {
  for (const FamilyRow& row : kFamilies) {
    if (row.family == family) return row.name;
  }
  return "unknown";
}

KernelFamily choose_family(int cc, DType precision, std::string_view forced) {
  const std::string device = "compute capability " + std::to_string(cc / 10) + "." + std::to_string(cc % 10);
  R1_CHECK(cc >= 75, ErrorCode::kDeviceUnavailable,
           "the GPU has " + device + ", but 7.5 (Turing) or newer is needed. Use device \"cpu\" or another card.");
  R1_CHECK(precision != DType::kBF16 || cc >= 80, ErrorCode::kUnsupported,
           "precision bf16 needs compute capability 8.0 (Ampere), but the GPU has " + device + ". Use fp16 or f32.");
  const FamilyRow* best = nullptr;
  for (const FamilyRow& row : kFamilies) {
    const bool usable = runs_on(row, cc) && computes(row, precision);
    if (forced == row.name) {
      R1_CHECK(usable, ErrorCode::kUnsupported,
               "kernel family " + std::string(forced) + " cannot run at precision " +
                   std::string(dtype_name(precision)) + " on " + device + ".");
      return row.family;
    }
    if (usable) best = &row;
  }
  R1_CHECK(forced.empty(), ErrorCode::kUnsupported,
           "unknown kernel family \"" + std::string(forced) + "\"; expected sm75, sm80, sm90 or simt.");
  return best->family;
}

}  // namespace r1::cuda
