/** The options of loading: what they mean, their ranges and defaults, and the checks of them. */
import {
  boolean,
  type Check,
  checkFunction,
  checkNumber,
  checkOptions,
  checkSignal,
  checkString,
  checkWord,
  found,
  integer,
  MAX_MILLISECONDS,
  MAX_TOKENS,
  outOfRange,
  wrongType,
} from "./arguments";
import type { LoadProgress } from "./engine-client";
import { R1Error } from "./errors";
import type { DeepSeekR1 } from "./model";
import type { Precision } from "./native";
import {
  checkMemorySteps,
  checkMonitor,
  checkResultCache,
  type Limits,
  type MemoryStep,
  type MonitorOptions,
  type ResultCacheOptions,
} from "./serving/options";

/** Something that is not right, but does not keep the model from working. */
export interface Warning {
  /**
   * `default-model`: no `modelPath` was given, and the embedded model is used; `device-fallback`: no GPU could be used;
   * `long-context`: more tokens than the model was made for; `short-context`: the KV cache cannot hold the
   * `contextLength` asked for; `memory-step`: a load ran out of memory and tries what is smaller,
   * `memory-step-skipped`: it cannot try that (`onOutOfMemory`); `timeout-fallback`: a request timed out and the second
   * model answers (`onTimeout`).
   */
  code:
    | "default-model"
    | "device-fallback"
    | "long-context"
    | "short-context"
    | "memory-step"
    | "memory-step-skipped"
    | "timeout-fallback";
  /** One sentence or two, with the figures. */
  message: string;
}

/** Options of `DeepSeekR1.load`. */
export interface LoadOptions {
  /**
   * A Hugging Face model folder: config.json, tokenizer.json, *.safetensors. Default: r1-nano, the small demonstration
   * model that the package brings along, with a warning that says so.
   */
  modelPath?: string;
  /**
   * `"cuda:1"` is the second GPU, `"cuda"` the first. `"auto"`, the default, is the first GPU if it can be used, else
   * the CPU, with a warning that says why.
   */
  device?: "auto" | "cpu" | "cuda" | `cuda:${number}`;
  /**
   * Type of activations and of the KV cache. Default: `"f32"` on the CPU; on a GPU `"bf16"`, or `"fp16"` where the card
   * has no bf16.
   */
  precision?: Precision;
  /** Reserved for weights quantized while loading: `E_UNSUPPORTED` in this version. */
  quantization?: string;
  /**
   * Tokens a sequence may reach, prompt included, from 1. Beyond what the model was made for, which is the default,
   * there is a warning.
   */
  contextLength?: number;
  /** In place of config.json's `rope_scaling`, for example `{ rope_type: "yarn", factor: 4 }`; it must name a type. */
  ropeScaling?: Readonly<Record<string, unknown>>;
  /**
   * Bytes the KV cache may grow to; it starts empty. Default: 90 % of what weights and workspace leave free on a GPU, a
   * quarter of the available memory on the CPU.
   */
  kvMemory?: number;
  /** Bytes of the device's memory the model may take in all. Default: what is free. */
  memoryLimit?: number;
  /** Requests served at the same time at most, 1 to 1024; more wait. Up to 64 share a decode step. Default 64. */
  maxSequences?: number;
  /**
   * Requests that may wait for their turn, 1 to 1 000 000; one more rejects with `E_OVERLOADED` at once. Default 1024.
   */
  maxQueue?: number;
  /**
   * Milliseconds between two tokens of a stream, above 0: batches and the share of prompts in a step are kept small
   * enough for it where that is possible, others wait meanwhile. Default: none, as many run together as there is room
   * for.
   */
  targetInterTokenMs?: number;
  /**
   * Keeps the keys and values of prompts, so that later prompts that begin alike are read from there on
   * (`usage.cachedTokens`). They take free room of the KV cache only. Default: true.
   */
  prefixCache?: boolean;
  /**
   * Bytes of pinned host memory, from 0, for the keys and values of requests that have to make room on a GPU; they are
   * copied back later. 0: they are computed again, as always on the CPU. The output is the same. Taken in pieces when
   * first needed. Default: 4 GiB, at most an eighth of the host's memory.
   */
  hostKvMemory?: number;
  /**
   * Share of the KV cache, 0 to 0.9, that sessions without an open turn may hold together. Beyond it, and whenever open
   * requests need the room, the session used least recently gives way: its keys and values go to host memory where
   * `hostKvMemory` allows it, else they are computed again on its next turn. The output is the same. Default 0.5.
   */
  sessionKvShare?: number;
  /**
   * Keeps whole answers, so that exact repeats need no work: of requests with temperature 0 or a `seed` of the
   * caller's, but without `sampler`. Equal ones that are open together are computed once. Default: off; `{}` turns it
   * on.
   *
   * @example
   * const model = await DeepSeekR1.load({ resultCache: { maxEntries: 500, ttlMs: 600_000 } });
   * await model.chat("Hello", { temperature: 0 });
   * (await model.chat("Hello", { temperature: 0 })).cached; // true
   */
  resultCache?: ResultCacheOptions;
  /**
   * What to try, in this order, when loading runs out of memory: `"smaller-batch"` halves `maxSequences`, the rows of a
   * prompt step and `kvMemory`, again and again; `"cpu"` loads there. `"int8-kv"` and `"int8"` are skipped by this
   * version. Every step taken or skipped is a {@link Warning}. Default: nothing, `load` rejects with `E_OUT_OF_MEMORY`.
   */
  onOutOfMemory?: readonly MemoryStep[];
  /**
   * A second model that answers a request that timed out (`timeoutMs` or `queueTimeoutMs`), with the same options and
   * time limits of its own: a loaded one, which stays the caller's, or options of one that is loaded and disposed with
   * this one. A stream changes over only before its first part, and token ids are understood only by a model with the
   * same tokenizer.json; otherwise the request rejects with `E_TIMEOUT` as it does without. `Result.answeredBy` and a
   * {@link Warning} say so.
   *
   * @example
   * const model = await DeepSeekR1.load({ modelPath: "./DeepSeek-R1-Distill-Qwen-32B", onTimeout: { device: "cpu" } });
   */
  onTimeout?: DeepSeekR1 | LoadOptions;
  /** Bounds of `model.on("threshold")` and `model.stats().states`, and how often they are looked at. */
  monitor?: MonitorOptions;
  /**
   * Threads, 1 to 1024: of the CPU backend, by default the cores this process may use; on a GPU those that read weights,
   * at most 64, by default as many as there are cores, but no more than 12.
   */
  threads?: number;
  /** Told how far the load is; what it throws fails the load. */
  onProgress?: (progress: LoadProgress) => void;
  /** Told of each {@link Warning} at once; `model.on("warning")` hears of them too. */
  onWarning?: (warning: Warning) => void;
  /** Aborting gives back what was taken and rejects with an `AbortError`. */
  signal?: AbortSignal;
}

