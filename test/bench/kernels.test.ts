/** Ops measured one by one: what they are said to touch, and that each is carried out alone. */
import { describe, expect, it } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { layerMacs } from "../../lib/checkpoint/memory";
import { randomCheckpoint } from "../../lib/checkpoint/random";
import { finishedRow, formatReport, runBench } from "../../lib/cli/bench";
import { addBreakdown, stepBytes } from "../../lib/cli/bench-decode";
import { benchKernels, rowsOf } from "../../lib/cli/bench-kernels";
import type { BenchRow } from "../../lib/cli/bench-types";
import { opWork, stepOps } from "../../lib/cli/step-ops";
import { loadSpec } from "../../lib/load-spec";
import { binding, type NativeStepOp, type NativeTimedStep } from "../../lib/native";
import { devices } from "../support/devices";
import { tinyFolder } from "../support/tiny";

const target = { device: "cpu", deviceIndex: 0, precision: "f32", threads: 2, family: "" } as const;
const ceilings = { readBytesPerS: 1e9, copyBytesPerS: 1, f32MacsPerS: 1e9, bf16MacsPerS: 0 };

describe("the work of a step's ops", () => {
  const read: NativeStepOp[] = ["qkv", "attention", "output", "gateUp", "down", "head"];
  it.each(["1.5b", "qwen3-8b", "smollm2"])("adds up to what a step of %s must read", async (shape) => {
    const checkpoint = randomCheckpoint(shape);
    const work = opWork(checkpoint, "bf16", { sequences: 8, length: 200 });
    const bytes = read.reduce((sum, op) => sum + work[op].bytes, 0);
    // q_norm and k_norm, a head's size each, are of no op that weights dominate.
    const missing = stepBytes(checkpoint, "bf16", 8, 200) - bytes;
    const { layers, headDim, qkNorm } = checkpoint.config;
    expect(missing).toBe(qkNorm ? layers * 2 * headDim * 4 : 0);
    const layerOps = ["qkv", "output", "gateUp", "down"] as const;
    const macs = layerOps.reduce((sum, op) => sum + work[op].macs, 0);
    expect(macs).toBe(8 * layerMacs(checkpoint.config));
    expect(work.head.macs).toBe(8 * checkpoint.config.vocab * checkpoint.config.hidden);
  });
  it("counts the pairs of queries and keys that are visible", () => {
    const checkpoint = randomCheckpoint("1.5b"); // 12 heads of 128, 2 KV heads, 28 layers
    const prompt = opWork(checkpoint, "bf16", { promptRows: 4 }).attention;
    expect(prompt).toEqual({ calls: 28, bytes: 28 * 4 * 2 * 2 * 128 * 2, macs: 28 * (1 + 2 + 3 + 4) * 2 * 12 * 128 });
    const decode = opWork(checkpoint, "bf16", { sequences: 2, length: 10 }).attention;
    expect(decode.macs).toBe(28 * 20 * 2 * 12 * 128);
    const windows = new Int32Array(28).fill(3);
    const windowed = { ...checkpoint, config: { ...checkpoint.config, windows } };
    expect(opWork(windowed, "bf16", { promptRows: 4 }).attention.macs).toBe(28 * (1 + 2 + 3 + 3) * 2 * 12 * 128);
    expect(opWork(windowed, "bf16", { sequences: 2, length: 10 }).attention.macs).toBe(28 * 6 * 2 * 12 * 128);
  });
});

describe("a report of ops", () => {
  const zero = { calls: 2, bytes: 0, macs: 0 };
  const work = Object.fromEntries(stepOps.map((op) => [op, zero])) as Record<NativeStepOp, typeof zero>;
  const none = Object.fromEntries(stepOps.map((op) => [op, 1])) as Record<NativeStepOp, number>;
  it("compares each with the larger of its floors, and marks what is far from it", () => {
    work.qkv = { calls: 2, bytes: 9e6, macs: 1e6 }; // 9 ms of reads, 1 ms of products
    work.down = { calls: 2, bytes: 1e6, macs: 5e6 };
    const measured = rowsOf(
      { sequences: 2, length: 7 },
      { step: 30, ops: { ...none, qkv: 10, down: 10 } },
      work,
      "f32MacsPerS",
      ceilings,
    );
    const rows = measured.map((row) => finishedRow(row, ceilings));
    expect(rows[1]).toEqual({
      ...{ step: "2 × 7", op: "qkv", calls: 2, "µs/call": 5000, "µs/step": 10_000 },
      ...{ "MB/step": 9, "GMAC/step": 0.001, "share of read": 0.9 },
    });
    expect(rows[5]).toMatchObject({ op: "down", "share of f32": 0.5, mark: "< 80 %" });
    expect(rows.slice(-3)).toEqual([
      { step: "2 × 7", op: "all ops", "µs/step": 26_000, "share of floors": 14 / 26 },
      { step: "2 × 7", op: "whole step", "µs/step": 30_000, "share of floors": 14 / 30 },
      { step: "2 × 7", op: "step − ops", "µs/step": 4000 },
    ]);
  });
});

