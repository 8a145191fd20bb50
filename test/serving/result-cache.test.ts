/** Exact repeats of requests, on a made-up engine: who does the work, who shares it, and what is kept. */
import { beforeEach, describe, expect, it } from "vitest";
import { EngineClient, type RequestEnd } from "../../lib/engine-client";
import type { NativeLoadSpec, NativeRequest, NativeSamplePlan } from "../../lib/native";
import { requestKey } from "../../lib/serving/request-key";
import { ResultCache } from "../../lib/serving/result-cache";
import { ResultStore } from "../../lib/serving/result-store";
import { request as makeRequest } from "../support/engine";
import { type FakeEngine, fakeBinding, timings } from "../support/fake-engine";

const noStops = { stop: [], reasoning: undefined };
const limits = { maxEntries: 10, maxBytes: 1 << 20, ttlMs: 1000 };
const tick = () => new Promise(setImmediate);

let client: EngineClient;
let engine: FakeEngine;
let now: number;

beforeEach(async () => {
  const { engines, options } = fakeBinding();
  const loading = EngineClient.load({} as NativeLoadSpec, options);
  engines[0].ready();
  client = await loading;
  engine = engines[0];
  now = 0;
});

const cacheOf = (more: Partial<typeof limits> = {}) => new ResultCache(client, { ...limits, ...more }, () => now);

function sink() {
  const seen: unknown[] = [];
  const ends: RequestEnd[] = [];
  return {
    seen,
    ends,
    tokens: (ids: Int32Array) => seen.push(...ids),
    end: (end: RequestEnd) => {
      ends.push(end);
      seen.push(end.type === "error" ? end.error.message : end.type);
    },
  };
}

const ask = (...prompt: number[]) => makeRequest({ prompt: Int32Array.from(prompt) });

describe("what makes requests equal", () => {
  const base = ask(1, 2, 3);
  const keyOf = (more: Partial<NativeRequest>, sample: Partial<NativeSamplePlan> = {}, context = noStops) =>
    requestKey({ ...base, ...more, sample: { ...base.sample, ...sample } }, context);
  const key = keyOf({});
  const warm = { temperature: 0.7 };

  // A value of each field that differs from the one of `base`; a field that is missing here does not compile.
  const others: { [K in keyof Required<Omit<NativeRequest, "sample">>]: NativeRequest[K] } = {
    prompt: Int32Array.of(1, 2, 4),
    maxNewTokens: 17,
    stopTokens: Int32Array.of(9),
    salt: "tenant",
    priority: 9,
    queueTimeoutMs: 5,
    cache: false,
    session: 4,
    gated: true,
    score: true,
  };
  // Those come before a key is asked for, or change when a request runs and not what it yields.
  const neutral = ["priority", "queueTimeoutMs", "cache", "session", "gated", "score"];
  it.each(Object.entries(others))("%s", (name, value) => {
    expect(keyOf({ [name]: value }) === key).toBe(neutral.includes(name));
  });

  const samples: { [K in keyof Required<NativeSamplePlan>]: NativeSamplePlan[K] } = {
    temperature: 0.8,
    topK: 5,
    topP: 0.5,
    minP: 0.1,
    repetitionPenalty: 1.1,
    presencePenalty: 0.5,
    frequencyPenalty: -0.5,
    seed: 77,
    choice: 3,
    logprobs: 4,
    biasTokens: Int32Array.of(3),
    biasValues: Float32Array.of(2),
    allow: Int32Array.of(),
    minNewTokens: 2,
  };
  it.each(Object.entries(samples))("%s of the sampling plan", (name, value) => {
    const bias = name.startsWith("bias") ? { biasTokens: samples.biasTokens, biasValues: samples.biasValues } : {};
    expect(keyOf({}, { ...warm, ...bias, [name]: value })).not.toBe(keyOf({}, warm));
  });

  it("nothing is drawn at temperature 0", () => {
    for (const drawn of [{ seed: 5 }, { choice: 2 }, { topK: 3 }, { topP: 0.2 }, { minP: 0.3 }])
      expect(keyOf({}, drawn)).toBe(key);
  });

  it("stop strings count, and where the reasoning begins only beside them", () => {
    expect(keyOf({}, {}, { stop: ["x"], reasoning: undefined } as never)).not.toBe(key);
    expect(keyOf({}, {}, { stop: [], reasoning: "opened" } as never)).toBe(key);
    expect(keyOf({}, {}, { stop: ["x"], reasoning: "opened" } as never)).not.toBe(
      keyOf({}, {}, { stop: ["x"], reasoning: undefined } as never),
    );
  });

  it("lists without an order have none", () => {
    const forward = { biasTokens: Int32Array.of(1, 2), biasValues: Float32Array.of(5, Number.NEGATIVE_INFINITY) };
    const backward = { biasTokens: Int32Array.of(2, 1), biasValues: Float32Array.of(Number.NEGATIVE_INFINITY, 5) };
    const crossed = { ...backward, biasValues: forward.biasValues };
    expect(keyOf({}, forward)).toBe(keyOf({}, backward));
    expect(keyOf({}, forward)).not.toBe(keyOf({}, crossed));
    expect(keyOf({ stopTokens: Int32Array.of(7, 8) })).toBe(keyOf({ stopTokens: Int32Array.of(8, 7) }));
  });

  it("ids do not run from one list into the next", () => {
    const a = keyOf({ prompt: Int32Array.of(1, 2), stopTokens: Int32Array.of(3) });
    expect(a).not.toBe(keyOf({ prompt: Int32Array.of(1), stopTokens: Int32Array.of(2, 3) }));
  });
});

