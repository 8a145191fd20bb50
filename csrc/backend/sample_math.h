// The arithmetic of sampling that the CPU and the device share (DESIGN.md decision 7, "Normative arithmetic"). Every
// f32 operation is rounded on its own; everything after the weights is integer arithmetic, so no order of summation
// matters. lib/sampling/reference.ts holds the same table and steps; a test compares them on equal logits.
#pragma once
#include <cstdint>
#if !defined(__CUDA_ARCH__)
#include <cmath>
#include <cstring>
#endif

#include "backend/sampling.h"
#include "base/host_device.h"

namespace r1::sampling {

// ---- single f32 operations, rounded to nearest, never contracted ----------------------------------------------------

#if defined(__CUDA_ARCH__)
R1_HOST_DEVICE float f_add(float a, float b) { return __fadd_rn(a, b); }
R1_HOST_DEVICE float f_sub(float a, float b) { return __fsub_rn(a, b); }
R1_HOST_DEVICE float f_mul(float a, float b) { return __fmul_rn(a, b); }
R1_HOST_DEVICE float f_div(float a, float b) { return __fdiv_rn(a, b); }
R1_HOST_DEVICE float f_floor(float a) { return floorf(a); }
R1_HOST_DEVICE uint32_t f_bits(float a) { return __float_as_uint(a); }
#else
R1_HOST_DEVICE float f_add(float a, float b) { return a + b; }
R1_HOST_DEVICE float f_sub(float a, float b) { return a - b; }
R1_HOST_DEVICE float f_mul(float a, float b) { return a * b; }
R1_HOST_DEVICE float f_div(float a, float b) { return a / b; }
R1_HOST_DEVICE float f_floor(float a) { return floorf(a); }
R1_HOST_DEVICE uint32_t f_bits(float a) {
  uint32_t u;
  memcpy(&u, &a, sizeof u);
  return u;
}
#endif

/** NaN or +inf: the row fails with kNotFinite. −inf is allowed and means "banned". */
R1_HOST_DEVICE bool is_bad_logit(float z) {
  const uint32_t u = f_bits(z);
  return (u & 0x7fffffffu) > 0x7f800000u || u == 0x7f800000u;
}

// ---- logits ---------------------------------------------------------------------------------------------------------

/** Penalties and bias of one edited token, in this order; the temperature comes after them. */
R1_HOST_DEVICE float adjust_logit(float z, const LogitEdit& edit, float repetition, float presence, float frequency) {
  const uint32_t count = edit.count & ~kEditSeen;
  if (edit.count & kEditSeen) z = z > 0 ? f_div(z, repetition) : f_mul(z, repetition);
  if (count != 0) {
    z = f_sub(z, presence);
    z = f_sub(z, f_mul(frequency, static_cast<float>(count)));
  }
  return f_add(z, edit.bias);
}

// ---- weights --------------------------------------------------------------------------------------------------------

constexpr float kLog2E = 1.44269504f;
constexpr uint64_t kFullWeight = uint64_t{1} << 32;  // of the largest logit

/** floor(2^32 · exp2(fround((z − z_max) · log2 e))), z and z_max after the division by the temperature, z <= z_max. */
R1_HOST_DEVICE uint64_t weight_of(float z, float z_max) {
  const float x = f_mul(f_sub(z, z_max), kLog2E);
  if (!(x >= -32.0f)) return 0;
  const float n = f_floor(x);
  const float f = f_sub(x, n);  // [0, 1]: a tiny negative x gives exactly 1
  float p = 0.00015469732f;     // exp2(f) by Horner's rule, highest power first
  p = f_add(f_mul(p, f), 0.0013427734f);
  p = f_add(f_mul(p, f), 0.009618129f);
  p = f_add(f_mul(p, f), 0.05550411f);
  p = f_add(f_mul(p, f), 0.24022651f);
  p = f_add(f_mul(p, f), 0.69314718f);
  p = f_add(f_mul(p, f), 1.0f);
  uint32_t u = f_bits(p);
  if (u > 0x3fffffffu) u = 0x3fffffffu;                   // the largest float below 2
  const uint64_t mantissa = (u & 0x7fffffu) | 0x800000u;  // p · 2^23
  const int shift = static_cast<int>(n) + 9;              // p · 2^(32 + n) = mantissa · 2^(n + 9)
  return shift >= 0 ? mantissa << shift : mantissa >> -shift;
}

// ---- the chain after the weights ------------------------------------------------------------------------------------

/** The order of candidates: weight descending, then id ascending. */
R1_HOST_DEVICE bool comes_before(uint64_t weight_a, int32_t id_a, uint64_t weight_b, int32_t id_b) {
  return weight_a != weight_b ? weight_a > weight_b : id_a < id_b;
}

R1_HOST_DEVICE uint64_t mul_high(uint64_t a, uint64_t b) {
#if defined(__CUDA_ARCH__)
  return __umul64hi(a, b);
#else
  return static_cast<uint64_t>((static_cast<unsigned __int128>(a) * b) >> 64);
#endif
}

/** top-p: whether a prefix of weight `cumulative` suffices: cumulative · 2^32 >= P · total, in 128 bits. */
R1_HOST_DEVICE bool top_p_reached(uint64_t cumulative, uint64_t p, uint64_t total) {
  const uint64_t left_high = cumulative >> 32, left_low = cumulative << 32;
  const uint64_t right_high = mul_high(p, total), right_low = p * total;
  return left_high != right_high ? left_high > right_high : left_low >= right_low;
}

/** floor(r · total / 2^32): the token drawn is the first whose cumulative weight exceeds this. */
R1_HOST_DEVICE uint64_t draw_threshold(uint32_t r, uint64_t total) {
  return mul_high(static_cast<uint64_t>(r) << 32, total);
}

/**
 * Word 0 of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with
 * key = {seed low, seed high} and counter = {position, choice, lane, 0}. Lane 0 draws.
 */
R1_HOST_DEVICE uint32_t philox_word0(uint64_t seed, uint32_t position, uint32_t choice, uint32_t lane) {
  uint32_t c0 = position, c1 = choice, c2 = lane, c3 = 0;
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0, p1 = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c0;
}

}  // namespace r1::sampling