describe.each(devices)("ops timed alone on %s", (device) => {
  it("are carried out without the others", async () => {
    const precision = device === "cuda" ? "bf16" : "f32";
    const spec = loadSpec(await openCheckpoint(tinyFolder), {
      ...{ device, precision, contextLength: 256, maxSequences: 4, threads: 2 },
    });
    const decode: NativeTimedStep = {
      ...{ numericClass: "decode", sequences: 3, length: 70, promptRows: 0, classes: null },
    };
    const prompt: NativeTimedStep = { ...decode, numericClass: "prefill", sequences: 0, length: 0, promptRows: 40 };
    const steps = [decode, prompt].flatMap((step) => [step, ...stepOps.map((only) => ({ ...step, only })), step]);
    const times = await binding().timeSteps(spec, steps, 2);
    expect(times.map(({ ms }) => ms.length)).toEqual(steps.map(() => 2));
    for (const { ms } of times) for (const one of ms) expect(one).toBeGreaterThan(0);
    for (const part of [times.slice(0, times.length / 2), times.slice(times.length / 2)]) {
      const [whole, ...ops] = part.map(({ logprob }) => logprob);
      // A step between those of single ops is what it was.
      expect(ops.at(-1)).toBe(whole);
      expect(whole).toBeLessThan(0);
      // Sampling alone finds the logits of the whole step before it; nothing else yields a token.
      expect(ops[stepOps.indexOf("sample")]).toBe(whole);
      if (device === "cpu") for (const op of ops.slice(0, stepOps.indexOf("sample"))) expect(op).toBe(0);
    }
  });
});

describe("linear layers beside cuBLAS", () => {
  const step: NativeTimedStep = {
    ...{ numericClass: "prefill", sequences: 0, length: 0, promptRows: 40, classes: null, only: "linear" },
  };
  const time = async (device: "cpu" | "cuda", steps: NativeTimedStep[], library?: string) => {
    const precision = device === "cuda" ? "bf16" : "f32";
    const checkpoint = await openCheckpoint(tinyFolder);
    return binding().timeSteps(loadSpec(checkpoint, { device, precision, contextLength: 64 }), steps, 3, library);
  };
  it("are all four that a block has", async () => {
    const [{ ms }] = await time("cpu", [step]);
    expect(ms.length).toBe(3);
    for (const one of ms) expect(one).toBeGreaterThan(0);
  });
  it("need CUDA, and the library", async () => {
    await expect(time("cpu", [step], "libcublas.so")).rejects.toMatchObject({ code: "E_UNSUPPORTED" });
    await expect(time("cpu", [{ ...step, cublas: true }])).rejects.toThrow("needs the library's path");
    const options = { model: tinyFolder, device: "cpu", promptTokens: 40, cublas: "libcublas.so" };
    await expect(runBench("prefill", options)).rejects.toThrow("cuBLAS computes on CUDA alone");
  });
  it.skipIf(!devices.includes("cuda"))("need a library that can be loaded", async () => {
    await expect(time("cuda", [step], "/absent/libcublas.so")).rejects.toMatchObject({ code: "E_NOT_FOUND" });
    await expect(time("cuda", [step], "libm.so.6")).rejects.toThrow("it is no cuBLAS");
  });
  // R1_CUBLAS: a libcublas.so.
  it.skipIf(!devices.includes("cuda") || !process.env.R1_CUBLAS)("are measured in turns", async () => {
    const cublas = process.env.R1_CUBLAS as string;
    const options = { model: tinyFolder, device: "cuda", promptTokens: 64, repeats: 1, cublas };
    const [row] = (await runBench("prefill", options)).rows;
    for (const column of ["ms linear", "ms cuBLAS", "× cuBLAS"]) expect(row[column], column).toBeGreaterThan(0);
    expect(row.cuBLAS).toContain("libcublas");
  });
});

// What is reported, not how fast it is.
it("a row for each op of each step", async () => {
  const checkpoint = await openCheckpoint(tinyFolder);
  const options = { sequences: [1, 4], promptTokens: 100, promptRows: 30, repeats: 2 };
  const { rows } = await benchKernels({ checkpoint, target, ceilings, options });
  const names = [...stepOps, "all ops", "whole step", "step − ops"];
  expect(rows.map(({ columns }) => [columns.step, columns.op])).toEqual(
    ["1 × 100", "4 × 100", "30 prompt rows"].flatMap((step) => names.map((op) => [step, op])),
  );
  for (const { columns, share } of rows) {
    if (columns.op !== "step − ops") expect(columns["µs/step"], columns.op as string).toBeGreaterThan(0);
    if (share && "rate" in share) expect(share.rate).toBeGreaterThan(0);
  }
});

it("decode says where the time of a step goes", async () => {
  const checkpoint = await openCheckpoint(tinyFolder);
  const rows = [{ columns: { "ms/step": 3 } as BenchRow }, { columns: { "ms/step": 0.001 } as BenchRow }];
  await addBreakdown({ checkpoint, target, ceilings, options: {} }, rows, [1, 3], [40, 70]);
  for (const { columns } of rows) {
    const ops = stepOps.map((op) => columns[`µs ${op}`] as number);
    for (const one of ops) expect(one).toBeGreaterThan(0);
    const besides = columns["µs besides"] as number;
    expect(ops.reduce((sum, one) => sum + one, besides)).toBeCloseTo((columns["ms/step"] as number) * 1000, 6);
  }
});

it("runs from the command's options, and refuses what it cannot", async () => {
  const report = await runBench("kernels", { model: tinyFolder, device: "cpu", repeats: 1, promptRows: 20 });
  expect(report.rows.map(({ step }) => step)).toEqual(Array(11).fill("20 prompt rows"));
  expect(formatReport(report)).toContain("share of read");
  await expect(runBench("kernels", { device: "cpu", sequences: [65] })).rejects.toThrow(RangeError);
  await expect(runBench("kernels", { device: "cpu", promptRows: 0 })).rejects.toThrow(RangeError);
  await expect(runBench("decode", { device: "cpu", sequences: [65], breakdown: true })).rejects.toThrow(RangeError);
});
