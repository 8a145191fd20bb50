/** A loaded model under load: the queue, the prefix cache, pressure, and what its figures say of them. */
import { describe, expect, it } from "vitest";
import type { DeepSeekR1, LoadOptions, Pressure, Warning } from "../../lib";
import { devices } from "../support/devices";
import { loadTiny, tinyFolder } from "../support/tiny";

const long = { temperature: 0, ignoreEos: true, maxNewTokens: 400 } as const;
const codes = (results: PromiseSettledResult<unknown>[]) =>
  results.map((result) => (result.status === "rejected" ? result.reason.code : "ok"));

describe.each(devices)("on %s", (device) => {
  async function withModel<T>(more: Partial<LoadOptions>, use: (model: DeepSeekR1) => Promise<T>): Promise<T> {
    await using model = await loadTiny(device, { contextLength: 1024, ...more });
    return await use(model);
  }
  /** One that runs until it is told to leave, so that those after it wait: its sampler never chooses. */
  async function busy(model: DeepSeekR1) {
    const stream = model.stream({ text: "busy" }, { sampler: () => new Promise<number>(() => {}) });
    void stream.next();
    await expect.poll(() => model.stats().running).toBe(1);
    return stream;
  }

  it("a full queue turns requests away at once", () =>
    withModel({ maxSequences: 1, maxQueue: 2 }, async (model) => {
      const first = await busy(model);
      const results = Promise.allSettled(["a", "b", "c", "d"].map((text) => model.generate(text, { maxNewTokens: 1 })));
      await expect.poll(() => model.stats().waiting).toBe(2);
      await first.return(undefined);
      expect(codes(await results).sort()).toEqual(["E_OVERLOADED", "E_OVERLOADED", "ok", "ok"]);
    }));

  it("who waits too long for its turn is answered by the second model", () =>
    withModel({}, async (second) => {
      const warnings: Warning[] = [];
      const onWarning = (warning: Warning) => warnings.push(warning);
      await withModel({ maxSequences: 1, onTimeout: second, onWarning }, async (model) => {
        const first = await busy(model);
        const result = await model.generate("a", { ...long, maxNewTokens: 3, queueTimeoutMs: 20 });
        expect(result).toMatchObject({ answeredBy: tinyFolder });
        expect(warnings).toEqual([{ code: "timeout-fallback", message: expect.stringContaining("queueTimeoutMs") }]);
        await first.return(undefined);
      });
      await withModel({ maxSequences: 1 }, async (model) => {
        const first = await busy(model);
        await expect(model.generate("a", { queueTimeoutMs: 20 })).rejects.toMatchObject({ code: "E_TIMEOUT" });
        await first.return(undefined);
      });
    }));

  it("prompts that begin alike are read once, and not across salts", () =>
    withModel({}, async (model) => {
      const prompt = Array.from({ length: 300 }, (_, i) => 20 + (i % 200));
      const ask = (salt: string, cache = true) =>
        model.generate(prompt, { temperature: 0, ignoreEos: true, maxNewTokens: 8, salt, cache });
      const first = await ask("a");
      const again = await ask("a");
      const { cachedTokens } = again.usage;
      expect(first.usage.cachedTokens).toBe(0);
      expect(cachedTokens).toBeGreaterThanOrEqual(256); // four blocks
      expect(cachedTokens).toBeLessThan(300); // the last row has to be computed
      expect(again.tokens).toEqual(first.tokens);
      expect((await ask("b")).usage.cachedTokens).toBe(0);
      expect((await ask("a", false)).usage.cachedTokens).toBe(0);
      expect(model.stats()).toMatchObject({ cachedTokens, promptTokens: 4 * 300 - cachedTokens });
      expect(model.stats().cacheHitRate).toBeCloseTo(cachedTokens / 1200, 6);
    }));

  it("pressure on the KV cache is an event, and changes no token", () =>
    withModel({}, async (roomy) => {
      const prompts = Array.from({ length: 6 }, (_, i) => `Request ${i}:`);
      const run = (model: DeepSeekR1) => Promise.all(prompts.map((text) => model.generate(text, long)));
      const expected = await run(roomy);
      await withModel({ kvMemory: 3 * 2 * 64 * 4 * 64 * 12, prefixCache: false }, async (model) => {
        const events: Pressure[] = [];
        model.on("pressure", (event) => events.push(event));
        const results = await run(model);
        expect(results.map(({ tokens }) => tokens)).toEqual(expected.map(({ tokens }) => tokens));
        expect(model.stats().preemptions).toBeGreaterThan(0);
        const expectedAction = device === "cuda" ? "swapped" : "recomputed";
        expect(events.some(({ action }) => action === expectedAction)).toBe(true);
        for (const { blocks, bytes, action } of events)
          if (action !== "smaller-batch") expect(bytes).toBe(blocks * model.stats().blockBytes);
      });
    }));

  it("figures say what the limits are and what a step takes", () =>
    withModel({ maxSequences: 8 }, async (model) => {
      const running = Array.from({ length: 8 }, (_, i) => model.generate(`Request ${i}`, long));
      await expect.poll(() => model.stats().running).toBeGreaterThan(0);
      await Promise.all(running);
      const { limits, stepMs, hostMsPerStep, interTokenMs, blockBytes } = model.stats();
      expect(limits.sequences).toBeGreaterThan(0);
      expect(limits.sequences).toBeLessThanOrEqual(8);
      for (const figure of [limits.stepTokens, stepMs, interTokenMs, blockBytes]) expect(figure).toBeGreaterThan(0);
      expect(hostMsPerStep).toBeGreaterThanOrEqual(0);
    }));
});
