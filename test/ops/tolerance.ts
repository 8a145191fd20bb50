/**
 * How far an op may be from the float64 reference, as a relative error in norm: ‖a − b‖ / ‖b‖.
 * The references round where the contract rounds (csrc/backend/backend.h), so what is left is the output's own rounding
 * and float32 accumulation. Loosening a value needs a written reason here.
 */
import { expect } from "vitest";
import type { Precision } from "../../lib/native";

/**
 * Outputs stored as activations. Rounding to nearest gives an error in norm of about 0.42 units in the last place
 * (2^−7, 2^−10): 1.65e-3 for bf16, 2.1e-4 for fp16. Attention also rounds its probabilities before the product with V
 * on tensor cores, which adds about as much again in quadrature (2.3e-3, 2.9e-4).
 * f32: sums of up to 19 000 products, each step rounded to 2^−24: a few 1e-6 at random, 1e-5 leaves room for order.
 */
export const stored: Record<Precision, number> = { f32: 1e-5, bf16: 3e-3, fp16: 5e-4 };

/**
 * Outputs in float32 of inputs given exactly (linear + residual): no rounding but accumulation. Tensor cores truncate
 * instead of rounding when they add, so 1200 steps over K = 18 944 can reach a few 1e-5.
 */
export const accumulated: Record<Precision, number> = { f32: 1e-5, bf16: 1e-4, fp16: 1e-4 };

/**
 * Outputs in float32 of inputs that the op rounds to activations itself (head): where float32 and float64 fall on two
 * sides of a rounding border, one input of a row moves by a unit in the last place. That is one element in 2·10^4, or
 * about 1e-4 of a row of 1536 every tenth row.
 */
export const rounded: Record<Precision, number> = { f32: 1e-5, bf16: 5e-4, fp16: 1e-4 };

/** Checks the norm of the error, and that no single element is off by more than ten times its share. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string) {
  expect(actual.length, `${what}: number of values`).toBe(expected.length);
  let error = 0;
  let norm = 0;
  let worst = 0;
  let where = -1;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    if (!(difference <= worst)) {
      worst = difference;
      where = i;
    }
    error += difference * difference;
    norm += expected[i] * expected[i];
  }
  const relative = Math.sqrt(error / norm);
  const rms = Math.sqrt(norm / expected.length);
  const found = `element ${where} is ${actual[where]}, expected ${expected[where]}`;
  if (!(relative <= tolerance)) expect.fail(`${what}: relative error ${relative} > ${tolerance}; ${found}`);
  // Large elements have proportionally large rounding errors, so an element's bound follows its own size as well.
  const bound = 10 * tolerance * Math.max(rms, Math.abs(expected[where] ?? 0));
  if (!(worst <= bound)) expect.fail(`${what}: one element is off by ${worst} > ${bound}; ${found}`);
}

/** Every value of an output was written: poison is NaN. */
export function expectWritten(values: Float32Array, what: string) {
  const at = values.findIndex(Number.isNaN);
  if (at >= 0) expect.fail(`${what}: element ${at} was not written (or is NaN)`);
}

/** Bit equality, with the first difference named. */
export function expectSameBits(actual: Uint8Array, expected: Uint8Array, what: string) {
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  expect.fail(
    `${what}: bits differ from byte ${at} of ${expected.length} on (lengths ${actual.length}, ${expected.length})`,
  );
}

/** Bit equality of several runs of the same outputs. */
export function expectSameRuns(runs: Uint8Array[][], what: string) {
  for (const run of runs) for (const [i, bits] of run.entries()) expectSameBits(bits, runs[0][i], what);
}

/** Equality of values, zeros of both signs told apart: for what an op copies. */
export function expectSame(actual: Float32Array | Float64Array, expected: ArrayLike<number>, what: string) {
  expect(actual.length, `${what}: number of values`).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (!Object.is(actual[i], expected[i]))
      expect.fail(`${what}: element ${i} is ${actual[i]}, expected ${expected[i]}`);
  }
}
