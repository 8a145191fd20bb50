/**
 * The ops of csrc/backend/backend.h in float64, one function each, rounding only where the contract says that a value is
 * stored. Written to be read: no blocking, no tricks.
 */
import type { Precision } from "../../lib/native";
import { roundAll } from "../support/rounding";

/** x / sqrt(mean(x²) + eps) · gain */
export function rmsnorm(x: ArrayLike<number>, gain: ArrayLike<number>, eps: number): Float64Array {
  let squares = 0;
  for (let i = 0; i < x.length; i++) squares += x[i] * x[i];
  const scale = 1 / Math.sqrt(squares / x.length + eps);
  return Float64Array.from({ length: x.length }, (_, i) => x[i] * scale * gain[i]);
}

export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** The normalised row as it enters a product: stored as an activation. */
export function normed(row: Float32Array, gain: Float32Array, eps: number, precision: Precision): Float32Array {
  return roundAll(rmsnorm(row, gain, eps), precision);
}

/** One output of norm_linear (before it is stored) or head. */
export function linear(x: Float32Array, weightRow: Float32Array, bias = 0): number {
  return dot(x, weightRow) + bias;
}

export function silu(v: number): number {
  return v / (1 + Math.exp(-v));
}

/** One output of norm_swiglu, before it is stored. */
export function swiglu(x: Float32Array, gateRow: Float32Array, upRow: Float32Array, gateBias = 0, upBias = 0): number {
  return silu(dot(x, gateRow) + gateBias) * (dot(x, upRow) + upBias);
}

export interface Rope {
  /** [headDim / 2] */
  invFreq: Float32Array;
  ropeScale: number;
  eps: number;
}

/** One head of Q or K: optional RMSNorm, then pairs (i, i + headDim / 2) rotated by float32(position) · invFreq[i]. */
export function rotateHead(head: Float32Array, position: number, rope: Rope, gain?: Float32Array): Float64Array {
  const x = gain ? rmsnorm(head, gain, rope.eps) : Float64Array.from(head);
  const half = x.length / 2;
  const out = new Float64Array(x.length);
  for (let i = 0; i < half; i++) {
    const angle = Math.fround(Math.fround(position) * rope.invFreq[i]);
    const cos = Math.cos(angle) * rope.ropeScale;
    const sin = Math.sin(angle) * rope.ropeScale;
    out[i] = x[i] * cos - x[i + half] * sin;
    out[i + half] = x[i + half] * cos + x[i] * sin;
  }
  return out;
}

/** Whether the query at slot `q` sees the key at slot `k`; a window of w tokens includes the query itself. */
export function visible(q: number, k: number, window: number): boolean {
  return k <= q && (window === 0 || q - k < window);
}

/**
 * softmax(scale · q Kᵀ) V for one query of one head.
 *
 * @param keys slot → [headDim], likewise `values`
 */
export function attend(
  query: Float32Array,
  slot: number,
  keys: (slot: number) => Float32Array,
  values: (slot: number) => Float32Array,
  scale: number,
  window: number,
): Float64Array {
  const slots: number[] = [];
  for (let k = 0; k <= slot; k++) if (visible(slot, k, window)) slots.push(k);
  const scores = slots.map((k) => scale * dot(query, keys(k)));
  const max = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((s) => Math.exp(s - max));
  const total = weights.reduce((a, b) => a + b, 0);
  const out = new Float64Array(query.length);
  slots.forEach((k, i) => {
    const value = values(k);
    for (let d = 0; d < out.length; d++) out[d] += (weights[i] / total) * value[d];
  });
  return out;
}
