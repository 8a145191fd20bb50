/** What decides which token comes next: the options, their presets and defaults. */
import {
  checkFunction,
  checkInteger,
  checkNumber,
  checkTokenIds,
  checkWord,
  outOfRange,
  wrongType,
} from "../arguments";

/**
 * Named sampling settings. An option given beside a preset wins over it.
 *
 * | preset | temperature | topP | for |
 * |---|---|---|---|
 * | `creative` | 0.8 | 0.95 | stories, brainstorming |
 * | `factual` | 0.3 | 0.9 | questions that have an answer |
 * | `code` | 0.2 | 0.95 | programs |
 * | `reasoning` | 0.6 | 0.95 | what DeepSeek recommends for R1 |
 */
export const presets = {
  creative: { temperature: 0.8, topP: 0.95 },
  factual: { temperature: 0.3, topP: 0.9 },
  code: { temperature: 0.2, topP: 0.95 },
  reasoning: { temperature: 0.6, topP: 0.95 },
} as const satisfies Record<string, Partial<SamplingDefaults>>;

export type Preset = keyof typeof presets;

/** What a custom sampler is told beside the logits. */
export interface SamplerContext {
  /** The output so far, without the prompt. */
  readonly tokens: readonly number[];
  /** Index in the output of the token to choose: `tokens.length`. */
  readonly index: number;
  /** Which of the `n` choices this is, from 0. */
  readonly choice: number;
}

/**
 * Chooses the next token itself. Gets a copy of the unmodified float32 logits, one per id of the vocabulary, and returns
 * an id, or a promise of one. Penalties, bias, bans and the temperature are not applied; stop ids and lengths are.
 * An exception, or a value that is no token id, fails this request alone. Other requests go on while it decides.
 */
export type Sampler = (logits: Float32Array, context: SamplerContext) => number | Promise<number>;

/**
 * How tokens are chosen. The order is fixed: repetition, presence and frequency penalty → `logitBias`, `allowTokens` and
 * `banTokens` → temperature → `topK` → `topP` → `minP` → draw. Each option is taken from the call, else from its preset,
 * else from the model's generation_config.json, else the default named here.
 */
export interface SamplingOptions {
  /** Divides the logits: 0 always takes the best token, else 0.001 to 100. Default 0.6. */
  temperature?: number;
  /** Keeps the k best tokens; 0 is off. Default 0. */
  topK?: number;
  /** Keeps the fewest best tokens that have this share of the probability, 0 to 1; 1 is off. Default 0.95. */
  topP?: number;
  /** Keeps tokens at least this share as probable as the best one, 0 to 1; 0 is off. Default 0. */
  minP?: number;
  /** Divides positive and multiplies negative logits of tokens seen in prompt or output, 0.01 to 100. Default 1. */
  repetitionPenalty?: number;
  /** Subtracted from the logit of each token that the output has, −2 to 2. Default 0. */
  presencePenalty?: number;
  /** Subtracted once for each time that the output has the token, −2 to 2. Default 0. */
  frequencyPenalty?: number;
  /** Added to logits, by token id: any finite number up to ±1e30, or −Infinity, which bans. */
  logitBias?: Readonly<Record<number, number>> | ReadonlyMap<number, number>;
  /** Only these token ids may be chosen. Stop ids must be among them if the text is to end by itself. */
  allowTokens?: ArrayLike<number>;
  /** These token ids are never chosen. */
  banTokens?: ArrayLike<number>;
  /**
   * Fixes the draws: an integer from 0 to 2^53 − 1. The same seed, prompt and options give the same tokens on the same
   * device, whatever else the model is doing. Without one a seed is drawn; the result names it.
   */
  seed?: number;
  /** See {@link presets}. */
  preset?: Preset;
  /** See {@link Sampler}. */
  sampler?: Sampler;
}

