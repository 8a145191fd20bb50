/** What the engine is to load, put together from a checkpoint and options; benches use it with made-up weights. */
import { totalmem } from "node:os";
import type { Checkpoint } from "./checkpoint/checkpoint";
import { linearChoices, noChoices } from "./linear-choices";
import { DEFAULT_SEQUENCES, DEFAULT_SESSION_KV_SHARE } from "./load-options";
import { kernelFile, type NativeLinearChoices, type NativeLoadSpec, type Precision } from "./native";

export interface LoadSpecOptions {
  device: "cpu" | "cuda";
  /** Which GPU. Default 0. */
  deviceIndex?: number;
  precision?: Precision;
  contextLength?: number;
  kvMemory?: number;
  memoryLimit?: number;
  maxSequences?: number;
  prefillRows?: number;
  stepTokens?: number;
  maxQueue?: number;
  targetInterTokenMs?: number;
  prefixCache?: boolean;
  hostKvMemory?: number;
  sessionKvShare?: number;
  /** Whether steps are launched ahead. Default: on a GPU, unless R1_LAUNCH_AHEAD (0 or 1) says otherwise. */
  launchAhead?: boolean;
  threads?: number;
  /** Kernel family or instruction set to force. */
  family?: string;
  /** How linear layers are computed on a GPU. Default: the built-in table, over which R1_LINEAR_CHOICES goes. */
  linearChoices?: NativeLinearChoices;
}

/** Taken only when requests have to make room: 4 GiB, or an eighth of the host's memory where that is less. */
const defaultHostKvMemory = () => Math.min(4 * 2 ** 30, Math.floor(totalmem() / 8));

/** For tests and measurements, which compare both ways: the results are the same. */
const launchAheadOf = (value: string | undefined) => (value === "0" || value === "1" ? value === "1" : null);

export function loadSpec(
  checkpoint: Pick<Checkpoint, "config" | "files" | "weights" | "contextLength">,
  options: LoadSpecOptions,
): NativeLoadSpec {
  const { device } = options;
  return {
    config: checkpoint.config,
    files: checkpoint.files,
    weights: checkpoint.weights,
    device,
    deviceIndex: options.deviceIndex ?? 0,
    kernelFile: device === "cuda" ? kernelFile() : "",
    precision: options.precision ?? (device === "cuda" ? "bf16" : "f32"),
    contextLength: options.contextLength ?? checkpoint.contextLength,
    kvMemory: options.kvMemory ?? 0,
    memoryLimit: options.memoryLimit ?? 0,
    maxSequences: options.maxSequences ?? DEFAULT_SEQUENCES,
    prefillRows: options.prefillRows ?? 0,
    stepTokens: options.stepTokens ?? 0,
    maxQueue: options.maxQueue ?? 0,
    targetInterTokenMs: options.targetInterTokenMs ?? 0,
    prefixCache: options.prefixCache ?? true,
    hostKvMemory: options.hostKvMemory ?? (device === "cuda" ? defaultHostKvMemory() : 0),
    sessionKvShare: options.sessionKvShare ?? DEFAULT_SESSION_KV_SHARE,
    launchAhead: options.launchAhead ?? launchAheadOf(process.env.R1_LAUNCH_AHEAD),
    threads: options.threads ?? 0,
    family: options.family ?? "",
    linearChoices: options.linearChoices ?? (device === "cuda" ? linearChoices() : noChoices),
  };
}
