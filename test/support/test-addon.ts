/**
 * The development-only addon (csrc/testing): one backend, one op at a time, every output poisoned before and fenced by
 * guard words. Never packed.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { R1ErrorCode } from "../../lib/errors";
import type {
  NativeEvent,
  NativeGpuStatus,
  NativeLinearChoices,
  NativeLinearOptions,
  NativeLoadSpec,
  NativeRequest,
  NativeSessionState,
  NativeStats,
  Precision,
  StoredType,
} from "../../lib/native";

export interface TestBackendOptions {
  device: "cpu" | "cuda";
  deviceIndex?: number;
  /** kernels.fatbin, for CUDA. */
  kernelFile?: string;
  precision: Precision;
  /** Kernel family or instruction set to force; "" chooses. */
  family?: string;
  /** CPU threads; 0 chooses. */
  threads?: number;
  /** None where absent: the rules choose. */
  linearChoices?: NativeLinearChoices;
  /** 2048 unless given; of a step, like the next two (64 and 128). */
  maxRows?: number;
  maxSequences?: number;
  maxBlocksPerSequence?: number;
  /** Of a step over all its chunks; 256. */
  maxLogitRows?: number;
}

/** A tensor of a checkpoint: stored (`data`: values of a Float32Array for F32, bits otherwise) or made up (`seed`). */
export interface TestTensor {
  name?: string;
  dtype: StoredType;
  rows: number;
  cols: number;
  data?: Float32Array | Uint16Array;
  seed?: number;
  scale?: number;
}

export interface TestWeight {
  name?: string;
  role?: "linear" | "gateUp";
  parts: TestTensor[];
}

export interface TestSequence {
  blocks: Int32Array;
  /** Tokens in the cache once the step has appended its own. */
  length: number;
  firstRow: number;
  rows: number;
}

export interface TestEdit {
  token: number;
  seen?: boolean;
  count?: number;
  bias?: number;
}

/** csrc/backend/sampling.h's SampleRow; what is absent is off. */
export interface TestSample {
  temperature: number;
  repetition?: number;
  presence?: number;
  frequency?: number;
  topK?: number;
  /** Fractions, not yet in 2^32 fixed point. */
  topP?: number;
  minP?: number;
  topLogprobs?: number;
  seed?: number;
  position?: number;
  choice?: number;
  /** >= 0: nothing is drawn, this id is scored. */
  target?: number;
  edits?: TestEdit[];
  mask?: Uint32Array | null;
}

export interface TestStep {
  numericClass: "prefill" | "decode";
  rows: number;
  /** Zeros when absent. */
  tokens?: Int32Array;
  /** The slots when absent. */
  positions?: Int32Array;
  /** The last rows of each sequence when absent. */
  slots?: Int32Array;
  sequences: TestSequence[];
  logitRows?: Int32Array;
  /** One per logit row; greedy when absent. */
  samples?: TestSample[];
}

/** An output: its values, and its bits as the device holds them. */
export interface TestOutput {
  values: Float32Array;
  bits: Uint8Array;
}

export interface TestSampleResult {
  token: number;
  status: "ok" | "empty" | "not-finite";
  logprob: number;
  topTokens: Int32Array;
  topLogprobs: Float32Array;
}

type Values = Float32Array | Uint16Array;

/** What each op takes: activations [rows][cols] as values (rounded to the precision) or as bits of it. */
export interface OpParams {
  embed: { table: number };
  norm_linear: { residual: Float32Array; gain: Float32Array; eps: number; weight: number; bias?: Float32Array };
  rope_append: {
    qkv: Values;
    heads: number;
    kvHeads: number;
    headDim: number;
    qNorm?: Float32Array;
    kNorm?: Float32Array;
    eps: number;
    invFreq: Float32Array;
    ropeScale: number;
    kv: number;
    layer: number;
  };
  attention: {
    qkv: Values;
    heads: number;
    kvHeads: number;
    headDim: number;
    scale: number;
    kv: number;
    layer: number;
    window: number;
  };
  linear_residual: {
    x: Values;
    xScale?: Float32Array;
    weight: number;
    bias?: Float32Array;
    residual: Float32Array;
  };
  norm_swiglu: { residual: Float32Array; gain: Float32Array; eps: number; weight: number; bias?: Float32Array };
  head: { residual: Float32Array; gain: Float32Array; eps: number; weight: number; first: number; count: number };
  // An op that writes the residual stream and leaves the norm's input, then the op that takes it.
  embed_norm_linear: { table: number } & NormedWeight;
  residual_norm_linear: ResidualBefore & NormedWeight;
  residual_norm_swiglu: ResidualBefore & NormedWeight;
  residual_norm_qkv: ResidualBefore & NormedWeight & Omit<OpParams["rope_append"], "qkv">;
}

