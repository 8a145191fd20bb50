/** What row invariance costs: what is compared, and that the steps timed are those that are meant. */
import { describe, expect, it } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { runBench } from "../../lib/cli/bench";
import { benchInvariance, fasterByPrefill, saved } from "../../lib/cli/bench-invariance";
import { EngineClient } from "../../lib/engine-client";
import { loadSpec } from "../../lib/load-spec";
import { binding, type NativeTimedStep } from "../../lib/native";
import { devices } from "../support/devices";
import { request, run } from "../support/engine";
import { tinyFolder } from "../support/tiny";

describe("a choice of classes", () => {
  const ms = (...values: number[]) => ({ ms: values });
  it("is of the ops that are faster in most rounds, by more than chance", () => {
    const decode = ms(10, 11, 10, 12);
    const faster = ms(8, 9, 11, 9); // in three of four
    const equal = ms(9.95, 10.95, 9.95, 11.95);
    const once = ms(1, 11, 10, 12);
    expect(fasterByPrefill([decode, equal, faster, once, decode])).toEqual(["attention"]);
    expect(fasterByPrefill([decode, faster, equal, decode, faster])).toEqual(["qkv", "mlp"]);
  });
  it("saves part of each round's time", () => {
    expect(saved([10, 20], [9, 22])).toEqual([expect.closeTo(0.1, 9), expect.closeTo(-0.1, 9)]);
  });
});

const decode = { numericClass: "decode", sequences: 3, length: 70, promptRows: 0, classes: null } as const;
const all = (choice: "prefill" | "decode") => ({ qkv: choice, attention: choice, residual: choice, mlp: choice });
const mixed = (classes: NativeTimedStep["classes"], promptRows = 0): NativeTimedStep => ({
  ...{ numericClass: "prefill", sequences: 3, length: 70, promptRows, classes },
});

describe.each(devices)("timed steps on %s", (device) => {
  const spec = async (more = {}) => {
    const checkpoint = await openCheckpoint(tinyFolder);
    const precision = device === "cuda" ? "bf16" : "f32";
    return loadSpec(checkpoint, { device, precision, contextLength: 256, maxSequences: 4, threads: 2, ...more });
  };

  it("have a time for every round, and the bits of the class that computes them", async () => {
    const steps = [decode, mixed(all("decode")), mixed(all("prefill")), mixed(null), mixed(all("decode"), 20)];
    const times = await binding().timeSteps(await spec(), steps, 3);
    expect(times.map(({ ms }) => ms.length)).toEqual([3, 3, 3, 3, 3]);
    for (const { ms } of times) for (const one of ms) expect(one).toBeGreaterThan(0);
    const [asDecode, byDecode, byPrefill, asPrefill, beside] = times.map(({ logprob }) => logprob);
    expect(byDecode).toBe(asDecode);
    expect(byPrefill).toBe(asPrefill);
    expect(beside).toBe(asDecode);
    // One class on the CPU.
    if (device === "cpu") expect(asPrefill).toBe(asDecode);
  });

  it("are those of requests", async () => {
    const length = 70;
    const [{ logprob }] = await binding().timeSteps(await spec(), [mixed(null)], 1);
    const prompt = Int32Array.from({ length }, (_, slot) => (slot * 7919 + 17) % 512);
    const client = await EngineClient.load(await spec({ prefixCache: false }));
    const { config } = await openCheckpoint(tinyFolder);
    expect(config.vocab).toBe(512);
    const outcome = await run(client, request({ prompt, maxNewTokens: 1 }));
    await client.dispose();
    expect(outcome.logprobs[0]).toBe(logprob);
  });

  it("depend on every op", async () => {
    const skipped = (["qkv", "attention", "residual", "mlp"] as const).map((op) =>
      mixed({ ...all("decode"), [op]: "skip" }),
    );
    const times = await binding().timeSteps(await spec(), [decode, ...skipped], 1);
    expect(new Set(times.map(({ logprob }) => logprob)).size).toBe(5);
  });

  it("are refused where they cannot be", async () => {
    const time = async (step: NativeTimedStep, more = {}) => binding().timeSteps(await spec(more), [step], 1);
    await expect(time({ ...decode, sequences: 65 })).rejects.toThrow("65 rows; expected 1 to 64");
    await expect(time({ ...decode, promptRows: 1 })).rejects.toThrow("need a step of the prefill class");
    await expect(time({ ...decode, sequences: 0 })).rejects.toThrow("0 rows");
    await expect(time(decode, { kvMemory: 2 * 2 * 4 * 64 * 4 * 64 })).rejects.toMatchObject({
      code: "E_OUT_OF_MEMORY",
      message: expect.stringContaining("6 KV blocks are needed"),
    });
    await expect(time({ ...decode, numericClass: "other" as "decode" })).rejects.toThrow(TypeError);
  });
});

// What is reported, not how fast it is.
it("a row for each number of sequences", async () => {
  const target = { device: "cpu", deviceIndex: 0, precision: "f32", threads: 2, family: "" } as const;
  const ceilings = { readBytesPerS: 1e9, copyBytesPerS: 1, f32MacsPerS: 1, bf16MacsPerS: 1 };
  const checkpoint = await openCheckpoint(tinyFolder);
  const options = { sequences: [1, 4], promptTokens: 100, repeats: 2 };
  const { rows } = await benchInvariance({ checkpoint, target, ceilings, options });
  expect(rows.map(({ columns }) => [columns.sequences, columns.length, columns["same bits"]])).toEqual([
    [1, 100, "yes"],
    [4, 100, "yes"],
  ]);
  for (const { columns } of rows)
    for (const name of ["ms/step", "ms unrecorded", "ms fastest", "ms 64 prompt rows", "ms together"])
      expect(columns[name], name).toBeGreaterThan(0);
  await expect(runBench("invariance", { device: "cpu", sequences: [65] })).rejects.toThrow(RangeError);
});
