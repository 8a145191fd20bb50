/**
 * The options of requests: what they mean, their ranges and defaults, and the checks of them. Of loading:
 * load-options.ts.
 */
import {
  boolean,
  checkOptions,
  checkSignal,
  checkString,
  checkTokenIds,
  integer,
  MAX_MILLISECONDS,
  MAX_TOKENS,
  outOfRange,
  wrongType,
} from "./arguments";
import { type CheckedSampling, type SamplingOptions, samplingChecks } from "./sampling/options";

/** How text in a prompt becomes ids. Neither concerns messages, which always use the template, nor ids. */
export interface PromptOptions {
  /** Adds BOS and the like as the model's tokenizer_config.json says. Default: true. */
  addSpecialTokens?: boolean;
  /** Reads control tokens in the text, such as `<｜User｜>`, as such instead of as plain text. Default: false. */
  parseSpecial?: boolean;
}

/** How a request is run. */
export interface RunOptions {
  /** Aborting rejects with an `AbortError` whose `cause` is the signal's reason. */
  signal?: AbortSignal;
  /** 0 (last) to 9 (first): who is served when not all can be. Default 5. */
  priority?: number;
  /**
   * Milliseconds, 1 to 2^31 − 1, from the call (of `stream`: from the first `next()`) until it rejects with
   * `E_TIMEOUT`. Default: none.
   */
  timeoutMs?: number;
  /**
   * Milliseconds, 1 to 2^31 − 1, that it may wait for its turn in the engine before it rejects with `E_TIMEOUT`; once
   * it runs, only `timeoutMs` counts. Default: none.
   */
  queueTimeoutMs?: number;
  /**
   * Requests share cached keys, values and results only with those of equal salt: give each tenant one of its own, so
   * that none can learn from response times what others have asked. Up to 1024 characters. Default "".
   */
  salt?: string;
  /**
   * Whether it may use and fill the prefix cache and the result cache. It changes times, never tokens. Default: true.
   */
  cache?: boolean;
}

/** Options of `stream`, `chat`, `generate` and `complete`. An unknown name is a `TypeError`. */
export interface RequestOptions extends SamplingOptions, PromptOptions, RunOptions {
  /**
   * Tokens to generate at most, from 1. With the prompt they must fit the context (`E_CONTEXT_OVERFLOW`). Default: what
   * the context leaves, at most 32768.
   */
  maxNewTokens?: number;
  /**
   * Stop ids are banned, and stop strings not looked for, until so many tokens exist: 0 to `maxNewTokens`. Default 0.
   */
  minNewTokens?: number;
  /** Answers to generate, 1 to 64, each with draws of its own under the same seed. Default 1. */
  n?: number;
  /** Adds the log-probability of each token, and of the N best at its place, 0 to 20. Default: none. */
  logprobs?: number;
  /** Ends the answer before the first of these strings. They are looked for in the text, not in the reasoning. */
  stop?: string | readonly string[];
  /** Ids that end the answer, in place of generation_config.json's; [] is none. */
  stopTokens?: ArrayLike<number>;
  /** Does not stop at the ids of generation_config.json; `stopTokens` given beside it still counts. Default: false. */
  ignoreEos?: boolean;
  /**
   * `false` answers messages without thinking first: where the chat template ends the prompt inside an open `<think>`,
   * the prompt is continued to an empty block, `<think>\n\n</think>\n\n`, and a template that asks for
   * `enable_thinking` is told. No effect on templates without reasoning, nor on token ids, texts and holes. Default:
   * true.
   */
  reasoning?: boolean;
}

/** Options of `logprobs`. */
export interface LogprobsOptions extends PromptOptions, RunOptions {
  /** Adds the N best tokens of each position, 0 to 20. Default 0: none. */
  top?: number;
}

/** Request options as they are used. */
export interface CheckedRequest extends CheckedSampling, PromptOptions, RunOptions {
  maxNewTokens?: number;
  minNewTokens?: number;
  n?: number;
  logprobs?: number;
  stop?: string[];
  stopTokens?: Int32Array;
  ignoreEos?: boolean;
  reasoning?: boolean;
}

const MAX_TOP_LOGPROBS = 20;
const MAX_SALT = 1024;

const promptChecks = { addSpecialTokens: boolean, parseSpecial: boolean };
const runChecks = {
  signal: (value: unknown, name: string) => checkSignal(name, value),
  priority: integer(0, 9),
  timeoutMs: integer(1, MAX_MILLISECONDS),
  queueTimeoutMs: integer(1, MAX_MILLISECONDS),
  salt: checkSalt,
  cache: boolean,
};

const requestChecks = {
  maxNewTokens: integer(1, MAX_TOKENS),
  minNewTokens: integer(0, MAX_TOKENS),
  ...samplingChecks,
  n: integer(1, 64),
  logprobs: integer(0, MAX_TOP_LOGPROBS),
  stop: checkStop,
  stopTokens: (value: unknown, name: string) => checkTokenIds(name, value),
  ignoreEos: boolean,
  reasoning: boolean,
  ...runChecks,
  ...promptChecks,
};

/** @throws TypeError, RangeError */
export function checkRequestOptions(options: unknown): CheckedRequest {
  const checked: CheckedRequest = checkOptions<CheckedRequest>("options", options, requestChecks);
  const { minNewTokens = 0, maxNewTokens = Number.POSITIVE_INFINITY } = checked;
  if (minNewTokens > maxNewTokens)
    throw outOfRange("minNewTokens", `at most maxNewTokens (${maxNewTokens})`, minNewTokens);
  return checked;
}

/** @throws TypeError, RangeError */
export function checkLogprobsOptions(options: unknown): LogprobsOptions {
  return checkOptions<LogprobsOptions>("options", options, {
    top: integer(0, MAX_TOP_LOGPROBS),
    ...runChecks,
    ...promptChecks,
  });
}

export function checkSalt(value: unknown, name: string): string {
  const salt = checkString(name, value);
  if (salt.length > MAX_SALT) throw outOfRange(name, `a string of at most ${MAX_SALT} characters`, value);
  return salt;
}

function checkStop(value: unknown, name: string): string[] {
  if (typeof value !== "string" && !Array.isArray(value))
    throw wrongType(name, "a string or an array of strings", value);
  const strings = typeof value === "string" ? [value] : value;
  return strings.map((text, i) => {
    const where = typeof value === "string" ? name : `${name}[${i}]`;
    if (checkString(where, text) === "") throw outOfRange(where, "a string of at least one character", text);
    return text;
  });
}
