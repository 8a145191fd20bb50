/** `r1 bench`: the flags of the benches. */
import { shapes } from "../checkpoint/random";
import { embeddedModel } from "../embedded";
import type { BenchKind, BenchOptions } from "./bench-types";
import { type Command, exitCodes } from "./command";
import { byteCount, number, numbers, UsageError } from "./flags";
import { modelFolder } from "./load";
import { checked } from "./request-flags";

const flags = {
  model: {
    value: "NAME",
    short: "m",
    help: `a folder (default: ${embeddedModel}) or a shape: ${Object.keys(shapes).join(" ")}`,
  },
  device: { value: "NAME", help: "auto (default), cpu, cuda or cuda:N" },
  precision: { value: "TYPE", help: "f32, bf16 or fp16 (default: f32 on the CPU, bf16 on a GPU)" },
  sequences: {
    value: "N,…",
    parse: numbers,
    help: "decode, invariance, kernels: sequences open together (default 1; invariance 1,8,32,64)",
  },
  "prompt-tokens": {
    value: "N",
    parse: number,
    help: "tokens of each prompt (default: 128, prefill and invariance 1024)",
  },
  cublas: { value: "FILE", help: "prefill on CUDA: a libcublas.so to compare the linear layers with" },
  "prompt-rows": { value: "N", parse: number, help: "kernels: a step of so many prompt rows" },
  breakdown: { help: "decode: also where the time of a step goes, op by op" },
  "new-tokens": { value: "N", parse: number, help: "decode, serve: tokens of each answer (default: 128, serve 64)" },
  concurrency: { value: "N,…", parse: numbers, help: "serve: requests kept open, a row each (default 1,8,32,64,128)" },
  rate: { value: "R,…", parse: numbers, help: "serve: requests that come per second, at random times, a row each" },
  duration: {
    value: "S",
    parse: number,
    help: "serve: seconds of each row (default 10); tune: after which no further op is begun (90)",
  },
  rows: { value: "N,…", parse: numbers, help: "tune: rows of the steps to tune (default 1,8,16,32,64,2048)" },
  out: { value: "FILE", help: "tune: the table of choices to write, or to add to" },
  "dry-run": { help: "tune: lists what would be tried" },
  "shared-tokens": { value: "N", parse: number, help: "serve: tokens that all prompts begin with (default 0)" },
  "max-sequences": {
    value: "N",
    parse: number,
    help: "serve: requests that run at a time (default: 64, or as many as open)",
  },
  "max-queue": { value: "N", parse: number, help: "serve: requests that may wait (default 1024)" },
  "target-inter-token-ms": { value: "T", parse: number, help: "serve: batches are kept small enough for it" },
  "kv-memory": { value: "BYTES", parse: byteCount, help: "serve: what the KV cache may grow to, such as 512M or 4G" },
  "host-kv-memory": { value: "BYTES", parse: byteCount, help: "serve: host memory for what has to leave the KV cache" },
  "no-prefix-cache": { help: "serve: reads every prompt from its start" },
  repeats: {
    value: "N",
    parse: number,
    help: "all but decode and serve: measurements, of which the median counts (default 3 or 9)",
  },
  synthetic: {
    value: "SHAPE",
    help: "load: shape of a folder that is written, read and deleted (default 7b: 15 GB)",
  },
  dir: { value: "DIR", help: "load: where that folder is made (default: the folder for temporary files)" },
  threads: { value: "N", parse: number, help: "CPU threads, on a GPU to load with (default: all cores; at most 12)" },
  family: { value: "NAME", help: "kernel family or instruction set to force" },
  json: { help: "writes JSON" },
};

export const bench: Command = {
  summary: "measure speed as shares of what this machine reaches",
  usage: "bench decode|prefill|load|serve|invariance|kernels|tune [flags]",
  flags,
  maxPositionals: 1,
  async run({ values, positionals }, io) {
    // Loaded late: no other command needs it.
    const { benchKinds, formatReport, runBench } = await import("./bench.js");
    const { checkBenchOptions } = await import("./bench-engine.js");
    const kind = positionals[0] as BenchKind;
    if (!benchKinds.includes(kind)) {
      const found = kind === undefined ? "nothing" : JSON.stringify(kind);
      throw new UsageError(`Say what to measure: ${benchKinds.join(", ")}; found ${found}.`);
    }
    const { json, ...given } = values;
    const options = Object.fromEntries(
      Object.entries(given).map(([flag, value]) => [flag.replace(/-(.)/g, (_, letter) => letter.toUpperCase()), value]),
    ) as BenchOptions;
    checked(() => checkBenchOptions(kind, options), flags);
    if (options.model === undefined && kind !== "load") await modelFolder(undefined, io);
    const report = await runBench(kind, options, io.signal);
    await io.out.line(json ? JSON.stringify(report, null, 2) : formatReport(report));
    return exitCodes.ok;
  },
};
