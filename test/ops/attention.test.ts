import { afterAll, beforeAll, describe, it } from "vitest";
import { type Variant, variants } from "../support/backends";
import { type CachedTokens, type HeadShape, KvCache } from "../support/kv-cache";
import { Random } from "../support/random";
import { roundAll } from "../support/rounding";
import { KV_BLOCK, type SequencePart, stepOf } from "../support/steps";
import { type TestBackend, type TestOutput, type TestStep, testAddon } from "../support/test-addon";
import { attend } from "./reference";
import { expectClose, expectSameBits, expectSameRuns, expectWritten, stored } from "./tolerance";

interface Case extends HeadShape {
  name: string;
  window: number;
}

const cases: Case[] = [
  { name: "GQA 12/2 of 128 (1.5B)", heads: 12, kvHeads: 2, headDim: 128, window: 0 },
  { name: "GQA 28/4 of 128 (7B)", heads: 28, kvHeads: 4, headDim: 128, window: 0 },
  { name: "GQA 9/3 of 64", heads: 9, kvHeads: 3, headDim: 64, window: 0 },
  { name: "MHA 3/3 of 64, window 65", heads: 3, kvHeads: 3, headDim: 64, window: 65 },
  { name: "MQA 4/1 of 128, window 64", heads: 4, kvHeads: 1, headDim: 128, window: 64 },
  { name: "MHA 2/2 of 128, window 1", heads: 2, kvHeads: 2, headDim: 128, window: 1 },
  { name: "MQA 16/1 of 64, window 100", heads: 16, kvHeads: 1, headDim: 64, window: 100 },
];

interface Layout {
  name: string;
  numericClass: TestStep["numericClass"];
  parts: SequencePart[];
}

const part = (length: number, rows: number): SequencePart => ({ length, rows });
const layouts: Layout[] = [
  { name: "one row of one token", numericClass: "prefill", parts: [part(1, 1)] },
  { name: "a prompt of 65", numericClass: "prefill", parts: [part(65, 65)] },
  {
    name: "chunks of 63, 64, 1 and 130 rows",
    numericClass: "prefill",
    parts: [part(63, 63), part(200, 64), part(129, 1), part(190, 130)],
  },
  { name: "a tail of 600", numericClass: "prefill", parts: [part(600, 3)] },
  { name: "decode of one token", numericClass: "decode", parts: [part(1, 1)] },
  { name: "decode at block edges", numericClass: "decode", parts: [63, 64, 65, 127, 128, 129].map((n) => part(n, 1)) },
  {
    name: "decode with several rows of a sequence",
    numericClass: "decode",
    parts: [part(130, 3), part(66, 5), part(9, 1)],
  },
  { name: "decode of a long sequence", numericClass: "decode", parts: [part(1500, 1), part(700, 2)] },
];
const longer: Layout[] = [
  { name: "a prompt of 300 beside a late chunk", numericClass: "prefill", parts: [part(300, 300), part(1100, 40)] },
  { name: "decode of 4097 and 8000", numericClass: "decode", parts: [part(4097, 1), part(8000, 1)] },
];

