/** Who runs, which rows a step takes, and who gives way: the step loop on a backend that computes nothing. */
import { describe, expect, it } from "vitest";
import { branch, prompt, type Run, Simulation } from "../support/test-engine";

const finished = (run: Run) => expect(run.end, `request ${run.id}`).toMatchObject({ type: "finish" });
/** Longest time between two tokens, in ms. */
const longestGap = ({ times }: Run) => Math.max(...times.slice(1).map((t, i) => t - times[i]));
const rowsOf = (simulation: Simulation, run: Run) =>
  simulation.steps
    .filter((step) => step.numericClass === "prefill")
    .map((step) => step.parts.find((part) => part.id === run.id)?.rows ?? 0);

describe("a long prompt beside streams", () => {
  it.each([64, 256])("delays the next token of a stream by %i rows at most", (stepTokens) => {
    const s = new Simulation({ blocks: 1200, prefillRows: 2048, stepTokens, stepMs: 4, rowMs: 0.05, record: true });
    const streams = [1, 2, 3].map((family) => s.submit({ prompt: prompt(20, family), maxNewTokens: 900 }));
    for (let i = 0; i < 20; i++) s.round();
    const long = s.submit({ prompt: prompt(32_768, 9), maxNewTokens: 2 });
    while (!long.end) s.round();
    for (const stream of streams) {
      // A decode step of three rows, and a prefill step of the budget.
      expect(longestGap(stream)).toBeLessThanOrEqual(4 + 3 * 0.05 + 4 + stepTokens * 0.05 + 1e-3);
    }
    expect(Math.max(...rowsOf(s, long))).toBe(stepTokens);
  });

  it("takes whole steps when nobody waits for a token", () => {
    const s = new Simulation({ blocks: 600, prefillRows: 2048, stepTokens: 64, record: true });
    const long = s.submit({ prompt: prompt(8192, 9), maxNewTokens: 1 });
    s.finish();
    expect(rowsOf(s, long)).toEqual([2048, 2048, 2048, 2048]);
  });
});

describe("prompts of one priority", () => {
  it("a short one passes a long one", () => {
    const s = new Simulation({ blocks: 1200, prefillRows: 512, rowMs: 0.1 });
    const long = s.submit({ prompt: prompt(32_768, 1), maxNewTokens: 2 });
    s.round();
    const short = s.submit({ prompt: prompt(200, 2), maxNewTokens: 2 });
    s.round();
    expect(short.tokens.length).toBe(1);
    expect(long.tokens.length).toBe(0);
    s.finish();
    finished(long);
  });

  it("a long one keeps a quarter of every step, however many short ones come", () => {
    const s = new Simulation({ blocks: 4000, prefillRows: 512, record: true });
    const long = s.submit({ prompt: prompt(8192, 1), maxNewTokens: 1 });
    s.round();
    let family = 10;
    let rounds = 0;
    while (!long.end) {
      // As much as a step takes, and more.
      for (let i = 0; i < 6; i++) s.submit({ prompt: prompt(100, family++), maxNewTokens: 1 });
      s.round();
      rounds++;
    }
    expect(rounds).toBeLessThanOrEqual(Math.ceil((8192 - 512) / 128) + 1);
    expect(
      rowsOf(s, long)
        .slice(1)
        .every((rows) => rows >= 128),
    ).toBe(true);
  });

  it("equal ones finish one after the other", () => {
    const s = new Simulation({ blocks: 400, prefillRows: 256 });
    const runs = [1, 2, 3, 4].map((family) => s.submit({ prompt: prompt(1024, family), maxNewTokens: 1 }));
    s.finish();
    const ends = runs.map((run) => run.ended!);
    expect([...ends].sort((a, b) => a - b)).toEqual(ends);
    expect(ends[0]).toBeLessThan(ends[3] / 2);
  });
});

