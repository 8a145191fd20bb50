import { describe, expect, test } from "vitest";
import { layerMacs, weightBytes } from "../../lib/checkpoint/memory";
import { randomCheckpoint } from "../../lib/checkpoint/random";
import { formatReport, runBench } from "../../lib/cli/bench";
import { stepBytes, stepTimes } from "../../lib/cli/bench-decode";
import { madeUpPrompt, median } from "../../lib/cli/bench-engine";
import type { BenchReport } from "../../lib/cli/bench-types";
import { R1Error } from "../../lib/errors";

describe("what a decode step must read", () => {
  test("R1-Distill-Qwen-7B: all weights but the embedding table, and the KV cache of each sequence", () => {
    const checkpoint = randomCheckpoint("7b");
    const embedding = 152064 * 3584 * 2;
    const kv = 56 * 1024; // a token: 2 · 28 layers · 4 heads · 128 · 2 bytes
    const weights = weightBytes(checkpoint.weights, "bf16") - embedding;
    expect(stepBytes(checkpoint, "bf16", 1, 200)).toBe(weights + 200 * kv);
    expect(stepBytes(checkpoint, "bf16", 8, 200)).toBe(weights + 8 * 200 * kv);
    expect(stepBytes(checkpoint, "f32", 1, 200)).toBe(weights + 2 * 200 * kv); // matrices stay bf16, KV is f32
    // An H200 that reads 4706 GB/s can reach 333 tokens a second.
    expect(Math.abs(4706e9 / stepBytes(checkpoint, "bf16", 1, 192) - 333)).toBeLessThan(1);
  });

  test("a tied embedding table is read as the head", () => {
    const checkpoint = randomCheckpoint("0.5b");
    expect(stepBytes(checkpoint, "bf16", 1, 0)).toBe(weightBytes(checkpoint.weights, "bf16"));
  });

  test("a sliding window bounds what a layer reads", () => {
    const checkpoint = randomCheckpoint({
      ...{ model_type: "qwen2", hidden_size: 64, intermediate_size: 16, num_hidden_layers: 2, vocab_size: 8 },
      ...{ num_attention_heads: 1, num_key_value_heads: 1 },
      ...{ use_sliding_window: true, sliding_window: 10, max_window_layers: 1 },
    });
    const kv = 2 * 64 * 2; // K and V of a layer, bf16
    const read = stepBytes(checkpoint, "bf16", 3, 100) - stepBytes(checkpoint, "bf16", 3, 0);
    expect(read).toBe(3 * kv * (100 + 10));
  });
});

test("multiply-adds of a token: 2048 tokens at 7B take 34 ms at 788 TFLOP/s", () => {
  const ms = ((layerMacs(randomCheckpoint("7b").config) * 2 * 2048) / 788e12) * 1000;
  expect(Math.abs(ms - 34)).toBeLessThan(0.5);
});

test("made-up prompts are reproducible, within the vocabulary, and differ by their salt", () => {
  const prompt = madeUpPrompt(1000, 517, 3);
  expect(madeUpPrompt(1000, 517, 3)).toEqual(prompt);
  expect(prompt.every((id) => id >= 0 && id < 517)).toBe(true);
  expect(new Set(prompt).size).toBeGreaterThan(400);
  expect(madeUpPrompt(1000, 517, 4)).not.toEqual(prompt);
});

describe("times of steps", () => {
  test("one wake-up per token: every stretch of 8 steps", () => {
    const times = Array.from({ length: 30 }, (_, i) => 100 + 2 * i);
    const steps = stepTimes(times, 100, times[29]);
    expect(steps).toHaveLength(22);
    for (const ms of steps) expect(ms).toBe(2);
  });
  test("several tokens in a wake-up: only its last token says when it came", () => {
    const times = Array.from({ length: 60 }, (_, i) => 100 + 2 * (i + 4 - (i % 5))); // stamped with their fifth
    for (const ms of stepTimes(times, 0, 1000)) expect(ms).toBe(2);
    expect(stepTimes(times, 0, 1000).length).toBeGreaterThan(5);
  });
  test("only what lies between the bounds, and none when all came at once", () => {
    const times = Array.from({ length: 30 }, (_, i) => (i < 10 ? 50 * i : 500 + 2 * (i - 10)));
    for (const ms of stepTimes(times, 500, 600)) expect(ms).toBe(2);
    expect(stepTimes(new Array(30).fill(7), 0, 10)).toEqual([]);
  });
});

test("median", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("a report as a table", () => {
  const report: BenchReport = {
    ...{ kind: "decode", model: "7b", precision: "bf16", commit: "", date: "", host: "" },
    device: { kind: "cuda", name: "NVIDIA H200", detail: "driver 580" },
    ceilings: { readBytesPerS: 4.706e12, copyBytesPerS: 4.286e12, f32MacsPerS: 3e13, bf16MacsPerS: 0 },
    rows: [
      { sequences: 1, "tok/s": 212.4, "share of read": 0.6402 },
      { sequences: 8, "tok/s": 1660.25, "× of one": 7.81, "share of read": 0.63 },
    ],
  };
  expect(formatReport(report).split("\n")).toEqual([
    "decode · 7b · bf16 · NVIDIA H200 (driver 580)",
    "ceilings of this run: read 4706 GB/s, copy 4286 GB/s, f32 30000 GMAC/s, no bf16",
    "",
    "sequences  tok/s  share of read  × of one",
    "        1    212         64.0 %",
    "        8   1660         63.0 %      7.81",
  ]);
});

test("percentiles of one measure share a column", () => {
  const report: BenchReport = {
    ...{ kind: "serve", model: "7b", precision: "bf16", commit: "", date: "", host: "" },
    device: { kind: "cuda", name: "NVIDIA H200", detail: "" },
    ceilings: { readBytesPerS: 4.706e12, copyBytesPerS: 4.286e12, f32MacsPerS: 3e13, bf16MacsPerS: 0 },
    rows: [
      { load: "1/s", "TTFT p50 ms": 33.21, "TTFT p95 ms": 35.8, "ITL p50 ms": 0.672, "queue p50 ms": 5, preempted: 0 },
      { load: "200/s", preempted: 1 },
    ],
  };
  expect(formatReport(report).split("\n").slice(3)).toEqual([
    " load  TTFT ms p50 / p95  ITL ms p50  queue ms p50  preempted",
    "  1/s        33.2 / 35.8        0.67             5          0",
    "200/s                                                       1",
  ]);
});

test("bad options and models are refused before anything is measured", async () => {
  await expect(runBench("decode", { model: "7b", device: "tpu" })).rejects.toThrow(RangeError);
  await expect(runBench("decode", { model: "7b", device: "cpu", newTokens: 4 })).rejects.toThrow("from 17");
  await expect(runBench("load", { model: "/absent", device: "cpu" })).rejects.toThrow(R1Error);
});
