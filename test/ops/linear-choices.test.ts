/** The table of choices as the CUDA backend uses it: looked up, checked, and without influence on any bit. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linearChoices, noChoices } from "../../lib/linear-choices";
import type { NativeLinearChoices, NativeSplitsChoice, NativeStreamChoice, NativeTileChoice } from "../../lib/native";
import { variants } from "../support/backends";
import { plainStep, stepOf } from "../support/steps";
import { type TestBackend, type TestLinearShape, testAddon } from "../support/test-addon";
import { gains, MadeUpMatrix, residualStream } from "./made-up-matrix";
import { expectSameBits } from "./tolerance";

const sms = 132;
/** Stored rows and K of the linear layers of 1.5B, 7B, 8B, 14B and 32B, heads included; and of K in one piece. */
const r1Shapes = [
  ...[
    [2048, 1536],
    [1536, 1536],
    [17920, 1536],
    [1536, 8960],
    [151936, 1536],
  ],
  ...[
    [4608, 3584],
    [3584, 3584],
    [37888, 3584],
    [3584, 18944],
    [152064, 3584],
  ],
  ...[
    [6144, 4096],
    [4096, 4096],
    [28672, 4096],
    [4096, 14336],
    [128256, 4096],
    [24576, 4096],
    [4096, 12288],
  ],
  ...[
    [7168, 5120],
    [5120, 5120],
    [27648, 5120],
    [5120, 13824],
    [55296, 5120],
    [5120, 27648],
    [152064, 5120],
  ],
  ...[
    [64, 64],
    [200, 72],
  ],
];
const rowCounts = [1, 2, 8, 9, 16, 17, 32, 33, 63, 64];

const plan = (shape: TestLinearShape, choices: Partial<NativeLinearChoices> = {}, family = "sm90", on = sms) =>
  testAddon().linearPlan(shape, family, on, { ...noChoices, ...choices });

const stream: NativeStreamChoice = {
  ...{ numericClass: "decode", sms, storedRows: 17920, k: 1536, tokens: 16, paired: false, tileRows: 64, stages: 3 },
};
const tile: NativeTileChoice = { sms, storedRows: 17920, k: 1536, rows: 512, paired: false, columns: 96, band: 3 };
const splits: NativeSplitsChoice = { family: "sm90", storedRows: 17920, k: 1536, splits: 2 };
const decode = { numericClass: "decode", rows: 12, storedRows: 17920, k: 1536 } as const;
const prefill = { ...decode, numericClass: "prefill", rows: 500 } as const;

describe("a choice", () => {
  it("goes before the rules, in its steps alone", () => {
    const rule = plan(decode);
    expect(rule).toMatchObject({ method: "stream", kernel: "linear_sm90_stream_t16_m64", splits: 1 });
    const table = { stream: [{ ...stream, tileRows: 128 }] };
    const chosen = plan(decode, table);
    expect(chosen).toMatchObject({ kernel: "linear_sm90_stream_t16_m128", tileRows: 128, tileTokens: 16, stages: 3 });
    for (const rows of [9, 16]) expect(plan({ ...decode, rows }, table).stages).toBe(3);
    const others: [TestLinearShape, number][] = [
      ...[8, 17].map((rows): [TestLinearShape, number] => [{ ...decode, rows }, sms]),
      [{ ...decode, numericClass: "prefill" }, sms],
      [{ ...decode, storedRows: 17984 }, sms],
      [{ ...decode, k: 1544 }, sms],
      [{ ...decode, paired: true }, sms],
      [decode, 114],
    ];
    for (const [shape, on] of others) expect(plan(shape, table, "sm90", on)).toEqual(plan(shape, {}, "sm90", on));
  });
  it("of prompt rows is for the last 128 up to its own", () => {
    expect(plan(prefill)).toMatchObject({ method: "tile", band: 16 });
    for (const rows of [385, 500, 512])
      expect(plan({ ...prefill, rows }, { tile: [tile] })).toMatchObject({
        ...{ kernel: "linear_sm90_prefill_n96", tileRows: 96, stages: 7, band: 3 },
      });
    for (const rows of [384, 513])
      expect(plan({ ...prefill, rows }, { tile: [tile] })).toEqual(plan({ ...prefill, rows }));
  });
  it("of splits is for all rows of a shape and every device, with one family's kernels", () => {
    for (const rows of rowCounts)
      for (const on of [66, 114, sms]) {
        expect(plan({ ...decode, rows }, { splits: [splits] }, "sm90", on).splits).toBe(2);
        expect(plan({ ...decode, rows }, { splits: [splits] }, "sm80", on).splits).toBe(1);
      }
    expect(plan(prefill, { splits: [splits] })).toEqual(plan(prefill));
    expect(plan({ ...prefill, rows: 40 }, { splits: [splits] }).splits).toBe(1);
    const sm80: NativeSplitsChoice = { ...splits, family: "sm80", storedRows: 2048 };
    const shape = { ...decode, storedRows: 2048 };
    expect(plan(shape, {}, "sm80").splits).toBe(4);
    expect(plan(shape, { splits: [sm80] }, "sm80").splits).toBe(2);
    // An sm_90 device computes fp16 with the kernels of sm_80.
    expect(plan({ ...shape, precision: "fp16" }, { splits: [sm80] }, "sm90").splits).toBe(2);
  });
});

