/**
 * The typed binding: what crosses between TypeScript and the addon, and the only cast.
 * Everything here is plain numbers, strings and typed arrays; csrc/binding converts it once into C++ structs.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { R1Error, type R1ErrorCode } from "./errors";

export type Precision = "f32" | "bf16" | "fp16";
export type StoredType = "F32" | "BF16" | "F16";

/** csrc/model/config.h: a checkpoint's config, normalised by lib/checkpoint. */
export interface NativeModelConfig {
  /** Which forward pass: "dense" serves qwen2, llama and qwen3. */
  architecture: string;
  vocab: number;
  hidden: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  intermediate: number;
  normEps: number;
  qkNorm: boolean;
  /** [headDim / 2] RoPE frequencies, scaling applied. */
  invFreq: Float32Array;
  /** Multiplies cos and sin (YaRN's attention factor). */
  ropeScale: number;
  /** [layers] sliding window in tokens, 0 for none. */
  windows: Int32Array;
}

/** A tensor in a file, or one made up on the fly for benches (`seed`, uniform in ±`scale`, csrc/backend/random_weights.h). */
export interface NativePart {
  /** The checkpoint's name, for messages. */
  name: string;
  dtype: StoredType;
  rows: number;
  cols: number;
  /** Index into `files` and byte offset of the data; absent for a random part. */
  file?: number;
  offset?: number;
  seed?: number;
  scale?: number;
}

/**
 * An engine weight: parts concatenated along the rows. Names of the dense architecture (matrices [rows][cols], vectors
 * [n][1]; those marked ? may be absent):
 *   embed, final_norm, head (absent when tied to embed),
 *   layers.N.attn_norm, .qkv (q, k, v), .qkv_bias?, .q_norm?, .k_norm?, .o, .o_bias?,
 *   layers.N.mlp_norm, .gate_up (gate, up), .gate_up_bias?, .down, .down_bias?
 */
export interface NativeWeight {
  name: string;
  parts: NativePart[];
}

/**
 * csrc/backend/linear_choices.h: how a linear layer of a shape is computed on a device. Of linear_sm90_stream_*, for
 * steps of up to 64 rows; all but the last two are the row's key.
 */
export interface NativeStreamChoice {
  numericClass: "prefill" | "decode";
  /** Multiprocessors of the device. */
  sms: number;
  /** Of the weights as they lie on the device. */
  storedRows: number;
  k: number;
  /** Of a block's tile: 8, 16, 32 or 64, the least that holds the step's rows. */
  tokens: number;
  /** Together with RoPE and the append to the KV cache. */
  paired: boolean;
  /** Weight rows of a block's tile. */
  tileRows: number;
  /** Of the ring that a block loads ahead in. */
  stages: number;
}

/** Of linear_sm90_prefill_*, likewise. */
export interface NativeTileChoice {
  sms: number;
  storedRows: number;
  k: number;
  /** A multiple of 128: steps of so many rows, or up to 127 fewer. */
  rows: number;
  paired: boolean;
  /** Weight rows of a block's tile. */
  columns: number;
  /** Tiles of 128 rows that share a weight tile in the cache. */
  band: number;
}

/** Of the decode class; the bits of results depend on it, so neither rows nor device are in the key. */
export interface NativeSplitsChoice {
  /** Of the kernels. */
  family: "sm75" | "sm80" | "sm90";
  storedRows: number;
  k: number;
  /** Ranges of K that are added separately, 1 to 8. */
  splits: number;
}

/** What has no row is left to the rules in csrc/backend/cuda/linear_plan.cc. */
export interface NativeLinearChoices {
  stream: NativeStreamChoice[];
  tile: NativeTileChoice[];
  splits: NativeSplitsChoice[];
}

/** What a linear layer is computed by, one row, and what it could be: rows of the same list and key. */
export interface NativeLinearOptions {
  now: NativeLinearChoices;
  candidates: NativeLinearChoices;
}