describe("priorities", () => {
  it("a higher one starts first, inside one the first come", () => {
    const s = new Simulation({ blocks: 100, maxSequences: 1 });
    const runs = [5, 1, 9, 5, 9, 0].map((priority, family) =>
      s.submit({ prompt: prompt(10, family), maxNewTokens: 3, priority }),
    );
    s.finish();
    const order = [...runs].sort((a, b) => a.ended! - b.ended!).map((run) => run.id);
    expect(order).toEqual([3, 5, 1, 4, 2, 6]);
  });

  it("a higher one's prompt takes the rows of a step first", () => {
    const s = new Simulation({ blocks: 100, prefillRows: 256, record: true });
    const low = s.submit({ prompt: prompt(2048, 1), maxNewTokens: 1, priority: 2 });
    s.round();
    const high = s.submit({ prompt: prompt(1024, 2), maxNewTokens: 1, priority: 7 });
    s.finish();
    expect(rowsOf(s, high)).toEqual([0, 256, 256, 256, 256, 0, 0, 0, 0, 0, 0, 0]);
    expect(rowsOf(s, low).slice(1, 5)).toEqual([0, 0, 0, 0]);
  });
});

describe("the queue", () => {
  it("holds maxQueue requests beyond those that run, and names the figures to one more", () => {
    const s = new Simulation({ blocks: 100, maxSequences: 8, maxQueue: 3 });
    const runs = Array.from({ length: 12 }, (_, i) => s.submit({ prompt: prompt(10, i), maxNewTokens: 4 }));
    expect(runs.slice(0, 11).every((run) => !run.end)).toBe(true);
    expect(runs[11].end).toMatchObject({ type: "error", error: { code: "E_OVERLOADED" } });
    expect(runs[11].end).toMatchObject({
      error: { message: expect.stringMatching(/3 requests wait.*8 are being served/) },
    });
    s.finish();
    for (const run of runs.slice(0, 11)) finished(run);
    const later = s.submit({ prompt: prompt(10, 1), maxNewTokens: 1 });
    s.finish();
    finished(later);
  });

  it("a request that waits too long fails with both figures, one that runs does not", () => {
    const s = new Simulation({ blocks: 100, maxSequences: 1, stepMs: 10 });
    const first = s.submit({ prompt: prompt(10, 1), maxNewTokens: 50, queueTimeoutMs: 100 });
    s.round();
    const second = s.submit({ prompt: prompt(10, 2), maxNewTokens: 5, queueTimeoutMs: 100 });
    const third = s.submit({ prompt: prompt(10, 3), maxNewTokens: 5, queueTimeoutMs: 10_000 });
    expect(s.engine.deadline()).toBe(second.submitted + 100);
    s.finish();
    finished(first);
    finished(third);
    expect(second.end).toMatchObject({ type: "error", error: { code: "E_TIMEOUT" } });
    expect(second.end).toMatchObject({
      error: { message: expect.stringMatching(/waited 10\d ms.*queueTimeoutMs is 100/) },
    });
    expect(second.ended! - second.submitted).toBeLessThanOrEqual(110);
    expect(s.engine.deadline()).toBeNull();
  });

  it("places follow the latency target", () => {
    const s = new Simulation({
      blocks: 400,
      maxSequences: 64,
      stepMs: 1,
      rowMs: 1,
      targetInterTokenMs: 20,
      prefillRows: 64,
    });
    const runs = Array.from({ length: 60 }, (_, i) => s.submit({ prompt: prompt(3, i), maxNewTokens: 150 }));
    s.finish();
    for (const run of runs) expect(run.tokens).toEqual(s.expected(run));
    const gaps = runs.slice(20).flatMap((run) => run.times.slice(1).map((t, i) => t - run.times[i]));
    gaps.sort((a, b) => a - b);
    expect(gaps[Math.floor(gaps.length * 0.9)]).toBeLessThanOrEqual(23);
  });
});

