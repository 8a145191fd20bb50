import { afterAll, beforeAll, describe, it } from "vitest";
import { variants } from "../support/backends";
import { stepOf } from "../support/steps";
import { type TestBackend, type TestStep, testAddon } from "../support/test-addon";
import { gains, MadeUpMatrix, pick, residualStream, sampledColumns } from "./made-up-matrix";
import { linear, normed } from "./reference";
import { shapesFor } from "./shapes";
import { expectClose, expectSameBits, expectWritten, rounded } from "./tolerance";

const eps = 1e-6;

/** A prefill step of one sequence, logits wanted of the given rows. */
function step(rows: number, logitRows: number[]): TestStep {
  return { ...stepOf("prefill", [{ length: rows, rows }]), logitRows: Int32Array.from(logitRows) };
}

describe.each(variants())("head on $label", ({ options, precision, ...variant }) => {
  let backend: TestBackend;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)(options);
  });
  afterAll(() => backend.dispose());

  const cases = shapesFor({ options, precision, ...variant }, "head").flatMap((shape) =>
    shape.decode.map((count) => ({ ...shape, count })),
  );

  it.each(cases)("$name: logits of $count rows, [$n][$k] of $dtype", ({ name, n, k, dtype, count }) => {
    const matrix = new MadeUpMatrix({ rows: n, cols: k, dtype, seed: n }, precision);
    const weight = matrix.load(backend);
    const gain = gains(k, 1);
    const rows = 2 * count + 1;
    const wanted = Array.from({ length: count }, (_, i) => 2 * i + (i % 2));
    const residual = residualStream(rows, k, count);
    const params = { residual, gain, eps, weight, first: 0, count };
    const { logits } = backend.runOp("head", step(rows, wanted), params);
    expectWritten(logits.values, name);
    const columns = sampledColumns(n, count);
    const expected = wanted.flatMap((row) => {
      const x = normed(residual.subarray(row * k, (row + 1) * k), gain, eps, precision);
      return columns.map((c) => linear(x, matrix.row(c)));
    });
    expectClose(pick(logits.values, count, n, columns), expected, rounded[precision], name);
    backend.freeMatrix(weight);
  });

  it("computes a row bit-equally in every chunk, class and company", () => {
    const [n, k, rows] = [523, 584, 100];
    const weight = new MadeUpMatrix({ rows: n, cols: k, dtype: "BF16", seed: 2 }, precision).load(backend);
    const gain = gains(k, 1);
    const residual = residualStream(rows, k, 3);
    const all = Array.from({ length: rows }, (_, i) => i);
    const run = (s: TestStep, from: Float32Array, first: number, count: number) =>
      backend.runOp("head", s, { residual: from, gain, eps, weight, first, count }).logits.bits;
    const chunks = [run(step(rows, all), residual, 0, 64), run(step(rows, all), residual, 64, 36)];
    const whole = Buffer.concat(chunks);
    const row = (r: number) => whole.subarray(r * n * 4, (r + 1) * n * 4);
    for (const r of [0, 1, 63, 64, 99]) expectSameBits(run(step(rows, [r]), residual, 0, 1), row(r), `row ${r} alone`);
    expectSameBits(run(step(rows, all), residual, 90, 3), whole.subarray(90 * n * 4, 93 * n * 4), "rows 90 to 92");
    const decode = {
      ...stepOf("decode", Array(9).fill({ length: 1, rows: 1 })),
      logitRows: Int32Array.from([2, 7]),
    };
    const part = residual.subarray(10 * k, 19 * k);
    expectSameBits(run(decode, part, 0, 2), Buffer.concat([row(12), row(17)]), "in a decode step");
    backend.freeMatrix(weight);
  });
});
