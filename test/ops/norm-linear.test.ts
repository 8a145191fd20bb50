import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { variants } from "../support/backends";
import { Random } from "../support/random";
import { encode } from "../support/rounding";
import { plainStep } from "../support/steps";
import { type TestBackend, testAddon } from "../support/test-addon";
import { gains, MadeUpMatrix, pick, residualStream, sampledColumns } from "./made-up-matrix";
import { linear, normed } from "./reference";
import { edgeShapes, type LinearShape, shapesFor, stepsOf } from "./shapes";
import { expectClose, expectSameBits, expectSameRuns, expectWritten, stored } from "./tolerance";

const eps = 1e-6;

describe.each(variants())("norm_linear on $label", ({ options, precision, ...variant }) => {
  let backend: TestBackend;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)(options);
  });
  afterAll(() => backend.dispose());

  function check(shape: LinearShape, bias: Float32Array | undefined) {
    const { n, k, dtype } = shape;
    const matrix = new MadeUpMatrix({ rows: n, cols: k, dtype, seed: n + k }, precision);
    const weight = matrix.load(backend);
    const gain = gains(k, 2);
    for (const [numericClass, rows] of stepsOf(shape)) {
      const residual = residualStream(rows, k, rows);
      const { out } = backend.runOp("norm_linear", plainStep(numericClass, rows), {
        residual,
        gain,
        eps,
        weight,
        bias,
      });
      const what = `${shape.name}, ${numericClass}, ${rows} rows`;
      expectWritten(out.values, what);
      const columns = sampledColumns(n, rows);
      const expected: number[] = [];
      for (let r = 0; r < rows; r++) {
        const x = normed(residual.subarray(r * k, (r + 1) * k), gain, eps, precision);
        for (const c of columns) expected.push(linear(x, matrix.row(c), bias?.[c]));
      }
      expectClose(pick(out.values, rows, n, columns), expected, stored[precision], what);
    }
    backend.freeMatrix(weight);
  }

  it.each(shapesFor({ options, precision, ...variant }, "qkv"))("$name: [$n][$k] of $dtype", (shape) => {
    check(shape, new Random(5).normals(shape.n));
  });

  it("without a bias", () => check(edgeShapes[1], undefined));

  it("concatenates the parts of a weight", () => {
    const [k, sizes] = [72, [64, 8, 9]];
    const random = new Random(3);
    const values = sizes.map((rows) => random.normals(rows * k, 0.1));
    const part = (rows: number, i: number) => ({
      dtype: "BF16" as const,
      rows,
      cols: k,
      data: encode(values[i], "BF16"),
    });
    const joined = Float32Array.from(values.flatMap((v) => [...v]));
    const whole = { dtype: "BF16" as const, rows: 81, cols: k, data: encode(joined, "BF16") };
    const params = { residual: residualStream(5, k, 1), gain: gains(k, 2), eps };
    const results = [sizes.map(part), [whole]].map((parts) =>
      backend.runOp("norm_linear", plainStep("prefill", 5), { ...params, weight: backend.loadMatrix({ parts }) }),
    );
    expectSameBits(results[0].out.bits, results[1].out.bits, "parts against one tensor");
  });

  it.each(["prefill", "decode"] as const)("%s: a row is bit-equal alone and in any company", (numericClass) => {
    const { n, k } = { n: 257, k: 584 };
    const matrix = new MadeUpMatrix({ rows: n, cols: k, dtype: "BF16", seed: 9 }, precision);
    const weight = matrix.load(backend);
    const gain = gains(k, 2);
    const total = numericClass === "prefill" ? 300 : 64;
    const residual = residualStream(total, k, 4);
    const run = (from: number, rows: number) =>
      backend.runOp("norm_linear", plainStep(numericClass, rows), {
        residual: residual.subarray(from * k, (from + rows) * k),
        gain,
        eps,
        weight,
      }).out.bits;
    const whole = run(0, total);
    const rowBytes = whole.length / total;
    for (const [from, rows] of [
      [0, 1],
      [17, 1],
      [total - 1, 1],
      [1, 2],
      [3, 8],
      [20, 33],
      [0, total - 1],
    ]) {
      expectSameBits(
        run(from, rows),
        whole.subarray(from * rowBytes, (from + rows) * rowBytes),
        `rows ${from} + ${rows}`,
      );
    }
    backend.freeMatrix(weight);
  });

  it("is the same with any number of threads", (context) => {
    if (variant.device === "cuda") return context.skip("threads are the CPU's");
    const { n, k } = { n: 1031, k: 200 };
    const matrix = new MadeUpMatrix({ rows: n, cols: k, dtype: "BF16", seed: 9 }, precision);
    const runs = [1, 2, 3, 5].flatMap((threads) => {
      const other = new (testAddon().TestBackend)({ ...options, threads });
      const params = { residual: residualStream(64, k, 1), gain: gains(k, 2), eps, weight: matrix.load(other) };
      const bits = (["prefill", "decode"] as const).map(
        (numericClass) => other.runOp("norm_linear", plainStep(numericClass, 64), params).out.bits,
      );
      other.dispose();
      return [bits];
    });
    expectSameRuns(runs, "threads");
  });

  it("keeps a row of zeros finite", () => {
    const matrix = new MadeUpMatrix({ rows: 24, cols: 64, dtype: "BF16", seed: 1 }, precision);
    const weight = matrix.load(backend);
    const bias = new Random(1).normals(24);
    const params = { residual: new Float32Array(64), gain: gains(64, 1), eps, weight, bias };
    const { out } = backend.runOp("norm_linear", plainStep("decode", 1), params);
    expectClose(out.values, bias, stored[precision], "bias alone");
    expect(out.values.every(Number.isFinite)).toBe(true);
  });
});
