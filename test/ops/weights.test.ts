import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { variants } from "../support/backends";
import { Random } from "../support/random";
import { encode, precisionOf, roundAll } from "../support/rounding";
import { plainStep } from "../support/steps";
import { type TestBackend, type TestWeight, testAddon } from "../support/test-addon";
import { MadeUpMatrix } from "./made-up-matrix";
import { expectSame } from "./tolerance";

/** The error's code; fails when nothing is thrown. */
function failure(body: () => unknown): { code: string; message: string } {
  try {
    body();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
  throw new Error("nothing was thrown");
}

describe.each(variants())("loading weights on $label", ({ options, precision }) => {
  let backend: TestBackend;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)(options);
  });
  afterAll(() => backend.dispose());

  /** A matrix as the device holds it: its rows as embeddings. */
  function readBack(weight: TestWeight, rows: number): Float32Array {
    const table = backend.loadMatrix(weight);
    const tokens = Int32Array.from({ length: rows }, (_, i) => i);
    const { values } = backend.runOp("embed", { ...plainStep("prefill", rows), tokens }, { table }).residual;
    backend.freeMatrix(table);
    return values;
  }

  it.each(["F32", "BF16", "F16"] as const)("rounds a stored %s matrix to nearest even", (dtype) => {
    const [rows, cols] = [33, 72];
    const values = new Random(1).normals(rows * cols);
    // Halfway cases of bf16 and fp16, subnormals of fp16, zeros of both signs.
    values.set([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -24, 3 * 2 ** -25, 2 ** -15, 0, -0]);
    const exact = roundAll(values, precisionOf[dtype]);
    const expected = precision === "f32" ? exact : roundAll(exact, precision);
    expectSame(readBack({ parts: [{ dtype, rows, cols, data: encode(values, dtype) }] }, rows), expected, "stored");
  });

  it.each(["F32", "BF16", "F16"] as const)("makes up a %s matrix as it would be read", (dtype) => {
    const [rows, cols] = [65, 136];
    const matrix = new MadeUpMatrix({ rows, cols, dtype, seed: 77, scale: 0.3 }, precision);
    const expected = Float32Array.from(Array.from({ length: rows }, (_, r) => [...matrix.row(r)]).flat());
    expectSame(readBack(matrix.weight, rows), expected, "made up");
    const values = testAddon().randomValues(77, matrix.scale, 0, rows * cols);
    expectSame(readBack({ parts: [{ dtype, rows, cols, data: encode(values, dtype) }] }, rows), expected, "stored");
  });

  it("reads rows of which a stage holds few", () => {
    const [rows, cols] = [5, 150_000];
    const data = testAddon().randomValues(9, 1, 0, rows * cols);
    const expected = precision === "f32" ? data : roundAll(data, precision);
    expectSame(readBack({ parts: [{ dtype: "F32", rows, cols, data }] }, rows), expected, "stored");
  });

  it("refuses a value that the precision cannot hold, naming the tensor", (context) => {
    if (precision === "f32") return context.skip("f32 holds every stored value");
    const values = new Float32Array(8 * 16).fill(1);
    values[77] = precision === "fp16" ? 70000 : 3.4e38;
    const part = { name: "model.layers.3.mlp.up_proj.weight", dtype: "F32" as const, rows: 8, cols: 16, data: values };
    const { code, message } = failure(() => backend.loadMatrix({ name: "layers.3.gate_up", parts: [part] }));
    expect(code).toBe("E_UNSUPPORTED");
    expect(message).toContain("model.layers.3.mlp.up_proj.weight");
  });

  it.each(["F32", "BF16", "F16"] as const)("reads a %s vector as float32, of several parts", (dtype) => {
    const random = new Random(2);
    const values = [random.normals(64), random.normals(9)];
    const parts = values.map((v) => ({ dtype, rows: v.length, cols: 1, data: encode(v, dtype) }));
    expectSame(backend.loadVector({ parts }), roundAll([...values[0], ...values[1]], precisionOf[dtype]), "vector");
  });

  it.each([
    [1, 8],
    [257, 136],
    [4608, 3584],
  ])("foretells the bytes of [%i][%i]", (rows, cols) => {
    for (const dtype of ["F32", "BF16", "F16"] as const) {
      const handle = new MadeUpMatrix({ rows, cols, dtype, seed: 1 }, precision).load(backend);
      const [foretold, taken] = backend.matrixBytes(rows, cols, dtype, handle);
      expect(taken, dtype).toBe(foretold);
      expect(foretold).toBeGreaterThanOrEqual(rows * cols * (precision === "f32" && dtype === "F32" ? 4 : 2));
      backend.freeMatrix(handle);
    }
  });
});
