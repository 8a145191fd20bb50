/**
 * A norm's input in prefill steps of many rows: sizes for which each width of sm_90's tiles fills a card of 132 SMs
 * (linear_plan.cc), and the same rows in pieces that other tiles and the kernel for few rows compute.
 */
import { afterAll, beforeAll, describe, it } from "vitest";
import { variants } from "../support/backends";
import { KvCache } from "../support/kv-cache";
import { Random } from "../support/random";
import { roundAll } from "../support/rounding";
import { stepOf } from "../support/steps";
import { type OpOutputs, type TestBackend, testAddon } from "../support/test-addon";
import { gains, MadeUpMatrix, pick, residualStream, sampledColumns } from "./made-up-matrix";
import { dot, linear, normed, rotateHead, silu } from "./reference";
import { accumulated, expectClose, expectSameBits, expectWritten, stored } from "./tolerance";

const eps = 1e-6;
const inner = 200;
/** Tokens of the sequence before the step's: its rows begin in the middle of a block. */
const before = 37;

describe.each(variants())("a prefill step's norms on $label", ({ options, precision, family }) => {
  const tiled = family === "sm90" && precision === "bf16";
  const total = tiled ? 2047 : 140;
  const widths = tiled ? [64, 96, 128, 192, 224, 256] : [64];
  const pieces = [
    [0, 64],
    [64, 65],
    [129, 1],
    ...(tiled
      ? [
          [130, 300],
          [430, 17],
          [447, 1600],
        ]
      : [[130, 10]]),
  ];
  /** Both sides of every border between pieces, fragments and tiles. */
  const shown = [0, 7, 8, 63, 64, 65, 127, 128, 129, 139, 447, 1000, 1919, 1920, 2046].filter((row) => row < total);

  let backend: TestBackend;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)(options);
  });
  afterAll(() => backend.dispose());

  describe.each(widths)("tiles of %s columns", (width) => {
    const hidden = 8 * width - 8;
    const first = new MadeUpMatrix({ rows: hidden, cols: inner, dtype: "BF16", seed: width }, precision);
    const firstBias = new Random(width).normals(hidden);
    const x = roundAll(new Random(1).normals(total * inner, 0.5), precision);
    const residual = residualStream(total, hidden, 2);
    const gain = gains(hidden, 3);

    const rowsOf = (from: number, rows: number) => ({
      ...{ gain, eps, firstBias },
      x: x.subarray(from * inner, (from + rows) * inner),
      residual: residual.subarray(from * hidden, (from + rows) * hidden),
    });
    const stepAt = (from: number, rows: number) => stepOf("prefill", [{ length: before + from + rows, rows }]);
    const rowOf = (values: Float32Array, row: number, columns: number) =>
      values.subarray(row * columns, (row + 1) * columns);
    /** Bits of rows of an output. */
    const bitsOf = ({ bits }: { bits: Uint8Array }, from: number, rows: number, of: number) =>
      bits.subarray((bits.length / of) * from, (bits.length / of) * (from + rows));

    /** What the shown rows enter the second product as, and what that is multiplied by; checks the first one. */
    function entering(result: OpOutputs["residual_norm_linear"]) {
      expectWritten(result.residual.values, "residual");
      const columns = sampledColumns(hidden, shown.length);
      const [expected, actual]: number[][] = [[], []];
      for (const row of shown) {
        for (const c of columns) {
          const product = linear(rowOf(x, row, inner), first.row(c));
          expected.push(residual[row * hidden + c] + product + firstBias[c]);
          actual.push(result.residual.values[row * hidden + c]);
        }
      }
      expectClose(actual, expected, accumulated[precision], "residual");
      if (tiled) expectWritten(result.scaled.values, "scaled");
      return shown.map((row) => {
        const stream = rowOf(result.residual.values, row, hidden);
        if (!tiled) return { row, x: normed(stream, gain, eps, precision), root: 1 };
        const product = stream.map((v, i) => Math.fround(v * gain[i]));
        return { row, x: roundAll(product, precision), root: 1 / Math.sqrt(dot(stream, stream) / hidden + eps) };
      });
    }

    it("for a product", () => {
      const n = 8 * width;
      const matrix = new MadeUpMatrix({ rows: n, cols: hidden, dtype: "BF16", seed: 5 }, precision);
      const [handle, weight] = [first.load(backend), matrix.load(backend)];
      const run = (from: number, rows: number) =>
        backend.runOp("residual_norm_linear", stepAt(from, rows), { ...rowsOf(from, rows), first: handle, weight });
      const whole = run(0, total);
      expectWritten(whole.out.values, "out");
      const columns = sampledColumns(n, shown.length);
      const expected = entering(whole).flatMap(({ x, root }) => columns.map((c) => linear(x, matrix.row(c)) * root));
      const actual = shown.flatMap((row) => [...pick(rowOf(whole.out.values, row, n), 1, n, columns)]);
      expectClose(actual, expected, stored[precision], "out");
      for (const [from, rows] of pieces) {
        const piece = run(from, rows);
        for (const name of ["residual", "scaled", "out"] as const) {
          expectSameBits(piece[name].bits, bitsOf(whole[name], from, rows, total), `${name} of ${rows} from ${from}`);
        }
      }
      for (const used of [handle, weight]) backend.freeMatrix(used);
    });

    it("for SwiGLU", () => {
      const n = 4 * width - 4;
      const matrix = new MadeUpMatrix({ rows: 2 * n, cols: hidden, dtype: "BF16", seed: 6, role: "gateUp" }, precision);
      const [handle, weight, bias] = [first.load(backend), matrix.load(backend), new Random(7).normals(2 * n)];
      const run = (from: number, rows: number) =>
        backend.runOp("residual_norm_swiglu", stepAt(from, rows), {
          ...rowsOf(from, rows),
          ...{ first: handle, weight, bias },
        });
      const whole = run(0, total);
      expectWritten(whole.out.values, "out");
      const columns = sampledColumns(n, shown.length);
      const expected = entering(whole).flatMap(({ row, x, root }) =>
        columns.map((c) => {
          const gate = linear(x, matrix.row(c)) * root + bias[c];
          const up = linear(x, matrix.row(n + c)) * root + bias[n + c];
          return (silu(gate) * up) / (whole.outScale?.values[row] ?? 1);
        }),
      );
      const actual = shown.flatMap((row) => [...pick(rowOf(whole.out.values, row, n), 1, n, columns)]);
      expectClose(actual, expected, stored[precision], "out");
      for (const [from, rows] of pieces) {
        expectSameBits(run(from, rows).out.bits, bitsOf(whole.out, from, rows, total), `${rows} from ${from}`);
      }
      for (const used of [handle, weight]) backend.freeMatrix(used);
    });

    it.each([64, 128])("for Q, K and V, heads of %s", (headDim) => {
      const kvHeads = headDim === 64 ? 2 : 1;
      const heads = (8 * width) / headDim - 2 * kvHeads;
      const columns = 8 * width;
      const shape = { heads, kvHeads, headDim };
      const matrix = new MadeUpMatrix({ rows: columns, cols: hidden, dtype: "BF16", seed: 8 }, precision);
      const [handle, weight, bias] = [first.load(backend), matrix.load(backend), new Random(9).normals(columns)];
      const invFreq = Float32Array.from({ length: headDim / 2 }, (_, i) => 1e4 ** ((-2 * i) / headDim));
      const rope = { invFreq, ropeScale: 1.1, eps };

      const run = (from: number, rows: number) => {
        const step = stepAt(from, rows);
        const cache = new KvCache(backend, shape, step.sequences[0].blocks.length);
        const result = backend.runOp("residual_norm_qkv", step, {
          ...rowsOf(from, rows),
          ...shape,
          ...{ first: handle, weight, bias, ...rope, kv: cache.pool, layer: 0 },
        });
        const [k, v] = (["k", "v"] as const).map((plane) => cache.read(0, plane, step.sequences[0].blocks));
        cache.free();
        return { result, q: Array.from({ length: rows }, (_, r) => rowOf(result.qkv.values, r, columns)), k, v };
      };
      const whole = run(0, total);
      for (const [slot, row] of whole.k.entries()) {
        const own = slot >= before && slot < before + total;
        for (const part of [row, whole.v[slot]]) {
          if (own) expectWritten(part, `slot ${slot}`);
          else if (!part.every(Number.isNaN)) throw new Error(`slot ${slot} was written`);
        }
      }
      const [expected, actual]: number[][] = [[], []];
      const all = { ...whole.result, out: whole.result.qkv };
      for (const { row, x, root } of entering(all)) {
        const position = before + row;
        for (const head of new Set([
          0,
          heads - 1,
          heads,
          heads + kvHeads - 1,
          heads + kvHeads,
          columns / headDim - 1,
        ])) {
          const values = Float32Array.from({ length: headDim }, (_, d) => {
            const c = head * headDim + d;
            return linear(x, matrix.row(c)) * root + bias[c];
          });
          const cached = head < heads + kvHeads ? whole.k : whole.v;
          expected.push(...(head < heads + kvHeads ? rotateHead(values, position, rope) : values));
          actual.push(
            ...(head < heads
              ? rowOf(whole.q[row], head, headDim)
              : rowOf(cached[position], (head - heads) % kvHeads, headDim)),
          );
        }
      }
      // Where the product is stored before it is rotated, it is rounded once more.
      expectClose(actual, expected, 1.5 * stored[precision], "q, k and v");
      const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
        new Uint8Array(buffer, byteOffset, byteLength);
      for (const [from, rows] of pieces) {
        const piece = run(from, rows);
        for (let r = 0; r < rows; r++) {
          const what = `row ${r} of ${rows} from ${from}`;
          const [q, slot] = [heads * headDim, before + from + r];
          expectSameBits(bytes(piece.q[r].subarray(0, q)), bytes(whole.q[from + r].subarray(0, q)), `${what}: q`);
          for (const plane of ["k", "v"] as const) {
            expectSameBits(bytes(piece[plane][slot]), bytes(whole[plane][slot]), `${what}: ${plane}`);
          }
        }
      }
      for (const used of [handle, weight]) backend.freeMatrix(used);
    });
  });
});