describe("repeats", () => {
  it("are answered without the engine, from a later turn on", async () => {
    const cache = cacheOf();
    const [first, second] = [sink(), sink()];
    cache.port(noStops).submit(ask(1, 2), first);
    engine.tokens(1, 10);
    engine.tokens(1, 11, 12);
    engine.finish(1, "stop");
    cache.port(noStops).submit(ask(1, 2), second);
    expect(second.seen).toEqual([]);
    await tick();
    expect(first.seen).toEqual([10, 11, 12, "finish"]);
    expect(second.seen).toEqual(first.seen);
    expect(engine.requests.size).toBe(1);
    expect(first.ends[0]).toEqual({ type: "finish", id: 1, reason: "stop", cachedTokens: 4, timings });
    expect(second.ends[0]).toMatchObject({ type: "finish", reason: "stop", cachedTokens: 2, shared: true });
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 1, joined: 0, entries: 1 });
  });

  it("bring log-probabilities along", async () => {
    const cache = cacheOf();
    const run = (first: number) => ({
      values: Float32Array.of(-first),
      count: 1,
      topTokens: Int32Array.of(first),
      topValues: Float32Array.of(-first / 2),
    });
    cache.port(noStops).submit(ask(1), sink());
    for (const i of [1, 2]) engine.emit({ type: "tokens", id: 1, tokens: Int32Array.of(i), logprobs: run(i) });
    engine.finish(1);
    const got: unknown[] = [];
    cache.port(noStops).submit(ask(1), { tokens: (ids, logprobs) => got.push([...ids], logprobs), end: () => {} });
    await tick();
    const values = Float32Array.of(-1, -2);
    const top = { topTokens: Int32Array.of(1, 2), topValues: Float32Array.of(-0.5, -1) };
    expect(got).toEqual([[1, 2], { values, count: 1, ...top }]);
  });

  it("are not those of failures and of answers that nobody waited for", async () => {
    const cache = cacheOf();
    const failed = sink();
    cache.port(noStops).submit(ask(1), failed);
    engine.emit({ type: "error", id: 1, error: { code: "E_SAMPLING", message: "nothing left" } });
    const id = cache.port(noStops).submit(ask(1), sink());
    engine.tokens(2, 5);
    cache.port(noStops).cancel(id);
    engine.finish(2); // it was under way already
    cache.port(noStops).submit(ask(1), sink());
    expect(failed.seen).toEqual(["nothing left"]);
    expect(engine.requests.size).toBe(3);
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 3, entries: 0 });
  });

  it("of an answer that ended at a stop string end there too", async () => {
    const cache = cacheOf();
    const port = cache.port({ stop: ["x"], reasoning: undefined });
    const first = sink();
    const id = port.submit(ask(1), first);
    engine.tokens(1, 5, 6);
    port.cancel(id, true); // the stop string was in token 6
    engine.tokens(1, 7);
    engine.emit({ type: "cancelled", id: 1, cachedTokens: 4, timings });
    expect(first.seen).toEqual([5, 6, "cancelled"]);
    expect(first.ends[0]).toMatchObject({ timings, cachedTokens: 4 });
    const second = sink();
    port.submit(ask(1), second);
    await tick();
    expect(second.seen).toEqual([5, 6, "finish"]);
    expect(engine.requests.size).toBe(1);
  });
});

