import { describe, expect, it } from "vitest";
import { BELOW_TWO, EXP2_COEFFICIENTS, LOG2_E } from "../../lib/sampling/exp2-table";
import { philox } from "../../lib/sampling/philox";
import {
  adjustLogits,
  allowMask,
  logSoftmax,
  type ReferenceEdit,
  type ReferenceRow,
  referenceRow,
  sampleReference,
  sampleWeight,
} from "../../lib/sampling/reference";

const ONE = 2 ** 32;

function row(options: Partial<ReferenceRow> = {}): ReferenceRow {
  return {
    temperature: 1,
    repetition: 1,
    presence: 0,
    frequency: 0,
    topK: 0,
    topP: ONE,
    minP: 0,
    seed: 7,
    position: 0,
    choice: 0,
    ...options,
  };
}

/** A reproducible stream of numbers in [0, 1), from the generator under test's own blocks. */
function numbers(seed: number): () => number {
  let i = 0;
  return () => philox([i++, 99, 0, 0], [seed, 0])[0] / ONE;
}

function randomLogits(vocab: number, seed: number, spread = 8): Float32Array {
  const next = numbers(seed);
  return Float32Array.from({ length: vocab }, () => (next() - 0.5) * 2 * spread);
}

/** How often each token comes in `count` draws at successive positions. */
function histogram(logits: Float32Array, options: Partial<ReferenceRow>, count: number): number[] {
  const seen = new Array<number>(logits.length).fill(0);
  for (let position = 0; position < count; position++) {
    seen[sampleReference(logits, row({ ...options, position })).token]++;
  }
  return seen;
}

describe("philox", () => {
  // Known answers distributed with the authors' Random123 library.
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)("maps counter %j under key %j to %j", (counter, key, expected) => {
    expect(philox(counter, key)).toEqual(expected);
  });
});

describe("weights", () => {
  it("uses the table that C++ has", () => {
    expect([...EXP2_COEFFICIENTS]).toEqual(
      ["1", "0.6931471824645996", "0.24022650718688965", "0.05550410971045494"]
        .concat(["0.009618129022419453", "0.0013427733909338713", "0.00015469732170458883"])
        .map((c) => Math.fround(Number(c))),
    );
    expect(LOG2_E).toBe(1.4426950216293335);
    expect(BELOW_TWO).toBe(1.9999998807907104);
  });

  it("gives the best token exactly 2^32, −Infinity and anything 2^-32 below it 0", () => {
    for (const z of [0, 1, -3.25, 88.5, -1e30]) expect(sampleWeight(z, z)).toBe(ONE);
    expect(sampleWeight(Number.NEGATIVE_INFINITY, 3)).toBe(0);
    expect(sampleWeight(-23, 0)).toBe(0);
    expect(sampleWeight(-22.18, 0)).toBe(1);
  });

  it("is within 4e-6 of exp", () => {
    const next = numbers(1);
    for (let i = 0; i < 20_000; i++) {
      const z = Math.fround(-next() * 10);
      const exact = Math.exp(z) * ONE;
      expect(Math.abs(sampleWeight(z, 0) - exact)).toBeLessThan(exact * 4e-6 + exact * Math.abs(z) * 1.2e-7 + 1);
    }
  });

  it("never rises above the weight of a better logit, across the borders of the polynomial too", () => {
    for (let n = 0; n < 30; n++) {
      const border = Math.fround(-n / LOG2_E);
      let last = Number.POSITIVE_INFINITY;
      for (let step = 4; step >= -4; step--) {
        const z = Math.fround(border + step * 2 ** -20);
        if (z > 0) continue;
        const weight = sampleWeight(z, 0);
        expect(weight).toBeLessThanOrEqual(last);
        last = weight;
      }
    }
    expect(sampleWeight(-1e-10, 0)).toBeLessThan(ONE);
  });
});