export interface NativeLoadSpec {
  config: NativeModelConfig;
  files: string[];
  weights: NativeWeight[];
  device: "cpu" | "cuda";
  deviceIndex: number;
  /** kernels.fatbin; "" when the build has none. */
  kernelFile: string;
  precision: Precision;
  /** Tokens a sequence may reach, prompt included. */
  contextLength: number;
  /** Bytes the KV pool may grow to; 0 chooses (documented at LoadOptions.kvMemory). */
  kvMemory: number;
  /** Bytes of device memory the model may take in all; 0 means what the device has free. */
  memoryLimit: number;
  /** Open sequences that are decoded together, at most. */
  maxSequences: number;
  /** Prompt rows of one step, at most; 0 chooses (2048 on CUDA, 512 on the CPU). */
  prefillRows: number;
  /** Prompt rows of one step while other sequences decode, at most; 0 chooses (512 on CUDA, 64 on the CPU) and lets them grow with the queue. */
  stepTokens: number;
  /** Requests that may wait; one more fails with E_OVERLOADED. 0 chooses 1024. */
  maxQueue: number;
  /** Milliseconds between two tokens of a stream that batches are kept small enough for; 0: none. */
  targetInterTokenMs: number;
  /** Whether blocks of prompts are kept for later requests that begin alike. */
  prefixCache: boolean;
  /** Bytes of pinned host memory for the KV blocks of preempted sequences (CUDA); 0: they are computed anew. */
  hostKvMemory: number;
  /** Share of the KV pool that idle sessions may hold together, 0 to 0.9: the least recently used one gives way. */
  sessionKvShare: number;
  /** Whether a step is handed to the device before the results of the one before are read; null: on a GPU. */
  launchAhead: boolean | null;
  /** That compute (CPU), or that read weights (CUDA); 0 chooses. */
  threads: number;
  /** Kernel family or instruction set to force; "" chooses (csrc/backend/backend.h). */
  family: string;
  /** Checked by a backend that has choices: CUDA. Rows for other devices and shapes may be among them. */
  linearChoices: NativeLinearChoices;
}

/** csrc/backend/sampling.h, before rounding: the engine rounds floats to f32 once and lowers topP and minP to 2^32 fixed point. */
export interface NativeSamplePlan {
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  repetitionPenalty: number;
  presencePenalty: number;
  frequencyPenalty: number;
  seed: number;
  choice: number;
  /** −1: none; n: log-probability of each token and the n best. */
  logprobs: number;
  biasTokens: Int32Array;
  biasValues: Float32Array;
  /** Token ids that may be sampled; null allows all. */
  allow: Int32Array | null;
  /** Banned until `minNewTokens` tokens exist: the stop ids. */
  minNewTokens: number;
}

export interface NativeRequest {
  prompt: Int32Array;
  maxNewTokens: number;
  /** Ids that end the sequence; the one met is part of the output. Empty: only maxNewTokens ends it. */
  stopTokens: Int32Array;
  sample: NativeSamplePlan;
  /** 0 (last) to 9 (first). */
  priority: number;
  /** After every token's logits the sequence waits for verdict(); a "gate" event carries the logits. */
  gated: boolean;
  /**
   * Scores the prompt instead of generating: every prompt row's logits give the log-probability of the next prompt token
   * (and the `sample.logprobs` best). Nothing is generated; results come as "scores" events in order.
   */
  score: boolean;
  /** Milliseconds it may wait before it starts, or it fails with E_TIMEOUT; 0: no limit. */
  queueTimeoutMs: number;
  /** Prompts share cached blocks with those of equal salt alone. */
  salt: string;
  /** Whether it uses the prefix cache and fills it. */
  cache: boolean;
  /**
   * The session it continues; 0: none. The session's keys and values are used as far as its tokens begin the prompt, at
   * least one token being left to compute, and if `salt` is that of the session's last request. However the request
   * ends, the session then holds the request's tokens, with their keys and values as far as they were computed; one that
   * never started leaves it as it was. One request at a time; not together with `score`.
   */
  session: number;
}

/** Log-probabilities of a run of tokens: `values[i]` of token i, its alternatives at [i * count, (i + 1) * count). */
export interface NativeLogprobs {
  values: Float32Array;
  count: number;
  topTokens: Int32Array;
  topValues: Float32Array;
}

export interface NativeFailure {
  code: R1ErrorCode;
  message: string;
}

/** Milliseconds on the engine's clock. */
export interface NativeTimings {
  queue: number;
  prefill: number;
  decode: number;
}

export type NativeEvent =
  | {
      type: "progress";
      stage: "check" | "allocate" | "weights" | "warmup";
      bytes: number;
      totalBytes: number;
      tensors: number;
      totalTensors: number;
    }
  | { type: "ready"; info: NativeEngineInfo }
  | { type: "load-failed"; error: NativeFailure }
  | { type: "tokens"; id: number; tokens: Int32Array; logprobs?: NativeLogprobs }
  | { type: "scores"; id: number; first: number; logprobs: NativeLogprobs }
  | { type: "gate"; id: number; logits: Float32Array; index: number }
  | { type: "finish"; id: number; reason: "stop" | "length"; cachedTokens: number; timings: NativeTimings }
  | { type: "cancelled"; id: number; cachedTokens: number; timings: NativeTimings }
  | { type: "error"; id: number; error: NativeFailure }
  /**
   * KV blocks are short: the request gave `blocks` up, to be copied back ("swapped", later "restored") or computed anew
   * ("recomputed"); "smaller-batch": fewer sequences run from now on, `id` being the one whose preemption led to it.
   * "session-swapped" and "session-dropped": so did the idle session `id`.
   */
  | {
      type: "pressure";
      action: "swapped" | "recomputed" | "restored" | "smaller-batch" | "session-swapped" | "session-dropped";
      id: number;
      blocks: number;
    }
  /** The engine is in its failed state; every open request has had its "error" event. */
  | { type: "failed"; error: NativeFailure }
  /** All memory is back and the thread has ended. The last event. */
  | { type: "disposed" };