describe("prompt rows by the rules", () => {
  const of = (rows: number, [storedRows, k] = [17920, 1536], on = sms) =>
    plan({ numericClass: "prefill", rows, storedRows, k }, {}, "sm90", on);
  it.each([
    [2048, 1536, 256],
    [1536, 1536, 192],
    [17920, 1536, 256],
    [1536, 8960, 192],
    [4608, 3584, 192],
    [3584, 3584, 224],
    [37888, 3584, 256],
    [3584, 18944, 224],
  ])("2048 of them through [%i][%i] take tiles of %i columns", (storedRows, k, columns) => {
    expect(of(2048, [storedRows, k])).toMatchObject({
      tileRows: columns,
      cluster: 2,
      band: 16,
      blocks: Math.min(sms, 16 * Math.ceil(storedRows / columns)),
    });
  });
  it("share weights where no block has nothing to do, or many have work", () => {
    const clusters = [65, 128, 129, 256, 300, 384, 512, 1408, 1536, 1537, 1664, 2000, 4096].map(
      (rows) => of(rows).cluster,
    );
    expect(clusters).toEqual([1, 1, 2, 2, 1, 1, 2, 1, 2, 2, 2, 2, 2]);
  });
  it("fill a card of any number of SMs with whole clusters", () => {
    for (const on of [66, 113, 114, 131, sms]) expect(of(2048, undefined, on).blocks).toBe(on - (on % 2));
    expect(of(384, undefined, 131).blocks).toBe(131);
  });
});

describe("a bad choice", () => {
  const wrong: [string, Partial<NativeLinearChoices>, RegExp][] = [
    ["tokens of no kernel", { stream: [{ ...stream, tokens: 24 }] }, /needs 8, 16, 32 or 64 tokens, found 24/],
    ["rows of no kernel", { stream: [{ ...stream, tileRows: 96 }] }, /tiles of 64 or 128 rows, found 96/],
    ["rows without tokens", { stream: [{ ...stream, tokens: 64, tileRows: 192 }] }, /64 or 128 rows, found 192/],
    ["a head in two tiles", { stream: [{ ...stream, paired: true, tileRows: 128 }] }, /tiles of 64 rows, found 128/],
    ["one stage", { stream: [{ ...stream, stages: 1 }] }, /2 to 11 stages of 20480 bytes.*found 1/],
    ["too many stages", { stream: [{ ...stream, stages: 12 }] }, /fit into 232448 bytes of shared memory, found 12/],
    [
      "too many stages beside its splits' inbox",
      { stream: [{ ...stream, tokens: 64, stages: 13 }], splits: [{ ...splits, splits: 8 }] },
      /2 to 12 stages of 16384 bytes, which with splits of 8/,
    ],
    ["a stream choice twice", { stream: [stream, { ...stream, stages: 4 }] }, /16 tokens and 132 SMs is given twice/],
    ["columns of no kernel", { tile: [{ ...tile, columns: 160 }] }, /256, 192, 224, 128, 96 or 64 columns, found 160/],
    ["no band", { tile: [{ ...tile, band: 0 }] }, /a band of 1 to 64, found 0/],
    ["rows between tiles", { tile: [{ ...tile, rows: 500 }] }, /a multiple of 128, found 500/],
    ["a tile choice twice", { tile: [tile, tile] }, /512 rows and 132 SMs is given twice/],
    ["splits of nothing", { splits: [{ ...splits, splits: 0 }] }, /1 to 8 .*found 0/],
    ["more splits than a cluster has", { splits: [{ ...splits, splits: 9 }] }, /1 to 8 .*found 9/],
    ["splits shorter than a unit", { splits: [{ ...splits, k: 300, splits: 4 }] }, /1 to 3 .*128 values of k.*found 4/],
    [
      "more partial sums than there is room for",
      { splits: [{ ...splits, family: "sm80" }] },
      /264 partial sums of 64 rows in all, found 560/,
    ],
    ["splits twice", { splits: [splits, splits] }, /splits for 17920 x 1536 weights with sm90 kernels is given twice/],
    [
      "an unknown family",
      { splits: [{ ...splits, family: "simt" as "sm90" }] },
      /one of the families sm75, sm80 or sm90/,
    ],
  ];
  it.each(wrong)("is refused: %s", (_, choices, message) => {
    expect(() => plan(decode, choices)).toThrow(message);
    expect(() => plan(decode, choices)).toThrow(expect.objectContaining({ code: "E_BAD_INPUT" }));
  });
});

