/** Lowers checked options to the plan that the engine executes beside the logits. */
import { randomBytes } from "node:crypto";
import { checkVocabulary, outOfRange } from "../arguments";
import type { NativeSamplePlan } from "../native";
import type { CheckedSampling, SamplingDefaults } from "./options";

/** What a plan needs beside the sampling options. */
export interface PlanContext {
  vocab: number;
  seed: number;
  /** Log-probabilities wanted: −1 none, 0 of the token alone, n with the n best. */
  logprobs: number;
  minNewTokens: number;
}

/** An integer from 0 to 2^53 − 1, each as likely as the other. */
export function drawSeed(): number {
  return Number(randomBytes(8).readBigUInt64LE() >> 11n);
}

/**
 * The plan of choice 0; another choice differs in `choice` alone.
 *
 * @throws RangeError for a token id outside the vocabulary
 */
export function lowerPlan(
  options: CheckedSampling,
  resolved: SamplingDefaults,
  context: PlanContext,
): NativeSamplePlan {
  const { vocab } = context;
  if (options.allowTokens) checkVocabulary("allowTokens", options.allowTokens, vocab);
  const bias = mergeBias(options, vocab);
  return {
    ...resolved,
    seed: context.seed,
    choice: 0,
    logprobs: context.logprobs,
    biasTokens: Int32Array.from(bias.keys()),
    biasValues: Float32Array.from(bias.values()),
    allow: options.allowTokens ? Int32Array.from(new Set(options.allowTokens)) : null,
    minNewTokens: context.minNewTokens,
  };
}

/** Biases and bans as one map, since a backend takes one edit per token: a ban wins. */
function mergeBias({ logitBias, banTokens }: CheckedSampling, vocab: number): Map<number, number> {
  const merged = new Map(logitBias);
  for (const id of merged.keys()) {
    if (id >= vocab) throw outOfRange("each key of logitBias", `a token id from 0 to ${vocab - 1}`, id);
  }
  if (banTokens) {
    checkVocabulary("banTokens", banTokens, vocab);
    for (const id of banTokens) merged.set(id, Number.NEGATIVE_INFINITY);
  }
  return merged;
}