interface ResidualBefore {
  x: Values;
  first: number;
  firstBias?: Float32Array;
  residual: Float32Array;
}

interface NormedWeight {
  gain: Float32Array;
  eps: number;
  weight: number;
  bias?: Float32Array;
}

/** What a backend leaves for a norm: poison where it leaves nothing. */
interface NormInput {
  residual: TestOutput;
  scaled: TestOutput;
  squares: TestOutput;
}

export interface OpOutputs {
  embed: { residual: TestOutput };
  norm_linear: { out: TestOutput };
  rope_append: { qkv: TestOutput };
  attention: { out: TestOutput };
  linear_residual: { residual: TestOutput };
  /** `outScale` at fp16 only: the row is out · outScale. */
  norm_swiglu: { out: TestOutput; outScale?: TestOutput };
  head: { logits: TestOutput };
  embed_norm_linear: NormInput & { out: TestOutput };
  residual_norm_linear: NormInput & { out: TestOutput };
  residual_norm_swiglu: NormInput & { out: TestOutput; outScale?: TestOutput };
  residual_norm_qkv: NormInput & { qkv: TestOutput };
}

export interface KvShape {
  layers: number;
  kvHeads: number;
  headDim: number;
  blocks: number;
}

export interface TestStepChain {
  table: number;
  /** Steps begun before the results of the oldest are read: 1 or 2. */
  inFlight: number;
  /** Times that a step runs which needs no token of the one before. */
  runs: number;
  /** Whether before each step another one is begun, and given up. */
  aborted: boolean;
  /** At f32: a row of the table also is Q, K and V of a token; K and V are rotated and go here. */
  kv?: number;
  heads?: number;
  invFreq?: Float32Array;
}

export interface TestBackend {
  info(): { kind: string; name: string; detail: string; totalBytes: number; freeBytes: number };
  loadMatrix(weight: TestWeight): number;
  /** Loads and reads back. */
  loadVector(weight: TestWeight): Float32Array;
  /** What was foretold for such a matrix, and what matrix `handle` takes. */
  matrixBytes(rows: number, cols: number, stored: StoredType, handle: number): [number, number];
  freeMatrix(handle: number): void;
  /** A pool of the backend's precision, all of its blocks usable and poisoned. */
  createKv(shape: KvShape): number;
  growKv(pool: number, blocks: number): void;
  freeKv(pool: number): void;
  /** A plane [kv_head][token][head_dim]. */
  readKv(pool: number, layer: number, plane: "k" | "v", block: number): Float32Array;
  writeKv(pool: number, layer: number, plane: "k" | "v", block: number, values: Float32Array): void;
  /** [token][K, V][kv_head][head_dim] of tokens [first, first + count) of a sequence with these blocks. */
  readTokens(pool: number, layer: number, blocks: Int32Array, first: number, count: number): Uint8Array;
  writeTokens(pool: number, layer: number, blocks: Int32Array, first: number, count: number, tokens: Uint8Array): void;
  /** Throws when the op touched a fence or an input. */
  runOp<Name extends keyof OpParams>(name: Name, step: TestStep, params: OpParams[Name]): OpOutputs[Name];
  /**
   * Steps one behind the other, as the engine has them: a row's logits are the row of a square table that its token
   * names, so every row has logits. Of each step what it drew.
   */
  runSteps(steps: TestStep[], options: TestStepChain): TestSampleResult[][];
  /** `logits` [logit rows][vocab]; throws when they were changed. */
  sampleBatch(step: TestStep, logits: Float32Array, vocab: number): TestSampleResult[];
  /** Throws as loading with them does, and then has the old ones. */
  setLinearChoices(choices: NativeLinearChoices): void;
  dispose(): void;
}

