import { afterAll, beforeAll, describe, it } from "vitest";
import { variants } from "../support/backends";
import { Random } from "../support/random";
import { roundAll } from "../support/rounding";
import { plainStep } from "../support/steps";
import { type TestBackend, testAddon } from "../support/test-addon";
import { MadeUpMatrix, pick, sampledColumns } from "./made-up-matrix";
import { linear } from "./reference";
import { edgeShapes, type LinearShape, shapesFor, stepsOf } from "./shapes";
import { accumulated, expectClose, expectSameBits, expectSameRuns, expectWritten } from "./tolerance";

describe.each(variants())("linear_residual on $label", ({ options, precision, ...variant }) => {
  let backend: TestBackend;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)(options);
  });
  afterAll(() => backend.dispose());

  function check(shape: LinearShape, { bias, scaled }: { bias: boolean; scaled: boolean }) {
    const { n, k, dtype } = shape;
    const matrix = new MadeUpMatrix({ rows: n, cols: k, dtype, seed: n + k }, precision);
    const weight = matrix.load(backend);
    const biases = bias ? new Random(6).normals(n) : undefined;
    for (const [numericClass, rows] of stepsOf(shape)) {
      const random = new Random(rows);
      const x = roundAll(random.normals(rows * k), precision);
      const residual = random.normals(rows * n);
      const xScale = scaled ? Float32Array.from({ length: rows }, () => 2 ** random.integer(-3, 9)) : undefined;
      const step = plainStep(numericClass, rows);
      const output = backend.runOp("linear_residual", step, { x, xScale, weight, bias: biases, residual }).residual;
      const what = `${shape.name}, ${numericClass}, ${rows} rows`;
      expectWritten(output.values, what);
      const columns = sampledColumns(n, rows);
      const expected: number[] = [];
      for (let r = 0; r < rows; r++) {
        const row = x.subarray(r * k, (r + 1) * k);
        for (const c of columns) {
          expected.push(residual[r * n + c] + linear(row, matrix.row(c)) * (xScale?.[r] ?? 1) + (biases?.[c] ?? 0));
        }
      }
      expectClose(pick(output.values, rows, n, columns), expected, accumulated[precision], what);
    }
    backend.freeMatrix(weight);
  }

  it.each([
    ...shapesFor({ options, precision, ...variant }, "o"),
    ...shapesFor({ options, precision, ...variant }, "down").filter((shape) => !edgeShapes.includes(shape)),
  ])("$name: [$n][$k] of $dtype", (shape) => check(shape, { bias: false, scaled: false }));

  // Row scales come with the fp16 SwiGLU alone.
  const scalings = precision === "fp16" ? [false, true] : [false];
  it.each(scalings.flatMap((scaled) => [true, false].map((bias) => ({ bias, scaled }))))(
    "bias: $bias, row scales: $scaled",
    (terms) => check(edgeShapes[3], terms),
  );

  it.each(["prefill", "decode"] as const)("%s: a row is bit-equal alone and in any company", (numericClass) => {
    // An inner size that GPUs split over several blocks, and few outputs.
    const { n, k } = { n: 200, k: 4808 };
    const weight = new MadeUpMatrix({ rows: n, cols: k, dtype: "BF16", seed: 9 }, precision).load(backend);
    const total = numericClass === "prefill" ? 200 : 64;
    const random = new Random(8);
    const x = random.normals(total * k);
    const residual = random.normals(total * n);
    const run = (from: number, rows: number) =>
      backend.runOp("linear_residual", plainStep(numericClass, rows), {
        x: x.subarray(from * k, (from + rows) * k),
        residual: residual.subarray(from * n, (from + rows) * n),
        weight,
      }).residual.bits;
    const whole = run(0, total);
    for (const [from, rows] of [
      [0, 1],
      [total - 1, 1],
      [5, 2],
      [16, 16],
      [3, 25],
      [7, 40],
      [1, total - 1],
    ]) {
      expectSameBits(run(from, rows), whole.subarray(from * n * 4, (from + rows) * n * 4), `rows ${from} + ${rows}`);
    }
    backend.freeMatrix(weight);
  });

  it("is the same with any number of threads", (context) => {
    if (variant.device === "cuda") return context.skip("threads are the CPU's");
    const { n, k } = { n: 523, k: 1048 };
    const matrix = new MadeUpMatrix({ rows: n, cols: k, dtype: "BF16", seed: 9 }, precision);
    const random = new Random(2);
    const [x, residual] = [random.normals(33 * k), random.normals(33 * n)];
    const runs = [1, 2, 3, 5].map((threads) => {
      const other = new (testAddon().TestBackend)({ ...options, threads });
      const weight = matrix.load(other);
      const bits = (["prefill", "decode"] as const).map(
        (numericClass) =>
          other.runOp("linear_residual", plainStep(numericClass, 33), { x, residual, weight }).residual.bits,
      );
      other.dispose();
      return bits;
    });
    expectSameRuns(runs, "threads");
  });
});
