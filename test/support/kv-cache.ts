/** A KV cache that a test fills and reads by the slots of sequences. */
import type { Precision } from "../../lib/native";
import { roundAll } from "./rounding";
import { KV_BLOCK } from "./steps";
import type { TestBackend } from "./test-addon";

export interface HeadShape {
  heads: number;
  kvHeads: number;
  headDim: number;
}

/** K and V of a sequence: slot → [kvHeads · headDim], at the precision of the cache. */
export interface CachedTokens {
  keys: Float32Array[];
  values: Float32Array[];
}

export class KvCache {
  readonly pool: number;
  readonly #backend: TestBackend;
  readonly #shape: HeadShape;
  readonly #layers: number;

  constructor(backend: TestBackend, shape: HeadShape, blocks: number, layers = 1) {
    this.#backend = backend;
    this.#shape = shape;
    this.#layers = layers;
    this.pool = backend.createKv({ layers, kvHeads: shape.kvHeads, headDim: shape.headDim, blocks });
  }

  /** Writes a sequence's K and V into its blocks; slots behind its end stay NaN, as freshly mapped memory may be. */
  fill(layer: number, blocks: Int32Array, tokens: CachedTokens, precision: Precision): void {
    const { kvHeads, headDim } = this.#shape;
    for (const plane of ["k", "v"] as const) {
      const rows = (plane === "k" ? tokens.keys : tokens.values).map((row) => roundAll(row, precision));
      blocks.forEach((block, b) => {
        const image = new Float32Array(kvHeads * KV_BLOCK * headDim).fill(Number.NaN);
        for (let t = 0; t < KV_BLOCK && b * KV_BLOCK + t < rows.length; t++) {
          const row = rows[b * KV_BLOCK + t];
          for (let h = 0; h < kvHeads; h++) {
            image.set(row.subarray(h * headDim, (h + 1) * headDim), (h * KV_BLOCK + t) * headDim);
          }
        }
        this.#backend.writeKv(this.pool, layer, plane, block, image);
      });
    }
  }

  /** All slots of a sequence's blocks: slot → [kvHeads · headDim], NaN where nothing was written. */
  read(layer: number, plane: "k" | "v", blocks: Int32Array): Float32Array[] {
    const { kvHeads, headDim } = this.#shape;
    const rows: Float32Array[] = [];
    for (const block of blocks) {
      const image = this.#backend.readKv(this.pool, layer, plane, block);
      for (let t = 0; t < KV_BLOCK; t++) {
        const row = new Float32Array(kvHeads * headDim);
        for (let h = 0; h < kvHeads; h++) {
          const from = (h * KV_BLOCK + t) * headDim;
          row.set(image.subarray(from, from + headDim), h * headDim);
        }
        rows.push(row);
      }
    }
    return rows;
  }

  get layers(): number {
    return this.#layers;
  }

  free(): void {
    this.#backend.freeKv(this.pool);
  }
}
