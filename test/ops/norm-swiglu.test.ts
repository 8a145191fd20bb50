import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { variants } from "../support/backends";
import { Random } from "../support/random";
import { plainStep } from "../support/steps";
import { type OpOutputs, type TestBackend, testAddon } from "../support/test-addon";
import { gains, MadeUpMatrix, pick, residualStream, sampledColumns } from "./made-up-matrix";
import { normed, swiglu } from "./reference";
import { type LinearShape, shapesFor, stepsOf } from "./shapes";
import { expectClose, expectSameBits, expectSameRuns, expectWritten, stored } from "./tolerance";

const eps = 1e-5;

/** The values that the row scales of fp16 stand for. */
function unscaled({ out, outScale }: OpOutputs["norm_swiglu"], rows: number): Float32Array {
  if (!outScale) return out.values;
  for (const scale of outScale.values) expect(Math.log2(scale) % 1, "row scales are powers of two").toBe(0);
  const width = out.values.length / rows;
  return out.values.map((v, i) => v * outScale.values[Math.floor(i / width)]);
}

describe.each(variants())("norm_swiglu on $label", ({ options, precision, ...variant }) => {
  let backend: TestBackend;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)(options);
  });
  afterAll(() => backend.dispose());

  function check(shape: LinearShape, { scale, biasScale }: { scale?: number; biasScale: number }) {
    const { k, dtype } = shape;
    const inner = Math.ceil(shape.n / 2);
    const matrix = new MadeUpMatrix(
      { rows: 2 * inner, cols: k, dtype, seed: inner + k, role: "gateUp", scale },
      precision,
    );
    const weight = matrix.load(backend);
    const gain = gains(k, 2);
    const bias = biasScale > 0 ? new Random(7).normals(2 * inner, biasScale) : undefined;
    for (const [numericClass, rows] of stepsOf(shape)) {
      const residual = residualStream(rows, k, rows);
      const result = backend.runOp("norm_swiglu", plainStep(numericClass, rows), { residual, gain, eps, weight, bias });
      const what = `${shape.name}, ${numericClass}, ${rows} rows`;
      const values = unscaled(result, rows);
      expectWritten(values, what);
      const columns = sampledColumns(inner, rows);
      const expected: number[] = [];
      for (let r = 0; r < rows; r++) {
        const x = normed(residual.subarray(r * k, (r + 1) * k), gain, eps, precision);
        for (const c of columns) {
          expected.push(swiglu(x, matrix.row(c), matrix.row(inner + c), bias?.[c] ?? 0, bias?.[inner + c] ?? 0));
        }
      }
      expectClose(pick(values, rows, inner, columns), expected, stored[precision], what);
    }
    backend.freeMatrix(weight);
  }

  it.each(shapesFor({ options, precision, ...variant }, "gateUp"))("$name: [$n][$k] of $dtype", (shape) => {
    check(shape, { biasScale: 0 });
  });

  const small: LinearShape = {
    name: "inner size 137",
    n: 274,
    k: 200,
    dtype: "BF16",
    prefill: [1, 66],
    decode: [1, 9],
  };
  it("with biases", () => check(small, { biasScale: 1 }));

  // Gates far out on both sides, where exp overflows or vanishes, and products beyond the range of fp16 (row scales).
  it("with gates of several hundred", () => check(small, { biasScale: 300 }));
  it("with products beyond 65504", () => check(small, { scale: 40, biasScale: 0 }));

  it.each(["prefill", "decode"] as const)("%s: a row is bit-equal alone and in any company", (numericClass) => {
    const { inner, k } = { inner: 137, k: 584 };
    const shape = { rows: 2 * inner, cols: k, dtype: "BF16" as const, seed: 3, role: "gateUp" as const };
    const weight = new MadeUpMatrix(shape, precision).load(backend);
    const gain = gains(k, 2);
    const total = numericClass === "prefill" ? 300 : 64;
    const residual = residualStream(total, k, 4);
    const run = (from: number, rows: number) => {
      const part = residual.subarray(from * k, (from + rows) * k);
      const result = backend.runOp("norm_swiglu", plainStep(numericClass, rows), { residual: part, gain, eps, weight });
      return [result.out.bits, result.outScale?.bits ?? new Uint8Array(0)];
    };
    const whole = run(0, total);
    for (const [from, rows] of [
      [0, 1],
      [total - 1, 1],
      [3, 2],
      [20, 33],
      [0, total - 1],
    ]) {
      run(from, rows).forEach((bits, i) => {
        const rowBytes = whole[i].length / total;
        const same = whole[i].subarray(from * rowBytes, (from + rows) * rowBytes);
        expectSameBits(bits, same, `rows ${from} + ${rows}`);
      });
    }
    backend.freeMatrix(weight);
  });

  it("is the same with any number of threads", (context) => {
    if (variant.device === "cuda") return context.skip("threads are the CPU's");
    const shape = { rows: 602, cols: 200, dtype: "BF16" as const, seed: 3, role: "gateUp" as const };
    const matrix = new MadeUpMatrix(shape, precision);
    const params = { residual: residualStream(40, 200, 1), gain: gains(200, 2), eps };
    const runs = [1, 2, 3, 5].map((threads) => {
      const other = new (testAddon().TestBackend)({ ...options, threads });
      const weight = matrix.load(other);
      const bits = (["prefill", "decode"] as const).map(
        (numericClass) => other.runOp("norm_swiglu", plainStep(numericClass, 40), { ...params, weight }).out.bits,
      );
      other.dispose();
      return bits;
    });
    expectSameRuns(runs, "threads");
  });
});
