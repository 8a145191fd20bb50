/**
 * Random loads on random engines: arrivals, cancels, lengths, priorities, shared prefixes, salts, scores, gates, pool and
 * host sizes, refused memory. After every round C++ checks every block and sequence (csrc/testing/test_engine.cc): no
 * block lost, owner counts exact, nothing written that another one can see, every row in its class and place. Here: each
 * request yields what it yields alone, in bounded time, and everything comes back.
 */
import { describe, expect, it } from "vitest";
import { Random } from "../support/random";
import type { TestEngineOptions } from "../support/test-addon";
import { branch, type Run, Simulation } from "../support/test-engine";

const ENGINES = 144;
const REQUESTS = 30;

/** `tight`: many start, and outgrow the pool. */
function randomEngine(random: Random, tight: boolean): TestEngineOptions {
  const prefillRows = random.pick(tight ? [64, 256] : [1, 7, 64, 100, 256, 1024]);
  return {
    blocks: random.pick(tight ? [16, 17, 19] : [16, 22, 26, 40, 80, 400]),
    contextLength: 1000,
    maxSequences: random.pick(tight ? [17, 64] : [1, 2, 5, 17, 64, 100]),
    prefillRows,
    stepTokens: Math.min(prefillRows, random.pick([1, 16, 64, 200])),
    stepTokensMayGrow: random.next() < 0.5,
    maxQueue: random.next() < 0.2 ? 5 : undefined,
    targetInterTokenMs: random.next() < 0.3 ? random.pick([2, 10, 40]) : 0,
    prefixCache: random.next() < 0.85,
    hostBlocks: random.pick([0, 0, 3, 20, 400]),
    stepMs: random.pick([1, 25, 300]),
    rowMs: random.pick([0, 0.05]),
  };
}

interface Tally {
  finished: number;
  cancelled: number;
  late: number;
  refused: number;
  starved: number;
  scored: number;
  cachedTokens: number;
  preemptions: number;
  actions: Set<string>;
}

class Load {
  readonly #random: Random;
  readonly #s: Simulation;
  readonly #priorities: number;
  readonly #arrivals: number;
  readonly #prompts: number;
  readonly #outputs: number;
  readonly #cancels = new Set<Run>();
  /** Others take memory from the device and give it back. */
  readonly #contended: boolean;

