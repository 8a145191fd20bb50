/** What every bench starts from: the model, the device and its ceilings, an engine, and requests with made-up prompts. */
import { checkInteger, checkWord } from "../arguments";
import { type Checkpoint, openCheckpoint } from "../checkpoint/checkpoint";
import { randomCheckpoint, shapes } from "../checkpoint/random";
import { defaultPrecision } from "../device";
import { embeddedModelPath } from "../embedded";
import { EngineClient, type RequestEnd } from "../engine-client";
import { R1Error, type R1ErrorCode } from "../errors";
import { checkDevice, PRECISIONS } from "../load-options";
import { loadSpec } from "../load-spec";
import { binding, kernelFile, type NativeCeilings, type NativeRequest } from "../native";
import { checkServeOptions } from "./bench-load-pattern";
import type { BenchKind, BenchOptions, BenchTarget } from "./bench-types";

/** Tokens of a sequence that are generated before steps are timed, and steps that are timed together: bench-decode.ts. */
export const warmUp = 8;
export const stretch = 8;

/** @throws RangeError, TypeError */
export function checkBenchOptions(kind: BenchKind, options: BenchOptions): void {
  const { device = "auto", precision = "f32", sequences = [1], promptTokens, newTokens, repeats, threads } = options;
  checkDevice(device, "device");
  checkWord("precision", precision, PRECISIONS);
  if (sequences.length === 0) throw new RangeError("sequences must have at least one number.");
  // 64 are the most rows of a step of generated tokens: csrc/backend/backend.h.
  const single = kind === "invariance" || kind === "kernels" || options.breakdown === true;
  for (const count of sequences) checkInteger("sequences", count, 1, single ? 64 : 1024);
  if (options.promptRows !== undefined) checkInteger("promptRows", options.promptRows, 1, 65536);
  if (promptTokens !== undefined) checkInteger("promptTokens", promptTokens, 1, 2 ** 24);
  if (newTokens !== undefined)
    checkInteger("newTokens", newTokens, kind === "serve" ? 1 : warmUp + stretch + 1, 2 ** 24);
  if (repeats !== undefined) checkInteger("repeats", repeats, 1, 1000);
  if (options.rows?.length === 0) throw new RangeError("rows must have at least one number.");
  for (const count of options.rows ?? []) checkInteger("rows", count, 1, 65536);
  if (options.out !== undefined && options.out === "")
    throw new RangeError('out must be the path of a file, found "".');
  if (threads !== undefined) checkInteger("threads", threads, 0, 1024);
  if (options.synthetic !== undefined) checkWord("synthetic", options.synthetic, Object.keys(shapes));
  checkServeOptions(options);
}

/** @throws R1Error E_DEVICE_UNAVAILABLE */
export async function resolveTarget(options: BenchOptions): Promise<{ target: BenchTarget; ceilings: NativeCeilings }> {
  const { device = "auto", threads = 0, family = "" } = options;
  const { kind: asked, index } = checkDevice(device, "device");
  const target = (kind: "cpu" | "cuda"): BenchTarget => ({
    device: kind,
    deviceIndex: index,
    precision: options.precision ?? defaultPrecision(kind, index),
    threads,
    family,
  });
  if (asked !== "auto") {
    const chosen = target(asked);
    return { target: chosen, ceilings: await measureCeilings(chosen) };
  }
  try {
    return { target: target("cuda"), ceilings: await measureCeilings(target("cuda")) };
  } catch (error) {
    if (!(error instanceof R1Error) || error.code !== "E_DEVICE_UNAVAILABLE") throw error;
    return { target: target("cpu"), ceilings: await measureCeilings(target("cpu")) };
  }
}

export async function measureCeilings({ device, deviceIndex, threads, family }: BenchTarget): Promise<NativeCeilings> {
  const kernels = device === "cuda" ? kernelFile() : "";
  return failingAsR1Error(binding().measureCeilings({ device, deviceIndex, kernelFile: kernels, threads, family }));
}

/** What the addon rejects with has a code, but is no R1Error yet. */
export async function failingAsR1Error<T>(measured: Promise<T>): Promise<T> {
  try {
    return await measured;
  } catch (error) {
    const { code, message } = error as { code?: R1ErrorCode; message: string };
    throw error instanceof R1Error || !code ? error : new R1Error(code, message, { cause: error });
  }
}

/** A machine that others use too is slower at times: the larger of two measurements is nearer to what it can do. */
export function larger(a: NativeCeilings, b: NativeCeilings): NativeCeilings {
  return {
    readBytesPerS: Math.max(a.readBytesPerS, b.readBytesPerS),
    copyBytesPerS: Math.max(a.copyBytesPerS, b.copyBytesPerS),
    f32MacsPerS: Math.max(a.f32MacsPerS, b.f32MacsPerS),
    bf16MacsPerS: Math.max(a.bf16MacsPerS, b.bf16MacsPerS),
  };
}

/** A folder's checkpoint, the embedded model's, or one of a shape's size with made-up weights. */
export async function benchCheckpoint(model: string | undefined): Promise<Checkpoint> {
  if (model === undefined) return openCheckpoint(await embeddedModelPath());
  return Object.hasOwn(shapes, model) ? randomCheckpoint(model) : openCheckpoint(model);
}

/** An engine with room for `sequences` of `tokens` each. */
export function loadEngine(
  checkpoint: Checkpoint,
  target: BenchTarget,
  sequences: number,
  tokens: number,
  signal?: AbortSignal,
): Promise<EngineClient> {
  const spec = loadSpec(checkpoint, { ...target, contextLength: tokens, maxSequences: sequences });
  return EngineClient.load(spec, { signal });
}

/** Reproducible ids; every `salt` gives others, so that no prompt is a repeat that a cache could serve. */
export function madeUpPrompt(tokens: number, vocab: number, salt: number): Int32Array {
  let state = salt * 7919 + 1;
  return Int32Array.from({ length: tokens }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator
    return Math.floor((state / 2 ** 32) * vocab);
  });
}

/**
 * Greedy and without stop ids, so that exactly `newTokens` are generated. Resolves with the time of each, in ms.
 * @param cache uses and fills the prefix cache
 */
export function timeTokens(
  client: EngineClient,
  prompt: Int32Array,
  newTokens: number,
  cache = false,
): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const times: number[] = [];
    client.submit(
      { ...greedy(prompt, newTokens), cache },
      {
        tokens: (tokens) => {
          const now = performance.now();
          for (let n = tokens.length; n > 0; n--) times.push(now);
        },
        end: (end: RequestEnd) => {
          if (end.type === "finish") resolve(times);
          else reject(end.type === "error" ? end.error : new R1Error("E_INTERNAL", "The bench request was cancelled."));
        },
      },
    );
  });
}

/** Greedy, to its full length. */
export function greedy(prompt: Int32Array, maxNewTokens: number): NativeRequest {
  return {
    prompt,
    maxNewTokens,
    stopTokens: new Int32Array(0),
    sample: {
      ...{ temperature: 0, topK: 0, topP: 1, minP: 0 },
      ...{ repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, seed: 0, choice: 0, logprobs: -1 },
      ...{ biasTokens: new Int32Array(0), biasValues: new Float32Array(0), allow: null, minNewTokens: 0 },
    },
    priority: 5,
    gated: false,
    score: false,
    ...{ queueTimeoutMs: 0, salt: "", cache: false, session: 0 }, // every prompt is to be computed
  };
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