// Steps with more tiles than an H200 has SMs, and long ones (attention_deal.h): items in two pieces, and in three or more.
const dealt: { shape: Case; layout: Layout; chunks: [sequence: number, from: number, rows: number][] }[] = [
  {
    shape: cases[1],
    layout: { name: "700 rows beside 150", numericClass: "prefill", parts: [part(8900, 700), part(150, 150)] },
    chunks: [
      [0, 0, 3],
      [0, 250, 130],
      [0, 690, 10],
      [1, 0, 150],
    ],
  },
  {
    shape: cases[2],
    layout: {
      name: "a late chunk among short prompts",
      numericClass: "prefill",
      parts: [part(9000, 300), ...Array.from({ length: 40 }, (_, i) => part(5 + i, 2))],
    },
    chunks: [
      [0, 0, 40],
      [0, 120, 20],
      [0, 172, 128],
      [0, 299, 1],
      [17, 0, 2],
    ],
  },
];
// Steps with more than twice as many tiles as an H200 has SMs, none of them long: an SM takes one after the other.
const many: typeof dealt = [
  {
    shape: cases[2],
    layout: {
      name: "a prompt beside a late chunk and short prompts",
      numericClass: "prefill",
      parts: [part(520, 520), part(1700, 260), ...Array.from({ length: 24 }, (_, i) => part(120 + i, 2))],
    },
    chunks: [
      [0, 0, 520],
      [0, 300, 100],
      [1, 0, 3],
      [1, 130, 130],
      [9, 0, 2],
    ],
  },
  {
    shape: cases[4],
    layout: {
      name: "short prompts with a window",
      numericClass: "prefill",
      parts: [part(400, 400), part(900, 200), ...Array.from({ length: 61 }, (_, i) => part(40 + 5 * i, 5))],
    },
    chunks: [
      [0, 0, 400],
      [1, 0, 60],
      [1, 100, 100],
      [30, 0, 5],
    ],
  },
  {
    shape: cases[6],
    layout: {
      name: "prompts with a window",
      numericClass: "prefill",
      parts: [
        ...[part(300, 300), part(1300, 260), part(129, 129)],
        ...Array.from({ length: 9 }, (_, i) => part(20 + 13 * i, 20)),
      ],
    },
    chunks: [
      [0, 0, 130],
      [1, 120, 140],
      [2, 1, 128],
      [4, 0, 20],
    ],
  },
  {
    shape: cases[1],
    layout: {
      name: "four prompts",
      numericClass: "prefill",
      parts: [part(400, 400), part(3000, 260), part(128, 128), part(260, 190)],
    },
    chunks: [
      [0, 0, 400],
      [0, 399, 1],
      [1, 0, 20],
      [1, 132, 128],
      [2, 0, 128],
    ],
  },
];
// Decode steps whose teams of threads take a part of a span of segments, some spans, whole rows, or halves of short rows:
// on an H200 a block is two teams where there are no more than 132 pairs of a row and a KV head.
const lengths: { shape: Case; layout: Layout }[] = [
  {
    shape: cases[0],
    layout: {
      name: "short rows beside long ones",
      numericClass: "decode",
      parts: [part(250, 2), part(90, 1), part(1100, 1), part(300, 3), part(129, 1), part(128, 1), part(1, 1)],
    },
  },
  {
    shape: cases[1],
    layout: {
      name: "40 short rows",
      numericClass: "decode",
      parts: Array.from({ length: 40 }, (_, i) => part(1 + 7 * i, 1)),
    },
  },
  {
    shape: cases[0],
    layout: { name: "many lengths", numericClass: "decode", parts: [part(5000, 3), part(2100, 30), part(700, 5)] },
  },
  { shape: cases[1], layout: { name: "64 rows", numericClass: "decode", parts: [part(2100, 62), part(1030, 2)] } },
  { shape: cases[6], layout: { name: "a window", numericClass: "decode", parts: [part(2100, 5), part(90, 1)] } },
];

/** Random K and V of a sequence. Some keys are large, so that a softmax without its maximum would overflow. */
function tokensOf(length: number, width: number, seed: number): CachedTokens {
  const random = new Random(seed);
  return {
    keys: Array.from({ length }, (_, i) => random.normals(width, i % 37 === 5 ? 12 : 1)),
    values: Array.from({ length }, () => random.normals(width)),
  };
}

class Scene {
  readonly step: TestStep;
  readonly qkv: Float32Array;
  readonly cache: KvCache;
  readonly tokens: CachedTokens[];
  readonly shape: Case;
  readonly columns: number;
  readonly #backend: TestBackend;

  constructor(backend: TestBackend, shape: Case, layout: Layout, precision: Variant["precision"]) {
    this.#backend = backend;
    this.shape = shape;
    const blocks = layout.parts.reduce((n, p) => n + Math.ceil(p.length / KV_BLOCK), 0);
    this.step = stepOf(layout.numericClass, layout.parts, new Random(blocks).permutation(blocks));
    this.columns = (shape.heads + 2 * shape.kvHeads) * shape.headDim;
    this.qkv = roundAll(new Random(this.step.rows).normals(this.step.rows * this.columns), precision);
    this.cache = new KvCache(backend, shape, blocks, 2);
    this.tokens = this.step.sequences.map(({ length, blocks }, i) => {
      const made = tokensOf(length, shape.kvHeads * shape.headDim, i + 1);
      const [keys, values] = [made.keys, made.values].map((rows) => rows.map((row) => roundAll(row, precision)));
      this.cache.fill(1, blocks, { keys, values }, precision);
      return { keys, values };
    });
  }

