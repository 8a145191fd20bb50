/** How the CUDA backend cuts weights into pieces, converts them and sends them, by several threads. No device is needed. */
import { describe, expect, it } from "vitest";
import type { Precision, StoredType } from "../../lib/native";
import { Random } from "../support/random";
import { encode, precisionOf, roundAll } from "../support/rounding";
import { type TestUploadPiece, type TestWeight, testAddon } from "../support/test-addon";

const stageBytes = 2 * 2 ** 20;
const { planUpload, packUpload } = testAddon();

/** Where a matrix row is stored: groups of 8 gate rows, then the same 8 of up. */
function storedRow(row: number, rows: number, role: "linear" | "gateUp"): number {
  if (role === "linear") return row;
  const inner = row % (rows / 2);
  return Math.floor(inner / 8) * 16 + (inner % 8) + (row < rows / 2 ? 0 : 8);
}

/** Row of the matrix that each stored row holds, -1 for padding, as a plan has it. */
function contents(pieces: TestUploadPiece[], partRows: number[]): number[] {
  const rows: number[] = [];
  const starts = partRows.map((_, i) => partRows.slice(0, i).reduce((sum, n) => sum + n, 0));
  for (const piece of pieces) {
    expect(piece.first).toBe(rows.length);
    const held = new Array<number>(piece.rows).fill(-1);
    for (const { part, first, rows: count, at } of piece.runs) {
      expect(first + count).toBeLessThanOrEqual(partRows[part]);
      for (let r = 0; r < count; r++) {
        expect(held[at + r]).toBe(-1);
        held[at + r] = starts[part] + first + r;
      }
    }
    rows.push(...held);
  }
  return rows;
}

describe("pieces", () => {
  it.each([
    ["linear", [1], 16, 16],
    ["linear", [100], 10, 64],
    ["linear", [40, 3, 3], 100, 1000],
    ["gateUp", [16], 10, 160],
    ["gateUp", [24, 24], 10, 1000],
    ["gateUp", [20, 20], 10, 320], // 4 rows of padding in the last group of each
    ["gateUp", [5, 30, 3], 10, 500], // parts that end anywhere
    ["gateUp", [2], 8, 128],
  ] as const)("hold every row of a %s matrix of %j once (%i bytes a row, pieces of %i)", (role, given, bytes, most) => {
    const partRows = [...given];
    const rows = partRows.reduce((sum, n) => sum + n, 0);
    const pieces = planUpload(partRows, role, bytes, most);
    const held = contents(pieces, partRows);
    const stored = role === "linear" ? rows : 2 * Math.ceil(rows / 2 / 8) * 8;
    expect(held).toHaveLength(stored);
    for (let row = 0; row < rows; row++) expect(held[storedRow(row, rows, role)], `row ${row}`).toBe(row);
    expect(held.filter((row) => row < 0)).toHaveLength(stored - rows);
    for (const piece of pieces) expect(piece.rows * bytes).toBeLessThanOrEqual(most);
    for (const piece of pieces.slice(0, -1)) expect(piece.rows * bytes).toBeGreaterThan(most / 2 - 1);
  });

  it("of the 7B shape are read in long runs", () => {
    const down = planUpload([3584], "linear", 18944 * 2, stageBytes);
    for (const piece of down) expect(piece.runs).toHaveLength(1);
    expect(down[0].rows).toBe(55);
    const gateUp = planUpload([18944, 18944], "gateUp", 3584 * 2, stageBytes);
    for (const { runs } of gateUp) for (const run of runs) expect(run.rows).toBe(8);
    expect(gateUp.reduce((sum, { rows }) => sum + rows, 0)).toBe(2 * 18944);
  });

  it("cannot be smaller than a row, or a group of them", () => {
    expect(() => planUpload([16], "linear", 17, 16)).toThrow(/do not fit/);
    expect(() => planUpload([16], "gateUp", 10, 159)).toThrow(/do not fit/);
  });
});

