/** How many sequences run and how many prompt rows a step takes: csrc/engine/batch_limits.h, round by round. */
import { describe, expect, it } from "vitest";
import { type TestRound, testAddon } from "../support/test-addon";

const { batchLimits } = testAddon();
const options = { sequences: 64, prefillRows: 2048, stepTokens: 256 };
const rounds = (count: number, round: Omit<TestRound, "now">, from = 0, ms = 10): TestRound[] =>
  Array.from({ length: count }, (_, i) => ({ ...round, now: from + i * ms }));
const last = <T>(list: T[]): T => list[list.length - 1];

describe("without a target", () => {
  it.each([
    { demand: 1, sequences: 8 },
    { demand: 8, sequences: 8 },
    { demand: 9, sequences: 16 },
    { demand: 40, sequences: 64 },
    { demand: 500, sequences: 64 },
  ])("$demand requests get up to $sequences places at once", ({ demand, sequences }) => {
    const [limits] = batchLimits(options, [{ now: 0, running: 1, waiting: demand - 1 }]);
    expect(limits.sequences).toBe(sequences);
  });

  it("shrinks by halves, each after a second in which a quarter would have done", () => {
    const busy: TestRound = { now: 0, running: 8, waiting: 60 };
    const states = batchLimits(options, [busy, ...rounds(400, { running: 2 }, 10)]);
    const at = (ms: number) => states[ms / 10].sequences;
    expect([at(0), at(990), at(1010), at(2000), at(2010), at(3010), at(4000)]).toEqual([64, 64, 32, 32, 16, 8, 8]);
  });

  it("a moment of demand stops the shrinking", () => {
    const quiet = rounds(99, { running: 2 }, 10);
    const states = batchLimits(options, [
      { now: 0, waiting: 64 },
      ...quiet,
      { now: 1000, running: 30 },
      ...rounds(50, { running: 2 }, 1010),
    ]);
    expect(last(states).sequences).toBe(64);
  });

  it("prompt rows double while requests wait and prompts are left over, up to a prefill step's", () => {
    const states = batchLimits(options, rounds(5, { running: 8, waiting: 9, promptsLeft: true }));
    expect(states.map((s) => s.stepTokens)).toEqual([512, 1024, 2048, 2048, 2048]);
    const calm = batchLimits(options, [
      ...rounds(3, { running: 8, waiting: 9, promptsLeft: true }),
      ...rounds(700, { running: 8 }, 30),
    ]);
    expect(last(calm).stepTokens).toBe(256);
  });

  it("a long prompt alone does not lengthen the steps of others", () => {
    expect(last(batchLimits(options, rounds(100, { running: 2, promptsLeft: true }))).stepTokens).toBe(256);
  });
});

describe("with a target of 50 ms", () => {
  const target = { ...options, targetMs: 50 };

  it("grows one by one while rounds are quick and requests wait", () => {
    const states = batchLimits(target, rounds(40, { running: 64, waiting: 5, tokenMs: 20 }));
    expect(states[2].sequences).toBe(8);
    expect(states[3].sequences).toBe(9);
    expect(last(states).sequences).toBe(18);
  });

  it("does not grow without need, nor close to the target", () => {
    expect(last(batchLimits(target, rounds(40, { running: 3, tokenMs: 20 }))).sequences).toBe(8);
    expect(last(batchLimits(target, rounds(40, { running: 8, waiting: 9, tokenMs: 46 }))).sequences).toBe(8);
  });

  it("takes fewer prompt rows when they are what takes the time", () => {
    const states = batchLimits(target, rounds(4, { running: 8, tokenMs: 90, prefillMs: 70, promptsLeft: true }));
    expect(last(states)).toMatchObject({ sequences: 8, stepTokens: 176 });
  });

  it("runs fewer sequences when decoding takes the time, down to one", () => {
    expect(last(batchLimits(target, rounds(4, { running: 8, tokenMs: 90 }))).sequences).toBe(6);
    expect(last(batchLimits(target, rounds(400, { running: 1, tokenMs: 90 }))).sequences).toBe(1);
  });

  it("settles where the target is met: time grows with the rows of a step", () => {
    // A round takes 5 ms and 0.25 ms for each prompt row: 180 rows fit.
    let tokens = options.stepTokens;
    const history: TestRound[] = [];
    for (let i = 0; i < 300; i++) {
      const prefillMs = 0.25 * tokens;
      history.push({ now: i * 50, running: 8, tokenMs: 5 + prefillMs, prefillMs, promptsLeft: true });
      tokens = last(batchLimits(target, history)).stepTokens;
    }
    const settled = batchLimits(target, history)
      .slice(100)
      .map((s) => s.stepTokens);
    expect(Math.min(...settled)).toBeGreaterThanOrEqual(112);
    expect(Math.max(...settled)).toBeLessThanOrEqual(192);
  });
});

describe("short of KV blocks", () => {
  it("runs no more than were left, and gives an eighth back every half second", () => {
    const states = batchLimits(options, [
      { now: 0, running: 20, waiting: 20 },
      { now: 10, running: 16, waiting: 24, preempted: true },
      { now: 20, running: 16, waiting: 24 },
      { now: 520, running: 16, waiting: 24 },
      { now: 1030, running: 18, waiting: 22 },
    ]);
    expect(states.map((s) => s.sequences)).toEqual([64, 16, 16, 18, 20]);
    expect(states.map((s) => s.lowered)).toEqual([false, true, false, false, false]);
  });

  it("gives all places back once half of the blocks are free", () => {
    const states = batchLimits(options, [
      { now: 0, running: 4, waiting: 40, preempted: true },
      { now: 10, running: 4, waiting: 40, freeShare: 0.4 },
      { now: 20, running: 2, waiting: 40, freeShare: 0.5 },
    ]);
    expect(states.map((s) => s.sequences)).toEqual([4, 4, 64]);
  });

  it("keeps one place", () => {
    expect(batchLimits(options, [{ now: 0, running: 0, waiting: 3, preempted: true }])[0].sequences).toBe(1);
  });
});
