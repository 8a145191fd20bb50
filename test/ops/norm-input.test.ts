/** Pairs of ops: one writes the residual stream and leaves what the next norm needs, the other one starts from that. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { variants } from "../support/backends";
import { type HeadShape, KvCache } from "../support/kv-cache";
import { Random } from "../support/random";
import { roundAll } from "../support/rounding";
import { plainStep, stepOf } from "../support/steps";
import { type OpOutputs, type TestBackend, type TestStep, testAddon } from "../support/test-addon";
import { gains, MadeUpMatrix, pick, residualStream, sampledColumns } from "./made-up-matrix";
import { dot, linear, normed, rotateHead, silu } from "./reference";
import { accumulated, expectClose, expectSame, expectSameBits, expectWritten, stored } from "./tolerance";

const eps = 1e-6;
const squaresColumns = 64;
const decodeRows = 64;

interface Shape extends HeadShape {
  name: string;
  hidden: number;
  /** Inputs of the product that writes the residual stream. */
  inner: number;
  rows: number[];
}

const small: Shape[] = [
  { name: "odd sizes", hidden: 200, inner: 72, heads: 3, kvHeads: 1, headDim: 64, rows: [1, 5, 9, 33, 64] },
  { name: "split over blocks", hidden: 584, inner: 4808, heads: 4, kvHeads: 2, headDim: 128, rows: [2, 17, 40] },
];
const real: Shape[] = [
  { name: "1.5B", hidden: 1536, inner: 8960, heads: 12, kvHeads: 2, headDim: 128, rows: [1, 8, 16, 32, 64] },
  { name: "7B", hidden: 3584, inner: 3584, heads: 28, kvHeads: 4, headDim: 128, rows: [3, 64] },
  { name: "many heads of 64", hidden: 2048, inner: 2048, heads: 32, kvHeads: 8, headDim: 64, rows: [7, 64] },
  { name: "K in one piece", hidden: 1024, inner: 1024, heads: 96, kvHeads: 24, headDim: 128, rows: [1, 64] },
];