  constructor(seed: number) {
    this.#random = new Random(seed);
    const tight = this.#random.next() < 0.4;
    this.#s = new Simulation(randomEngine(this.#random, tight));
    this.#s.holdGates = this.#random.next() < 0.5;
    this.#priorities = this.#random.pick([1, 1, 3, 10]);
    this.#contended = this.#random.next() < 0.25;
    if (this.#contended) this.#s.engine.setMemory(this.#random.integer(3, 12));
    this.#arrivals = tight ? 1 : this.#random.pick([0.05, 0.3, 1]);
    this.#prompts = this.#random.pick(tight ? [10, 100] : [10, 70, 150, 560]);
    this.#outputs = tight ? 400 : this.#random.pick([3, 60, 250]);
  }

  #arrive(): void {
    const random = this.#random;
    const length = random.integer(1, this.#prompts);
    const kind = random.next();
    const family = random.integer(0, 3);
    const own = random.next() < 0.5 ? family : random.integer(4, 200);
    const run = this.#s.submit({
      prompt: branch(random.integer(0, length), family, length, own),
      maxNewTokens: kind < 0.08 ? 0 : random.integer(0, this.#outputs),
      stopTokens:
        random.next() < 0.3 ? Int32Array.from({ length: 20 }, () => random.integer(0, 996)) : new Int32Array(),
      priority: random.integer(0, this.#priorities - 1),
      score: kind < 0.08,
      gated: kind > 0.9,
      salt: random.pick(["", "", "a", "b"]),
      cache: random.next() < 0.9,
      queueTimeoutMs: random.next() < 0.1 ? random.integer(1, 20_000) : 0,
    });
    if (random.next() < 0.1) this.#cancels.add(run);
  }

  /** Each round of work computes at least a row or ends a request; what is computed again is bounded by preemptions. */
  #bound(): number {
    let rows = 0;
    for (const { asked } of this.#s.runs.values()) rows += asked.prompt.length + asked.maxNewTokens + 2;
    return rows + this.#s.stats().preemptions * 1000;
  }

  run(): Tally {
    const random = this.#random;
    const s = this.#s;
    let arriving = REQUESTS;
    for (let rounds = 0; arriving > 0 || s.open().length > 0; rounds++) {
      for (let n = random.next() < this.#arrivals ? random.integer(1, 6) : 0; n > 0 && arriving > 0; n--, arriving--)
        this.#arrive();
      for (const run of this.#cancels) if (random.next() < 0.05) this.#cancel(run);
      if (random.next() < 0.3) s.answerGates();
      if (this.#contended && random.next() < 0.01) s.engine.setMemory(random.integer(4, 30));
      if (random.next() < 0.02) s.engine.advance(random.integer(1, 50));
      if (!s.round() && s.gates === 0 && s.open().length > 0) {
        throw new Error(`${s.open().length} requests are open and nothing is done`);
      }
      if (arriving === 0) s.answerGates();
      if (arriving === 0 && rounds % 256 === 0) expect(rounds).toBeLessThan(this.#bound() + 10 * REQUESTS);
    }
    return this.#outcome();
  }

  #cancel(run: Run): void {
    this.#cancels.delete(run);
    this.#s.cancel(run);
  }

  #outcome(): Tally {
    const s = this.#s;
    const stats = s.stats();
    expect(stats).toMatchObject({ running: 0, waiting: 0, preempted: 0, swapped: 0, kvBlocksUsed: 0 });
    expect(stats.kvBlocksCached + stats.kvBlocksFree).toBe(stats.kvBlocks);
    const tally: Tally = {
      ...{ finished: 0, cancelled: 0, late: 0, refused: 0, starved: 0, scored: 0 },
      cachedTokens: stats.cachedTokens,
      preemptions: stats.preemptions,
      actions: new Set(s.pressure.map((event) => event.action)),
    };
    let cached = 0;
    for (const run of s.runs.values()) cached += this.#check(run, tally);
    expect(stats.cachedTokens).toBeGreaterThanOrEqual(cached);
    return tally;
  }

  /** What the request yielded. The tokens it found in the cache. */
  #check(run: Run, tally: Tally): number {
    const { end, asked, tokens } = run;
    const alone = asked.score ? [] : this.#s.expected(run);
    expect(tokens, `request ${run.id}`).toEqual(alone.slice(0, tokens.length));
    if (end?.type === "finish") {
      tally.finished++;
      if (asked.score) tally.scored++;
      expect(tokens.length).toBe(alone.length);
      expect(run.scores.length).toBe(asked.score ? Math.max(0, asked.prompt.length - 1) : 0);
      if (!asked.cache || asked.score) expect(end.cachedTokens).toBe(0);
      expect(end.cachedTokens).toBeLessThan(asked.prompt.length);
    } else if (end?.type === "error") {
      expect(["E_TIMEOUT", "E_OVERLOADED", this.#contended ? "E_OUT_OF_MEMORY" : ""]).toContain(end.error.code);
      if (end.error.code === "E_TIMEOUT") tally.late++;
      else if (end.error.code === "E_OUT_OF_MEMORY") tally.starved++;
      else tally.refused++;
    } else {
      tally.cancelled++;
    }
    return end && end.type !== "error" ? end.cachedTokens : 0;
  }
}

describe("random loads", () => {
  const total: Tally = {
    ...{ finished: 0, cancelled: 0, late: 0, refused: 0, starved: 0, scored: 0, cachedTokens: 0, preemptions: 0 },
    actions: new Set(),
  };

  it.each(Array.from({ length: 8 }, (_, i) => i))("part %i", (part) => {
    for (let seed = part; seed < ENGINES; seed += 8) {
      let tally: Tally;
      try {
        tally = new Load(1000 + seed).run();
      } catch (error) {
        throw new Error(`with seed ${1000 + seed}`, { cause: error });
      }
      for (const key of [
        "finished",
        "cancelled",
        "late",
        "refused",
        "starved",
        "scored",
        "cachedTokens",
        "preemptions",
      ] as const) {
        total[key] += tally[key];
      }
      for (const action of tally.actions) total.actions.add(action);
    }
  });

  it("met everything there is to meet", () => {
    expect(total.actions).toEqual(new Set(["swapped", "restored", "recomputed", "smaller-batch"]));
    expect(total.finished).toBeGreaterThan(0.6 * ENGINES * REQUESTS);
    expect(total.preemptions).toBeGreaterThan(100);
    expect(total.cachedTokens).toBeGreaterThan(10_000);
    expect(total.starved).toBeGreaterThan(0);
    for (const key of ["cancelled", "late", "refused", "scored"] as const) expect(total[key], key).toBeGreaterThan(50);
  });
});