describe("the chain", () => {
  it("applies penalties in float32, in order, to the tokens that have edits", () => {
    const logits = Float32Array.of(2, -2, 2, 2, 1);
    const edits: ReferenceEdit[] = [
      { token: 0, seen: true, count: 0, bias: 0 },
      { token: 1, seen: true, count: 3, bias: 0 },
      { token: 2, seen: false, count: 2, bias: 0.5 },
      { token: 4, seen: true, count: 1, bias: Number.NEGATIVE_INFINITY },
    ];
    const { fround } = Math;
    const plan = row({ repetition: fround(1.3), presence: fround(0.7), frequency: fround(0.1) });
    expect([...adjustLogits(logits, plan, edits, allowMask([0, 1, 2, 4], 5))]).toEqual([
      fround(2 / fround(1.3)),
      fround(fround(fround(-2 * fround(1.3)) - fround(0.7)) - fround(fround(0.1) * 3)),
      fround(fround(fround(2 - fround(0.7)) - fround(fround(0.1) * 2)) + 0.5),
      Number.NEGATIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
    expect([...logits]).toEqual([2, -2, 2, 2, 1]);
  });

  it("is greedy at temperature 0, the lowest id of a tie", () => {
    const logits = Float32Array.of(1, 3, 2, 3);
    expect(sampleReference(logits, row({ temperature: 0 }))).toEqual({ token: 1, status: "ok" });
    expect(sampleReference(logits, row({ temperature: 0 }), [], allowMask([0, 2, 3], 4)).token).toBe(3);
    const ban = [{ token: 1, seen: false, count: 0, bias: Number.NEGATIVE_INFINITY }];
    expect(sampleReference(logits, row({ temperature: 0 }), ban).token).toBe(3);
  });

  it("fails on an empty set and on logits that are no numbers", () => {
    const logits = Float32Array.of(1, 3);
    for (const temperature of [0, 1]) {
      expect(sampleReference(logits, row({ temperature }), [], new Uint32Array(1)).status).toBe("empty");
      const banned = new Float32Array(2).fill(Number.NEGATIVE_INFINITY);
      expect(sampleReference(banned, row({ temperature })).status).toBe("empty");
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(sampleReference(Float32Array.of(bad, 3), row({ temperature }))).toEqual({
          token: -1,
          status: "not-finite",
        });
      }
    }
  });

  it("keeps the k best with top-k, ties by id", () => {
    const logits = Float32Array.of(1, 5, 5, 5, 0);
    expect(histogram(logits, { topK: 2 }, 400)).toEqual([0, expect.any(Number), expect.any(Number), 0, 0]);
    expect(histogram(logits, { topK: 1 }, 50)[1]).toBe(50);
  });

  it("keeps the shortest prefix that reaches top-p, its border included", () => {
    const logits = Float32Array.of(0, 0, 0, 0); // each exactly a quarter
    const kept = (topP: number) => histogram(logits, { topP: Math.floor(ONE * topP) }, 300).filter((n) => n > 0).length;
    expect([0, 0.25, 0.250001, 0.5, 0.75, 0.76, 1].map(kept)).toEqual([1, 1, 2, 2, 3, 4, 4]);
  });

  it("takes top-p of what top-k left", () => {
    const logits = Float32Array.of(0, 0, 0, 0);
    expect(histogram(logits, { topK: 2, topP: ONE / 2 }, 100)[0]).toBe(100);
  });

  it("keeps with min-p what is that share of the best", () => {
    const logits = Float32Array.of(0, Math.log(0.5), Math.log(0.1), -20);
    const kept = (minP: number) => histogram(logits, { minP: Math.floor(ONE * minP) }, 600).filter((n) => n > 0).length;
    expect([1, 0.6, 0.4, 0.09].map(kept)).toEqual([1, 1, 2, 3]);
  });

  it("draws in proportion to the probabilities", () => {
    const logits = Float32Array.of(Math.log(1), Math.log(2), Math.log(3), Math.log(4));
    const count = 20_000;
    const seen = histogram(logits, {}, count);
    // Chi-square with 3 degrees of freedom: 16.3 is exceeded once in a thousand seeds; this one is fixed.
    const chi = seen.reduce((sum, n, i) => sum + (n - (count * (i + 1)) / 10) ** 2 / ((count * (i + 1)) / 10), 0);
    expect(chi).toBeLessThan(16.3);
  });

  it("sharpens with a low temperature and flattens with a high one", () => {
    const logits = Float32Array.of(0, 1);
    const share = (temperature: number) => histogram(logits, { temperature }, 2000)[1] / 2000;
    expect(share(0.2)).toBeGreaterThan(0.98);
    expect(share(1)).toBeCloseTo(1 / (1 + Math.exp(-1)), 1);
    expect(share(50)).toBeCloseTo(0.5, 1);
  });

  it("depends on seed, position and choice, and on nothing else", () => {
    const logits = randomLogits(300, 5, 1);
    const draws = (options: Partial<ReferenceRow>) =>
      Array.from({ length: 12 }, (_, position) => sampleReference(logits, row({ position, ...options })).token);
    const base = draws({});
    expect(draws({})).toEqual(base);
    expect(draws({ seed: 8 })).not.toEqual(base);
    expect(draws({ seed: 7 + ONE })).not.toEqual(base);
    expect(draws({ choice: 1 })).not.toEqual(base);
    expect(new Set(base).size).toBeGreaterThan(6);
  });
});

describe("golden draws", () => {
  // Fixed so that a change of the arithmetic is noticed even where all three samplers change together.
  const logits = randomLogits(1000, 2026);
  const draw = (options: Partial<ReferenceRow>) =>
    Array.from({ length: 8 }, (_, position) => sampleReference(logits, row({ position, ...options })).token);

  it.each([
    ["plain", {}, [342, 953, 125, 967, 501, 767, 422, 482]],
    ["R1", { temperature: Math.fround(0.6), topP: Math.floor(ONE * 0.95) }, [441, 840, 125, 629, 492, 241, 428, 101]],
    ["top-k 50, hot", { temperature: 2, topK: 50 }, [146, 840, 125, 629, 492, 0, 431, 101]],
    [
      "min-p",
      { temperature: 3, minP: Math.floor(ONE * 0.1), seed: 2 ** 53 - 1, choice: 3 },
      [806, 103, 53, 980, 806, 94, 276, 623],
    ],
  ])("%s", (_name, options, expected) => {
    expect(draw(options)).toEqual(expected);
  });
});

describe("lowering", () => {
  it("rounds options to float32 and shares to 2^32 fixed point", () => {
    const plan = {
      temperature: 0.6,
      topK: 40,
      topP: 0.95,
      minP: 0.05,
      repetitionPenalty: 1.1,
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      seed: 11,
      choice: 2,
      logprobs: -1,
      biasTokens: new Int32Array(),
      biasValues: new Float32Array(),
      allow: null,
      minNewTokens: 0,
    };
    expect(referenceRow(plan, 17)).toEqual({
      temperature: 0.6000000238418579,
      repetition: 1.100000023841858,
      presence: 0.10000000149011612,
      frequency: 0.20000000298023224,
      topK: 40,
      topP: 4080218931,
      minP: 214748364,
      seed: 11,
      position: 17,
      choice: 2,
    });
  });
});

it("logSoftmax sums to 1 and survives large logits", () => {
  const values = logSoftmax(Float32Array.of(1000, 999, 998));
  expect(values.reduce((sum, v) => sum + Math.exp(v), 0)).toBeCloseTo(1, 12);
  expect(values[0] - values[1]).toBeCloseTo(1, 12);
});
