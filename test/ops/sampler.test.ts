import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { philox } from "../../lib/sampling/philox";
import { logSoftmax, type ReferenceSample, sampleReference, sampleWeight } from "../../lib/sampling/reference";
import { variants } from "../support/backends";
import { Random } from "../support/random";
import { plainStep, stepOf } from "../support/steps";
import { type TestBackend, type TestSampleResult, testAddon } from "../support/test-addon";
import { borderBatches, referenceRow, type SamplerBatch, type SamplerCase, samplerBatches } from "./sampler-cases";
import { expectSame } from "./tolerance";

const ONE = 2 ** 32;

function batchStep(cases: SamplerCase[]) {
  const rows = cases.length;
  const step = rows <= 64 ? plainStep("decode", rows) : stepOf("prefill", [{ length: rows, rows }]);
  return { ...step, logitRows: Int32Array.from(cases, (_, i) => i), samples: cases.map((c) => c.sample) };
}

function joined(cases: SamplerCase[], vocab: number): Float32Array {
  const logits = new Float32Array(cases.length * vocab);
  for (const [i, c] of cases.entries()) logits.set(c.logits, i * vocab);
  return logits;
}

/** Log-probabilities: a float32 sum of up to 152 064 exponentials, and the rounding of the difference itself. */
function expectLogprob(actual: number, expected: number, what: string) {
  if (expected === -Infinity) return expect(actual, what).toBe(-Infinity);
  const difference = Math.abs(actual - expected);
  if (!(difference <= 5e-5 + 2e-7 * Math.abs(expected))) expect.fail(`${what}: ${actual}, expected ${expected}`);
}

/** What is expected of a row's logits, for all variants: a sort of 152 064 takes longer than everything else. */
interface Expected {
  logprobs: ArrayLike<number>;
  /** Ids, the most probable first. */
  order: Int32Array;
}
const expectations = new WeakMap<Float32Array, Expected>();

function expectedOf(logits: Float32Array): Expected {
  let known = expectations.get(logits);
  if (!known) {
    const order = Int32Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
    // More alternatives than these are never asked for.
    known = { logprobs: logSoftmax(logits), order: order.slice(0, 20) };
    expectations.set(logits, known);
  }
  return known;
}

/** The result's log-probability and alternatives against a float64 log-softmax of the unmodified logits. */
function checkLogprobs(result: TestSampleResult, { logits, sample }: SamplerCase, what: string) {
  const wanted = sample.topLogprobs ?? -1;
  if (wanted < 0) {
    expect(result.logprob, `${what}: logprob not asked for`).toBeNaN();
    return expect(result.topTokens.length, what).toBe(0);
  }
  const { logprobs: expected, order } = expectedOf(logits);
  expectLogprob(result.logprob, expected[result.token], `${what}: logprob of ${result.token}`);
  const best = order.subarray(0, wanted).filter((id) => logits[id] > -Infinity);
  expect(result.topTokens.length, `${what}: alternatives`).toBeLessThanOrEqual(Math.min(wanted, logits.length));
  expect(result.topTokens.subarray(0, best.length), `${what}: alternatives`).toEqual(best);
  for (const [i, id] of best.entries()) {
    expectLogprob(result.topLogprobs[i], expected[id], `${what}: alternative ${i}`);
  }
}

describe("the arithmetic shared by the backends equals lib/sampling", () => {
  const { sampling } = testAddon();

  it("weights", () => {
    const random = new Random(1);
    const steps = Float32Array.from({ length: 200_000 }, (_, i) => -i * 1.2e-4);
    const samples = random.normals(100_000, 10).map((z) => -Math.abs(z));
    const special = Float32Array.of(
      0,
      -0,
      -1e-8,
      -1e-45,
      -22.18,
      -22.1807,
      -22.2,
      -22.87,
      -23,
      -100,
      -3.4e38,
      -Infinity,
    );
    for (const z of [steps, samples, special]) {
      for (const max of [0, 7.25, 1000]) {
        const shifted = z.map((v) => v + max).map((v) => Math.min(v, max));
        expectSame(
          sampling.weights(shifted, max),
          Float64Array.from(shifted, (v) => sampleWeight(v, max)),
          "weights",
        );
      }
    }
  });

  it("Philox", () => {
    const random = new Random(2);
    for (let i = 0; i < 10_000; i++) {
      const seed = Math.floor(random.next() * Number.MAX_SAFE_INTEGER);
      const [position, choice, lane] = [random.integer(0, ONE - 1), random.integer(0, 9), random.integer(0, 3)];
      const key = [seed % ONE, Math.floor(seed / ONE)] as const;
      expect(sampling.philox(seed, position, choice, lane)).toBe(philox([position, choice, lane, 0], key)[0]);
    }
  });

  it("top-p and the draw in 128 bits", () => {
    const random = new Random(3);
    for (let i = 0; i < 10_000; i++) {
      const total = Math.floor(random.next() * 2 ** 50) + 1;
      const p = random.pick([0, 1, ONE, ONE - 1, Math.floor(random.next() * ONE)]);
      const exact = Number((BigInt(p) * BigInt(total) + 0xffffffffn) >> 32n);
      for (const cumulative of [exact - 1, exact, exact + 1].filter((c) => c >= 0)) {
        const reached = BigInt(cumulative) * BigInt(ONE) >= BigInt(p) * BigInt(total);
        expect(sampling.topPReached(cumulative, p, total)).toBe(reached);
      }
      const r = random.integer(0, ONE - 1);
      expect(sampling.drawThreshold(r, total)).toBe(Number((BigInt(r) * BigInt(total)) >> 32n));
    }
  });
});

