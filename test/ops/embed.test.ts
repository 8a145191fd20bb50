import { afterAll, beforeAll, describe, it } from "vitest";
import { variants } from "../support/backends";
import { plainStep } from "../support/steps";
import { type TestBackend, testAddon } from "../support/test-addon";
import { MadeUpMatrix } from "./made-up-matrix";
import { expectSame } from "./tolerance";

describe.each(variants())("embed on $label", ({ options, precision }) => {
  let backend: TestBackend;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)(options);
  });
  afterAll(() => backend.dispose());

  it.each([
    { vocab: 1, hidden: 8, dtype: "BF16" as const },
    { vocab: 523, hidden: 136, dtype: "F32" as const },
    { vocab: 523, hidden: 584, dtype: "F16" as const },
    { vocab: 3001, hidden: 1536, dtype: "BF16" as const },
  ])("copies rows of [$vocab][$hidden] $dtype exactly", ({ vocab, hidden, dtype }) => {
    const matrix = new MadeUpMatrix({ rows: vocab, cols: hidden, dtype, seed: 4, scale: 1 }, precision);
    const table = matrix.load(backend);
    for (const [numericClass, rows] of [
      ["prefill", 1],
      ["prefill", 67],
      ["decode", 1],
      ["decode", 5],
      ["decode", 64],
    ] as const) {
      // The first, the last, repeats and everything between.
      const tokens = Int32Array.from({ length: rows }, (_, i) =>
        i === 0 ? vocab - 1 : i === 1 ? 0 : (i * 7919) % vocab,
      );
      const { residual } = backend.runOp("embed", { ...plainStep(numericClass, rows), tokens }, { table });
      const expected = Float32Array.from([...tokens].flatMap((token) => [...matrix.row(token)]));
      expectSame(residual.values, expected, `${numericClass}, ${rows} rows`);
    }
    backend.freeMatrix(table);
  });
});