export interface NativeEngineInfo {
  device: { kind: string; name: string; detail: string; totalBytes: number; freeBytes: number };
  weightBytes: number;
  kvBytesPerToken: number;
  /** Of the keys and values in the cache. */
  kvType: "f32" | "bf16" | "f16";
  kvMaxBytes: number;
  workspaceBytes: number;
  contextLength: number;
  /** Milliseconds: until the device was ready, of the weights, of the first steps. */
  loadMs: { device: number; weights: number; warmup: number };
}

export interface NativeStats {
  running: number;
  /** For their turn; `preempted` of them have run before, `swapped` of those are in host memory. */
  waiting: number;
  preempted: number;
  swapped: number;
  /** Blocks of 64 tokens that exist = used (by open requests) + cached (kept for prompts to come) + free; max may exist. */
  kvBlocks: number;
  kvBlocksUsed: number;
  kvBlocksCached: number;
  kvBlocksFree: number;
  kvBlocksMax: number;
  blockBytes: number;
  /** That are open, and the used blocks that only idle ones of them hold. */
  sessions: number;
  sessionBlocks: number;
  steps: number;
  /** Prompt tokens computed, and prompt tokens that the prefix cache had. */
  promptTokens: number;
  cachedTokens: number;
  generatedTokens: number;
  preemptions: number;
  /** A decode step, moving average. */
  stepMs: number;
  /** Between two tokens of a stream, median of the last 128 rounds. */
  interTokenMs: number;
  /** From a step's end to the start of the next, moving average: the device waits for the host. */
  hostMsPerStep: number;
  /** What load and the latency target allow now: sequences that run, prompt rows of a step while others decode. */
  limits: { sequences: number; stepTokens: number };
  /** Generated, of the last seconds; 0 when nothing is open. */
  tokensPerSecond: number;
}

/** What a session holds. */
export interface NativeSessionState {
  tokens: Int32Array;
  /** Ascending, disjoint, half-open [begin, end) pairs of token indices: computed by the decode class, all others by the prefill class. */
  decoded: Int32Array;
  /** Tokens whose K and V exist now, on the device or in host memory. */
  computed: number;
  /** A request is using it. */
  open: boolean;
}

/** One engine: a thread that loads the weights and then steps. All methods return at once and never throw after dispose. */
export interface NativeEngine {
  /** Returns the request's id. Its events arrive in order and end with finish, cancelled or error. */
  submit(request: NativeRequest): number;
  cancel(id: number): void;
  /** The gate's answer: the token to append. */
  verdict(id: number, token: number): void;
  /** All events since the last drain, oldest first. Called from the wake-up callback. */
  drain(): NativeEvent[];
  stats(): NativeStats;

  /** A new, empty session: its id, from 1. */
  createSession(): number;
  /**
   * A session of its own that holds what session `id` held after its last ended request, sharing the blocks; they are
   * copied when one of the two writes. When there is no such session, every use of the returned id fails with E_BAD_INPUT.
   */
  forkSession(id: number): number;
  /** Frees it; a request that uses it goes on without. */
  dropSession(id: number): void;
  /** The promises below reject with E_BAD_INPUT for an unknown session and with E_DISPOSED once the engine is disposed. */
  sessionState(id: number): Promise<NativeSessionState>;
  /**
   * K and V of tokens [first, first + count) of one layer, [token][K, V][kv_head][head_dim] in `kvType`. Recomputes
   * nothing: first + count must not exceed `computed`. Streams wait meanwhile: ask for a few MiB at a time, at most 64.
   */
  readSession(id: number, layer: number, first: number, count: number): Promise<ArrayBuffer>;
  /**
   * Makes an empty session hold `tokens`, with room for the K and V of all of them, or rejects with E_OUT_OF_MEMORY. Then
   * writeSession() for every layer, from the first token on, and sealSession() makes it usable with the K and V that all
   * layers have; the rest is computed when it is needed. Until then requests refuse it.
   */
  fillSession(id: number, tokens: Int32Array, decoded: Int32Array): Promise<void>;
  /** As readSession() gives it; the buffer is copied at once. */
  writeSession(id: number, layer: number, first: number, count: number, data: ArrayBuffer): Promise<void>;
  sealSession(id: number): Promise<void>;

  /** Cancels everything, frees everything; "disposed" follows. Safe at any moment, also while loading, and twice. */
  dispose(): void;
}

