/** What makes two requests equal: everything that decides the tokens they yield. */
import { createHash } from "node:crypto";
import type { NativeRequest } from "../native";
import type { ReasoningStart } from "../text/reasoning-splitter";

/** Where stop strings end an answer: they are looked for in the text, which begins behind the reasoning. */
export interface StopContext {
  stop: readonly string[];
  reasoning: ReasoningStart | undefined;
}

/**
 * A digest (SHA-256) of prompt and options. Left out is what changes no token: priority and time limits, and what draws
 * a token where none is drawn, at temperature 0. The salt is part of it, so that tenants never meet.
 */
export function requestKey(request: NativeRequest, { stop, reasoning }: StopContext): string {
  const { prompt, maxNewTokens, salt, sample } = request;
  const greedy = sample.temperature === 0;
  const drawn = greedy ? null : [sample.topK, sample.topP, sample.minP, sample.seed, sample.choice];
  const { temperature, repetitionPenalty, presencePenalty, frequencyPenalty, logprobs, minNewTokens } = sample;
  const order = Array.from(sample.biasTokens.keys()).sort((a, b) => sample.biasTokens[a] - sample.biasTokens[b]);
  const lists = [
    prompt,
    request.stopTokens.slice().sort(),
    Int32Array.from(order, (i) => sample.biasTokens[i]),
    Float32Array.from(order, (i) => sample.biasValues[i]),
    sample.allow ? sample.allow.slice().sort() : new Int32Array(),
  ];
  const plain = [
    ...[salt, maxNewTokens, minNewTokens, logprobs, temperature, drawn],
    ...[repetitionPenalty, presencePenalty, frequencyPenalty],
    stop.length > 0 ? [stop, reasoning ?? null] : null,
    ...[sample.allow !== null, lists.map((list) => list.length)],
  ];
  const hash = createHash("sha256").update(JSON.stringify(plain));
  for (const list of lists) hash.update(list);
  return hash.digest("base64");
}