/** What packUpload has to give: the values by way of the tests' own rounding, zeros elsewhere. */
function expected(values: Float32Array, rows: number, cols: number, role: "linear" | "gateUp", to: Precision) {
  const ld = Math.ceil(cols / 8) * 8;
  const stored = role === "linear" ? rows : 2 * Math.ceil(rows / 2 / 8) * 8;
  const out = new Float32Array(stored * ld);
  for (let row = 0; row < rows; row++)
    out.set(values.subarray(row * cols, (row + 1) * cols), storedRow(row, rows, role) * ld);
  const bits = encode(out, to === "f32" ? "F32" : to === "bf16" ? "BF16" : "F16");
  return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
}

function weight(role: "linear" | "gateUp", dtype: StoredType, partRows: number[], cols: number) {
  const rows = partRows.reduce((sum, n) => sum + n, 0);
  const values = roundAll(new Random(rows + cols).normals(rows * cols), precisionOf[dtype]);
  let row = 0;
  const parts = partRows.map((count) => {
    const data = encode(values.slice(row * cols, (row + count) * cols), dtype);
    row += count;
    return { name: `part of ${count}`, dtype, rows: count, cols, data };
  });
  return { weight: { role, parts } satisfies TestWeight, values, rows };
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

describe("what lies on the device", () => {
  const types = ["F32", "BF16", "F16"] as const;
  const precisions = ["f32", "bf16", "fp16"] as const;
  it.each(types.flatMap((dtype) => precisions.map((to) => [dtype, to] as const)))("%s as %s", (dtype, to) => {
    for (const role of ["linear", "gateUp"] as const)
      for (const [partRows, cols] of [
        [[33], 72],
        [[20, 20], 64],
        [[7, 1, 40], 13], // columns are padded to 16
      ] as const) {
        if (role === "gateUp" && partRows.length === 1) continue; // an odd number of rows
        const { weight: given, values, rows } = weight(role, dtype, [...partRows], cols);
        const { bytes } = packUpload(given, to, {});
        expect(same(bytes, expected(values, rows, cols, role, to)), `${role} ${partRows} × ${cols}`).toBe(true);
      }
  });

  it("is the same by any number of threads, in many pieces", () => {
    const [half, cols] = [2500, 1000];
    const data = testAddon().randomValues(3, 1, 0, 2 * half * cols);
    const parts = [0, half].map((row) => ({
      ...{ dtype: "F32" as const, rows: half, cols },
      data: data.slice(row * cols, (row + half) * cols),
    }));
    const right = expected(data, 2 * half, cols, "gateUp", "f32");
    for (const threads of [1, 2, 5]) {
      const { bytes, writers, sent } = packUpload({ role: "gateUp", parts }, "f32", { threads });
      expect(sent).toBe(10);
      expect(writers).toBe(Math.min(threads, 5)); // one for every 4 MiB
      expect(same(bytes, right)).toBe(true);
    }
    const small = packUpload({ role: "gateUp", parts }, "f32", { threads: 3, stageBytes: 2 ** 20 });
    expect(small).toMatchObject({ sent: 20, writers: 3 });
    expect(same(small.bytes, right)).toBe(true);
  });
});

describe("what goes wrong", () => {
  /** 23 pieces of 2 MiB at f32, 12 at bf16. */
  const large = () => ({
    parts: [{ name: "one", dtype: "F32" as const, rows: 12_000, cols: 1000, data: new Float32Array(12_000_000) }],
  });

  it("in a thread is thrown, and no thread is left", () => {
    for (const threads of [1, 4])
      for (const failAt of [1, 3, 23])
        expect(() => packUpload(large(), "f32", { threads, failAt })).toThrow(/made to fail/);
    expect(packUpload(large(), "f32", { threads: 4, failAt: 24 }).sent).toBe(23);
  });

  it("is named: a value that does not fit", () => {
    const given = large();
    given.parts[0].data[8_000_007] = 1e6;
    expect(() => packUpload(given, "fp16", { threads: 3 })).toThrow(/one has a value in row 8000 .* fp16/);
    expect(packUpload(given, "bf16", { threads: 3 }).sent).toBe(12);
  });

  it("leaves nothing behind when loading is given up", () => {
    const { sent } = packUpload(large(), "f32", { threads: 2, abandon: true });
    expect(sent).toBeLessThanOrEqual(23);
  });
});