describe("the built-in table", () => {
  const table = linearChoices({});
  it("is accepted, and takes effect", () => {
    for (const row of table.stream) {
      const shape = { ...row, rows: row.tokens };
      expect(plan(shape, table, "sm90", row.sms)).toMatchObject({ tileRows: row.tileRows, stages: row.stages });
    }
    for (const row of table.tile)
      expect(plan({ ...row, numericClass: "prefill" }, table, "sm90", row.sms)).toMatchObject({
        ...{ method: "tile", tileRows: row.columns, band: row.band },
      });
    expect(plan(decode, table).options.now.stream).toHaveLength(1);
  });
  it("decides the order of sums by shape and family alone", () => {
    const shapes = [...r1Shapes, ...[...table.stream, ...table.splits].map((row) => [row.storedRows, row.k])];
    for (const [storedRows, k] of shapes)
      for (const family of ["sm90", "sm80"]) {
        const found = new Set<number>();
        for (const rows of rowCounts)
          for (const on of [20, 114, sms])
            for (const paired of [false, true])
              found.add(plan({ numericClass: "decode", rows, storedRows, k, paired }, table, family, on).splits);
        expect([...found], `${storedRows} x ${k}, ${family}`).toHaveLength(1);
      }
  });
});

describe("candidates", () => {
  const shapes = r1Shapes.flatMap(([storedRows, k]) => [
    ...[1, 16, 32, 64].map((rows) => ({ numericClass: "decode" as const, rows, storedRows, k })),
    ...[40, 300, 2048].map((rows) => ({ numericClass: "prefill" as const, rows, storedRows, k })),
  ]);
  const rowsIn = ({ stream, tile }: NativeLinearChoices) => [...stream, ...tile];
  it("of every R1 shape are accepted, distinct, and what the plan then is", () => {
    const wrong: string[] = [];
    for (const shape of shapes.flatMap((one) => [false, true].map((paired) => ({ ...one, paired })))) {
      const rule = plan(shape);
      const rows = rowsIn(rule.options.candidates);
      const enough =
        rowsIn(rule.options.now).length === 1 && rows.length > (shape.rows > 128 ? 1 : shape.paired ? 2 : 3);
      const distinct = new Set(rows.map((row) => JSON.stringify(row))).size === rows.length;
      if (!enough || !distinct) wrong.push(JSON.stringify(shape));
      for (const row of rows) {
        const chosen = plan(shape, "tokens" in row ? { stream: [row] } : { tile: [row] });
        const same = JSON.stringify(rowsIn(chosen.options.now)) === JSON.stringify([row]);
        if (!same || chosen.sharedBytes > 227 * 1024 || chosen.splits !== rule.splits) wrong.push(JSON.stringify(row));
      }
    }
    expect(wrong).toEqual([]);
  });
  it("are none for other kernels", () => {
    for (const family of ["simt", "sm75", "sm80"])
      expect(plan({ ...decode, precision: "fp16" }, {}, family).options).toEqual({
        now: noChoices,
        candidates: noChoices,
      });
  });
});

const hopper = variants().filter(({ family, precision }) => family === "sm90" && precision === "bf16");

