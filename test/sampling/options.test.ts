import { describe, expect, it } from "vitest";
import { checkOptions } from "../../lib/arguments";
import { libraryDefaults, presets, resolveSampling, samplingChecks } from "../../lib/sampling/options";
import { drawSeed, lowerPlan } from "../../lib/sampling/plan";

const check = (options: unknown) => checkOptions("options", options, samplingChecks);
const context = { vocab: 100, seed: 5, logprobs: -1, minNewTokens: 0 };
const lower = (options: unknown) => lowerPlan(check(options), libraryDefaults, context);

describe("checking", () => {
  it.each([
    [{ temperature: "1" }, TypeError, /temperature must be a number, found "1"/],
    [{ temperature: -0.5 }, RangeError, /temperature must be 0 or from 0.001 to 100, found -0.5/],
    [{ temperature: 0.0005 }, RangeError, /temperature/],
    [{ temperature: Number.NaN }, RangeError, /temperature/],
    [{ topK: 1.5 }, RangeError, /topK must be an integer/],
    [{ topK: -1 }, RangeError, /topK/],
    [{ topP: 1.01 }, RangeError, /topP must be a number from 0 to 1, found 1.01/],
    [{ topP: null }, TypeError, /topP must be a number, found null/],
    [{ minP: -0.1 }, RangeError, /minP/],
    [{ repetitionPenalty: 0 }, RangeError, /repetitionPenalty/],
    [{ presencePenalty: 2.5 }, RangeError, /presencePenalty/],
    [{ frequencyPenalty: "0" }, TypeError, /frequencyPenalty/],
    [{ logitBias: [1] }, TypeError, /logitBias must be an object or Map/],
    [{ logitBias: { x: 1 } }, TypeError, /each key of logitBias must be a token id, found "x"/],
    [{ logitBias: { 3: "1" } }, TypeError, /logitBias\[3\]/],
    [{ logitBias: { 3: Number.POSITIVE_INFINITY } }, RangeError, /logitBias\[3\]/],
    [{ logitBias: new Map([[-1, 1]]) }, RangeError, /each key of logitBias/],
    [{ allowTokens: 5 }, TypeError, /allowTokens must be an array of token ids/],
    [{ allowTokens: [1, -2] }, RangeError, /allowTokens\[1\]/],
    [{ banTokens: ["a"] }, TypeError, /banTokens/],
    [{ banTokens: [1, "a"] }, TypeError, /banTokens\[1\]/],
    [{ seed: 2 ** 53 }, RangeError, /seed/],
    [{ seed: -1 }, RangeError, /seed/],
    [{ seed: 1n }, TypeError, /seed/],
    [{ preset: "wild" }, RangeError, /preset must be one of "creative", "factual", "code", "reasoning", found "wild"/],
    [{ preset: 1 }, TypeError, /preset must be a string/],
    [{ sampler: 1 }, TypeError, /sampler must be a function/],
    [{ topp: 1 }, TypeError, /unknown name "topp"; expected one of temperature, topK/],
    [{ constructor: 1 }, TypeError, /unknown name "constructor"/],
    [[], TypeError, /options must be an object, found an array/],
    ["x", TypeError, /options must be an object/],
  ])("refuses case %#: %o", (options, type, message) => {
    expect(() => check(options)).toThrow(type);
    expect(() => check(options)).toThrow(message);
  });

  it("takes undefined as absent and typed arrays as ids", () => {
    expect(check({ temperature: undefined, seed: 0, topP: 0 })).toEqual({ seed: 0, topP: 0 });
    expect(check({ allowTokens: Uint32Array.of(3, 4) })).toEqual({ allowTokens: Int32Array.of(3, 4) });
    expect(check(undefined)).toEqual({});
  });
});

describe("precedence", () => {
  it("is call, preset, generation_config.json, library", () => {
    const config = { temperature: 0.1, topP: 0.2, topK: 3, repetitionPenalty: 1.2 };
    expect(resolveSampling({}, {})).toEqual(libraryDefaults);
    expect(resolveSampling({}, config)).toEqual({ ...libraryDefaults, ...config });
    expect(resolveSampling({ preset: "creative" }, config)).toEqual({
      ...libraryDefaults,
      ...config,
      ...presets.creative,
    });
    expect(resolveSampling({ preset: "creative", temperature: 0, topK: 0 }, config)).toMatchObject({
      temperature: 0,
      topK: 0,
      topP: 0.95,
      repetitionPenalty: 1.2,
    });
  });

  it("bends what a file says into what can be done", () => {
    expect(resolveSampling({}, { temperature: 1e-5, topK: 1e12 })).toMatchObject({
      temperature: 0.001,
      topK: 2 ** 31 - 1,
    });
    expect(resolveSampling({}, { temperature: 0 }).temperature).toBe(0);
  });

  it("has the presets that the design names", () => {
    expect(presets.creative.temperature).toBe(0.8);
    expect(presets.factual.temperature).toBe(0.3);
    expect(presets.reasoning).toEqual({ temperature: 0.6, topP: 0.95 });
  });
});

describe("lowering", () => {
  it("merges biases and bans, a ban winning, and drops duplicates", () => {
    const plan = lower({ logitBias: { 4: 1.5, 5: -2 }, banTokens: [5, 6, 6], allowTokens: [7, 7, 4] });
    expect([...plan.biasTokens]).toEqual([4, 5, 6]);
    expect([...plan.biasValues]).toEqual([1.5, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect([...plan.allow!]).toEqual([7, 4]);
    expect(plan).toMatchObject({ ...libraryDefaults, seed: 5, choice: 0, logprobs: -1 });
  });

  it("allows everything unless told otherwise, and nothing when told so", () => {
    expect(lower({}).allow).toBeNull();
    expect(lower({ allowTokens: [] }).allow).toEqual(new Int32Array());
  });

  it.each([{ allowTokens: [100] }, { banTokens: [0, 100] }, { logitBias: { 100: 1 } }])(
    "%j is outside the vocabulary",
    (options) => {
      expect(() => lower(options)).toThrow(RangeError);
      expect(() => lower(options)).toThrow(/a token id from 0 to 99, found 100/);
    },
  );

  it("draws seeds from the whole range", () => {
    const seeds = Array.from({ length: 200 }, drawSeed);
    expect(seeds.every((seed) => Number.isSafeInteger(seed) && seed >= 0)).toBe(true);
    expect(new Set(seeds).size).toBe(200);
    expect(Math.max(...seeds)).toBeGreaterThan(2 ** 52);
  });
});