/** Of one GPU, as the driver's management library (NVML) has it; null where the card or the driver does not say. */
export interface NativeGpuStatus {
  /** Percent of the last moment (up to a second) in which a kernel ran. */
  utilization: number | null;
  /** Bytes, taken by anyone. */
  memoryUsed: number | null;
  memoryTotal: number | null;
  /** Degrees Celsius. */
  temperature: number | null;
  /** Watts. */
  power: number | null;
}

export interface NativeCeilings {
  readBytesPerS: number;
  copyBytesPerS: number;
  f32MacsPerS: number;
  bf16MacsPerS: number;
}

/** csrc/engine/load_ceilings.h */
export interface NativeLoadCeilings {
  /** Of the files, by as many threads as loading has; 0 without files. */
  readBytesPerS: number;
  /** Pinned host memory to the device; 0 on the CPU. */
  uploadBytesPerS: number;
}

/** Which class computes an op of a step, or that nothing does: what it costs is then what is missing. */
export type NativeOpChoice = "prefill" | "decode" | "skip";

/** The ops of a step: all but the first and the last two are computed in each layer. `output`: attention's second matrix. */
export type NativeStepOp = "embed" | "qkv" | "attention" | "output" | "gateUp" | "down" | "head" | "sample";

/** csrc/engine/step_timer.h: a step whose cost is asked for. */
export interface NativeTimedStep {
  numericClass: "prefill" | "decode";
  /** One row each, the last of `length` tokens. At most 64. */
  sequences: number;
  length: number;
  /** Of one sequence more, from its start; prefill class only. */
  promptRows: number;
  /** Of each op of a layer, for a step of the prefill class; null: the step's own. `residual`: attention's and the MLP's second matrix. */
  classes: Record<"qkv" | "attention" | "mlp" | "residual", NativeOpChoice> | null;
  /** The one op that is carried out, in all layers one after the other, or their four linear layers; null: all ops. */
  only?: NativeStepOp | "linear" | null;
  /** By cuBLAS: the products of the blocks' linear layers alone, without norms and what else they are fused with. */
  cublas?: boolean;
  /** That a measurement takes at least, of as many runs as that needs. Default 10. */
  windowMs?: number;
  /** In the place of the spec's; the step is then warmed up once only, as tuning measures hundreds. */
  linear?: NativeLinearChoices | null;
}

export interface NativeStepTimes {
  /** Of each round, milliseconds of a step when several are put on the device one behind the other. */
  ms: number[];
  /** Of the first sequence's greedy token: equal when the bits of the step are. Means nothing for one op alone. */
  logprob: number;
  /** Of one op alone: what could be chosen for its linear layers. Empty: nothing, or `linear` has chosen. */
  options: NativeLinearOptions[];
}

export interface NativeBinding {
  /** Starts an engine's thread. At most one `wake` is outstanding; it must call drain(). The wake-up keeps the process alive only while requests are open or it is loading. */
  createEngine(spec: NativeLoadSpec, wake: () => void): NativeEngine;
  /** One line per CUDA device or the reason why there is none. */
  describeCuda(): string;
  /** Measured on a thread of its own. */
  measureCeilings(spec: {
    device: "cpu" | "cuda";
    deviceIndex: number;
    kernelFile: string;
    threads: number;
    family: string;
  }): Promise<NativeCeilings>;
  /** Likewise; reads the files from start to end once. */
  measureLoadCeilings(spec: {
    device: "cpu" | "cuda";
    deviceIndex: number;
    kernelFile: string;
    threads: number;
    family: string;
    files: string[];
  }): Promise<NativeLoadCeilings>;
  /** Loads a model and measures every step so many times, in turns, on a thread of its own. */
  timeSteps(
    spec: NativeLoadSpec,
    steps: NativeTimedStep[],
    rounds: number,
    /** A libcublas.so, where a step is by cuBLAS. */
    cublas?: string,
  ): Promise<NativeStepTimes[]>;
  /** Of a CUDA device; null without NVML or where it does not know the device. */
  gpuStatus(deviceIndex: number): NativeGpuStatus | null;
  version: string;
}

const root = dirname(__dirname);
let loaded: NativeBinding | undefined;

/** The addon, loaded on first use. @throws R1Error E_BINDING */
export function binding(): NativeBinding {
  if (!loaded) {
    try {
      loaded = require("node-gyp-build")(root) as NativeBinding;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new R1Error("E_BINDING", `The native addon could not be loaded (${reason}). Run: npm rebuild r1-native`, {
        cause,
      });
    }
  }
  return loaded;
}

/** Where the kernels lie: beside the addon (build/Release, or the prebuild's folder). "" when this build has none. */
export function kernelFile(): string {
  const folders = [join(root, "build/Release"), join(root, "prebuilds", `${process.platform}-${process.arch}`)];
  return folders.map((folder) => join(folder, "kernels.fatbin")).find(existsSync) ?? "";
}