describe("prefix cache", () => {
  const cached = (run: Run) => (run.end as { cachedTokens: number }).cachedTokens;
  const ask = (s: Simulation, length: number, family: number, more = {}) => {
    const run = s.submit({ prompt: prompt(length, family), maxNewTokens: 3, ...more });
    s.finish();
    expect(run.tokens).toEqual(s.expected(run));
    return run;
  };

  it.each([
    { length: 1, hit: 0, kept: 0 },
    { length: 16, hit: 0, kept: 1 },
    { length: 17, hit: 16, kept: 1 },
    { length: 63, hit: 62, kept: 1 },
    { length: 64, hit: 63, kept: 1 },
    { length: 65, hit: 64, kept: 1 },
    { length: 75, hit: 64, kept: 1 }, // 11 tokens are computed sooner than copied
    { length: 128, hit: 127, kept: 2 },
    { length: 129, hit: 128, kept: 2 },
    { length: 1000, hit: 999, kept: 16 },
  ])("of a repeated prompt of $length tokens $hit are found, and one at least is left", ({ length, hit, kept }) => {
    const s = new Simulation({ blocks: 100 });
    expect(cached(ask(s, length, 1))).toBe(0);
    expect(cached(ask(s, length, 1))).toBe(hit);
    expect(s.stats()).toMatchObject({ cachedTokens: hit, promptTokens: 2 * length - hit, kvBlocksUsed: 0 });
    expect(s.stats().kvBlocksCached).toBe(kept);
  });

  it("shares what prompts have in common, and only that", () => {
    const s = new Simulation({ blocks: 100 });
    ask(s, 500, 1);
    for (const [shared, hit] of [
      [0, 0],
      [15, 0],
      [16, 16],
      [63, 63],
      [64, 64],
      [79, 64],
      [80, 80],
      [200, 192],
      [447, 447],
      [499, 499],
    ]) {
      const run = s.submit({ prompt: branch(shared, 1, 500, 50 + shared), maxNewTokens: 3 });
      s.finish();
      expect(cached(run), `${shared} tokens in common`).toBe(hit);
      expect(run.tokens).toEqual(s.expected(run));
    }
  });

  it("keeps tenants apart, and those who want no part in it", () => {
    const s = new Simulation({ blocks: 200 });
    ask(s, 300, 1, { salt: "a" });
    expect(cached(ask(s, 300, 1, { salt: "b" }))).toBe(0);
    expect(cached(ask(s, 300, 1))).toBe(0);
    expect(cached(ask(s, 300, 1, { salt: "a" }))).toBe(299);
    expect(cached(ask(s, 300, 1, { salt: "a", cache: false }))).toBe(0);
    expect(cached(ask(s, 300, 2, { cache: false }))).toBe(0);
    expect(cached(ask(s, 300, 2))).toBe(0);
  });

  it("is off when the model was loaded so", () => {
    const s = new Simulation({ blocks: 200, prefixCache: false });
    ask(s, 300, 1);
    expect(cached(ask(s, 300, 1))).toBe(0);
    expect(s.stats().kvBlocksCached).toBe(0);
  });

  it("scores compute every row, and others find them", () => {
    const s = new Simulation({ blocks: 200 });
    ask(s, 300, 1);
    const score = s.submit({ prompt: prompt(300, 1), maxNewTokens: 0, score: true });
    const other = s.submit({ prompt: prompt(300, 2), maxNewTokens: 0, score: true });
    s.finish();
    expect(score.scores).toHaveLength(299);
    expect(cached(score)).toBe(0);
    expect(other.end).toMatchObject({ type: "finish" });
    expect(cached(ask(s, 300, 2))).toBe(299);
  });

  it("copies the start of a block that its first owner still writes behind", () => {
    const s = new Simulation({ blocks: 200 });
    const first = s.submit({ prompt: prompt(100, 1), maxNewTokens: 60 });
    for (let i = 0; i < 10; i++) s.round();
    const second = s.submit({ prompt: prompt(100, 1), maxNewTokens: 60 });
    const longer = s.submit({ prompt: prompt(300, 1), maxNewTokens: 60 });
    s.finish();
    for (const run of [first, second, longer]) expect(run.tokens).toEqual(s.expected(run));
    expect([first, second, longer].map(cached)).toEqual([0, 99, 100]);
  });

  it("choices of one prompt compute it once, while the first still runs", () => {
    const s = new Simulation({ blocks: 400, prefillRows: 256, record: true });
    const runs = [0, 1, 2, 3].map((choice) =>
      s.submit({ prompt: prompt(2000, 1), maxNewTokens: 20, sample: { choice } }),
    );
    s.finish();
    for (const run of runs) expect(run.tokens).toEqual(s.expected(run));
    expect(runs.map(cached)).toEqual([0, 1984, 1984, 1984]);
    expect(s.stats().promptTokens).toBe(2000 + 3 * 16);
  });

  it("a prompt that is being computed is not computed by another one, whichever comes first to a step", () => {
    const s = new Simulation({ blocks: 400, prefillRows: 512 });
    const first = s.submit({ prompt: branch(1600, 1, 1900, 2), maxNewTokens: 2 });
    s.round();
    const second = s.submit({ prompt: branch(1600, 1, 1700, 3), maxNewTokens: 2 });
    s.finish();
    expect(cached(first) + cached(second)).toBe(1600);
    expect(s.stats().promptTokens).toBe(1900 + 100);
  });

  it("a full pool gives the blocks of the least recently used prompt to new ones", () => {
    const s = new Simulation({ blocks: 20 });
    for (const family of [1, 2, 3]) ask(s, 321, family); // 5 blocks are kept of each
    expect(s.stats()).toMatchObject({ kvBlocksCached: 15, kvBlocksUsed: 0 });
    expect(cached(ask(s, 321, 1))).toBe(320);
    ask(s, 577, 4); // 10 blocks where there are 5
    expect(cached(ask(s, 321, 1))).toBe(320);
    expect(cached(ask(s, 321, 3))).toBe(320);
    expect(cached(ask(s, 321, 2))).toBe(0);
    expect(s.stats().preemptions).toBe(0);
  });
});

