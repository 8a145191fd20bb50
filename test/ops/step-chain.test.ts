/**
 * Steps one behind the other: each computes with its own tokens, plans, edits and block tables, however many are in
 * flight, and what it drew is told of it. The model is a table of logits by token, so that the reference is exact.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allowMask, type ReferenceEdit, sampleReference } from "../../lib/sampling/reference";
import { variants } from "../support/backends";
import { Random } from "../support/random";
import { KV_BLOCK, stepOf } from "../support/steps";
import {
  type TestBackend,
  type TestSample,
  type TestSampleResult,
  type TestStep,
  testAddon,
} from "../support/test-addon";
import { MadeUpMatrix } from "./made-up-matrix";
import { referenceRow } from "./sampler-cases";
import { expectSame } from "./tolerance";

const [heads, kvHeads, headDim] = [4, 2, 64];
/** Columns of Q, K and V, and as many tokens. */
const vocab = (heads + 2 * kvHeads) * headDim;
const blocks = 200;

/** A step has logits of all rows. */
type ChainStep = TestStep & { tokens: Int32Array; samples: TestSample[] };

function sampleOf(random: Random, edits: number): TestSample {
  const ids = random.permutation(vocab).subarray(0, edits);
  return {
    temperature: random.pick([0, 0.7, 1.3]),
    topK: random.pick([0, 40]),
    topP: random.pick([1, 0.9]),
    minP: random.pick([0, 0.02]),
    topLogprobs: random.pick([-1, -1, 0, 5]),
    repetition: 1.2,
    seed: random.integer(0, 2 ** 31),
    position: random.integer(0, 5000),
    edits: Array.from(ids, (token) => ({ token, seen: random.next() < 0.5, bias: random.integer(-3, 3) })),
    mask: random.next() < 0.05 ? allowMask(random.permutation(vocab).subarray(0, 20), vocab) : null,
  };
}

/** Of every bucket, prompts among them; a few with more edits than are fetched like the other arrays. */
function makeSteps(count: number, seed: number): ChainStep[] {
  const random = new Random(seed);
  const steps: ChainStep[] = [];
  while (steps.length < count) {
    const prompt = random.next() < 0.08;
    const order = random.permutation(blocks);
    const sequences = prompt ? 1 : random.pick([1, 2, 3, 5, 8, 17, 33, 64]);
    const parts = Array.from({ length: sequences }, () => {
      const rows = prompt ? random.integer(2, 150) : 1;
      return { length: random.integer(rows, 192), rows };
    });
    const step = stepOf(prompt ? "prefill" : "decode", parts, order);
    const drawn = steps.at(-1)?.rows ?? 0;
    const ahead = random.next() < 0.7 && drawn > 0;
    const token = () =>
      ahead && random.next() < 0.8 ? -1 - random.integer(0, drawn - 1) : random.integer(0, vocab - 1);
    const edits = random.next() < 0.04 ? 500 : random.integer(0, 4);
    steps.push({
      ...step,
      tokens: Int32Array.from({ length: step.rows }, token),
      logitRows: Int32Array.from({ length: step.rows }, (_, i) => i),
      samples: Array.from({ length: step.rows }, () => sampleOf(random, edits)),
    });
  }
  return steps;
}

/** What a step's rows draw, and the tokens that they are of. */
interface Expected {
  tokens: number[];
  drawn: { token: number; status: string }[];
}

function expectedOf(steps: ChainStep[], table: MadeUpMatrix): Expected[] {
  const all: Expected[] = [];
  for (const { tokens, samples } of steps) {
    const before = all.at(-1)?.drawn;
    const resolved = Array.from(tokens, (token) => (token >= 0 ? token : Math.max(before![-1 - token].token, 0)));
    const drawn = resolved.map((token, i) => {
      const { edits = [], mask = null } = samples[i];
      const complete = edits.map((e): ReferenceEdit => ({ seen: false, count: 0, bias: 0, ...e }));
      return sampleReference(table.row(token), referenceRow(samples[i]), complete, mask);
    });
    all.push({ tokens: resolved, drawn });
  }
  return all;
}

