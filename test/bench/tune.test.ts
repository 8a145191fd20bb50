/** Tuning: what it tries, what it keeps and what it writes, with times that are made up; on Hopper also real ones. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { runBench } from "../../lib/cli/bench";
import { tunedFile } from "../../lib/cli/bench-tune";
import { findLayers, gain, describe as name, stepOfRows, type TimeSteps, tune } from "../../lib/cli/tune";
import { keysOf, noChoices, readChoices } from "../../lib/linear-choices";
import { loadSpec } from "../../lib/load-spec";
import {
  binding,
  type NativeLinearChoices,
  type NativeStreamChoice,
  type NativeTileChoice,
  type NativeTimedStep,
} from "../../lib/native";
import { r1 } from "../cli/run";
import { variants } from "../support/backends";
import { devices } from "../support/devices";
import { tinyFolder } from "../support/tiny";

const hopper = variants().some(({ family, precision }) => family === "sm90" && precision === "bf16");
const sizes: Record<string, number> = { gateUp: 4000, down: 2000, qkv: 500, output: 400, head: 3000 };

function streamRow(op: string, rows: number, tileRows: number, stages: number): NativeStreamChoice {
  const tokens = rows <= 8 ? 8 : 16;
  return {
    ...{
      numericClass: "decode",
      sms: 132,
      storedRows: sizes[op],
      k: 64,
      tokens,
      paired: op === "qkv",
      tileRows,
      stages,
    },
  };
}
const tileRow = (op: string, columns: number, band: number): NativeTileChoice => {
  return { sms: 132, storedRows: sizes[op], k: 64, rows: 256, paired: false, columns, band };
};

/** The rules choose 64 rows and 4 stages, 192 columns and band 1. */
function optionsOf(op: string, step: NativeTimedStep) {
  if (step.promptRows > 0)
    return {
      now: { ...noChoices, tile: [tileRow(op, 192, 1)] },
      candidates: { ...noChoices, tile: [tileRow(op, 192, 1), tileRow(op, 256, 1), tileRow(op, 256, 2)] },
    };
  const row = (tileRows: number, stages: number) => streamRow(op, step.sequences, tileRows, stages);
  const candidates = [row(64, 4), row(64, 8), row(128, 3), row(128, 6), row(192, 2)];
  return { now: { ...noChoices, stream: [row(64, 4)] }, candidates: { ...noChoices, stream: candidates } };
}

type Cost = (op: string, step: NativeTimedStep, chosen: string) => number;

/** Milliseconds: of an op alone by `alone`, of a step the sum over its ops by `whole`, and some jitter. */
function timer(alone: Cost, whole: Cost, calls: NativeTimedStep[][] = []): TimeSteps {
  return async (steps, rounds) => {
    calls.push(steps);
    return steps.map((step) => {
      const cost = (op: string, by: Cost) => {
        const { now } = optionsOf(op, step);
        const linear = step.linear ?? noChoices;
        const [key] = keysOf(now);
        const single = [
          ...linear.stream.map((row) => ({ ...noChoices, stream: [row] })),
          ...linear.tile.map((row) => ({ ...noChoices, tile: [row] })),
        ].find((one) => keysOf(one).has(key));
        return by(op, step, name(single ?? now));
      };
      const ops = Object.keys(sizes).filter((op) => op !== "head" || step.promptRows === 0);
      const ms = step.only ? cost(step.only, alone) : ops.reduce((sum, op) => sum + cost(op, whole), 1);
      const options = step.only && !step.linear ? [optionsOf(step.only, step)] : [];
      return { ms: Array.from({ length: rounds }, (_, i) => ms + (i % 3) * 1e-6), logprob: 0, options };
    });
  };
}

const shapes = [1, 8, 16, 256].map((rows) => stepOfRows(rows, 128));
const run = async (alone: Cost, whole: Cost, over?: () => boolean, base = noChoices) => {
  const calls: NativeTimedStep[][] = [];
  const time = timer(alone, whole, calls);
  return { calls, tuning: await tune(time, shapes, await findLayers(time, shapes), base, over) };
};
const even: Cost = () => 1;
const faster =
  (op: string, chosen: string, by = 0.1): Cost =>
  (one, _, now) =>
    one === op && now === chosen ? 1 - by : 1;

