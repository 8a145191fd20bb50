import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { variants } from "../support/backends";
import { type HeadShape, KvCache } from "../support/kv-cache";
import { Random } from "../support/random";
import { roundAll } from "../support/rounding";
import { KV_BLOCK, stepOf } from "../support/steps";
import { type TestBackend, type TestStep, testAddon } from "../support/test-addon";
import { gains } from "./made-up-matrix";
import { rotateHead } from "./reference";
import { expectClose, expectSame, expectSameBits, stored } from "./tolerance";

interface Case extends HeadShape {
  name: string;
  norms: boolean;
  ropeScale: number;
  theta: number;
}

const cases: Case[] = [
  { name: "1.5B", heads: 12, kvHeads: 2, headDim: 128, norms: false, ropeScale: 1, theta: 1e4 },
  { name: "MHA", heads: 3, kvHeads: 3, headDim: 64, norms: false, ropeScale: 1, theta: 5e5 },
  {
    name: "MQA with q/k norms and YaRN's factor",
    heads: 4,
    kvHeads: 1,
    headDim: 64,
    norms: true,
    ropeScale: 1.1386,
    theta: 1e6,
  },
  { name: "8B with q/k norms", heads: 32, kvHeads: 8, headDim: 128, norms: true, ropeScale: 1, theta: 1e6 },
];

const eps = 1e-6;
const frequencies = (headDim: number, theta: number) =>
  Float32Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));

/** Steps with shuffled blocks: [what, step]. */
function steps(): [string, TestStep][] {
  const order = new Random(1).permutation(16);
  const part = (length: number, rows: number) => ({ length, rows });
  const decode = stepOf("decode", [part(1, 1), part(64, 1), part(65, 3), part(200, 2)], order);
  const far = Int32Array.from({ length: 7 }, (_, i) => [0, 131071, 100003, 5, 131070, 64, 32768][i]);
  return [
    ["a prompt from its start", stepOf("prefill", [part(70, 70)], order)],
    ["two chunks inside their prompts", stepOf("prefill", [part(130, 65), part(67, 3)], order)],
    ["decode rows of several sequences", decode],
    ["positions far from the slots", { ...decode, positions: far }],
  ];
}

describe.each(variants())("rope_append on $label", ({ options, precision }) => {
  let backend: TestBackend;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)(options);
  });
  afterAll(() => backend.dispose());

  describe.each(cases)("$name", ({ heads, kvHeads, headDim, norms, ropeScale, theta }) => {
    const columns = (heads + 2 * kvHeads) * headDim;
    const rope = { invFreq: frequencies(headDim, theta), ropeScale, eps };
    const qNorm = norms ? gains(headDim, 1) : undefined;
    const kNorm = norms ? gains(headDim, 2) : undefined;
    const run = (cache: KvCache, step: TestStep, qkv: Float32Array) =>
      backend.runOp("rope_append", step, {
        qkv,
        heads,
        kvHeads,
        headDim,
        qNorm,
        kNorm,
        ...rope,
        kv: cache.pool,
        layer: 1,
      });

    it.each(steps())("%s", (_, step) => {
      const cache = new KvCache(backend, { heads, kvHeads, headDim }, 16, 3);
      const qkv = roundAll(new Random(step.rows).normals(step.rows * columns), precision);
      const { values } = run(cache, step, qkv).qkv;
      const expected = { q: [] as number[], k: [] as number[], v: [] as number[] };
      const actual = { q: [] as number[], k: [] as number[], v: [] as number[] };
      for (const { blocks, firstRow, rows, length } of step.sequences) {
        const [keys, stored_] = [cache.read(1, "k", blocks), cache.read(1, "v", blocks)];
        const slots = new Set(Array.from({ length: rows }, (_, i) => length - rows + i));
        keys.forEach((row, slot) => {
          if (!slots.has(slot))
            expect(row.every(Number.isNaN) && stored_[slot].every(Number.isNaN), `slot ${slot}`).toBe(true);
        });
        for (let r = firstRow; r < firstRow + rows; r++) {
          const slot = length - rows + r - firstRow;
          const position = step.positions?.[r] ?? slot;
          const head = (h: number) => qkv.subarray(r * columns + h * headDim, r * columns + (h + 1) * headDim);
          for (let h = 0; h < heads; h++) expected.q.push(...rotateHead(head(h), position, rope, qNorm));
          for (let h = 0; h < kvHeads; h++) {
            expected.k.push(...rotateHead(head(heads + h), position, rope, kNorm));
            expected.v.push(...head(heads + kvHeads + h));
          }
          actual.q.push(...values.subarray(r * columns, r * columns + heads * headDim));
          actual.k.push(...keys[slot]);
          actual.v.push(...stored_[slot]);
        }
      }
      expectClose(actual.q, expected.q, stored[precision], "Q");
      expectClose(actual.k, expected.k, stored[precision], "K in the cache");
      expectSame(Float32Array.from(actual.v), expected.v, "V in the cache");
      for (const layer of [0, 2]) {
        for (const { blocks } of step.sequences) {
          for (const plane of ["k", "v"] as const) {
            const untouched = cache.read(layer, plane, blocks).every((row) => row.every(Number.isNaN));
            expect(untouched, `layer ${layer}`).toBe(true);
          }
        }
      }
      cache.free();
    });

    it("is bit-equal for a row alone and in company", () => {
      const order = new Random(2).permutation(16);
      const rows = 2 * KV_BLOCK + 3;
      const qkv = roundAll(new Random(3).normals(rows * columns), precision);
      const [whole, single] = [0, 1].map(() => new KvCache(backend, { heads, kvHeads, headDim }, 16, 3));
      const together = stepOf("prefill", [{ length: rows, rows }], order);
      const { bits } = run(whole, together, qkv).qkv;
      const blocks = together.sequences[0].blocks;
      for (let r = 0; r < rows; r += 13) {
        const alone = stepOf("prefill", [{ length: r + 1, rows: 1, blocks }]);
        const one = run(single, alone, qkv.subarray(r * columns, (r + 1) * columns)).qkv.bits;
        const rowBytes = bits.length / rows;
        // K and V in the row itself are scratch: only Q is an output.
        const qBytes = (one.length / columns) * heads * headDim;
        expectSameBits(one.subarray(0, qBytes), bits.subarray(r * rowBytes, r * rowBytes + qBytes), `Q of row ${r}`);
        for (const plane of ["k", "v"] as const) {
          expectSame(single.read(1, plane, blocks)[r], whole.read(1, plane, blocks)[r], `${plane} of row ${r}`);
        }
      }
      whole.free();
      single.free();
    });
  });
});