const MAX_SEQUENCES = 1024;
const MAX_QUEUE = 1_000_000;
export const DEFAULT_SEQUENCES = 64;
export const DEFAULT_SESSION_KV_SHARE = 0.5;
export const PRECISIONS: readonly Precision[] = ["f32", "bf16", "fp16"];

/** Where to load, taken apart. */
export interface Device {
  kind: "auto" | "cpu" | "cuda";
  index: number;
}

type LoadTable = Omit<LoadOptions, "device" | "resultCache" | "onOutOfMemory" | "monitor"> & {
  device: Device;
  resultCache: Required<ResultCacheOptions>;
  onOutOfMemory: MemoryStep[];
  monitor: Limits;
};
/** Checked options; what was left out is absent but for the device. */
export type CheckedLoad = Partial<Omit<LoadTable, "quantization" | "device">> & Pick<LoadTable, "device">;

const loadChecks: { [K in keyof LoadTable]-?: Check<LoadTable[K]> } = {
  modelPath: checkModelPath,
  device: checkDevice,
  precision: (value, name) => checkWord(name, value, PRECISIONS),
  quantization: (value, name) => checkString(name, value),
  contextLength: integer(1, MAX_TOKENS),
  ropeScaling: checkRopeScaling,
  kvMemory: integer(1),
  memoryLimit: integer(1),
  maxSequences: integer(1, MAX_SEQUENCES),
  maxQueue: integer(1, MAX_QUEUE),
  targetInterTokenMs: checkTarget,
  prefixCache: boolean,
  hostKvMemory: integer(0),
  sessionKvShare: (value, name) => checkNumber(name, value, 0, 0.9),
  resultCache: checkResultCache,
  onOutOfMemory: checkMemorySteps,
  onTimeout: checkSecond,
  monitor: checkMonitor,
  threads: integer(1, 1024),
  onProgress: (value, name) => checkFunction(name, value as LoadTable["onProgress"]),
  onWarning: (value, name) => checkFunction(name, value as LoadTable["onWarning"]),
  signal: (value, name) => checkSignal(name, value),
};

/** @throws TypeError, RangeError; R1Error E_UNSUPPORTED for `quantization` */
export function checkLoadOptions(options: unknown): CheckedLoad {
  const checked = checkOptions<LoadTable>("options", options, loadChecks);
  const { modelPath, device = { kind: "auto", index: 0 }, quantization, ...rest } = checked;
  if (quantization !== undefined) {
    throw new R1Error(
      "E_UNSUPPORTED",
      `quantization ${found(quantization)} is not supported by this version, which loads weights as they are stored. ` +
        "Leave the option out.",
    );
  }
  return { modelPath, device, ...rest };
}

function checkTarget(value: unknown, name: string): number {
  const target = checkNumber(name, value, 0, MAX_MILLISECONDS);
  if (target === 0) throw outOfRange(name, "above 0", value);
  return target;
}

/** Load options, or what looks like a loaded model: model.ts knows for sure. */
function checkSecond(value: unknown, name: string): DeepSeekR1 | LoadOptions {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrongType(name, "a loaded DeepSeekR1 or load options", value);
  if ("chat" in value) return value as DeepSeekR1;
  try {
    checkLoadOptions(value);
  } catch (error) {
    if (error instanceof TypeError) throw new TypeError(`${name}: ${error.message}`);
    throw error instanceof RangeError ? new RangeError(`${name}: ${error.message}`) : error;
  }
  return value as LoadOptions;
}

function checkModelPath(value: unknown, name: string): string {
  if (checkString(name, value) === "") throw outOfRange(name, "the path of a model folder", value);
  return value as string;
}

export function checkDevice(value: unknown, name: string): Device {
  const match = /^(auto|cpu|cuda)(?::(\d{1,3}))?$/.exec(checkString(name, value));
  if (!match || (match[2] !== undefined && match[1] !== "cuda")) {
    throw outOfRange(name, '"auto", "cpu", "cuda" or "cuda:N"', value);
  }
  return { kind: match[1] as Device["kind"], index: Number(match[2] ?? 0) };
}

function checkRopeScaling(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrongType(name, "an object such as config.json's rope_scaling", value);
  }
  const { rope_type, type = rope_type } = value as Record<string, unknown>;
  if (typeof type !== "string") throw wrongType(`${name}.rope_type`, 'a string such as "yarn"', type);
  return value as Record<string, unknown>;
}