describe.skipIf(hopper.length === 0)("bits under every choice", () => {
  let backend: TestBackend;
  let device = 0;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)(hopper[0].options);
    device = Number(/(\d+) SMs/.exec(backend.info().detail)?.[1]);
  });
  afterAll(() => backend?.dispose());

  const k = 1536;
  const gain = gains(k, 2);
  const cases: [name: string, storedRows: number, paired: boolean, run: (weight: number) => Run][] = [
    [
      "norm_linear",
      2000,
      false,
      (weight) => (numericClass, rows) =>
        backend.runOp("norm_linear", plainStep(numericClass, rows), {
          ...{ residual: residualStream(rows, k, rows), gain, eps: 1e-6, weight },
        }).out.bits,
    ],
    [
      "linear_residual",
      1536,
      false,
      (weight) => (numericClass, rows) =>
        backend.runOp("linear_residual", plainStep(numericClass, rows), {
          ...{ x: residualStream(rows, k, rows), weight, residual: residualStream(rows, 1536, 3) },
        }).residual.bits,
    ],
    [
      "norm_swiglu",
      17920,
      false,
      (weight) => (numericClass, rows) =>
        backend.runOp("norm_swiglu", plainStep(numericClass, rows), {
          ...{ residual: residualStream(rows, k, rows), gain, eps: 1e-6, weight },
        }).out.bits,
    ],
  ];
  type Run = (numericClass: "prefill" | "decode", rows: number) => Uint8Array;

  /** The op's outputs by the rules, then by each of the candidates. */
  function compare(
    name: string,
    storedRows: number,
    paired: boolean,
    run: Run,
    counts: [TestLinearShape["numericClass"], number][],
  ) {
    for (const [numericClass, rows] of counts) {
      const shape = { numericClass, rows, storedRows, k, paired };
      const { candidates } = testAddon().linearPlan(shape, "sm90", device, noChoices).options;
      backend.setLinearChoices(noChoices);
      const expected = run(numericClass, rows);
      for (const row of candidates.stream) {
        backend.setLinearChoices({ ...noChoices, stream: [row] });
        expectSameBits(run(numericClass, rows), expected, `${name}, ${JSON.stringify(row)}`);
      }
      for (const row of candidates.tile) {
        backend.setLinearChoices({ ...noChoices, tile: [row] });
        expectSameBits(run(numericClass, rows), expected, `${name}, ${JSON.stringify(row)}`);
      }
    }
  }

  it.each(cases)("%s", (name, storedRows, paired, runWith) => {
    const role = name === "norm_swiglu" ? "gateUp" : "linear";
    const weight = new MadeUpMatrix({ rows: storedRows, cols: k, dtype: "BF16", seed: 4, role }, "bf16").load(backend);
    compare(name, storedRows, paired, runWith(weight), [
      ...[1, 8, 16, 32, 64].map((rows): ["decode", number] => ["decode", rows]),
      ...[1, 40, 65, 300].map((rows): ["prefill", number] => ["prefill", rows]),
    ]);
    backend.freeMatrix(weight);
  });

  it("norm_qkv, with RoPE and the append", () => {
    const shape = { heads: 12, kvHeads: 2, headDim: 128 };
    const storedRows = 2048;
    const matrix = (rows: number, cols: number, seed: number) =>
      new MadeUpMatrix({ rows, cols, dtype: "BF16", seed }, "bf16").load(backend);
    const [first, weight] = [matrix(k, 200, 5), matrix(storedRows, k, 6)];
    const invFreq = Float32Array.from({ length: 64 }, (_, i) => 10000 ** (-i / 64));
    const run: Run = (numericClass, rows) => {
      const kv = backend.createKv({ layers: 1, kvHeads: shape.kvHeads, headDim: shape.headDim, blocks: rows });
      const parts = Array.from({ length: rows }, (_, i) => ({ length: 1 + (i % 60), rows: 1 }));
      const { qkv } = backend.runOp("residual_norm_qkv", stepOf(numericClass, parts), {
        ...{ x: residualStream(rows, 200, 7), first, residual: residualStream(rows, k, 8), gain, eps: 1e-6, weight },
        ...{ ...shape, invFreq, ropeScale: 1, kv, layer: 0 },
      });
      const planes = parts.flatMap((_, block) => [
        backend.readKv(kv, 0, "k", block),
        backend.readKv(kv, 0, "v", block),
      ]);
      backend.freeKv(kv);
      return Buffer.concat([qkv.bits, ...planes.map((plane) => Buffer.from(plane.buffer))]);
    };
    compare(
      "norm_qkv",
      storedRows,
      true,
      run,
      [1, 8, 16, 32, 64].map((rows) => ["decode", rows]),
    );
    for (const handle of [first, weight]) backend.freeMatrix(handle);
  });
});