/** The numeric options that presets and generation_config.json may set, and the library's values. */
export interface SamplingDefaults {
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  repetitionPenalty: number;
  presencePenalty: number;
  frequencyPenalty: number;
}

export const libraryDefaults: Readonly<SamplingDefaults> = {
  temperature: 0.6,
  topK: 0,
  topP: 0.95,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
};

const MAX_TOP_K = 0x7fffffff;
/** Below it, dividing by the temperature would leave float32. */
const MIN_TEMPERATURE = 0.001;

/** Options after checking: ids and biases as typed arrays, everything else as given. */
export interface CheckedSampling
  extends Partial<SamplingDefaults>,
    Pick<SamplingOptions, "seed" | "preset" | "sampler"> {
  logitBias?: Map<number, number>;
  allowTokens?: Int32Array;
  banTokens?: Int32Array;
}

type Checks = { [K in keyof CheckedSampling]-?: (value: unknown, name: string) => CheckedSampling[K] };

const range =
  (min: number, max: number) =>
  (value: unknown, name: string): number =>
    checkNumber(name, value, min, max);

/** A table for `checkOptions`. */
export const samplingChecks: Checks = {
  temperature: checkTemperature,
  topK: (value, name) => checkInteger(name, value, 0, MAX_TOP_K),
  topP: range(0, 1),
  minP: range(0, 1),
  repetitionPenalty: range(0.01, 100),
  presencePenalty: range(-2, 2),
  frequencyPenalty: range(-2, 2),
  logitBias: checkLogitBias,
  allowTokens: (value, name) => checkTokenIds(name, value),
  banTokens: (value, name) => checkTokenIds(name, value),
  seed: (value, name) => checkInteger(name, value, 0),
  preset: (value, name) => checkWord(name, value, Object.keys(presets) as Preset[]),
  sampler: (value, name) => checkFunction(name, value as Sampler),
};

function checkTemperature(value: unknown, name: string): number {
  if (typeof value !== "number") throw wrongType(name, "a number", value);
  if (!(value === 0 || (value >= MIN_TEMPERATURE && value <= 100)))
    throw outOfRange(name, "0 or from 0.001 to 100", value);
  return value;
}

function checkLogitBias(value: unknown, name: string): Map<number, number> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrongType(name, "an object or Map from token id to bias", value);
  }
  const entries: Iterable<[unknown, unknown]> = value instanceof Map ? value : Object.entries(value);
  const biases = new Map<number, number>();
  for (const [key, bias] of entries) {
    const id = typeof key === "string" && /^\d+$/.test(key) ? Number(key) : key;
    if (typeof id !== "number") throw wrongType(`each key of ${name}`, "a token id", key);
    checkInteger(`each key of ${name}`, id, 0, 0x7fffffff);
    if (typeof bias !== "number") throw wrongType(`${name}[${id}]`, "a number", bias);
    if (!(bias === -Infinity || Math.abs(bias) <= 1e30)) {
      throw outOfRange(`${name}[${id}]`, "a finite number up to ±1e30, or -Infinity", bias);
    }
    biases.set(id, bias);
  }
  return biases;
}

/** Call, then preset, then generation_config.json, then library. */
export function resolveSampling(
  options: CheckedSampling,
  generationConfig: Partial<SamplingDefaults>,
): SamplingDefaults {
  const preset: Partial<SamplingDefaults> = options.preset ? presets[options.preset] : {};
  const resolved = { ...libraryDefaults };
  for (const name of Object.keys(resolved) as (keyof SamplingDefaults)[]) {
    resolved[name] = options[name] ?? preset[name] ?? generationConfig[name] ?? libraryDefaults[name];
  }
  // What a file says may lie outside of what callers may say: the nearest that can be done is meant.
  if (resolved.temperature > 0) resolved.temperature = Math.max(resolved.temperature, MIN_TEMPERATURE);
  resolved.topK = Math.min(resolved.topK, MAX_TOP_K);
  return resolved;
}
