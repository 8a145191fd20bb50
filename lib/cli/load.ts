/** Loading a model for a command: flags, progress bar, warnings. */
import { embeddedModel, embeddedModelPath, embeddedNotice } from "../embedded";
import type { LoadProgress } from "../engine-client";
import { checkLoadOptions, type LoadOptions } from "../load-options";
import { DeepSeekR1 } from "../model";
import { memorySteps } from "../serving/options";
import { byteCount, type Flags, number } from "./flags";
import { ProgressBar } from "./progress";
import { checked } from "./request-flags";
import { bytes, type Io } from "./terminal";

export const loadFlags: Flags = {
  model: { value: "DIR", short: "m", help: `a Hugging Face model folder (default: the embedded ${embeddedModel})` },
  device: { value: "NAME", help: "auto (default), cpu, cuda or cuda:N" },
  precision: { value: "TYPE", help: "f32, bf16 or fp16 (default: f32 on the CPU, bf16 on a GPU)" },
  "context-length": { value: "N", parse: number, help: "tokens a sequence may reach (default: the model's)" },
  "kv-memory": { value: "BYTES", parse: byteCount, help: "what the KV cache may grow to, such as 512M or 4G" },
  "memory-limit": { value: "BYTES", parse: byteCount, help: "what the model may take of the device's memory" },
  "on-out-of-memory": {
    value: "STEP,…",
    parse: (text) => text.split(","),
    help: `what to try when memory does not suffice: ${memorySteps.join(", ")}`,
  },
  threads: { value: "N", parse: number, help: "CPU threads, on a GPU to load with (default: all cores; at most 12)" },
};

/** @throws UsageError for values out of range */
export function loadOptions(values: Readonly<Record<string, unknown>>): LoadOptions {
  const options = {
    modelPath: values.model,
    device: values.device,
    precision: values.precision,
    contextLength: values["context-length"],
    kvMemory: values["kv-memory"],
    memoryLimit: values["memory-limit"],
    onOutOfMemory: values["on-out-of-memory"],
    threads: values.threads,
  };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  checked(() => checkLoadOptions(given), { ...loadFlags, "model-path": loadFlags.model });
  return given as unknown as LoadOptions;
}

const announceEmbedded = ({ err }: Io): Promise<void> => err.line(err.style("dim", `r1: ${embeddedNotice("--model")}`));

/** The folder that was given, or the embedded model's, which is said then. @throws R1Error E_NOT_FOUND */
export async function modelFolder(given: string | undefined, io: Io): Promise<string> {
  if (given !== undefined) return given;
  const folder = await embeddedModelPath();
  await announceEmbedded(io);
  return folder;
}

/** Loads with a progress bar, where standard error is a terminal. */
export async function loadModel(options: LoadOptions, io: Io): Promise<DeepSeekR1> {
  const { err, signal } = io;
  const bar = new ProgressBar(err);
  const onProgress = ({ stage, bytes: done, totalBytes }: LoadProgress) => {
    const label = stage === "weights" ? "Loading" : stage === "warmup" ? "Warming up" : "Preparing";
    bar.show(label, totalBytes > 0 ? done / totalBytes : 0, `${bytes(done)} of ${bytes(totalBytes)}`);
  };
  try {
    return await DeepSeekR1.load({
      ...options,
      signal,
      onProgress,
      onWarning: ({ code, message }) => {
        bar.clear();
        if (code === "default-model") void announceEmbedded(io);
        else void err.line(`${err.style("yellow", "r1: warning:")} ${message}`);
      },
    });
  } finally {
    bar.clear();
  }
}