describe("tuning", () => {
  it("finds the layers of the steps, one for steps of the same row", async () => {
    const layers = await findLayers(timer(even, even), shapes);
    expect(layers.map(({ op, steps }) => [op, steps.length])).toEqual([
      ...["gateUp", "down", "qkv", "output", "head"].map((op) => [op, 2]), // 1 and 8 rows
      ...["gateUp", "down", "qkv", "output", "head"].map((op) => [op, 1]), // 16
      ...["gateUp", "down", "qkv", "output"].map((op) => [op, 1]), // prompt rows
    ]);
    expect(name(layers[0].rule)).toBe("64 rows, 4 stages");
    expect(layers[0].candidates.map(name)).toEqual([
      ...["64 rows, 8 stages", "128 rows, 3 stages", "128 rows, 6 stages", "192 rows, 2 stages"],
    ]);
    expect(layers.at(-1)?.candidates.map(name)).toEqual(["256 columns, band 1", "256 columns, band 2"]);
  });
  it("keeps nothing where nothing is faster", async () => {
    const { tuning } = await run(even, even);
    expect(tuning.choices).toEqual(noChoices);
    expect(tuning.layers.every(({ chosen, tried }) => chosen === null && tried)).toBe(true);
    expect(tuning.steps.map(({ shape }) => shape)).toEqual(shapes);
  });
  it("keeps what makes whole steps faster, for each row of its own", async () => {
    const both: Cost = (op, step, now) => {
      if (step.promptRows > 0) return faster("qkv", "256 columns, band 2")(op, step, now);
      return step.sequences > 8 ? 1 : faster("down", "128 rows, 6 stages")(op, step, now);
    };
    const { tuning } = await run(even, both);
    expect(tuning.choices).toEqual({
      stream: [streamRow("down", 1, 128, 6)],
      tile: [tileRow("qkv", 256, 2)],
      splits: [],
    });
    const kept = tuning.layers.filter(({ chosen }) => chosen);
    expect(kept.map(({ layer, saved }) => [layer.op, saved.toFixed(2)])).toEqual([
      ["down", "0.10"],
      ["qkv", "0.10"],
    ]);
    const saved = tuning.steps.map(({ rule, tuned }) => (rule[0] - tuned[0]).toFixed(2));
    expect(saved).toEqual(["0.10", "0.10", "0.00", "0.10"]);
  });
  it("believes whole steps, not ops alone", async () => {
    const { tuning } = await run(faster("down", "64 rows, 8 stages", 0.3), faster("gateUp", "64 rows, 8 stages", -0.3));
    expect(tuning.choices).toEqual(noChoices);
    const slow = await run(faster("down", "64 rows, 8 stages", -0.03), faster("down", "64 rows, 8 stages", 0.3));
    expect(slow.tuning.choices).toEqual(noChoices); // no finalist
  });
  it("keeps nothing that serves one of a row's steps and hurts the other", async () => {
    const whole: Cost = (op, { sequences }, now) =>
      op === "down" && now === "128 rows, 6 stages" ? (sequences === 1 ? 0.5 : sequences === 8 ? 1.01 : 1) : 1;
    expect((await run(even, whole)).tuning.choices).toEqual(noChoices);
  });
  it("measures an op's candidates beside what was chosen for those before, with the splits as they are", async () => {
    const splits = [{ family: "sm90" as const, storedRows: 7, k: 300, splits: 2 }];
    const { calls, tuning } = await run(even, faster("gateUp", "64 rows, 8 stages"), undefined, {
      ...noChoices,
      splits,
    });
    expect(tuning.choices.splits).toEqual([]);
    for (const steps of calls.slice(1)) for (const { linear } of steps) expect(linear?.splits).toEqual(splits);
    const [, , gateUp, down] = calls;
    expect(gateUp[0].linear?.stream).toEqual([]);
    expect(down[0].linear?.stream).toEqual([streamRow("gateUp", 1, 64, 8), streamRow("gateUp", 16, 64, 8)]);
    // The steps with and without are neighbours in a round.
    expect(gateUp.slice(0, 4).map(({ sequences }) => sequences)).toEqual([1, 1, 1, 1]);
  });
  it("drops what turns out slower together", async () => {
    let calls = 0;
    const time = timer(even, faster("down", "128 rows, 6 stages"));
    const last: TimeSteps = async (steps, rounds) => {
      const times = await time(steps, rounds);
      if (++calls < 7) return times; // the last comparison
      return times.map(({ ms, ...rest }, i) => ({ ...rest, ms: ms.map((one) => one + (i % 2)) }));
    };
    const tuning = await tune(last, shapes, await findLayers(time, shapes), noChoices);
    expect(calls).toBe(7);
    expect(tuning.choices).toEqual(noChoices);
    expect(tuning.layers.every(({ chosen }) => chosen === null)).toBe(true);
  });
  it("leaves out what there is no time for", async () => {
    let asked = 0;
    const { tuning } = await run(even, faster("down", "128 rows, 6 stages"), () => ++asked > 1);
    expect(tuning.choices).toEqual(noChoices);
    expect(new Set(tuning.layers.filter(({ tried }) => tried).map(({ layer }) => layer.op))).toEqual(
      new Set(["gateUp"]),
    );
  });
});

describe("what a choice saves", () => {
  const nine = (ms: number) => Array.from({ length: 9 }, (_, i) => ms + (i % 2) * 0.001);
  it("is the share of the op's time, and none where it is small or may be chance", () => {
    expect(gain([{ without: nine(10), with: nine(9.9), opMs: 1 }])).toBeCloseTo(0.1, 6);
    expect(gain([{ without: nine(10), with: nine(9.995), opMs: 1 }])).toBe(0);
    const wild = nine(10).map((ms, i) => (i < 4 ? ms + 0.5 : ms - 1));
    expect(gain([{ without: nine(10), with: wild, opMs: 1 }])).toBe(0);
  });
});