describe("equal requests under way", () => {
  it("are computed once; who comes later gets all from the start", async () => {
    const cache = cacheOf();
    const sinks = [sink(), sink(), sink()];
    const port = cache.port(noStops);
    port.submit(ask(1), sinks[0]);
    port.submit(ask(1), sinks[1]);
    engine.tokens(1, 5);
    port.submit(ask(1), sinks[2]);
    engine.tokens(1, 6);
    expect(sinks[2].seen).toEqual([5, 6]);
    engine.finish(1);
    await tick();
    for (const { seen } of sinks) expect(seen).toEqual([5, 6, "finish"]);
    expect(sinks.map(({ ends }) => (ends[0] as { shared?: boolean }).shared)).toEqual([undefined, true, true]);
    expect(engine.requests.size).toBe(1);
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 1, joined: 2 });
  });

  it("go on when the first one leaves, and end when the last one does", async () => {
    const cache = cacheOf();
    const port = cache.port(noStops);
    const [first, second] = [sink(), sink()];
    const a = port.submit(ask(1), first);
    const b = port.submit(ask(1), second);
    engine.tokens(1, 5);
    port.cancel(a);
    await tick();
    expect(first.seen).toEqual([5, "cancelled"]);
    expect(engine.cancelled).toEqual([]);
    engine.tokens(1, 6);
    expect(second.seen).toEqual([5, 6]);
    port.cancel(b);
    expect(engine.cancelled).toEqual([1]);
    engine.emit({ type: "cancelled", id: 1, cachedTokens: 0, timings });
    expect(second.seen).toEqual([5, 6, "cancelled"]);
    port.cancel(b); // it has ended
    expect(engine.cancelled).toEqual([1]);
  });

  it("are not joined once they are being cancelled", () => {
    const port = cacheOf().port(noStops);
    port.cancel(port.submit(ask(1), sink()));
    port.submit(ask(1), sink());
    expect(engine.requests.size).toBe(2);
  });

  it("fail together", () => {
    const port = cacheOf().port(noStops);
    const sinks = [sink(), sink()];
    for (const each of sinks) port.submit(ask(1), each);
    engine.emit({ type: "error", id: 1, error: { code: "E_SAMPLING", message: "nothing left" } });
    for (const { seen } of sinks) expect(seen).toEqual(["nothing left"]);
  });

  it("are joined by those of equal priority; by ones that may wait for a limited time only once they run", () => {
    const cache = cacheOf();
    const port = cache.port(noStops);
    port.submit(ask(1), sink());
    port.submit({ ...ask(1), priority: 9 }, sink());
    port.submit({ ...ask(1), queueTimeoutMs: 100 }, sink());
    expect(engine.requests.size).toBe(3);
    engine.tokens(1, 5);
    port.submit({ ...ask(1), queueTimeoutMs: 100 }, sink());
    expect(engine.requests.size).toBe(3);
    expect(cache.stats()).toMatchObject({ misses: 3, joined: 1 });
  });

  it("that the engine does not take count for nothing", async () => {
    const cache = cacheOf();
    void client.dispose();
    expect(() => cache.port(noStops).submit(ask(1), sink())).toThrow(/disposed/);
    expect(cache.stats()).toMatchObject({ misses: 0, joined: 0 });
    engine.emit({ type: "disposed" });
  });

  it("a reader may leave while it reads", async () => {
    const port = cacheOf().port(noStops);
    const other = sink();
    const seen: number[] = [];
    const ends: string[] = [];
    const id: number = port.submit(ask(1), {
      tokens: (ids) => {
        seen.push(...ids);
        port.cancel(id, true);
      },
      end: ({ type }) => ends.push(type),
    });
    port.submit(ask(1), other);
    engine.tokens(1, 5);
    engine.tokens(1, 6);
    engine.finish(1);
    await tick();
    expect([seen, ends]).toEqual([[5], ["cancelled"]]);
    expect(other.seen).toEqual([5, 6, "finish"]);
  });
});