/** All planes of a pool after the steps: K and V of the token that came last to each place, else poison. */
function expectedCache(steps: ChainStep[], expected: Expected[], table: MadeUpMatrix): Float32Array[] {
  const planes = Array.from({ length: 2 * blocks }, () =>
    new Float32Array(kvHeads * KV_BLOCK * headDim).fill(Number.NaN),
  );
  for (const [n, { sequences }] of steps.entries()) {
    for (const { blocks: own, length, firstRow, rows } of sequences) {
      for (let r = 0; r < rows; r++) {
        const slot = length - rows + r;
        const row = table.row(expected[n].tokens[firstRow + r]);
        for (const v of [0, 1]) {
          const plane = planes[2 * own[Math.floor(slot / KV_BLOCK)] + v];
          for (let head = 0; head < kvHeads; head++) {
            const from = (heads + v * kvHeads + head) * headDim;
            plane.set(row.subarray(from, from + headDim), (head * KV_BLOCK + (slot % KV_BLOCK)) * headDim);
          }
        }
      }
    }
  }
  return planes;
}

function readCache(backend: TestBackend, kv: number): Float32Array[] {
  return Array.from({ length: 2 * blocks }, (_, i) => backend.readKv(kv, 0, i % 2 ? "v" : "k", i >> 1));
}

const flat = (results: TestSampleResult[][]) => results.map((step) => step.map((r) => ({ ...r })));

describe.each(variants().filter((v) => v.chosen))("steps on $label", ({ options, precision }) => {
  const steps = makeSteps(200, 5);
  const table = new MadeUpMatrix({ rows: vocab, cols: vocab, dtype: "F32", seed: 9, scale: 8 }, precision);
  let backend: TestBackend;
  let handle: number;
  let expected: Expected[];

  beforeAll(() => {
    backend = new (testAddon().TestBackend)(options);
    handle = table.load(backend);
    expected = expectedOf(steps, table);
  });
  afterAll(() => backend.dispose());

  const shape = { layers: 1, kvHeads, headDim, blocks };
  /** Positions are rotated by `angle` for each step of them; 0 leaves K as it is. */
  function run(inFlight: number, runs: number, aborted: boolean, angle = 0) {
    const kv = precision === "f32" ? backend.createKv(shape) : undefined;
    const invFreq = new Float32Array(headDim / 2).fill(angle);
    const results = backend.runSteps(steps, { table: handle, inFlight, runs, aborted, kv, heads, invFreq });
    const cache = kv === undefined ? [] : readCache(backend, kv);
    if (kv !== undefined) backend.freeKv(kv);
    return { results, cache };
  }

  it("asks for something: tokens of the step before, and every outcome that is not an error", () => {
    expect(steps.filter(({ tokens }) => tokens.some((t) => t < 0)).length).toBeGreaterThan(100);
    expect(new Set(expected.flatMap(({ drawn }) => drawn.map((d) => d.token))).size).toBeGreaterThan(vocab / 2);
    expect(steps.filter(({ rows, samples }) => rows === 64 && samples[0].edits!.length === 500).length).toBeGreaterThan(
      0,
    );
  });

  it.each([
    { inFlight: 1, runs: 1, aborted: false },
    { inFlight: 2, runs: 1, aborted: false },
    { inFlight: 2, runs: 3, aborted: false },
    { inFlight: 1, runs: 1, aborted: true },
    { inFlight: 2, runs: 1, aborted: true },
  ])("$inFlight in flight, run $runs times, another begun and given up before: $aborted", (how) => {
    const { results, cache } = run(how.inFlight, how.runs, how.aborted);
    for (const [n, { drawn }] of expected.entries()) {
      expect(
        results[n].map(({ token, status }) => ({ token, status })),
        `step ${n}`,
      ).toEqual(drawn);
    }
    if (cache.length === 0) return;
    for (const [i, plane] of expectedCache(steps, expected, table).entries()) {
      expectSame(cache[i], plane, `${i % 2 ? "V" : "K"} of block ${i >> 1}`);
    }
  });

  // Positions tell only where K is rotated; sines and log-probabilities are the backend's own.
  it("one at a time and two in flight give the same bits", () => {
    const one = run(1, 1, false, 0.37);
    const two = run(2, 1, false, 0.37);
    expect(flat(two.results)).toEqual(flat(one.results));
    for (const [i, plane] of one.cache.entries()) expectSame(two.cache[i], plane, `plane ${i}`);
  });
});