describe("the file", () => {
  const row = streamRow("down", 1, 128, 6);
  const other = { ...row, storedRows: 77 };
  it("keeps what was not tried, and forgets what was tried in vain", async () => {
    const stale = streamRow("gateUp", 16, 192, 2);
    const before = { about: ["7b: long ago", "14b: x"], ...noChoices, stream: [stale, other, { ...row, stages: 2 }] };
    const { tuning } = await run(even, faster("down", "128 rows, 6 stages"));
    const after = tunedFile(before, tuning, "7b: now");
    expect(after.about).toEqual(["14b: x", "7b: now"]);
    expect(after.stream).toEqual([other, row, streamRow("down", 16, 128, 6)]);
    expect(tunedFile(undefined, tuning, "7b: now").stream).toHaveLength(2);
  });
  it("says nothing of a model for which there was no time", async () => {
    const { tuning } = await run(even, faster("down", "128 rows, 6 stages"));
    const none = { ...tuning, layers: tuning.layers.map((one) => ({ ...one, tried: false })), choices: noChoices };
    const before = { about: ["7b: long ago"], ...noChoices, stream: [row] };
    expect(tunedFile(before, none, "7b: now")).toEqual(before);
  });
});

it.each(devices)("steps are timed with choices of their own, and ops say what they have: %s", async (device) => {
  const precision = device === "cuda" ? "bf16" : "f32";
  const spec = loadSpec(await openCheckpoint(tinyFolder), { device, precision, contextLength: 256, threads: 2 });
  const step: NativeTimedStep = {
    ...{ numericClass: "decode", sequences: 3, length: 70, promptRows: 0, classes: null },
  };
  const steps: NativeTimedStep[] = [step, { ...step, only: "down" }, { ...step, only: "attention" }];
  const [plain, down, attention] = await binding().timeSteps(spec, steps, 1);
  expect([plain.options, attention.options]).toEqual([[], []]);
  expect(down.options.length).toBe(device === "cuda" && hopper ? 1 : 0);
  const candidates = down.options.flatMap(({ candidates }) => candidates.stream);
  const linear = [[], ...candidates.map((row) => [row])].map((rows) => ({ ...noChoices, stream: rows }));
  const times = await binding().timeSteps(spec, [...linear.map((one) => ({ ...step, linear: one })), step], 2);
  expect(times.map(({ logprob }) => logprob)).toEqual(times.map(() => plain.logprob));
  for (const { ms } of times) for (const one of ms) expect(one).toBeGreaterThan(0);
});

describe("r1 bench tune", () => {
  const folder = mkdtempSync(join(tmpdir(), "r1-tune-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  it("says that a CPU has nothing to tune", async () => {
    const out = join(folder, "none.json");
    for (const flags of [[], ["--dry-run"], ["--out", out]]) {
      const { code, stdout, stderr } = await r1(["bench", "tune", "--model", "0.5b", "--device", "cpu", ...flags]);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toContain("There is nothing to tune on a CPU");
    }
    expect(existsSync(out)).toBe(false);
  });
  it("refuses a file that cannot be written before it measures", async () => {
    const said = expect.objectContaining({
      code: "E_NOT_FOUND",
      message: expect.stringContaining("cannot be written"),
    });
    await expect(runBench("tune", { model: "smollm2", device: "cuda", out: folder })).rejects.toEqual(said);
  });
  it("refuses bad arguments", async () => {
    for (const [flag, value, message] of [
      ["--rows", "", "--rows must have at least one number"],
      ["--rows", "0", "--rows must be an integer from 1 to 65536, found 0"],
      ["--rows", "x", '--rows must be a number, found "x"'],
      ["--out", "", "--out must be the path of a file"],
      ["--duration", "0", "--duration must be a number from 0.1"],
    ]) {
      const { code, stderr } = await r1(["bench", "tune", "--model", "0.5b", "--device", "cpu", flag, value]);
      expect([code, stderr], flag).toEqual([2, expect.stringContaining(message)]);
    }
  });

  it.skipIf(!hopper)(
    "fills a file on Hopper, which then is loaded",
    async () => {
      const out = join(folder, "tuned.json");
      const other = { ...noChoices, stream: [streamRow("down", 1, 64, 4)] } satisfies NativeLinearChoices;
      writeFileSync(out, JSON.stringify(other));
      const options = { model: "smollm2", device: "cuda", rows: [1, 200], duration: 5 };
      const listed = await runBench("tune", { ...options, dryRun: true });
      expect(listed.rows.map(({ op }) => op)).toEqual([
        "gateUp",
        "down",
        "qkv",
        "output",
        "head",
        "gateUp",
        "down",
        "qkv",
        "output",
      ]);
      const report = await runBench("tune", { ...options, out });
      expect(report.rows.filter(({ op }) => op === "whole step")).toHaveLength(2);
      expect(readChoices(out).stream).toContainEqual(other.stream[0]);
      await runBench("tune", { ...options, dryRun: true });
    },
    120_000,
  );
});