describe("what is kept", () => {
  const answer = (cache: ResultCache, prompt: number, tokens = 1) => {
    cache.port(noStops).submit(ask(prompt), sink());
    const id = engine.requests.size;
    engine.tokens(id, ...new Array(tokens).fill(7));
    engine.finish(id);
  };
  const isKept = (cache: ResultCache, prompt: number) => {
    const before = engine.requests.size;
    const id = cache.port(noStops).submit(ask(prompt), sink());
    cache.port(noStops).cancel(id);
    return engine.requests.size === before;
  };

  it("is bounded by number, the least recently used going first", () => {
    const cache = cacheOf({ maxEntries: 2 });
    answer(cache, 1);
    answer(cache, 2);
    expect(isKept(cache, 1)).toBe(true);
    answer(cache, 3);
    expect([1, 2, 3].map((prompt) => isKept(cache, prompt))).toEqual([true, false, true]);
    expect(cache.stats()).toMatchObject({ entries: 2, evictions: 1 });
  });

  it("is bounded by bytes; what alone is too large is not kept and drives nothing out", () => {
    const cache = cacheOf({ maxBytes: 10_000 });
    answer(cache, 1, 1000);
    answer(cache, 2, 1000);
    expect(cache.stats()).toMatchObject({ entries: 2, evictions: 0 });
    expect(cache.stats().bytes).toBeGreaterThan(8000);
    answer(cache, 3, 1000);
    expect(cache.stats()).toMatchObject({ entries: 2, evictions: 1 });
    answer(cache, 4, 5000);
    expect(cache.stats()).toMatchObject({ entries: 2, evictions: 1 });
    expect(cache.stats().bytes).toBeLessThanOrEqual(10_000);
  });

  it("is bounded by age", () => {
    const cache = cacheOf();
    answer(cache, 1);
    now = 999;
    expect(isKept(cache, 1)).toBe(true);
    now = 1000;
    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0, expirations: 1, evictions: 0 });
    expect(isKept(cache, 1)).toBe(false);
  });

  it("can be forgotten", () => {
    const cache = cacheOf();
    answer(cache, 1);
    cache.clear();
    expect(isKept(cache, 1)).toBe(false);
  });

  it("counts its bytes right through thousands of changes", () => {
    const store = new ResultStore<number>({ maxEntries: 20, maxBytes: 20_000, ttlMs: 50 }, () => now);
    const kept = new Map<string, number>();
    let state = 1;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let i = 0; i < 5000; i++) {
      now += random(3);
      const key = String(random(40));
      if (random(2) === 0) {
        kept.set(key, i);
        store.set(key, i, random(3000));
      } else {
        const value = store.get(key);
        if (value !== undefined) expect(value).toBe(kept.get(key));
      }
      const { entries, bytes } = store.size();
      expect(entries).toBeLessThanOrEqual(20);
      expect(bytes).toBeLessThanOrEqual(20_000);
      expect(entries === 0).toBe(bytes === 0);
    }
    now += 50;
    expect(store.size()).toEqual({ entries: 0, bytes: 0 });
    expect(store.evictions).toBeGreaterThan(100);
    expect(store.expirations).toBeGreaterThan(10);
  });
});

