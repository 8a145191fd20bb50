import { join } from "node:path";
import { expect, test } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { describeCheckpoint } from "../../lib/checkpoint/info";
import { layerMacs } from "../../lib/checkpoint/memory";
import { randomCheckpoint, shapes } from "../../lib/checkpoint/random";
import { fixtures } from "./support";

// As published: parameters in billions; K and V of 2 · layers · kv_heads · head_dim values of 2 bytes a token, in KiB.
test.each([
  ["0.5b", 0.49, 12],
  ["1.5b", 1.78, 28],
  ["7b", 7.62, 56],
  ["14b", 14.8, 192],
  ["32b", 32.8, 256],
  ["llama-8b", 8.03, 128],
  ["qwen3-8b", 8.19, 144],
  ["smollm2", 0.135, 22.5],
])("the %s shape has %f billion parameters and %f KiB of KV cache a token", (shape, billions, kib) => {
  const info = describeCheckpoint(randomCheckpoint(shape));
  expect(Math.abs(info.parameters / 1e9 / billions - 1)).toBeLessThan(0.01);
  expect(info.memory.bf16.kvPerToken / 1024).toBe(kib);
  // Parameters are what the layers multiply by, the embedding, the head and vectors (below a thousandth).
  const checkpoint = randomCheckpoint(shape);
  const matrices = layerMacs(checkpoint.config) + (info.tied ? 1 : 2) * info.vocab * info.hidden;
  expect(matrices / info.parameters).toBeGreaterThan(0.999);
  expect(matrices).toBeLessThan(info.parameters);
});

test("R1-0528-Qwen3-8B's attn_factor makes the RoPE scale 1", () => {
  expect(randomCheckpoint("qwen3-8b").rope.scale).toBeCloseTo(1, 12);
});

test("a random checkpoint has the table of a stored one", async () => {
  const stored = await openCheckpoint(join(fixtures, "qwen2-tiny"));
  const random = randomCheckpoint({
    ...{ model_type: "qwen2", hidden_size: 128, intermediate_size: 352, num_hidden_layers: 3 },
    ...{ num_attention_heads: 2, num_key_value_heads: 1, vocab_size: 512, max_position_embeddings: 131072 },
  });
  const table = (weights: typeof stored.weights) =>
    weights.map((w) => [w.name, w.parts.map(({ name, dtype, rows, cols }) => [name, dtype, rows, cols])]);
  expect(table(random.weights)).toEqual(table(stored.weights));
  expect(random.parameters).toBe(stored.parameters);
  expect(random.config).toEqual(stored.config);
  const parts = random.weights.flatMap((w) => w.parts);
  expect(new Set(parts.map((part) => part.seed)).size).toBe(parts.length);
  for (const part of parts) {
    expect(part.scale).toBeGreaterThan(0);
    expect(part.file).toBeUndefined();
  }
});

test("matrices keep the RMS of what they multiply", () => {
  const { weights } = randomCheckpoint("0.5b");
  const scale = (name: string) => weights.find((w) => w.name === name)?.parts[0].scale as number;
  expect(scale("layers.3.down")).toBeCloseTo(Math.sqrt(3 / 4864), 12);
  expect(scale("layers.3.attn_norm")).toBeCloseTo(Math.sqrt(3), 12);
  expect(scale("embed")).toBeCloseTo(Math.sqrt(3 / 896), 12); // tied: it is the head too
});

test("an unknown shape names the known ones", () => {
  expect(() => randomCheckpoint("9b")).toThrow(Object.keys(shapes).join(", "));
});