describe.each(variants())("a norm's input on $label", ({ options, precision, device, family, chosen }) => {
  let backend: TestBackend;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)(options);
  });
  afterAll(() => backend.dispose());

  const leaves = family === "sm90" && precision === "bf16";
  const shapes = device === "cuda" && chosen ? [...small, ...real] : small;

  /** A row as it enters the product, and what the product is multiplied by. */
  function entering(residual: Float32Array, gain: Float32Array) {
    if (!leaves) return { x: normed(residual, gain, eps, precision), root: 1 };
    const root = 1 / Math.sqrt(dot(residual, residual) / residual.length + eps);
    return {
      x: roundAll(
        residual.map((v, i) => Math.fround(v * gain[i])),
        precision,
      ),
      root,
    };
  }

  /** What was left is the residual's, or nothing was. */
  function checkInput(
    { residual, scaled, squares }: OpOutputs["residual_norm_linear"],
    gain: Float32Array,
    what: string,
  ) {
    if (!leaves) {
      expect(scaled.values.every(Number.isNaN) && squares.values.every(Number.isNaN), what).toBe(true);
      return;
    }
    const hidden = gain.length;
    const product = residual.values.map((v, i) => Math.fround(v * gain[i % hidden]));
    expectSame(scaled.values, roundAll(product, precision), `${what}: scaled`);
    const [expected, found]: number[][] = [[], []];
    const rows = residual.values.length / hidden;
    const parts = rows > decodeRows ? 2 : 1;
    const stride = parts * 4 * Math.ceil(hidden / (4 * squaresColumns));
    for (let row = 0; row < rows; row++) {
      for (let group = 0; group * squaresColumns < hidden; group++) {
        const from = row * hidden + group * squaresColumns;
        const part = residual.values.subarray(from, Math.min((row + 1) * hidden, from + squaresColumns));
        expected.push(dot(part, part));
        // The second of two parts is of 32 columns, and none where there are no such columns.
        const at = row * stride + parts * group;
        const second = parts === 2 && part.length > squaresColumns / 2 ? squares.values[at + 1] : 0;
        found.push(squares.values[at] + second);
      }
    }
    expectClose(found, expected, accumulated.f32, `${what}: squares`);
  }

  const firstOf = ({ hidden, inner }: Shape) =>
    new MadeUpMatrix({ rows: hidden, cols: inner, dtype: "BF16", seed: hidden + inner }, precision).load(backend);
  const inputsOf = ({ hidden, inner }: Shape, rows: number) => ({
    x: new Random(rows).normals(rows * inner, 0.5),
    residual: residualStream(rows, hidden, rows),
    gain: gains(hidden, 2),
    eps,
  });
  const rowOf = (values: Float32Array, row: number, width: number) => values.subarray(row * width, (row + 1) * width);

  describe.each(shapes)("$name", (shape) => {
    const { hidden, heads, kvHeads, headDim } = shape;
    const steps = [
      ...shape.rows.map((rows) => ["decode", rows] as const),
      ...[3, 65, 130].map((rows) => ["prefill", rows] as const),
    ];

    it("of a product, for a product", () => {
      const n = 330;
      const matrix = new MadeUpMatrix({ rows: n, cols: hidden, dtype: "BF16", seed: 5 }, precision);
      const [weight, first, bias] = [matrix.load(backend), firstOf(shape), new Random(5).normals(n)];
      for (const [numericClass, rows] of steps) {
        const inputs = inputsOf(shape, rows);
        const what = `${numericClass}, ${rows} rows`;
        const step = plainStep(numericClass, rows);
        const result = backend.runOp("residual_norm_linear", step, { ...inputs, first, weight, bias });
        checkInput(result, inputs.gain, what);
        expectWritten(result.out.values, what);
        const columns = sampledColumns(n, rows);
        const expected: number[] = [];
        for (let r = 0; r < rows; r++) {
          const { x, root } = entering(rowOf(result.residual.values, r, hidden), inputs.gain);
          for (const c of columns) expected.push(linear(x, matrix.row(c)) * root + bias[c]);
        }
        expectClose(pick(result.out.values, rows, n, columns), expected, stored[precision], what);
      }
      for (const handle of [weight, first]) backend.freeMatrix(handle);
    });

    it("of a product, for SwiGLU", () => {
      const n = 150;
      const matrix = new MadeUpMatrix({ rows: 2 * n, cols: hidden, dtype: "BF16", seed: 6, role: "gateUp" }, precision);
      const [weight, first] = [matrix.load(backend), firstOf(shape)];
      for (const [numericClass, rows] of steps) {
        const inputs = inputsOf(shape, rows);
        const what = `${numericClass}, ${rows} rows`;
        const step = plainStep(numericClass, rows);
        const result = backend.runOp("residual_norm_swiglu", step, { ...inputs, first, weight });
        checkInput(result, inputs.gain, what);
        const expected: number[] = [];
        for (let r = 0; r < rows; r++) {
          const { x, root } = entering(rowOf(result.residual.values, r, hidden), inputs.gain);
          const scale = result.outScale?.values[r] ?? 1;
          for (let c = 0; c < n; c++) {
            expected.push((silu(dot(x, matrix.row(c)) * root) * (dot(x, matrix.row(n + c)) * root)) / scale);
          }
        }
        expectClose(result.out.values, expected, stored[precision], what);
      }
      for (const handle of [weight, first]) backend.freeMatrix(handle);
    });

    const columns = (heads + 2 * kvHeads) * headDim;
    const invFreq = Float32Array.from({ length: headDim / 2 }, (_, i) => 1e4 ** ((-2 * i) / headDim));
    const rope = { invFreq, ropeScale: 1.1, eps };
    /** Rows of several sequences, in shuffled blocks, at positions that are not their slots. */
    const scattered = (numericClass: "prefill" | "decode", rows: number): TestStep => {
      const order = new Random(4).permutation(192);
      const last = Math.min(rows - 1, Math.max(2, rows - 40));
      const parts = Array.from({ length: rows - last }, (_, i) => ({ length: 1 + ((i * 37) % 150), rows: 1 }));
      parts[0] = { length: 63 + last, rows: 1 + last };
      return {
        ...stepOf(numericClass, parts, order),
        positions: Int32Array.from({ length: rows }, (_, i) => 7000 * i),
      };
    };

    it.each([false, true])("of a product, for Q, K and V, with norms of their own: %s", (norms) => {
      const matrix = new MadeUpMatrix({ rows: columns, cols: hidden, dtype: "BF16", seed: 7 }, precision);
      const [weight, first, bias] = [matrix.load(backend), firstOf(shape), new Random(8).normals(columns)];
      const [qNorm, kNorm] = norms ? [gains(headDim, 3), gains(headDim, 4)] : [];
      for (const [numericClass, rows] of steps) {
        const inputs = inputsOf(shape, rows);
        const what = `${numericClass}, ${rows} rows`;
        const step = scattered(numericClass, rows);
        const cache = new KvCache(backend, shape, 192, 2);
        const params = { ...inputs, first, weight, bias, ...rope, heads, kvHeads, headDim, qNorm, kNorm };
        const result = backend.runOp("residual_norm_qkv", step, { ...params, kv: cache.pool, layer: 1 });
        checkInput({ ...result, out: result.qkv }, inputs.gain, what);
        const expected = { q: [] as number[], k: [] as number[], v: [] as number[] };
        const actual = { q: [] as number[], k: [] as number[], v: [] as number[] };
        const shown = [0, heads - 1, heads, heads + kvHeads - 1, heads + kvHeads, heads + 2 * kvHeads - 1];
        for (const { blocks, firstRow, length, rows: own } of step.sequences) {
          const cached = { k: cache.read(1, "k", blocks), v: cache.read(1, "v", blocks) };
          expect(
            cache.read(0, "k", blocks).every((row) => row.every(Number.isNaN)),
            what,
          ).toBe(true);
          for (let r = firstRow; r < firstRow + own; r++) {
            const slot = length - own + r - firstRow;
            const { x, root } = entering(rowOf(result.residual.values, r, hidden), inputs.gain);
            for (const head of shown) {
              const values = Float32Array.from({ length: headDim }, (_, d) => {
                const c = head * headDim + d;
                return linear(x, matrix.row(c)) * root + bias[c];
              });
              const gain = head < heads ? qNorm : kNorm;
              const kv = (head - heads) % kvHeads;
              if (head < heads) {
                expected.q.push(...rotateHead(values, 7000 * r, rope, gain));
                actual.q.push(...rowOf(result.qkv.values, r, columns).subarray(head * headDim, (head + 1) * headDim));
              } else if (head < heads + kvHeads) {
                expected.k.push(...rotateHead(values, 7000 * r, rope, gain));
                actual.k.push(...rowOf(cached.k[slot], kv, headDim));
              } else {
                expected.v.push(...values);
                actual.v.push(...rowOf(cached.v[slot], kv, headDim));
              }
            }
          }
        }
        // Where the product is stored before it is rotated, it is rounded once more.
        for (const part of ["q", "k", "v"] as const) {
          expectClose(actual[part], expected[part], 1.5 * stored[precision], `${what}: ${part}`);
        }
        cache.free();
      }
      for (const handle of [weight, first]) backend.freeMatrix(handle);
    });

    it("is bit-equal for a row alone and in any company", () => {
      const weight = new MadeUpMatrix({ rows: columns, cols: hidden, dtype: "BF16", seed: 7 }, precision).load(backend);
      const first = firstOf(shape);
      const total = 64;
      const inputs = inputsOf(shape, total);
      const run = (from: number, rows: number) => {
        const cache = new KvCache(backend, shape, total);
        const step = plainStep("decode", rows);
        const result = backend.runOp("residual_norm_qkv", step, {
          ...inputs,
          x: inputs.x.subarray(from * shape.inner, (from + rows) * shape.inner),
          residual: inputs.residual.subarray(from * hidden, (from + rows) * hidden),
          ...{ first, weight, ...rope, heads, kvHeads, headDim, kv: cache.pool, layer: 0 },
        });
        const outputs = step.sequences.map(({ blocks }, r) => ({
          residual: result.residual.bits.subarray(r * hidden * 4, (r + 1) * hidden * 4),
          q: rowOf(result.qkv.values, r, columns).subarray(0, heads * headDim),
          k: cache.read(0, "k", blocks)[0],
          v: cache.read(0, "v", blocks)[0],
        }));
        cache.free();
        return outputs;
      };
      const whole = run(0, total);
      for (const [from, rows] of [
        [0, 1],
        [total - 1, 1],
        [5, 2],
        [8, 9],
        [3, 25],
        [1, total - 1],
      ]) {
        for (const [r, output] of run(from, rows).entries()) {
          const what = `row ${r} of rows ${from} + ${rows}`;
          expectSameBits(output.residual, whole[from + r].residual, what);
          for (const part of ["q", "k", "v"] as const) {
            expectSame(output[part], whole[from + r][part], `${what}: ${part}`);
          }
        }
      }
      for (const handle of [weight, first]) backend.freeMatrix(handle);
    });
  });

  it.each([1, 6, 70])("of the embedding, %s rows", (rows) => {
    const [hidden, n, vocab] = [200, 90, 50];
    const table = new MadeUpMatrix({ rows: vocab, cols: hidden, dtype: "BF16", seed: 1 }, precision);
    const matrix = new MadeUpMatrix({ rows: n, cols: hidden, dtype: "BF16", seed: 2 }, precision);
    const [embedding, weight, gain] = [table.load(backend), matrix.load(backend), gains(hidden, 2)];
    const tokens = Int32Array.from({ length: rows }, (_, i) => (i * 17) % vocab);
    for (const numericClass of rows <= decodeRows ? (["decode", "prefill"] as const) : (["prefill"] as const)) {
      const step = { ...plainStep(numericClass, rows), tokens };
      const result = backend.runOp("embed_norm_linear", step, { table: embedding, gain, eps, weight });
      checkInput(result, gain, numericClass);
      const expected: number[] = [];
      for (let r = 0; r < rows; r++) {
        const { x, root } = entering(table.row(tokens[r]), gain);
        for (let c = 0; c < n; c++) expected.push(linear(x, matrix.row(c)) * root);
      }
      expectClose(result.out.values, expected, stored[precision], numericClass);
    }
    for (const handle of [embedding, weight]) backend.freeMatrix(handle);
  });
});
