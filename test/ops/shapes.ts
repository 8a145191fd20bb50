/** Shapes of the linear layers: those of the R1 models (REFERENCE: model dimensions) and edges. */
import type { StoredType } from "../../lib/native";
import type { Variant } from "../support/backends";

export interface LinearShape {
  name: string;
  /** Outputs and inputs: weight [n][k]. */
  n: number;
  k: number;
  dtype: StoredType;
  /** Rows of a prefill-class and of a decode-class step. */
  prefill: number[];
  decode: number[];
}

/** Any output count, and inner sizes that are odd multiples of 8. */
export const edgeShapes: LinearShape[] = [
  { name: "one output", n: 1, k: 8, dtype: "BF16", prefill: [1, 3], decode: [1, 2] },
  { name: "odd sizes", n: 257, k: 136, dtype: "F32", prefill: [1, 63, 64, 65], decode: [1, 5, 17] },
  { name: "odd vocabulary", n: 523, k: 64, dtype: "F16", prefill: [7], decode: [63, 64] },
  { name: "k = 8 · 73", n: 130, k: 584, dtype: "BF16", prefill: [127, 128, 129, 200], decode: [1, 3, 8, 33, 64] },
];

const real = (name: string, n: number, k: number, prefill: number[], decode: number[]): LinearShape => ({
  name,
  n,
  k,
  dtype: "BF16",
  prefill,
  decode,
});

export type Layer = "qkv" | "o" | "gateUp" | "down" | "head";

/** On the CPU a few rows of the 1.5B model; on a GPU more rows, and the 7B and 8B models. */
const realShapes: Record<"cpu" | "cuda", Record<Layer, LinearShape[]>> = {
  cpu: {
    qkv: [real("1.5B qkv", 2048, 1536, [65], [1, 64]), real("7B qkv", 4608, 3584, [5], [1])],
    o: [real("1.5B o", 1536, 1536, [65], [1, 64]), real("7B o", 3584, 3584, [5], [1])],
    gateUp: [real("1.5B gate+up", 17920, 1536, [17], [1, 16]), real("7B gate+up", 37888, 3584, [2], [1])],
    down: [real("1.5B down", 1536, 8960, [17], [1, 16]), real("7B down", 3584, 18944, [2], [1])],
    head: [real("1.5B head", 151936, 1536, [], [1, 3])],
  },
  cuda: {
    qkv: [
      real("1.5B qkv", 2048, 1536, [65, 1024], [1, 8, 64]),
      real("7B qkv", 4608, 3584, [511, 2048], [1, 7, 32]),
      real("8B qkv", 6144, 4096, [300], [2, 64]),
    ],
    o: [real("1.5B o", 1536, 1536, [65, 1024], [1, 8, 64]), real("7B o", 3584, 3584, [511, 2048], [1, 7, 32])],
    gateUp: [
      real("1.5B gate+up", 17920, 1536, [65, 1024], [1, 8, 64]),
      real("7B gate+up", 37888, 3584, [511, 2048], [1, 7, 32]),
    ],
    down: [
      real("1.5B down", 1536, 8960, [65, 1024], [1, 8, 64]),
      real("7B down", 3584, 18944, [511, 2048], [1, 7, 32]),
    ],
    head: [
      real("1.5B head", 151936, 1536, [], [1, 3, 64]),
      real("7B head", 152064, 3584, [], [1, 64]),
      real("8B head", 128256, 4096, [], [5]),
    ],
  },
};

/** What a variant is tested with: everything where a load would choose it, edges and one real shape elsewhere. */
export function shapesFor(variant: Variant, layer: Layer): LinearShape[] {
  const large = realShapes[variant.device][layer];
  if (variant.chosen) return [...edgeShapes, ...large];
  if (variant.device === "cuda") return [...edgeShapes, large[0]];
  return edgeShapes;
}

/** [class, rows] pairs of a shape. */
export function stepsOf(shape: LinearShape): ["prefill" | "decode", number][] {
  return [
    ...shape.prefill.map((rows): ["prefill", number] => ["prefill", rows]),
    ...shape.decode.map((rows): ["decode", number] => ["decode", rows]),
  ];
}
