// The end of every linear kernel: scale, bias, then store, add to the residual stream, or SwiGLU.
// Each step is one operation rounded to nearest and written as such, so that all kernels of a numeric class give the
// same bits whatever the compiler would like to fuse.
#pragma once
#include "backend/cuda/linear_params.h"
#include "ptx.cuh"

namespace r1 {

using cuda::LinearEpilogue;
using cuda::LinearOutput;

/** exp(x) for |x| <= 88 within about 2 units in the last place: 2^(x · log2 e), the product's rounding error put back.
 */
R1_DEVICE float exponential(float x) {
  constexpr float kLog2e = 1.44269502f, kLog2eRest = 1.92596303e-8f, kLn2 = 0.693147182f;
  const float t = __fmul_rn(x, kLog2e);
  const float rest = __fmaf_rn(x, kLog2eRest, __fmaf_rn(x, kLog2e, -t));
  float p;
  asm("ex2.approx.f32 %0, %1;" : "=f"(p) : "f"(t));
  return __fmaf_rn(p, __fmul_rn(rest, kLn2), p);
}

/** silu(gate) · up */
R1_DEVICE float swiglu(float gate, float up) {
  const float e = exponential(fminf(fmaxf(-gate, -88.0f), 88.0f));
  float inverse;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(__fadd_rn(1.0f, e)));  // within a unit in the last place
  return __fmul_rn(__fmul_rn(gate, inverse), up);
}

/** What a product is multiplied by whose input has yet to be normed. */
R1_DEVICE float norm_root(const cuda::NormScaling& norm, float sum_of_squares) {
  return __frsqrt_rn(__fmaf_rn(sum_of_squares, norm.share, norm.eps));
}
/** A pair of dimensions by an angle's cosine and sine. */
R1_DEVICE float2 rotate(float2 v, float c, float s) {
  return make_float2(__fmaf_rn(v.x, c, -__fmul_rn(v.y, s)), __fmaf_rn(v.y, c, __fmul_rn(v.x, s)));
}

/**
 * Finishes the outputs of two stored weight rows, `row` (row % 16 < 8) and row + 8, which are what a thread holds of an
 * operand-swapped fragment. With SwiGLU they are gate and up of one column of y.
 */
template <class Act>
class PairEpilogue {
 public:
  /** Reads the biases: constants, so allowed before pdl_wait(). */
  R1_DEVICE PairEpilogue(const LinearOutput& out, int row) : out_(out) {
    const bool gate_up = out.epilogue == LinearEpilogue::kSwiglu;
    column_ = gate_up ? row / 16 * 8 + row % 16 : row;
    first_ = column_ < out.columns;
    second_ = gate_up ? first_ : row + 8 < out.columns;
    const int second = gate_up ? out.columns + column_ : row + 8;
    first_bias_ = out.bias && first_ ? out.bias[column_] : 0.0f;
    second_bias_ = out.bias && second_ ? out.bias[second] : 0.0f;
  }

  /** The residual values of a token, for finish(); zeros for the other epilogues. After pdl_wait(). */
  R1_DEVICE float2 residual(int token) const {
    float2 r = {0.0f, 0.0f};
    if (out_.epilogue == LinearEpilogue::kAddResidual && token < out_.rows) {
      const float* y = static_cast<const float*>(out_.y) + token * out_.ldy + column_;
      if (first_) r.x = __ldcg(y);
      if (second_) r.y = __ldcg(y + 8);
    }
    return r;
  }

  R1_DEVICE void finish(int token, float sum_a, float sum_b, float2 residual) const {
    if (token >= out_.rows) return;
    const float scale = out_.x_scale ? __ldcg(out_.x_scale + token) : 1.0f;
    float a = __fadd_rn(__fmul_rn(sum_a, scale), first_bias_), b = __fadd_rn(__fmul_rn(sum_b, scale), second_bias_);
    const int64_t at = token * out_.ldy + column_;
    switch (out_.epilogue) {
      case LinearEpilogue::kStore: {
        Act* y = static_cast<Act*>(out_.y) + at;
        if (first_) y[0] = from_float<Act>(a);
        if (second_) y[8] = from_float<Act>(b);
        break;
      }
      case LinearEpilogue::kAddResidual:
        a = __fadd_rn(residual.x, a), b = __fadd_rn(residual.y, b);
        [[fallthrough]];
      case LinearEpilogue::kStoreF32: {
        float* y = static_cast<float*>(out_.y) + at;
        if (first_) y[0] = a;
        if (second_) y[8] = b;
        break;
      }
      case LinearEpilogue::kSwiglu:
        if (first_) static_cast<Act*>(out_.y)[at] = from_float<Act>(swiglu(a, b));
        break;
      case LinearEpilogue::kRopeAppend:
        break;  // the kernels' of sm_90
    }
  }

  /** d: (row, token), (row, token + 1), (row + 8, token), (row + 8, token + 1). */
  R1_DEVICE void finish_fragment(int token, const float (&d)[4], float2 residual_0, float2 residual_1) const {
    finish(token, d[0], d[2], residual_0);
    finish(token + 1, d[1], d[3], residual_1);
  }

 private:
  const LinearOutput& out_;
  int column_;
  bool first_, second_;
  float first_bias_, second_bias_;
};

}  // namespace r1
