/** Offered load and what is made of it. */
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { arrivals, checkServeOptions, type Served, summarize } from "../../lib/cli/bench-load-pattern";
import { benchServe } from "../../lib/cli/bench-serve";
import { R1Error } from "../../lib/errors";
import { tinyFolder } from "../support/tiny";

describe("arrivals", () => {
  test("are those of a Poisson process", () => {
    const times = arrivals(50, 200_000, 3);
    expect(Math.abs(times.length - 10_000)).toBeLessThan(300); // three standard deviations
    const gaps = times.map((at, i) => at - (times[i - 1] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(0);
    expect(times.at(-1)).toBeLessThan(200_000);
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
    expect(Math.abs(mean - 20)).toBeLessThan(0.6);
    expect(Math.abs(deviation / mean - 1)).toBeLessThan(0.03); // exponential gaps
    // Of exponential gaps, 1 − 1/e are below the mean.
    expect(Math.abs(gaps.filter((gap) => gap < mean).length / gaps.length - 0.632)).toBeLessThan(0.015);
  });

  test("are reproducible, by their seed", () => {
    expect(arrivals(5, 10_000, 1)).toEqual(arrivals(5, 10_000, 1));
    expect(arrivals(5, 10_000, 2)).not.toEqual(arrivals(5, 10_000, 1));
    expect(arrivals(5, 20_000, 1).slice(0, 10)).toEqual(arrivals(5, 10_000, 1).slice(0, 10));
    expect(arrivals(0.01, 1, 1)).toEqual([]);
  });
});

describe("a row", () => {
  const served = (more: Partial<Served>): Served => ({
    ...{ submitted: 1000, wakeUps: [], outcome: "finished", queueMs: 0, cachedTokens: 0 },
    ...more,
  });

  test("has times of all requests, and tokens of its time only", () => {
    const row = summarize(
      [
        served({
          submitted: 1000,
          wakeUps: [
            { at: 1010, tokens: 1 },
            { at: 1020, tokens: 1 },
            { at: 1050, tokens: 3 }, // 10 ms each
          ],
          ...{ queueMs: 4, cachedTokens: 64 },
        }),
        served({
          submitted: 1900,
          wakeUps: [
            { at: 1930, tokens: 1 },
            { at: 2000, tokens: 1 }, // behind the end
          ],
          queueMs: 8,
        }),
        served({ outcome: "open", submitted: 1990 }),
        served({ outcome: "refused", submitted: 1991 }),
      ],
      1000,
      1000,
      128,
    );
    expect(row).toEqual({
      ...{ finished: 2, open: 1, refused: 1, "tok/s": 6 },
      ...{ "TTFT p50 ms": 10, "TTFT p95 ms": 30, "TTFT p99 ms": 30 },
      ...{ "ITL p50 ms": 10, "ITL p95 ms": 70, "ITL p99 ms": 70 },
      ...{ "queue p50 ms": 4, "queue p95 ms": 8, "share cached": 0.25 },
    });
  });

  test("without answers has no times", () => {
    expect(summarize([served({ outcome: "refused" })], 0, 100, 8)).toEqual({
      ...{ finished: 0, open: 0, refused: 1, "tok/s": 0 },
    });
  });
});

test("bad options are refused", () => {
  for (const options of [
    { rate: [0] },
    { rate: [] },
    { concurrency: [1.5] },
    { concurrency: [] },
    { duration: 0 },
    { promptTokens: 10, sharedTokens: 10 },
    { maxSequences: 0 },
    { maxQueue: 0 },
    { targetInterTokenMs: 0 },
  ])
    expect(() => checkServeOptions(options), JSON.stringify(options)).toThrow(RangeError);
  expect(() => checkServeOptions({ rate: [0.5, 200], concurrency: [1, 128], duration: 1 })).not.toThrow();
});

// What is counted, not how fast it is.
test("every request offered is accounted for", async () => {
  const target = { device: "cpu", deviceIndex: 0, precision: "f32", threads: 2, family: "" } as const;
  const ceilings = { readBytesPerS: 1, copyBytesPerS: 1, f32MacsPerS: 1, bf16MacsPerS: 1 };
  const checkpoint = await openCheckpoint(tinyFolder);
  const options = { concurrency: [3], rate: [40], duration: 0.25, promptTokens: 20, newTokens: 8, sharedTokens: 4 };
  const { rows } = await benchServe({ checkpoint, target, ceilings, options });
  expect(rows.map(({ columns }) => columns.load)).toEqual(["3 open", "40/s"]);
  const [closed, open] = rows.map(({ columns }) => columns);
  expect(closed.finished).toBeGreaterThanOrEqual(3);
  expect([closed.refused, open.refused]).toEqual([0, 0]);
  expect((open.finished as number) + (open.open as number)).toBe(arrivals(40, 250, 1).length);
  await expect(
    benchServe({ checkpoint, target, ceilings, options: { ...options, kvMemory: 1 } }),
  ).rejects.toBeInstanceOf(R1Error);
}, 60_000);
