/**
 * The normative sampler. The CPU and CUDA backends give the same token as this file, bit for bit, for the same float32
 * logits; where they differ, they are wrong.
 *
 * Order: penalties, bias → mask → temperature → top-k → top-p → min-p → draw. Options are rounded to float32 once, every
 * step is one float32 operation rounded to nearest (`Math.fround` of a double sum, product or quotient of two float32
 * values is exactly that). From the weights on everything is integer: a weight is at most 2^32 and a sum of weights
 * below 2^53, so doubles hold them exactly; products of two of them are BigInts.
 */
import type { NativeSamplePlan } from "../native";
import { BELOW_TWO, EXP2_COEFFICIENTS, LOG2_E } from "./exp2-table";
import { philox } from "./philox";

const { fround } = Math;
const ONE = 2 ** 32;

/** One row's parameters, rounded: csrc/backend/sampling.h's SampleRow. */
export interface ReferenceRow {
  /** 0 (greedy) or at least 0.001, float32, like the three penalties. */
  temperature: number;
  repetition: number;
  presence: number;
  frequency: number;
  /** 0 is off. */
  topK: number;
  /** floor(2^32 · topP) and floor(2^32 · minP): 2^32 and 0 are off. */
  topP: number;
  minP: number;
  /** Integer from 0 to 2^53 − 1. */
  seed: number;
  /** Index in its sequence, prompt included, of the token to draw. */
  position: number;
  choice: number;
}

/** A token whose logit is adjusted; a token has at most one. */
export interface ReferenceEdit {
  token: number;
  /** In the prompt or the output: the repetition penalty applies. */
  seen: boolean;
  /** Occurrences in the output, for presence and frequency. */
  count: number;
  /** Added after the penalties; −Infinity bans. */
  bias: number;
}

export type ReferenceStatus = "ok" | "empty" | "not-finite";

export interface ReferenceSample {
  /** −1 unless `status` is "ok". */
  token: number;
  status: ReferenceStatus;
}

/** Rounds a plan as the engine does. */
export function referenceRow(plan: NativeSamplePlan, position: number): ReferenceRow {
  return {
    temperature: fround(plan.temperature),
    repetition: fround(plan.repetitionPenalty),
    presence: fround(plan.presencePenalty),
    frequency: fround(plan.frequencyPenalty),
    topK: plan.topK,
    topP: Math.floor(ONE * plan.topP),
    minP: Math.floor(ONE * plan.minP),
    seed: plan.seed,
    position,
    choice: plan.choice,
  };
}

/** Packs allowed ids into mask words: bit i of word w allows token 32 · w + i. */
export function allowMask(ids: ArrayLike<number>, vocab: number): Uint32Array {
  const words = new Uint32Array(Math.ceil(vocab / 32));
  for (let i = 0; i < ids.length; i++) words[ids[i] >>> 5] |= 1 << (ids[i] & 31);
  return words;
}

/**
 * floor(2^32 · 2^x) with x = (z − zMax) · log2 e, an integer from 0 to 2^32.
 *
 * @param z a float32 at most `zMax`; −Infinity weighs 0
 */
export function sampleWeight(z: number, zMax: number): number {
  const x = fround(fround(z - zMax) * LOG2_E);
  const n = Math.floor(x);
  if (n < -32) return 0;
  const f = fround(x - n);
  let p = EXP2_COEFFICIENTS[6];
  for (let i = 5; i >= 0; i--) p = fround(fround(p * f) + EXP2_COEFFICIENTS[i]);
  if (p >= 2) p = BELOW_TWO;
  return Math.floor(p * 2 ** (32 + n));
}