  run(step: TestStep = this.step, qkv: Float32Array = this.qkv) {
    const { heads, kvHeads, headDim, window } = this.shape;
    const scale = Math.fround(headDim ** -0.5);
    return this.#backend.runOp("attention", step, {
      qkv,
      heads,
      kvHeads,
      headDim,
      scale,
      kv: this.cache.pool,
      layer: 1,
      window,
    }).out;
  }

  /** Output of one head of one row. */
  expected(sequence: number, row: number, head: number): Float64Array {
    const { heads, kvHeads, headDim, window } = this.shape;
    const { length, rows, firstRow } = this.step.sequences[sequence];
    const from = (Math.floor(head / (heads / kvHeads)) % kvHeads) * headDim;
    const { keys, values } = this.tokens[sequence];
    const query = this.qkv.subarray(row * this.columns + head * headDim, row * this.columns + (head + 1) * headDim);
    return attend(
      query,
      length - rows + row - firstRow,
      (slot) => keys[slot].subarray(from, from + headDim),
      (slot) => values[slot].subarray(from, from + headDim),
      Math.fround(headDim ** -0.5),
      window,
    );
  }
}

/** Rows to compare: all of few, else the edges of tiles and every seventh. */
function comparedRows(rows: number): number[] {
  const edges = new Set([0, 1, 15, 16, 17, 31, 32, 63, 64, 65, 127, 128, 129, rows - 1]);
  return Array.from({ length: rows }, (_, i) => i).filter((i) => rows <= 20 || edges.has(i) || i % 7 === 0);
}

