/** A loaded model that serves: repeats of requests, figures, events, and a second model for those that time out. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { DeepSeekR1, type LoadOptions, type ModelEvent, type Part, type RequestOptions, type Warning } from "../../lib";
import { devices } from "../support/devices";
import { loadTiny, tinyFolder } from "../support/tiny";

const PROMPT = "The quick brown fox: 347 + 589 =";
const greedy = { temperature: 0, maxNewTokens: 24, ignoreEos: true } as const;
const warm = { ...greedy, temperature: 0.9, topP: 0.9, seed: 11 };
const tick = () => new Promise((resolve) => setTimeout(resolve, 20));

async function parts(stream: AsyncIterable<Part>): Promise<Part[]> {
  const all: Part[] = [];
  for await (const part of stream) all.push(part);
  return all;
}

describe.each(devices)("on %s", (device) => {
  let plain: DeepSeekR1;
  beforeAll(async () => {
    plain = await loadTiny(device, { contextLength: 1024 });
  });
  afterAll(() => plain.dispose());

  async function cached<T>(use: (model: DeepSeekR1) => Promise<T>, more: Partial<LoadOptions> = {}): Promise<T> {
    await using model = await loadTiny(device, { contextLength: 1024, resultCache: {}, ...more });
    return await use(model);
  }

  describe("the result cache", () => {
    it("is off unless asked for", async () => {
      expect(plain.stats().resultCache).toBeNull();
      const [a, b] = [await plain.generate(PROMPT, greedy), await plain.generate(PROMPT, greedy)];
      expect(b.tokens).toEqual(a.tokens);
      expect(b).not.toHaveProperty("cached");
    });

    it("answers exact repeats with the same result, and without a step", () =>
      cached(async (model) => {
        for (const options of [greedy, warm, { ...warm, logprobs: 3 }, { ...warm, seed: 5, n: 2 }]) {
          const first = await model.generate(PROMPT, options);
          const { steps } = model.stats();
          const again = await model.generate(PROMPT, options);
          const { timings: _a, usage, choices: one, seed: _b, ...rest } = first;
          const { cached: hit, timings, usage: ours, choices: other, seed: _c, ...same } = again;
          expect(same).toEqual(rest);
          expect(other?.map(({ tokens }) => tokens)).toEqual(one?.map(({ tokens }) => tokens));
          expect(hit).toBe(true);
          expect(ours).toEqual({ ...usage, cachedTokens: usage.promptTokens });
          expect(timings.queue + timings.prefill + timings.decode).toBeLessThan(1000);
          expect(model.stats().steps).toBe(steps);
          const direct = await plain.generate(PROMPT, options);
          expect(again.tokens).toEqual(direct.tokens);
          expect(again.logprobs).toEqual(direct.logprobs);
        }
        expect(model.stats().resultCache).toMatchObject({ hits: 5, misses: 5, joined: 0, evictions: 0, entries: 5 });
      }));

    it("replays streams as parts, with reasoning and stop strings where they were", () =>
      cached(async (model) => {
        const { text } = await plain.generate(PROMPT, greedy);
        const stop = text.slice(5, 8);
        for (const [prompt, options] of [
          [{ text: PROMPT }, { ...greedy, stop }],
          ["Hello", { ...greedy, stop }],
          ["Hello", warm],
        ] as const) {
          const first = await parts(model.stream(prompt, options));
          const again = await parts(model.stream(prompt, options));
          const joined = (all: Part[], type: Part["type"]) =>
            all.map((part) => (part.type === type && part.type !== "finish" ? part.text : "")).join("");
          for (const type of ["reasoning", "text"] as const) expect(joined(again, type)).toBe(joined(first, type));
          const { timings: _a, usage: _b, seed: _c, ...end } = first.at(-1) as Extract<Part, { type: "finish" }>;
          expect(again.at(-1)).toMatchObject({ ...end, cached: true });
          expect(end).not.toHaveProperty("cached");
        }
        expect(model.stats().resultCache).toMatchObject({ hits: 3, misses: 3 });
      }));

    it("computes the greedy answers of one request once", () =>
      cached(async (model) => {
        const { choices } = await model.generate(PROMPT, { ...greedy, n: 3 });
        expect(choices?.map(({ cached }) => cached)).toEqual([undefined, true, true]);
        expect(model.stats()).toMatchObject({ generatedTokens: 24, resultCache: { misses: 1, joined: 2 } });
      }));

    it("reports the seed of each request", () =>
      cached(async (model) => {
        await model.generate(PROMPT, { ...greedy, seed: 1 });
        expect(await model.generate(PROMPT, { ...greedy, seed: 2 })).toMatchObject({ seed: 2, cached: true });
        await model.generate(PROMPT, { ...warm, seed: 1 });
        expect(await model.generate(PROMPT, { ...warm, seed: 2 })).not.toHaveProperty("cached");
      }));

    it("leaves alone what draws anew, what a sampler chooses, what others own, and what is not to be cached", () =>
      cached(async (model) => {
        const sampler = () => 30;
        const { seed: _, ...drawn } = warm;
        for (const options of [drawn, { ...greedy, sampler }, { ...greedy, cache: false }] as RequestOptions[])
          for (let i = 0; i < 2; i++) expect(await model.generate(PROMPT, options)).not.toHaveProperty("cached");
        await model.generate(PROMPT, { ...greedy, salt: "a" });
        expect(await model.generate(PROMPT, { ...greedy, salt: "b" })).not.toHaveProperty("cached");
        expect(await model.generate(PROMPT, { ...greedy, salt: "a" })).toHaveProperty("cached", true);
        expect(model.stats().resultCache).toMatchObject({ hits: 1, misses: 2 });
      }));

    it("computes equal requests once, and an abort of one is no abort of the others", () =>
      cached(async (model) => {
        const controller = new AbortController();
        const options = { ...greedy, maxNewTokens: 300 };
        const first = model.generate(PROMPT, { ...options, signal: controller.signal }).catch((error) => error);
        const others = Array.from({ length: 5 }, () => model.generate(PROMPT, options));
        const stream = model.stream({ text: PROMPT }, options);
        const part = (await stream.next()).value as Part;
        expect(part.type).toBe("text");
        controller.abort("enough");
        expect(await first).toMatchObject({ code: "E_ABORTED", cause: "enough" });
        await stream.return(undefined);
        const results = await Promise.all(others);
        const { tokens } = await plain.generate(PROMPT, options);
        for (const result of results) expect(result.tokens).toEqual(tokens);
        expect(model.stats()).toMatchObject({ generatedTokens: 300, resultCache: { misses: 1, joined: 6, hits: 0 } });
      }));

    it("forgets a request that everyone has given up", () =>
      cached(async (model) => {
        const options = { ...greedy, maxNewTokens: 900 };
        const signal = AbortSignal.timeout(5);
        const both = [model.generate(PROMPT, { ...options, signal }), model.generate(PROMPT, { ...options, signal })];
        for (const result of await Promise.allSettled(both)) expect(result.status).toBe("rejected");
        await expect.poll(() => model.stats().running).toBe(0);
        expect(model.stats().resultCache).toMatchObject({ entries: 0 });
      }));

    it("keeps no more than it may", () =>
      cached(
        async (model) => {
          for (const prompt of ["a", "b", "c"]) await model.generate(prompt, greedy);
          expect(model.stats().resultCache).toMatchObject({ entries: 2, evictions: 1 });
          expect(await model.generate("a", greedy)).not.toHaveProperty("cached");
          expect(await model.generate("c", greedy)).toHaveProperty("cached", true);
        },
        { resultCache: { maxEntries: 2 } },
      ));

    it("does not answer for a model that is gone", async () => {
      const model = await loadTiny(device, { resultCache: {} });
      await model.generate(PROMPT, greedy);
      await model.dispose();
      await expect(model.generate(PROMPT, greedy)).rejects.toMatchObject({ code: "E_DISPOSED" });
    });
  });

  describe("figures", () => {
    it("say what was done, and are zero or null once disposed", async () => {
      const model = await loadTiny(device, { contextLength: 1024 });
      expect(model.stats()).toMatchObject({ firstTokenMs: null, cacheHitRate: 0, states: { latency: "ok" } });
      await Promise.all(["a", "b", "c"].map((prompt) => model.generate(prompt, greedy)));
      const { firstTokenMs, uptimeMs, generatedTokens, gpu, states } = model.stats();
      expect(generatedTokens).toBe(3 * 24);
      expect(firstTokenMs!.p50).toBeGreaterThan(0);
      expect(firstTokenMs!.p50).toBeLessThanOrEqual(firstTokenMs!.p95);
      expect(firstTokenMs!.p95).toBeLessThanOrEqual(firstTokenMs!.p99);
      expect(firstTokenMs!.p99).toBeLessThan(uptimeMs);
      if (device === "cpu") expect(gpu).toBeNull();
      expect(Object.keys(states)).toEqual(["memory", "latency", "gpuUse"]);
      await model.dispose();
      expect(model.stats()).toMatchObject({ generatedTokens: 0, uptimeMs: 0, firstTokenMs: null, gpu: null });
    });
  });

  describe("events", () => {
    it("come from on and from a stream, which ends with the model", async () => {
      const monitor = { intervalMs: 10, memory: { warn: 0, alert: 0 }, latencyMs: { warn: 0, alert: 1e9 } };
      const model = await loadTiny(device, { monitor });
      const changes = vi.fn();
      const leave = model.on("threshold", changes);
      const all: ModelEvent[] = [];
      const reading = (async () => {
        for await (const event of model.events()) all.push(event);
      })();
      if (device === "cpu")
        await expect
          .poll(() => all)
          .toContainEqual({
            ...{ type: "threshold", measure: "memory", state: "alert", previous: "ok" },
            value: expect.any(Number),
          });
      await model.generate(PROMPT, greedy);
      await expect
        .poll(() => changes.mock.calls.flat())
        .toContainEqual(expect.objectContaining({ measure: "latency", state: "warn", previous: "ok" }));
      expect(model.stats().states.latency).toBe("warn");
      leave();
      await model.dispose();
      await reading;
      expect(all.at(-1)).toEqual({ type: "disposed" });
      expect(await model.events().next()).toEqual({ done: true, value: undefined });
    });

    it("of loading are kept for the first who listens", async () => {
      await using model = await loadTiny(device, { contextLength: 200_000, kvMemory: 8 << 20 });
      const stream = model.events();
      const codes = [(await stream.next()).value, (await stream.next()).value].map((event) =>
        event?.type === "warning" ? event.code : event,
      );
      expect(codes).toEqual(["long-context", "short-context"]);
      const listener = vi.fn();
      model.on("warning", listener);
      await tick();
      expect(listener).not.toHaveBeenCalled();
    });

    it("have names", async () => {
      expect(() => plain.on("load" as "warning", () => {})).toThrow(/Unknown event "load"; expected warning, pressure/);
      expect(() => plain.on("warning", 5 as never)).toThrow(TypeError);
    });
  });

  describe("a second model", () => {
    const slow = { ...greedy, maxNewTokens: 900, timeoutMs: 1 };
    const quick = { ...greedy, maxNewTokens: 2 };

    async function withSecond(use: (model: DeepSeekR1, warnings: Warning[]) => Promise<void>, second = plain) {
      const warnings: Warning[] = [];
      const onWarning = (warning: Warning) => warnings.push(warning);
      await using model = await loadTiny(device, { contextLength: 1024, onTimeout: second, onWarning });
      await use(model, warnings);
    }

    it("is asked once: that it times out too is what the request rejects with", () =>
      withSecond(async (model, warnings) => {
        const sampler = () => new Promise<number>(() => {}); // it never chooses
        const stuck = { ...quick, sampler, timeoutMs: 30 };
        await expect(model.generate(PROMPT, stuck)).rejects.toMatchObject({ code: "E_TIMEOUT" });
        expect(warnings).toEqual([
          { code: "timeout-fallback", message: expect.stringMatching(/timeoutMs of 30.*qwen2-tiny answers instead/) },
        ]);
      }));

    it("answers what times out, and results, choices and streams say so", async () => {
      let calls = 0;
      // Only the first token, which the first model asks for, never comes.
      const sampler = () => (calls++ < 1 ? new Promise<number>(() => {}) : 30);
      await withSecond(async (model, warnings) => {
        const result = await model.generate(PROMPT, { ...quick, sampler, timeoutMs: 800 });
        expect(result).toMatchObject({ tokens: [30, 30], answeredBy: tinyFolder });
        calls = 0;
        const both = await model.generate(PROMPT, { ...quick, sampler, timeoutMs: 800, n: 2 });
        expect(both.choices?.map(({ answeredBy }) => answeredBy)).toEqual([tinyFolder, tinyFolder]);
        calls = 0;
        const streamed = await parts(model.stream({ text: PROMPT }, { ...quick, sampler, timeoutMs: 800 }));
        expect(streamed.at(-1)).toMatchObject({ type: "finish", tokens: [30, 30], answeredBy: tinyFolder });
        expect(warnings).toHaveLength(3);
        const own = await model.generate(PROMPT, quick);
        expect(own).not.toHaveProperty("answeredBy");
      });
    });

    it("does not take over a stream that has begun", () =>
      withSecond(async (model, warnings) => {
        let calls = 0;
        const sampler = () => (calls++ < 1 ? 30 : new Promise<number>(() => {}));
        const stream = model.stream({ text: PROMPT }, { ...quick, sampler, timeoutMs: 500 });
        expect((await stream.next()).value).toMatchObject({ tokens: [30] });
        await expect(stream.next()).rejects.toMatchObject({ code: "E_TIMEOUT" });
        expect(warnings).toEqual([]);
      }));

    it("is not asked after an abort, nor for other failures", () =>
      withSecond(async (model, warnings) => {
        const signal = AbortSignal.timeout(5);
        const { timeoutMs: _, ...unlimited } = slow;
        await expect(model.generate(PROMPT, { ...unlimited, signal })).rejects.toMatchObject({ code: "E_ABORTED" });
        await expect(model.generate(PROMPT, { allowTokens: [] })).rejects.toMatchObject({ code: "E_SAMPLING" });
        expect(warnings).toEqual([]);
      }));

    it("with another tokenizer.json is not given token ids", async () => {
      const folder = mkdtempSync(join(tmpdir(), "r1-second-"));
      try {
        cpSync(tinyFolder, folder, { recursive: true });
        const file = join(folder, "tokenizer.json");
        writeFileSync(file, `${readFileSync(file, "utf8")}\n`);
        await using other = await DeepSeekR1.load({ modelPath: folder, device, threads: 2 });
        await withSecond(async (model, warnings) => {
          await expect(model.generate([5, 6], slow)).rejects.toMatchObject({ code: "E_TIMEOUT" });
          await expect(model.generate(PROMPT, { ...slow, logitBias: { 5: 1 } })).rejects.toThrow(/timeoutMs/);
          expect(warnings).toEqual([]);
          await model.generate(PROMPT, slow).catch(() => {});
          expect(warnings).toHaveLength(1);
        }, other);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    it("of load options is loaded and disposed along; a loaded one stays", async () => {
      const onTimeout = { modelPath: tinyFolder, device, threads: 1 };
      const model = await loadTiny(device, { onTimeout });
      const given = await loadTiny(device, { onTimeout: model });
      await given.dispose();
      expect((await model.generate(PROMPT, quick)).tokens).toHaveLength(2);
      await model.dispose();
    });

    it("that cannot be loaded fails the load", async () => {
      await expect(loadTiny(device, { onTimeout: { modelPath: "/nowhere" } })).rejects.toMatchObject({
        code: "E_NOT_FOUND",
      });
    });
  });
});

describe("options", () => {
  // biome-ignore lint/suspicious/noExplicitAny: callers in JavaScript can pass anything
  const load = (options: any) => DeepSeekR1.load({ modelPath: tinyFolder, ...options });
  it.each([
    [{ maxQueue: 0 }, RangeError, /maxQueue must be an integer from 1 to 1000000/],
    [{ targetInterTokenMs: 0 }, RangeError, /targetInterTokenMs must be above 0/],
    [{ targetInterTokenMs: "fast" }, TypeError, /targetInterTokenMs/],
    [{ prefixCache: 1 }, TypeError, /prefixCache must be true or false/],
    [{ hostKvMemory: -1 }, RangeError, /hostKvMemory/],
    [{ resultCache: true }, TypeError, /resultCache must be an object/],
    [{ resultCache: { entries: 1 } }, TypeError, /resultCache: unknown name "entries"; expected one of maxEntries/],
    [{ resultCache: { maxBytes: 0 } }, RangeError, /resultCache\.maxBytes must be an integer from 1/],
    [{ resultCache: { ttlMs: 0.5 } }, RangeError, /resultCache\.ttlMs/],
    [{ onOutOfMemory: "cpu" }, TypeError, /onOutOfMemory must be an array of steps/],
    [{ onOutOfMemory: ["cpu", "disk"] }, RangeError, /onOutOfMemory\[1\] must be one of "int8-kv"/],
    [{ onOutOfMemory: ["cpu", "cpu"] }, RangeError, /onOutOfMemory\[1\] must be named once/],
    [{ onTimeout: "small" }, TypeError, /onTimeout must be a loaded DeepSeekR1 or load options/],
    [{ onTimeout: { chat: true } }, TypeError, /onTimeout must be a loaded DeepSeekR1/],
    [{ onTimeout: { device: "tpu" } }, RangeError, /^onTimeout: device must be/],
    [{ onTimeout: { modelpath: "x" } }, TypeError, /^onTimeout: options: unknown name "modelpath"/],
    [{ monitor: { intervalMs: 1 } }, RangeError, /monitor\.intervalMs must be an integer from 10/],
    [{ monitor: { memory: { warn: 90 } } }, RangeError, /monitor\.memory\.warn must be at most alert, which is 85/],
    [{ monitor: { memory: { warn: 101 } } }, RangeError, /monitor\.memory\.warn must be a number from 0 to 100/],
    [{ monitor: { gpuUse: { low: 99 } } }, RangeError, /monitor\.gpuUse\.low must be at most high/],
    [{ monitor: { latencyMs: { max: 1 } } }, TypeError, /monitor\.latencyMs: unknown name "max"/],
    [{ monitor: 5 }, TypeError, /monitor must be an object/],
  ])("%o is refused", async (options, type, message) => {
    const error = await load(options).catch((caught) => caught);
    expect(error).toBeInstanceOf(type);
    expect(error.message).toMatch(message);
  });

  it.each([
    [{ queueTimeoutMs: 0 }, RangeError, /queueTimeoutMs/],
    [{ salt: 5 }, TypeError, /salt must be a string/],
    [{ salt: "x".repeat(1025) }, RangeError, /salt must be a string of at most 1024/],
    [{ cache: "no" }, TypeError, /cache must be true or false/],
  ])("%o of a request is refused", async (options, type, message) => {
    await using model = await loadTiny("cpu");
    const error = await model.generate("x", options as never).catch((caught) => caught);
    expect(error).toBeInstanceOf(type);
    expect(error.message).toMatch(message);
  });
});