/** Adjusted logits, before the temperature. Tokens outside `allow` are −Infinity. */
export function adjustLogits(
  logits: Float32Array,
  row: ReferenceRow,
  edits: readonly ReferenceEdit[],
  allow: Uint32Array | null,
): Float32Array {
  const adjusted = Float32Array.from(logits);
  for (const { token, seen, count, bias } of edits) {
    let z = adjusted[token];
    if (seen) z = fround(z > 0 ? z / row.repetition : z * row.repetition);
    if (count > 0) {
      z = fround(z - row.presence);
      z = fround(z - fround(row.frequency * count));
    }
    adjusted[token] = fround(z + bias);
  }
  if (allow) {
    for (let i = 0; i < adjusted.length; i++) if (!((allow[i >>> 5] >>> (i & 31)) & 1)) adjusted[i] = -Infinity;
  }
  return adjusted;
}

/** Index of the largest value, the first of equals. */
export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

interface Candidates {
  /** In the order of the sampler: weight descending, then id ascending. */
  ids: Int32Array;
  weights: Float64Array;
}

/** Tokens of weight above 0 in order. A token of weight 0 can neither be drawn nor change a sum, so it is left out. */
function orderByWeight(scaled: Float32Array, zMax: number): Candidates {
  const found: { id: number; weight: number }[] = [];
  for (let id = 0; id < scaled.length; id++) {
    const weight = sampleWeight(scaled[id], zMax);
    if (weight > 0) found.push({ id, weight });
  }
  found.sort((a, b) => b.weight - a.weight || a.id - b.id);
  return { ids: Int32Array.from(found, (t) => t.id), weights: Float64Array.from(found, (t) => t.weight) };
}

function sum(weights: Float64Array, count: number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += weights[i];
  return total;
}

/** How many of the first `count` top-p keeps: the shortest prefix with cumulative · 2^32 ≥ topP · total, at least one. */
function topPCount(weights: Float64Array, count: number, topP: number): number {
  const product = BigInt(topP) * BigInt(sum(weights, count));
  const needed = Number((product + 0xffffffffn) >> 32n);
  let cumulative = weights[0];
  let kept = 1;
  while (kept < count && cumulative < needed) cumulative += weights[kept++];
  return kept;
}

/** Index of the first whose cumulative weight exceeds floor(r · total / 2^32). */
function drawIndex(weights: Float64Array, count: number, r: number): number {
  const threshold = Number((BigInt(r) * BigInt(sum(weights, count))) >> 32n);
  let cumulative = 0;
  for (let i = 0; i < count; i++) {
    cumulative += weights[i];
    if (cumulative > threshold) return i;
  }
  throw new Error("unreachable: the threshold is below the total");
}

/**
 * Draws one token.
 *
 * @param logits float32 logits of the whole vocabulary; not changed
 * @param allow words of {@link allowMask}; null allows everything
 */
export function sampleReference(
  logits: Float32Array,
  row: ReferenceRow,
  edits: readonly ReferenceEdit[] = [],
  allow: Uint32Array | null = null,
): ReferenceSample {
  if (!logits.every((z) => z < Infinity)) return { token: -1, status: "not-finite" };
  const z = adjustLogits(logits, row, edits, allow);
  if (row.temperature > 0) for (let i = 0; i < z.length; i++) z[i] = fround(z[i] / row.temperature);
  if (!z.every((v) => v < Infinity)) return { token: -1, status: "not-finite" };
  const best = argmax(z);
  if (z[best] === -Infinity) return { token: -1, status: "empty" };
  if (row.temperature === 0) return { token: best, status: "ok" };

  const { ids, weights } = orderByWeight(z, z[best]);
  let kept = row.topK > 0 ? Math.min(row.topK, ids.length) : ids.length;
  kept = topPCount(weights, kept, row.topP);
  while (kept > 1 && weights[kept - 1] < row.minP) kept--;
  const key = [row.seed % ONE, Math.floor(row.seed / ONE)] as const;
  const [r] = philox([row.position, row.choice, 0, 0], key);
  return { token: ids[drawIndex(weights, kept, r)], status: "ok" };
}

/** log softmax(logits), summed in double. */
export function logSoftmax(logits: Float32Array): Float64Array {
  const max = logits[argmax(logits)];
  let total = 0;
  for (const z of logits) total += Math.exp(z - max);
  const shift = max + Math.log(total);
  return Float64Array.from(logits, (z) => z - shift);
}