describe.each(variants())("attention on $label", ({ options, precision, ...variant }) => {
  let backend: TestBackend;
  beforeAll(() => {
    backend = new (testAddon().TestBackend)({ ...options, maxRows: 1024, maxBlocksPerSequence: 512 });
  });
  afterAll(() => backend.dispose());
  const thorough = variant.chosen || variant.device === "cuda";

  describe.each(cases)("$name", (shape) => {
    it.each(thorough && shape.heads < 20 ? [...layouts, ...longer] : layouts)("$name", (layout) => {
      const scene = new Scene(backend, shape, layout, precision);
      const { values } = scene.run();
      expectWritten(values, layout.name);
      const [actual, expected] = [[] as number[], [] as number[]];
      const width = shape.heads * shape.headDim;
      scene.step.sequences.forEach(({ firstRow, rows }, s) => {
        for (const r of comparedRows(rows)) {
          // All heads of short rows; of long ones two, which differ from row to row.
          const step = rows > 20 || scene.step.sequences[s].length > 500 ? Math.ceil(shape.heads / 2) : 1;
          for (let h = r % step; h < shape.heads; h += step) {
            expected.push(...scene.expected(s, firstRow + r, h));
            const at = (firstRow + r) * width + h * shape.headDim;
            actual.push(...values.subarray(at, at + shape.headDim));
          }
        }
      });
      expectClose(actual, expected, stored[precision], layout.name);
      scene.cache.free();
    });

    it.each(["prefill", "decode"] as const)(
      "%s: a row is bit-equal alone, in chunks and in any company",
      (numericClass) => {
        const rows = numericClass === "prefill" ? 330 : 40;
        const length = numericClass === "prefill" ? 1100 : 400; // over several segments of keys
        const layout = {
          name: "",
          numericClass,
          parts: [part(length, rows), part(77, numericClass === "prefill" ? 30 : 7), part(3, 1)],
        };
        const scene = new Scene(backend, shape, layout, precision);
        const whole = scene.run();
        const rowBytes = whole.bits.length / scene.step.rows;
        const chunk = (sequence: number, from: number, count: number) => {
          const { blocks, length, rows, firstRow } = scene.step.sequences[sequence];
          const end = length - rows + from + count;
          const step = stepOf(numericClass, [
            { length: end, rows: count, blocks: blocks.slice(0, Math.ceil(end / KV_BLOCK)) },
          ]);
          const first = (firstRow + from) * scene.columns;
          const { bits } = scene.run(step, scene.qkv.subarray(first, first + count * scene.columns));
          const same = whole.bits.subarray((firstRow + from) * rowBytes, (firstRow + from + count) * rowBytes);
          expectSameBits(bits, same, `sequence ${sequence}, rows ${from} + ${count}`);
        };
        for (const from of [0, 1, 57, rows - 1]) if (from < rows) chunk(0, from, 1);
        chunk(0, 0, rows);
        chunk(0, 3, 20);
        chunk(0, Math.floor(rows / 2), rows - Math.floor(rows / 2));
        chunk(1, 2, 1);
        chunk(1, 0, 7);
        chunk(2, 0, 1);
        scene.cache.free();
      },
    );
  });

  /** Rows [from, from + rows) of a sequence alone give the bits that they have in `whole`. */
  function expectSameAlone(scene: Scene, whole: TestOutput, sequence: number, from: number, rows: number) {
    const { blocks, length, rows: all, firstRow } = scene.step.sequences[sequence];
    const step = stepOf(scene.step.numericClass, [{ length: length - all + from + rows, rows, blocks }]);
    const first = firstRow + from;
    const { bits } = scene.run(step, scene.qkv.subarray(first * scene.columns, (first + rows) * scene.columns));
    const rowBytes = whole.bits.length / scene.step.rows;
    const same = whole.bits.subarray(first * rowBytes, (first + rows) * rowBytes);
    expectSameBits(bits, same, `sequence ${sequence}, rows ${from} + ${rows}`);
  }
  function expectHeads(scene: Scene, whole: TestOutput, sequence: number, row: number, heads: number[]) {
    const { headDim, heads: all } = scene.shape;
    const at = (scene.step.sequences[sequence].firstRow + row) * all;
    const actual = heads.flatMap((h) => [...whole.values.subarray((at + h) * headDim, (at + h + 1) * headDim)]);
    const expected = heads.flatMap((h) => [...scene.expected(sequence, at / all, h)]);
    expectClose(actual, expected, stored[precision], `sequence ${sequence}, row ${row}`);
  }

  it.skipIf(variant.device !== "cuda").each([...dealt, ...many])(
    "has more tiles than SMs: $layout.name, bit-equal in any company",
    ({ shape, layout, chunks }) => {
      const scene = new Scene(backend, shape, layout, precision);
      const whole = scene.run();
      expectWritten(whole.values, layout.name);
      layout.parts.forEach(({ rows }, sequence) => {
        for (const row of [0, rows >> 1, rows - 1])
          expectHeads(scene, whole, sequence, row, [row % Math.min(5, shape.heads), shape.heads - 1]);
      });
      for (const chunk of chunks) expectSameAlone(scene, whole, ...chunk);
      scene.cache.free();
    },
  );

  it.each(lengths)("decodes rows of many lengths: $layout.name, bit-equal alone", ({ shape, layout }) => {
    const scene = new Scene(backend, shape, layout, precision);
    const whole = scene.run();
    expectWritten(whole.values, layout.name);
    layout.parts.forEach(({ rows }, sequence) => {
      for (const row of new Set([0, rows >> 1, rows - 1])) {
        expectHeads(scene, whole, sequence, row, [row % 3, shape.heads - 1]);
        expectSameAlone(scene, whole, sequence, row, 1);
      }
      expectSameAlone(scene, whole, sequence, 0, Math.min(rows, 7));
    });
    scene.cache.free();
  });

  it("reads the end of a long prompt, bit-equal in any company", () => {
    const layout = { name: "", numericClass: "prefill" as const, parts: [part(21_000, 140)] };
    const scene = new Scene(backend, cases[0], layout, precision);
    const whole = scene.run();
    const expected = [...scene.expected(0, 0, 0), ...scene.expected(0, 0, 11)];
    const actual = [...whole.values.subarray(0, 128), ...whole.values.subarray(11 * 128, 12 * 128)];
    expectClose(actual, expected, stored[precision], "the first row");
    const rowBytes = whole.bits.length / scene.step.rows;
    const { blocks } = scene.step.sequences[0];
    for (const [from, rows] of [
      [139, 1],
      [0, 64],
      [77, 30],
    ]) {
      const step = stepOf("prefill", [{ length: 21_000 - 140 + from + rows, rows, blocks }]);
      const { bits } = scene.run(step, scene.qkv.subarray(from * scene.columns, (from + rows) * scene.columns));
      expectSameBits(bits, whole.bits.subarray(from * rowBytes, (from + rows) * rowBytes), `rows ${from} + ${rows}`);
    }
    scene.cache.free();
  });

  it("is the same with any number of threads", (context) => {
    if (variant.device === "cuda") return context.skip("threads are the CPU's");
    const layout = { name: "", numericClass: "decode" as const, parts: [part(1030, 2), part(65, 1), part(300, 1)] };
    const runs = [1, 2, 3, 5].map((threads) => {
      const other = new (testAddon().TestBackend)({ ...options, threads });
      const bits = [cases[0], cases[6]].map((shape) => new Scene(other, shape, layout, precision).run().bits);
      other.dispose();
      return bits;
    });
    expectSameRuns(runs, "threads");
  });
});
