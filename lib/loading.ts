/** Loading: which device and precision, and what the caller is told of the loaded model. */
import type { Checkpoint } from "./checkpoint/checkpoint";
import { cudaDevices, defaultPrecision } from "./device";
import { embeddedModelPath, embeddedNotice } from "./embedded";
import { EngineClient } from "./engine-client";
import { R1Error } from "./errors";
import { type CheckedLoad, DEFAULT_SEQUENCES, type Warning } from "./load-options";
import { loadSpec } from "./load-spec";
import type { Precision } from "./native";
import { type LoadChoice, loadWithinMemory } from "./serving/memory-steps";
import { ChatTemplate } from "./text/chat-template";
import { Tokenizer } from "./text/tokenizer";

/** What a model is and where it runs. Bytes and tokens. */
export interface ModelDetails {
  modelPath: string;
  /** The model is the one that the package brings along, used because no `modelPath` was given. */
  embedded: boolean;
  /** `model_type` of config.json: "qwen2", "llama", "qwen3". */
  family: string;
  /** Weights, each value counted once. */
  parameters: number;
  /** Logits per token; ids are below it. */
  vocabulary: number;
  /** Tokens a sequence may reach, prompt included; less than asked for where the KV cache cannot hold so many. */
  contextLength: number;
  /** Of activations and of the KV cache. */
  precision: Precision;
  /** Requests served at the same time at most. */
  maxSequences: number;
  device: {
    /** "cpu" or "cuda". */
    kind: string;
    name: string;
    /** For people: the chip, the driver, the kernels in use. */
    detail: string;
    totalBytes: number;
    /** Free before loading. */
    freeBytes: number;
  };
  /** Bytes: weights and scratch memory taken; of the KV cache, what a token takes and what it may grow to. */
  memory: { weights: number; workspace: number; kvPerToken: number; kvMax: number };
  /**
   * Milliseconds that loading took: in all; until the engine began (config, headers, the driver's start); then until the
   * device was ready; of the weights; and of the first steps. The tokenizer is read beside these.
   */
  loadMs: { total: number; prepare: number; device: number; weights: number; warmup: number };
}

/** Load options with the folder that is meant; and when the load began, by performance.now(). */
export type LocatedLoad = CheckedLoad & Pick<ModelDetails, "modelPath" | "embedded"> & { begun: number };

/** Takes the embedded model where none is named, and warns of it. @throws R1Error E_NOT_FOUND */
export async function locateModel(options: CheckedLoad, warn: (warning: Warning) => void): Promise<LocatedLoad> {
  const { modelPath } = options;
  const begun = performance.now();
  if (modelPath !== undefined) return { ...options, modelPath, embedded: false, begun };
  const embedded = await embeddedModelPath();
  warn({ code: "default-model", message: embeddedNotice("modelPath") });
  return { ...options, modelPath: embedded, embedded: true, begun };
}

/** An engine, and what it was loaded with. */
export interface LoadedEngine {
  client: EngineClient;
  precision: Precision;
  maxSequences: number;
  /** The index of the GPU; absent on the CPU. */
  gpu?: number;
  /** When its engine began to load, by performance.now(). */
  started: number;
}

/**
 * Loads on the device asked for, in as much memory as there is; "auto" falls back to the CPU where no GPU can be used.
 */
export async function loadEngine(
  checkpoint: Checkpoint,
  options: CheckedLoad,
  warn: (warning: Warning) => void,
): Promise<LoadedEngine> {
  const { kind, index } = options.device;
  const attempt = async (choice: LoadChoice): Promise<LoadedEngine> => {
    const { device, maxSequences } = choice;
    const precision = options.precision ?? defaultPrecision(device, index);
    const { memoryLimit: _, ...rest } = options; // the choice has it, if it is to count
    const spec = loadSpec(checkpoint, { ...rest, ...choice, deviceIndex: index, precision });
    const started = performance.now();
    const client = await EngineClient.load(spec, options);
    return { client, precision, maxSequences, started, ...(device === "cuda" ? { gpu: index } : {}) };
  };
  const load = (device: "cpu" | "cuda") => {
    const { maxSequences = DEFAULT_SEQUENCES, kvMemory, memoryLimit, onOutOfMemory = [] } = options;
    const asked = { device, maxSequences, prefillRows: 0, kvMemory, memoryLimit };
    return loadWithinMemory(asked, onOutOfMemory, attempt, warn);
  };
  if (kind !== "auto") return load(kind);
  const fallBack = (reason: string) => {
    warn({ code: "device-fallback", message: `Running on the CPU, since no GPU can be used: ${reason}` });
    return load("cpu");
  };
  const { devices, reason } = cudaDevices();
  if (devices.length === 0) return fallBack(reason);
  try {
    return await load("cuda");
  } catch (error) {
    if (error instanceof R1Error && error.code === "E_DEVICE_UNAVAILABLE") return fallBack(error.message);
    throw error;
  }
}

/** The engine loads on its own thread: the tokenizer, which may take as long, is read meanwhile. */
export async function loadParts(
  checkpoint: Checkpoint,
  options: LocatedLoad,
  warn: (warning: Warning) => void,
): Promise<{ loaded: LoadedEngine; tokenizer: Tokenizer; template: ChatTemplate }> {
  const useless = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, useless.signal]) : useless.signal;
  const loading = loadEngine(checkpoint, { ...options, signal }, warn);
  loading.catch(() => undefined); // it is waited for below
  try {
    const tokenizer = await Tokenizer.load(options.modelPath);
    const template = new ChatTemplate(tokenizer);
    return { loaded: await loading, tokenizer, template };
  } catch (error) {
    useless.abort(error);
    const [outcome] = await Promise.allSettled([loading]);
    if (outcome.status === "fulfilled") await outcome.value.client.dispose();
    throw error;
  }
}

/** Warns of a context other than the one asked for. */
export function details(
  checkpoint: Checkpoint,
  options: LocatedLoad,
  { client, precision, maxSequences, started }: LoadedEngine,
  warn: (warning: Warning) => void,
): ModelDetails {
  const { info } = client;
  const asked = options.contextLength;
  if (asked !== undefined && asked > checkpoint.contextLength) {
    const message = `contextLength ${asked} is beyond the ${checkpoint.contextLength} tokens that the model was made for.`;
    warn({ code: "long-context", message });
  }
  if (asked !== undefined && info.contextLength < asked) {
    const message =
      `The KV cache can grow to ${info.kvMaxBytes} bytes, which hold ${info.contextLength} tokens of the ` +
      `contextLength ${asked}. Raise kvMemory, or free memory.`;
    warn({ code: "short-context", message });
  }
  return {
    modelPath: options.modelPath,
    embedded: options.embedded,
    family: checkpoint.family,
    parameters: checkpoint.parameters,
    vocabulary: checkpoint.config.vocab,
    contextLength: info.contextLength,
    precision,
    maxSequences,
    device: info.device,
    memory: {
      weights: info.weightBytes,
      workspace: info.workspaceBytes,
      kvPerToken: info.kvBytesPerToken,
      kvMax: info.kvMaxBytes,
    },
    loadMs: { total: performance.now() - options.begun, prepare: started - options.begun, ...info.loadMs },
  };
}