describe("short of KV blocks", () => {
  const grow = (options: { hostBlocks: number }) => {
    const s = new Simulation({ blocks: 12, prefillRows: 64, record: true, ...options });
    const runs = Array.from({ length: 6 }, (_, i) =>
      s.submit({ prompt: prompt(40 + i, i), maxNewTokens: 300, priority: i === 5 ? 9 : 5 }),
    );
    s.finish();
    for (const run of runs) {
      finished(run);
      expect(run.tokens).toEqual(s.expected(run));
    }
    expect(s.stats()).toMatchObject({ kvBlocksUsed: 0, preempted: 0, swapped: 0, running: 0, waiting: 0 });
    return { s, runs, actions: new Set(s.pressure.map((event) => event.action)) };
  };

  it("the youngest of the lowest priority is swapped out and goes on where it was", () => {
    const { s, runs, actions } = grow({ hostBlocks: 64 });
    expect(actions).toEqual(new Set(["swapped", "restored", "smaller-batch"]));
    expect(s.stats().promptTokens).toBe(runs.reduce((sum, run) => sum + run.asked.prompt.length, 0));
    // The oldest and the one of highest priority never give way.
    const victims = new Set(s.pressure.filter((event) => event.action === "swapped").map((event) => event.id));
    expect(victims.has(runs[5].id) || victims.has(runs[0].id)).toBe(false);
    expect(s.pressure.find((event) => event.action === "swapped")!.id).toBe(runs[4].id);
  });

  it("is computed anew without host memory, and where that does not suffice", () => {
    expect(grow({ hostBlocks: 0 }).actions).toEqual(new Set(["recomputed", "smaller-batch"]));
    expect(grow({ hostBlocks: 2 }).actions).toContain("recomputed");
  });

  it("goes on before those who have not started", () => {
    const s = new Simulation({ blocks: 8, hostBlocks: 64 });
    const runs = [0, 1, 2].map((i) => s.submit({ prompt: prompt(100, i), maxNewTokens: 200 }));
    const late = s.submit({ prompt: prompt(100, 9), maxNewTokens: 10 });
    s.finish();
    expect(s.pressure.some((event) => event.action === "swapped")).toBe(true);
    for (const run of runs) expect(run.times[0]).toBeLessThan(late.times[0]);
  });

  it("a device that refuses memory is lived with, and asked again", () => {
    const s = new Simulation({ blocks: 40 });
    s.engine.setMemory(6);
    const big = s.submit({ prompt: prompt(600, 1), maxNewTokens: 5 });
    s.finish();
    expect(big.end).toMatchObject({ type: "error", error: { code: "E_OUT_OF_MEMORY" } });
    const runs = [2, 3, 4].map((i) => s.submit({ prompt: prompt(200, i), maxNewTokens: 150 }));
    s.finish();
    for (const run of runs) expect(run.tokens).toEqual(s.expected(run));
    s.engine.setMemory(40);
    const again = s.submit({ prompt: prompt(600, 1), maxNewTokens: 5 });
    s.finish();
    expect(again.tokens).toEqual(s.expected(again));
  });
});
