// Element types and their conversions on the host.
#pragma once
#include <bit>
#include <cstdint>
#include <string_view>

namespace r1 {

enum class DType : uint8_t { kF32, kBF16, kF16 };

constexpr int64_t dtype_size(DType t) { return t == DType::kF32 ? 4 : 2; }
constexpr std::string_view dtype_name(DType t) {
  return t == DType::kF32 ? "f32" : t == DType::kBF16 ? "bf16" : "fp16";
}

/** A bfloat16 is the upper half of a float32. */
inline float bf16_to_f32(uint16_t v) { return std::bit_cast<float>(static_cast<uint32_t>(v) << 16); }

/** Round to nearest even; NaN stays NaN (quiet). */
inline uint16_t f32_to_bf16(float f) {
  const uint32_t u = std::bit_cast<uint32_t>(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((u >> 16) | 0x40u);
  return static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

float f16_to_f32(uint16_t v);
/** Round to nearest even; beyond 65504 (after rounding) becomes infinity. */
uint16_t f32_to_f16(float f);

}  // namespace r1