/** csrc/backend/cuda/linear_plan.h */
export interface TestLinearShape {
  numericClass: "prefill" | "decode";
  rows: number;
  storedRows: number;
  k: number;
  /** Of activations and weights: bf16. */
  precision?: Precision;
  paired?: boolean;
}

export interface TestLinearPlan {
  method: "stream" | "tile" | "mma" | "simt";
  kernel: string;
  tileRows: number;
  tileTokens: number;
  splits: number;
  stages: number;
  band: number;
  /** Blocks that share what they load. */
  cluster: number;
  /** Along the first axis of the grid. */
  blocks: number;
  /** Dynamic, of a block. */
  sharedBytes: number;
  options: NativeLinearOptions;
}

/** A forward pass with its residual stream in view. */
export interface TestModel {
  /** Runs one step; `residuals` [layers + 1][rows][hidden]: before each layer, then after the last. */
  forward(step: TestStep): { residuals: Float32Array; logits: Float32Array };
  dispose(): void;
}

/** What the step loop's sequences and blocks are to be; what is absent is without limit or off. */
export interface TestEngineOptions {
  /** Of the KV pool. */
  blocks: number;
  contextLength?: number;
  maxSequences?: number;
  prefillRows?: number;
  stepTokens?: number;
  stepTokensMayGrow?: boolean;
  maxQueue?: number;
  targetInterTokenMs?: number;
  prefixCache?: boolean;
  /** Blocks of host memory to swap to. */
  hostBlocks?: number;
  /** Of the pool, that idle sessions may pin (0.5). */
  sessionKvShare?: number;
  /** Milliseconds that a step takes (1), and each of its rows (0). */
  stepMs?: number;
  rowMs?: number;
  /** Whether a step's time passes while its results are waited for, as on a GPU. */
  asynchronous?: boolean;
  /** Whether a step may be handed over before the results of the one before are read. */
  launchAhead?: boolean;
  /** The steps of this number and after it fail while their results are waited for, from 1; 0: none. */
  failAt?: number;
  /** Whether takeSteps() has anything to give. */
  record?: boolean;
}

export interface RecordedStep {
  numericClass: "prefill" | "decode";
  /** Milliseconds on the engine's clock. */
  at: number;
  /** Steps that had been handed over and not been waited for when this one was. */
  inFlight: number;
  parts: { id: number; first: number; rows: number; logits: number }[];
}

export interface TestEngine {
  submit(request: NativeRequest): number;
  cancel(id: number): void;
  verdict(id: number, token: number): void;
  createSession(): number;
  forkSession(id: number): number;
  dropSession(id: number): void;
  // As lib/native.ts has them, but at once.
  sessionState(id: number): NativeSessionState;
  readSession(id: number, layer: number, first: number, count: number): ArrayBuffer;
  fillSession(id: number, tokens: Int32Array, decoded: Int32Array): void;
  writeSession(id: number, layer: number, first: number, count: number, data: ArrayBuffer): void;
  sealSession(id: number): void;
  /** What a lost device does to the requests. */
  failAll(): void;
  /** A round, and checks of every block and sequence afterwards. */
  iterate(): boolean;
  drain(): NativeEvent[];
  takeSteps(): RecordedStep[];
  /** What the engine did, in order, if it records. */
  takeTrace(): ("launch" | "wait" | "deliver")[];
  stats(): NativeStats;
  now(): number;
  advance(ms: number): void;
  deadline(): number | null;
  /** Blocks that the device has memory for. */
  setMemory(blocks: number): void;
  /** What such a request yields alone, when the decode class computes the ranges `decoded` of its prompt. */
  expected(prompt: Int32Array, maxNewTokens: number, stopTokens: Int32Array, decoded: Int32Array): Int32Array;
}

