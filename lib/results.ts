/** What requests give back. */
import type { NativeLogprobs } from "./native";

/** Why a request ended: a stop id, a stop string, or the number of tokens. */
export type FinishReason = "stop" | "length";

/** Tokens of a request. */
export interface Usage {
  promptTokens: number;
  /** Prompt tokens that did not have to be computed: their keys and values, or the whole answer, were there already. */
  cachedTokens: number;
  /** `tokens.length` of the result. */
  completionTokens: number;
  /** Those of the completion that belong to the reasoning, `</think>` included. */
  reasoningTokens: number;
}

/** Milliseconds: waiting to be admitted, from there to the first token, from there to the end. */
export interface Timings {
  queue: number;
  prefill: number;
  decode: number;
}

/** A token and its log-probability (natural logarithm) under the model's unmodified logits. */
export interface ScoredToken {
  token: number;
  logprob: number;
}

/** A token that was taken, and the best ones at its place, best first. */
export interface TokenLogprob extends ScoredToken {
  top: ScoredToken[];
}

/** One answer. */
export interface Result {
  /** The text; it ends before the stop string. Stop ids and control tokens are not part of it. */
  text: string;
  /** What the model wrote while thinking; "" where it did not, and always for `generate` and `complete`. */
  reasoning: string;
  /** Every sampled id in order, the stop id and `</think>` included. */
  tokens: number[];
  finishReason: FinishReason;
  usage: Usage;
  timings: Timings;
  /** The seed that was used. */
  seed: number;
  /**
   * The answer was computed for an equal request before or meanwhile (`LoadOptions.resultCache`): all prompt tokens
   * count as cached, and `timings` are what this request waited. Absent otherwise.
   */
  cached?: true;
  /** `modelPath` of the second model, where that answered (`LoadOptions.onTimeout`). Absent otherwise. */
  answeredBy?: string;
  /** One entry per token, when `logprobs` was asked for. */
  logprobs?: TokenLogprob[];
  /** All answers, when `n` is above 1; the fields beside this one are those of the first. */
  choices?: Result[];
}

/** What an aborted request had generated: a {@link Result}; `finishReason` is null where there was none yet. */
export interface PartialResult extends Omit<Result, "finishReason" | "choices"> {
  finishReason: FinishReason | null;
  choices?: PartialResult[];
}

/** A piece of the answer. The `tokens` of all parts, joined, are the result's. */
export interface TextPart {
  type: "reasoning" | "text";
  /** May be "" while a character or a stop string is incomplete. */
  text: string;
  /** Ids since the last part; none when this part only completes what was held back. */
  tokens: number[];
  /** One entry per token, when `logprobs` was asked for. */
  logprobs?: TokenLogprob[];
  /** Which choice this is of, when `n` is above 1. */
  index?: number;
}

/** The last part of an answer (of each choice, when `n` is above 1): the result without its text. */
export interface FinishPart extends Omit<Result, "text" | "choices"> {
  type: "finish";
  index?: number;
}

export type Part = TextPart | FinishPart;

/** Log-probabilities of given text. */
export interface Logprobs {
  tokens: number[];
  /** `logprobs[i]` is the natural logarithm of the probability of `tokens[i]` given those before; the first is NaN. */
  logprobs: Float32Array;
  /** The best tokens at each position, best first, when `top` was asked for; the first entry is empty. */
  top?: ScoredToken[][];
}

/** The alternatives of entry `i`. */
export function alternatives({ count, topTokens, topValues }: NativeLogprobs, i: number): ScoredToken[] {
  return Array.from({ length: count }, (_, j) => ({
    token: topTokens[i * count + j],
    logprob: topValues[i * count + j],
  }));
}
