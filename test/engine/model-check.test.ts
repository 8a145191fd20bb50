/**
 * Random loads on random engines: arrivals, cancels, lengths, priorities, shared prefixes, salts, scores, gates, pool and
 * host sizes, refused memory; sessions that go on, fork, are copied and dropped. After every round C++ checks every block and sequence (csrc/testing/test_engine.cc): no
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
    sessionKvShare: random.pick([0, 0.1, 0.5, 0.9]),
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
  /** Requests in sessions that had generated before. */
  turns: number;
  actions: Set<string>;
}

const LONGEST = 560;

/** Sessions of one load. */
class Sessions {
  readonly #random: Random;
  readonly #s: Simulation;
  readonly #salts = new Map<number, string>();
  readonly #newest = new Map<number, Run>();

  constructor(random: Random, simulation: Simulation) {
    this.#random = random;
    this.#s = simulation;
  }

  /** One that is free, and a prompt that goes on from what it holds, for as long as that is, or elsewhere. */
  take(own: Int32Array): { session: number; prompt: Int32Array; salt: string } {
    const random = this.#random;
    const { engine } = this.#s;
    const free = [...this.#salts.keys()].filter((id) => !engine.sessionState(id).open);
    if (free.length === 0 || (this.#salts.size < 8 && random.next() < 0.15)) return this.#create(own);
    const session = random.pick(free);
    const { tokens } = engine.sessionState(session);
    this.#check(session);
    const kept = random.next() < 0.7 ? tokens.length : random.integer(0, tokens.length);
    const prompt = Int32Array.from([...tokens.subarray(0, kept), ...own]).subarray(0, LONGEST);
    return { session, prompt, salt: this.#salts.get(session)! };
  }

  #create(prompt: Int32Array) {
    const session = this.#s.engine.createSession();
    this.#salts.set(session, this.#random.pick(["", "a"]));
    return { session, prompt, salt: this.#salts.get(session)! };
  }

  /** After a request that finished it holds just that. */
  #check(session: number): void {
    const run = this.#newest.get(session);
    if (run?.end?.type !== "finish" || run.tokens.length === 0) return;
    const { asked, decoded, tokens } = run;
    const end = asked.prompt.length + tokens.length - 1;
    expect(this.#s.engine.sessionState(session)).toMatchObject({
      tokens: Int32Array.from([...asked.prompt, ...tokens]),
      decoded: Int32Array.from([...decoded, ...(tokens.length > 1 ? [asked.prompt.length, end] : [])]),
    });
  }

  note(run: Run): void {
    this.#newest.set(run.asked.session, run);
  }

  /** Forks, copies or drops one, whether it is in use or not. */
  disturb(): void {
    const random = this.#random;
    if (this.#salts.size === 0) return;
    const session = random.pick([...this.#salts.keys()]);
    const kind = random.next();
    if (kind < 0.4 && this.#salts.size < 12)
      this.#salts.set(this.#s.engine.forkSession(session), this.#salts.get(session)!);
    else if (kind < 0.7 && this.#salts.size < 12) this.#copy(session);
    else this.drop(session);
  }

  #copy(session: number): void {
    const { engine } = this.#s;
    const { tokens, decoded, computed, open } = engine.sessionState(session);
    if (open) return;
    const copy = engine.createSession();
    try {
      engine.fillSession(copy, tokens, decoded);
    } catch (error) {
      expect(error).toMatchObject({ code: "E_OUT_OF_MEMORY" });
      engine.dropSession(copy);
      return;
    }
    const whole = this.#random.next() < 0.7 ? computed : this.#random.integer(0, computed);
    for (let first = 0; first < whole; ) {
      const count = Math.min(this.#random.integer(1, 200), whole - first);
      // The other one may have given up its own to make room for this one.
      if (first + count > engine.sessionState(session).computed) break;
      engine.writeSession(copy, 0, first, count, engine.readSession(session, 0, first, count));
      first += count;
    }
    if (this.#random.next() < 0.8) {
      engine.sealSession(copy);
      this.#salts.set(copy, this.#salts.get(session)!);
    } else {
      engine.dropSession(copy);
    }
  }

  drop(session: number): void {
    this.#s.engine.dropSession(session);
    this.#salts.delete(session);
  }

  dropAll(): void {
    for (const session of [...this.#salts.keys()]) this.drop(session);
  }
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
  readonly #sessions: Sessions;
  /** Of the requests, in sessions; then so many are open at most, for a session to have several turns. */
  readonly #inSessions: number;
  readonly #places: number;
  /** Of the requests, that JavaScript chooses for: while one runs, no step is launched ahead. */
  readonly #gated: number;

  constructor(seed: number, ahead: boolean) {
    this.#gated = ahead && seed % 3 > 0 ? 0 : 0.1;
    this.#random = new Random(seed);
    const tight = this.#random.next() < 0.4;
    const engine = randomEngine(this.#random, tight);
    this.#s = new Simulation({ ...engine, asynchronous: ahead, launchAhead: ahead });
    this.#s.holdGates = this.#random.next() < 0.5;
    this.#sessions = new Sessions(this.#random, this.#s);
    this.#inSessions = this.#random.pick([0, 0, 0.5, 0.95]);
    this.#places = this.#random.integer(1, 8);
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
    const tokens = branch(random.integer(0, length), family, length, own);
    const place =
      kind >= 0.08 && random.next() < this.#inSessions
        ? this.#sessions.take(tokens)
        : { session: 0, prompt: tokens, salt: random.pick(["", "", "a", "b"]) };
    const run = this.#s.submit({
      ...place,
      maxNewTokens: kind < 0.08 ? 0 : random.integer(0, this.#outputs),
      stopTokens:
        random.next() < 0.3 ? Int32Array.from({ length: 20 }, () => random.integer(0, 996)) : new Int32Array(),
      priority: random.integer(0, this.#priorities - 1),
      score: kind < 0.08,
      gated: kind > 1 - this.#gated,
      cache: random.next() < 0.9,
      queueTimeoutMs: random.next() < 0.1 ? random.integer(1, 20_000) : 0,
    });
    if (run.asked.session !== 0) this.#sessions.note(run);
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
      const room = this.#inSessions > 0 ? this.#places - s.open().length : arriving;
      const most = Math.min(arriving, room, random.next() < this.#arrivals ? random.integer(1, 6) : 0);
      for (let n = most; n > 0; n--, arriving--) this.#arrive();
      for (const run of this.#cancels) if (random.next() < 0.05) this.#cancel(run);
      if (this.#inSessions > 0 && random.next() < 0.01) this.#sessions.disturb();
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
    const held = s.stats();
    expect(held.sessionBlocks).toBe(held.kvBlocksUsed);
    this.#sessions.dropAll();
    const stats = s.stats();
    expect(stats).toMatchObject({ sessions: 0, sessionBlocks: 0 });
    expect(stats).toMatchObject({ running: 0, waiting: 0, preempted: 0, swapped: 0, kvBlocksUsed: 0 });
    expect(stats.kvBlocksCached + stats.kvBlocksFree).toBe(stats.kvBlocks);
    const tally: Tally = {
      ...{ finished: 0, cancelled: 0, late: 0, refused: 0, starved: 0, scored: 0, turns: 0 },
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
      if (run.decoded.length > 0) tally.turns++;
      if (asked.session === 0 && (!asked.cache || asked.score)) expect(end.cachedTokens).toBe(0);
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

describe.each([
  { how: "step by step", ahead: false },
  { how: "with steps launched ahead", ahead: true },
])("random loads $how", ({ ahead }) => {
  const total: Tally = {
    ...{ finished: 0, cancelled: 0, late: 0, refused: 0, starved: 0, scored: 0, cachedTokens: 0, preemptions: 0 },
    turns: 0,
    actions: new Set(),
  };

  it.each(Array.from({ length: 8 }, (_, i) => i))("part %i", (part) => {
    for (let seed = part; seed < ENGINES; seed += 8) {
      let tally: Tally;
      try {
        tally = new Load(1000 + seed, ahead).run();
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
        "turns",
      ] as const) {
        total[key] += tally[key];
      }
      for (const action of tally.actions) total.actions.add(action);
    }
  });

  it("met everything there is to meet", () => {
    expect(total.actions).toEqual(
      new Set(["swapped", "restored", "recomputed", "smaller-batch", "session-swapped", "session-dropped"]),
    );
    expect(total.turns).toBeGreaterThan(300);
    expect(total.finished).toBeGreaterThan(0.6 * ENGINES * REQUESTS);
    expect(total.preemptions).toBeGreaterThan(100);
    expect(total.cachedTokens).toBeGreaterThan(10_000);
    expect(total.starved).toBeGreaterThan(0);
    for (const key of ["cancelled", "late", "refused", "scored"] as const) expect(total[key], key).toBeGreaterThan(50);
  });
});