/**
 * Thousands of random arrivals, tokens, ends and departures. Whatever happens, who reads gets the tokens of its own request
 * from the first on, each once, and an end; and the engine works on a request exactly as long as somebody waits for it.
 */
describe("whatever happens", () => {
  interface Asked {
    id: number;
    prompt: number;
    seen: number[];
    ends: RequestEnd[];
    left: boolean;
  }

  it.each([1, 2, 3, 4, 5])("everyone gets their own tokens (run %i)", async (run) => {
    let state = run;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const expected = (prompt: number) => Array.from({ length: 1 + (prompt % 7) }, (_, i) => prompt * 100 + i);
    const cache = cacheOf({ maxEntries: 3 });
    const all: Asked[] = [];
    /** How many tokens the engine has made for each request that it works on. */
    const made = new Map<number, number>();
    const promptOf = (native: number) => engine.requests.get(native)!.prompt[0];

    const submit = () => {
      const prompt = random(8);
      const asked: Asked = { id: 0, prompt, seen: [], ends: [], left: false };
      const before = engine.requests.size;
      asked.id = cache
        .port(noStops)
        .submit(
          { ...ask(prompt), priority: random(8) === 0 ? 9 : 5 },
          { tokens: (ids) => asked.seen.push(...ids), end: (end) => asked.ends.push(end) },
        );
      all.push(asked);
      if (engine.requests.size > before) made.set(engine.requests.size, 0);
    };
    const step = () => {
      for (const [native, done] of [...made]) {
        const tokens = expected(promptOf(native));
        if (engine.cancelled.includes(native)) {
          made.delete(native);
          engine.emit({ type: "cancelled", id: native, cachedTokens: 0, timings });
        } else if (done < tokens.length) {
          const count = 1 + random(tokens.length - done);
          made.set(native, done + count);
          engine.tokens(native, ...tokens.slice(done, done + count));
        } else {
          made.delete(native);
          engine.finish(native);
        }
      }
    };
    const leave = () => {
      const open = all.filter(({ ends, left }) => ends.length === 0 && !left);
      const asked = open[random(open.length)];
      if (!asked) return;
      asked.left = true;
      cache.port(noStops).cancel(asked.id);
    };

    for (let i = 0; i < 2000; i++) {
      [submit, submit, step, step, leave][random(5)]();
      if (random(4) === 0) await Promise.resolve();
      now += random(60);
      const wanted = new Set(all.filter(({ ends, left }) => ends.length === 0 && !left).map(({ prompt }) => prompt));
      for (const native of made.keys())
        if (!engine.cancelled.includes(native)) expect(wanted).toContain(promptOf(native));
    }
    while (made.size > 0) step();
    await tick();

    for (const { prompt, seen, ends, left } of all) {
      expect(ends).toHaveLength(1);
      if (ends[0].type === "finish") expect(seen).toEqual(expected(prompt));
      else {
        expect([ends[0].type, left]).toEqual(["cancelled", true]);
        expect(seen).toEqual(expected(prompt).slice(0, seen.length));
      }
    }
    const { hits, joined, misses, evictions, expirations } = cache.stats();
    expect(hits + joined + misses).toBe(all.length);
    expect(misses).toBe(engine.requests.size);
    for (const count of [hits, joined, evictions, expirations]) expect(count).toBeGreaterThan(0);
    expect(new Set(engine.cancelled).size).toBe(engine.cancelled.length);
  });
});
