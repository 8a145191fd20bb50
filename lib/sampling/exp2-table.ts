/**
 * The one polynomial of the sampler: 2^f for f in [0, 1], degree 6, evaluated by Horner's rule in float32 with every
 * product and every sum rounded. Its C++ twin is csrc/backend/sample_math.h; changing a digit here changes what a seed
 * gives, so both change together or not at all.
 *
 * p(0) is exactly 1, and the relative error stays below 4e-6: the first five are Taylor's, the last two spread the error.
 */
export const EXP2_COEFFICIENTS: Float32Array = Float32Array.of(
  1.0,
  Math.LN2,
  0.24022651,
  0.05550411,
  0.009618129,
  0.0013427734,
  0.00015469732,
);

/** log2(e), rounded to float32. */
export const LOG2_E: number = Math.fround(Math.LOG2E);

/** The largest float32 below 2: where the polynomial is clamped, so that its mantissa stays in [1, 2). */
export const BELOW_TWO: number = 2 - 2 ** -23;
