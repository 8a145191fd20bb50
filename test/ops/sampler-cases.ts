/** Random rows for the samplers: every option in every combination, and logits chosen to be hard to order. */
import { allowMask, type ReferenceEdit, type ReferenceRow } from "../../lib/sampling/reference";
import { Random } from "../support/random";
import type { TestSample } from "../support/test-addon";

export interface SamplerCase {
  logits: Float32Array;
  sample: TestSample;
  edits: ReferenceEdit[];
  mask: Uint32Array | null;
}

/** A plan as the reference takes it. */
export function referenceRow(sample: TestSample): ReferenceRow {
  const { temperature, repetition = 1, presence = 0, frequency = 0, topK = 0, topP = 1, minP = 0 } = sample;
  const { seed = 0, position = 0, choice = 0 } = sample;
  return {
    temperature,
    repetition,
    presence,
    frequency,
    topK,
    topP: Math.floor(2 ** 32 * topP),
    minP: Math.floor(2 ** 32 * minP),
    seed,
    position,
    choice,
  };
}

/** Rows of one vocabulary that share a step. */
export interface SamplerBatch {
  vocab: number;
  cases: SamplerCase[];
}

/** [vocabulary, rows per step, steps]: 10 000 rows, most of them small, four real vocabularies among them. */
const sizes: [number, number, number][] = [
  [1, 50, 2],
  [2, 100, 4],
  [3, 100, 4],
  [5, 150, 4],
  [31, 150, 6],
  [32, 64, 10],
  [33, 150, 8],
  [100, 64, 20],
  [257, 150, 16],
  [523, 64, 16],
  [1031, 130, 8],
  [4099, 64, 5],
  [49152, 20, 2],
  [128257, 8, 1],
  [129280, 8, 1],
  [151936, 12, 1],
  [152064, 12, 1],
];

/** Logits of one row; the last three kinds make the row fail. */
const kinds: { share: number; make: (random: Random, vocab: number) => Float32Array }[] = [
  { share: 30, make: (random, vocab) => random.normals(vocab, 3) },
  { share: 10, make: (random, vocab) => random.normals(vocab, 40) },
  { share: 10, make: (random, vocab) => random.normals(vocab, 0.01, 5) },
  // Many ties.
  { share: 15, make: (random, vocab) => random.normals(vocab, 2).map(Math.round) },
  { share: 5, make: (_, vocab) => new Float32Array(vocab).fill(1.5) },
  { share: 10, make: (random, vocab) => random.normals(vocab, 2).map((z) => (random.next() < 0.7 ? -Infinity : z)) },
  // The range of float32: divisions by a small temperature overflow, differences underflow.
  { share: 3, make: (random, vocab) => random.normals(vocab).map((z) => z * 1e37) },
  { share: 2, make: (random, vocab) => random.normals(vocab).map((z) => z * 1e-40) },
  { share: 3, make: (_, vocab) => new Float32Array(vocab).fill(-Infinity) },
  { share: 3, make: (random, vocab) => random.normals(vocab).fill(Number.NaN, vocab >> 1, (vocab >> 1) + 1) },
  { share: 3, make: (random, vocab) => random.normals(vocab).fill(Infinity, vocab - 1) },
];

function logitsOf(random: Random, vocab: number): Float32Array {
  const total = kinds.reduce((sum, kind) => sum + kind.share, 0);
  let at = random.next() * total;
  for (const { share, make } of kinds) {
    at -= share;
    if (at < 0) return make(random, vocab);
  }
  return kinds[0].make(random, vocab);
}

function editsOf(random: Random, vocab: number): ReferenceEdit[] {
  const tokens = new Set<number>();
  const wanted = Math.min(vocab, random.pick([1, 3, 40, 300]));
  for (let i = 0; i < wanted; i++) tokens.add(random.integer(0, vocab - 1));
  return [...tokens].map((token) => ({
    token,
    seen: random.next() < 0.6,
    count: random.next() < 0.5 ? 0 : random.integer(1, 50),
    bias: Math.fround(random.pick([0, 0, -Infinity, 100, -100, random.normal()])),
  }));
}

function maskOf(random: Random, vocab: number): Uint32Array {
  const share = random.pick([0, 0.01, 0.5, 0.99]);
  const ids: number[] = [];
  for (let id = 0; id < vocab; id++) if (random.next() < share) ids.push(id);
  if (share > 0 && random.next() < 0.5) ids.push(random.integer(0, vocab - 1));
  return allowMask(ids, vocab);
}

function caseOf(random: Random, vocab: number): SamplerCase {
  const off = (share: number) => random.next() < share;
  const edits = off(0.5) ? [] : editsOf(random, vocab);
  const mask = off(0.8) ? null : maskOf(random, vocab);
  const sample: TestSample = {
    temperature: Math.fround(off(0.25) ? 0 : random.pick([0.001, 0.01, 0.3, 0.6, 0.7, 1, 1.3, 2, 1000])),
    repetition: Math.fround(off(0.5) ? 1 : random.pick([0.5, 1.1, 1.3, 2])),
    presence: Math.fround(off(0.5) ? 0 : random.pick([-2, -0.5, 0.3, 1.7])),
    frequency: Math.fround(off(0.5) ? 0 : random.pick([-1, 0.1, 0.7, 2])),
    topK: off(0.5) ? 0 : random.pick([1, 2, 5, 20, 50, 1000, vocab, vocab + 7]),
    topP: off(0.4) ? 1 : random.pick([0, 1e-9, 0.1, 0.5, 0.9, 0.95, 0.999999]),
    minP: off(0.6) ? 0 : random.pick([1e-9, 0.02, 0.1, 0.5, 1]),
    seed: Math.floor(random.next() * Number.MAX_SAFE_INTEGER),
    position: random.integer(0, 2 ** 31 - 1),
    choice: random.pick([0, 0, 1, 7]),
    topLogprobs: off(0.6) ? -1 : random.pick([0, 1, 5, 20]),
    edits,
    mask,
  };
  return { logits: logitsOf(random, vocab), sample, edits, mask };
}

/** Deterministic; 10 000 rows in all but for the scale of `sizes`, which a test counts. */
export function* samplerBatches(): Generator<SamplerBatch> {
  const random = new Random(20240607);
  for (const [vocab, rows, steps] of sizes) {
    for (let s = 0; s < steps; s++) {
      yield { vocab, cases: Array.from({ length: rows }, () => caseOf(random, vocab)) };
    }
  }
}

/** Equal logits, where every border falls exactly on a token: shares of powers of two, weights of exactly minP, ties at k. */
export function* borderBatches(): Generator<SamplerBatch> {
  const random = new Random(7);
  for (const vocab of [2, 4, 8, 64, 256, 1024]) {
    const cases = Array.from({ length: 60 }, (_, i): SamplerCase => {
      const sample: TestSample = {
        temperature: 1,
        topP: [0.25, 0.5, 0.75][i % 3],
        topK: [0, 0, vocab >> 1][Math.floor(i / 3) % 3],
        minP: i % 2,
        seed: random.integer(0, 2 ** 31),
        position: i,
      };
      return { logits: new Float32Array(vocab).fill(random.integer(-3, 3)), sample, edits: [], mask: null };
    });
    yield { vocab, cases };
  }
}
