// Reproducible made-up weights for benches and tests: element i of a tensor is a function of (seed, i) alone, so every
// backend can generate the same values on its own device.
#pragma once
#include <cstdint>

#include "base/host_device.h"

namespace r1 {

/** Uniform in [-scale, scale), from a 64-bit multiply-xorshift hash. */
R1_HOST_DEVICE float random_weight(uint64_t seed, uint64_t i, float scale) {
  uint64_t h = (i + 1 + seed * 0x1000000007ull) * 0x9E3779B97F4A7C15ull;
  h ^= h >> 29;
  h *= 0xBF58476D1CE4E5B9ull;
  h ^= h >> 32;
  return static_cast<float>(static_cast<int32_t>(static_cast<uint32_t>(h))) * (scale * (1.0f / 2147483648.0f));
}

}  // namespace r1