describe("10 000 random rows", () => {
  const batches: SamplerBatch[] = [...samplerBatches(), ...borderBatches()];
  const references: ReferenceSample[][] = batches.map(({ cases }) =>
    cases.map(({ logits, sample, edits, mask }) => sampleReference(logits, referenceRow(sample), edits, mask)),
  );

  it("are 10 000, and most can be sampled", () => {
    const all = references.flat();
    expect(all.length).toBeGreaterThanOrEqual(10_000);
    const share = (status: string) => all.filter((r) => r.status === status).length / all.length;
    expect(share("ok")).toBeGreaterThan(0.8);
    expect(share("empty")).toBeGreaterThan(0.01);
    expect(share("not-finite")).toBeGreaterThan(0.01);
  });

  // The precision of activations means nothing to a sampler: one per family is enough.
  describe.each(variants().filter((v) => v.precision === "f32" || v.chosen))("on $label", ({ options }) => {
    let backend: TestBackend;
    beforeAll(() => {
      backend = new (testAddon().TestBackend)(options);
    });
    afterAll(() => backend.dispose());

    /** Runs the selected batches and compares every row. */
    const expectReference = (selection: number[]) => {
      for (const b of selection) {
        const { vocab, cases } = batches[b];
        const results = backend.sampleBatch(batchStep(cases), joined(cases, vocab), vocab);
        results.forEach((result, i) => {
          const { token, status } = references[b][i];
          const what = `vocabulary ${vocab}, step ${b}, row ${i}`;
          // Finite logits that leave the range of float32 on the way fail too; which failure it is called does not matter.
          const overflow = status === "not-finite" && cases[i].logits.every((z) => z < Infinity);
          const sameStatus = overflow ? result.status !== "ok" : result.status === status;
          if (!sameStatus || (status === "ok" && result.token !== token)) {
            const { edits, mask, ...sample } = cases[i].sample;
            const found = `${result.status} ${result.token}, expected ${status} ${token}`;
            expect.fail(`${what}: ${found}; ${JSON.stringify(sample)}, ${edits?.length} edits, mask: ${mask !== null}`);
          }
          if (status === "ok") checkLogprobs(result, cases[i], what);
        });
      }
    };
    const all = [...batches.keys()];

    it("give the reference's tokens", () => expectReference(all));

    // Every option is met in these already; scripts/sanitize.mjs has time for no more.
    it("give the reference's tokens in a few small steps", () =>
      expectReference(all.filter((b) => batches[b].vocab <= 600).slice(0, 6)));

    it("score given tokens", () => {
      const random = new Random(4);
      for (const vocab of [1, 33, 523, 49152]) {
        const cases = Array.from({ length: 70 }, (): SamplerCase => {
          const sample = { temperature: 0, target: random.integer(0, vocab - 1), topLogprobs: random.pick([0, 3]) };
          return { logits: random.normals(vocab, 5), sample, edits: [], mask: null };
        });
        cases[5].logits[0] = Number.NaN;
        const results = backend.sampleBatch(batchStep(cases), joined(cases, vocab), vocab);
        expect(results[5].status).toBe("not-finite");
        results.forEach((result, i) => {
          if (i === 5) return;
          expect(result.status).toBe("ok");
          expect(result.token).toBe(cases[i].sample.target);
          checkLogprobs(result, cases[i], `vocabulary ${vocab}, row ${i}`);
        });
      }
    });
  });
});