/** csrc/engine/batch_limits.h; what is absent is 0 or false. */
export interface TestRound {
  now: number;
  running?: number;
  waiting?: number;
  tokenMs?: number;
  prefillMs?: number;
  freeShare?: number;
  promptsLeft?: boolean;
  preempted?: boolean;
}

/** csrc/backend/cuda/upload_plan.h */
export interface TestUploadPiece {
  first: number;
  rows: number;
  runs: { part: number; first: number; rows: number; at: number }[];
}

export interface TestAddon {
  TestEngine: new (options: TestEngineOptions) => TestEngine;
  /** The limits after each round. */
  batchLimits(
    options: { sequences: number; prefillRows: number; stepTokens: number; targetMs?: number },
    rounds: TestRound[],
  ): { sequences: number; stepTokens: number; lowered: boolean }[];
  TestBackend: new (options: TestBackendOptions) => TestBackend;
  TestModel: new (spec: NativeLoadSpec, kvBlocks: number) => TestModel;
  /**
   * Loads with the `failAt`-th allocation failing (0: none). `failed` is the error, `allocations` how many there were,
   * `alive` the buffers, matrices and pools that were not given back.
   */
  loadWithFailure(
    spec: NativeLoadSpec,
    failAt: number,
  ): { failed: { code: R1ErrorCode; message: string } | null; allocations: number; alive: number };
  /** How the CUDA backend cuts a matrix of such parts into pieces. */
  planUpload(partRows: number[], role: "linear" | "gateUp", rowBytes: number, pieceBytes: number): TestUploadPiece[];
  /**
   * A matrix as it would lie on the device, padding included, written by so many threads (1) in pieces of `stageBytes`
   * (2 MiB); and how many threads there were, and pieces. `failAt`: which piece cannot be sent, from 1. `abandon`: drops
   * what is queued.
   */
  packUpload(
    weight: TestWeight,
    precision: Precision,
    options: { threads?: number; stageBytes?: number; failAt?: number; abandon?: true },
  ): { bytes: Uint8Array; writers: number; sent: number };
  describeCuda(): string;
  /** What a management library at `path` says of a device; null when it cannot be found. */
  nvmlStatus(path: string, pciBusId: string, index: number): NativeGpuStatus | null;
  /** How a layer is computed by a family of kernels on a device of so many SMs. */
  linearPlan(shape: TestLinearShape, family: string, sms: number, choices: NativeLinearChoices): TestLinearPlan;
  /** Which kernels a compute capability (75, 80, 90, …) gets. */
  chooseFamily(computeCapability: number, precision: Precision, forced: string): string;
  /**
   * csrc/backend/cuda/attention_deal.h: of tiles with so many key tiles each, what every block takes, in its order:
   * [column, tile, begin, end, the block with the keys before or -1].
   */
  dealtPieces(keyTiles: Int32Array, columns: number, blocks: number): [number, number, number, number, number][][];
  /** attention_deal.h: whether a step of so many items, the longest of which ends at `lastSlot`, is dealt to the SMs. */
  worthDealing(items: number, lastSlot: number, sms: number): boolean;
  /** The same: whether blocks stay and take so many items one after the other. */
  worthStaying(items: number, sms: number): boolean;
  /** Elements [first, first + count) of csrc/backend/random_weights.h, before rounding to a stored type. */
  randomValues(seed: number, scale: number, first: number, count: number): Float32Array;
  /** csrc/backend/sample_math.h. */
  sampling: {
    weights(z: Float32Array, zMax: number): Float64Array;
    philox(seed: number, position: number, choice: number, lane: number): number;
    topPReached(cumulative: number, p: number, total: number): boolean;
    drawThreshold(r: number, total: number): number;
  };
}

let loaded: TestAddon | undefined;

/** Loads build/test/r1_test.node, or the file that R1_TEST_ADDON names. */
export function testAddon(): TestAddon {
  if (!loaded) {
    const file = process.env.R1_TEST_ADDON ?? join(__dirname, "../../build/test/r1_test.node");
    if (!existsSync(file)) throw new Error(`${file} does not exist; build it with: node scripts/build.mjs`);
    loaded = require(file) as TestAddon;
  }
  return loaded;
}
