/** Weight matrices of any size for op tests: made up by the addon, and read here row by row, so that 7B shapes are cheap. */
import type { Precision, StoredType } from "../../lib/native";
import { Random } from "../support/random";
import { precisionOf, roundAll } from "../support/rounding";
import { type TestBackend, type TestWeight, testAddon } from "../support/test-addon";

export interface MatrixShape {
  rows: number;
  cols: number;
  role?: "linear" | "gateUp";
  dtype: StoredType;
  seed: number;
  /** Uniform in ±scale; absent: products of unit inputs have about unit variance. */
  scale?: number;
}

export class MadeUpMatrix {
  readonly shape: MatrixShape;
  readonly scale: number;
  readonly #precision: Precision;
  readonly #rows = new Map<number, Float32Array>();

  constructor(shape: MatrixShape, precision: Precision) {
    this.shape = shape;
    this.scale = Math.fround(shape.scale ?? Math.sqrt(3 / shape.cols));
    this.#precision = precision;
  }

  get weight(): TestWeight {
    const { rows, cols, dtype, seed, role } = this.shape;
    return { name: "made-up", role, parts: [{ name: "made-up", dtype, rows, cols, seed, scale: this.scale }] };
  }

  load(backend: TestBackend): number {
    return backend.loadMatrix(this.weight);
  }

  /** Row `r` with the values that the backend computes with: rounded to the stored type, then to the precision. */
  row(r: number): Float32Array {
    let row = this.#rows.get(r);
    if (!row) {
      const { cols, dtype, seed } = this.shape;
      const made = roundAll(testAddon().randomValues(seed, this.scale, r * cols, cols), precisionOf[dtype]);
      row = this.#precision === "f32" ? made : roundAll(made, this.#precision);
      this.#rows.set(r, row);
    }
    return row;
  }
}

/**
 * Columns of an output to compare: both sides of every kind of tile edge at the front, in the middle and at the end, and
 * enough others for `outputs` in all over `rows` rows. All of them where that is few.
 */
export function sampledColumns(columns: number, rows: number, outputs = 4096): number[] {
  const wanted = Math.ceil(outputs / rows);
  if (columns <= Math.max(wanted, 320)) return Array.from({ length: columns }, (_, i) => i);
  const chosen = new Set<number>([0, columns - 1]);
  for (const tile of [8, 16, 32, 64, 128, 256]) {
    const middle = Math.floor(columns / 2 / tile) * tile;
    const last = Math.floor((columns - 1) / tile) * tile;
    for (const edge of [tile, middle, last]) for (const c of [edge - 1, edge, edge + 1]) chosen.add(c);
  }
  const random = new Random(columns);
  while (chosen.size < wanted) chosen.add(random.integer(0, columns - 1));
  return [...chosen].filter((c) => c >= 0 && c < columns).sort((a, b) => a - b);
}

/** Inputs of a product: a residual stream with a few large channels, as real models have, and gains around 1. */
export function residualStream(rows: number, hidden: number, seed: number): Float32Array {
  const random = new Random(seed);
  const residual = random.normals(rows * hidden);
  for (let i = 0; i < rows; i++) residual[i * hidden + (i % hidden)] *= 20;
  return residual;
}

export function gains(count: number, seed: number): Float32Array {
  return new Random(seed).normals(count, 0.2, 1);
}

/** The elements of row-major `values` at each row's `columns`. */
export function pick(values: Float32Array, rows: number, stride: number, columns: number[]): Float32Array {
  const out = new Float32Array(rows * columns.length);
  for (let r = 0; r < rows; r++) {
    for (const [i, c] of columns.entries()) out[r * columns.length + i] = values[r * stride + c];
  }
  return out;
}
