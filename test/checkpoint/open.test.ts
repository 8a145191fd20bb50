import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { modelInfo } from "../../lib/checkpoint/info";
import {
  denseCases,
  fixtures,
  readTensors,
  safetensors,
  tensorsFor,
  tinyConfig,
  withHeader,
  writeFolder,
  writeIndex,
  writeSharded,
} from "./support";

/** The bytes that the engine would read for a part, by the checkpoint's name. */
function partBytes(checkpoint: Checkpoint): Map<string, Buffer> {
  const files = checkpoint.files.map((file) => readFileSync(file));
  const parts = checkpoint.weights.flatMap((weight) => weight.parts);
  return new Map(
    parts.map((part) => {
      const bytes = part.rows * part.cols * (part.dtype === "F32" ? 4 : 2);
      return [part.name, files[part.file as number].subarray(part.offset, (part.offset as number) + bytes)];
    }),
  );
}

describe.each(denseCases)("%s", (name) => {
  const folder = join(fixtures, name);
  const stored = readTensors(join(folder, "model.safetensors"));

  test("every part points at its tensor's bytes", async () => {
    const parts = partBytes(await openCheckpoint(folder));
    expect([...parts.keys()].sort()).toEqual(stored.map((tensor) => tensor.name).sort());
    for (const tensor of stored) expect(parts.get(tensor.name)?.equals(tensor.data), tensor.name).toBe(true);
  });

  test.each([2, 5])("in %i shards it is the same model", async (count) => {
    const whole = await openCheckpoint(folder);
    const sharded = await openCheckpoint(writeSharded(folder, count));
    expect(sharded.files).toHaveLength(count);
    const parts = partBytes(sharded);
    for (const [part, bytes] of partBytes(whole)) expect(parts.get(part)?.equals(bytes), part).toBe(true);
    const place = (checkpoint: Checkpoint) =>
      checkpoint.weights.map((w) => ({ ...w, parts: w.parts.map((p) => ({ ...p, file: 0, offset: 0 })) }));
    expect(place(sharded)).toEqual(place(whole));
    expect({ ...sharded, files: [], weights: [] }).toEqual({ ...whole, files: [], weights: [] });
  });

  test("stop ids and sampling come from generation_config.json", async () => {
    const { generation, contextLength } = await openCheckpoint(folder);
    expect(generation).toMatchObject({ stopTokens: [1], temperature: 0.6, topP: 0.95, topK: undefined });
    expect(contextLength).toBe(131072);
  });
});

test("concatenated parts come in the order the engine documents", async () => {
  const { weights } = await openCheckpoint(join(fixtures, "qwen2-tiny"));
  const parts = (name: string) => weights.find((w) => w.name === name)?.parts.map((p) => [p.name, p.rows, p.cols]);
  expect(parts("layers.1.qkv")).toEqual([
    ["model.layers.1.self_attn.q_proj.weight", 128, 128],
    ["model.layers.1.self_attn.k_proj.weight", 64, 128],
    ["model.layers.1.self_attn.v_proj.weight", 64, 128],
  ]);
  expect(parts("layers.1.qkv_bias")).toEqual([
    ["model.layers.1.self_attn.q_proj.bias", 128, 1],
    ["model.layers.1.self_attn.k_proj.bias", 64, 1],
    ["model.layers.1.self_attn.v_proj.bias", 64, 1],
  ]);
  expect(parts("layers.2.gate_up")).toEqual([
    ["model.layers.2.mlp.gate_proj.weight", 352, 128],
    ["model.layers.2.mlp.up_proj.weight", 352, 128],
  ]);
  expect(parts("layers.0.o_bias")).toBeUndefined();
  expect(weights[0].name).toBe("embed");
  expect(weights.at(-1)?.name).toBe("head");
});

test.each(["F32", "F16", "BF16"])("weights stored as %s", async (dtype) => {
  const config = tinyConfig();
  const checkpoint = await openCheckpoint(writeFolder(config, tensorsFor(config, dtype)));
  expect(checkpoint.storedTypes).toEqual([dtype]);
  expect(new Set(checkpoint.weights.flatMap((w) => w.parts.map((p) => p.dtype)))).toEqual(new Set([dtype]));
});

describe("tied embeddings", () => {
  test("have no head and are counted once", async () => {
    const tied = await openCheckpoint(writeFolder(tinyConfig({ tie_word_embeddings: true })));
    const untied = await openCheckpoint(writeFolder(tinyConfig()));
    expect(tied.weights.map((w) => w.name)).not.toContain("head");
    expect(untied.parameters - tied.parameters).toBe(11 * 64);
  });

  test("a stored lm_head.weight is ignored", async () => {
    const checkpoint = await openCheckpoint(
      writeFolder(tinyConfig({ tie_word_embeddings: true }), tensorsFor(tinyConfig())),
    );
    expect(checkpoint.weights.flatMap((w) => w.parts.map((p) => p.name))).not.toContain("lm_head.weight");
  });
});

test("rotary buffers of old transformers versions are ignored", async () => {
  const buffer = {
    name: "model.layers.0.self_attn.rotary_emb.inv_freq",
    dtype: "F32",
    shape: [2],
    data: Buffer.alloc(8),
  };
  const config = tinyConfig();
  const checkpoint = await openCheckpoint(writeFolder(config, [...tensorsFor(config), buffer]));
  expect(checkpoint.weights.flatMap((w) => w.parts.map((p) => p.name))).not.toContain(buffer.name);
});

test("a header may be padded with spaces, list tensors in any order and hold empty ones in between", async () => {
  const config = tinyConfig();
  const tensors = tensorsFor(config);
  const empty = { name: "position_ids", dtype: "F32", shape: [0], data: Buffer.alloc(0) };
  const file = safetensors([...tensors.slice(0, 3), empty, ...tensors.slice(3)], (header) =>
    Object.fromEntries(Object.entries(header).reverse()),
  );
  const length = Number(file.readBigUInt64LE());
  const padded = withHeader(`${file.subarray(8, 8 + length)}     `, file.subarray(8 + length));
  const checkpoint = await openCheckpoint(writeFolder(config, [], { "model.safetensors": padded }));
  for (const tensor of tensors) expect(partBytes(checkpoint).get(tensor.name)?.equals(tensor.data)).toBe(true);
});

test("a folder with both layouts is read from model.safetensors", async () => {
  const folder = writeFolder(tinyConfig());
  writeIndex(folder, { "model.norm.weight": "absent.safetensors" });
  expect((await openCheckpoint(folder)).files).toEqual([join(folder, "model.safetensors")]);
});

describe("generation defaults", () => {
  const open = async (config: object, generation: object | null) =>
    (
      await openCheckpoint(
        writeFolder(tinyConfig(config as never), undefined, {
          "generation_config.json": generation && JSON.stringify(generation),
        }),
      )
    ).generation;

  test("a list of stop ids", async () => {
    expect((await open({ eos_token_id: 3 }, { eos_token_id: [7, 2, 7] })).stopTokens).toEqual([7, 2]);
  });
  test("config.json's stop ids where generation_config.json has none or is absent", async () => {
    expect((await open({ eos_token_id: 3 }, { temperature: 1 })).stopTokens).toEqual([3]);
    expect((await open({ eos_token_id: [3, 4] }, null)).stopTokens).toEqual([3, 4]);
    expect((await open({}, null)).stopTokens).toEqual([]);
  });
  test("ids outside the vocabulary are dropped", async () => {
    expect((await open({}, { eos_token_id: [-1, 11, 10] })).stopTokens).toEqual([10]);
  });
  test("all sampling options", async () => {
    const json = { do_sample: true, temperature: 0.7, top_p: 0.8, top_k: 20, min_p: 0.1, repetition_penalty: 1.05 };
    expect(await open({}, json)).toMatchObject({
      ...{ temperature: 0.7, topP: 0.8, topK: 20, minP: 0.1, repetitionPenalty: 1.05 },
    });
  });
  test("do_sample: false is greedy", async () => {
    expect((await open({}, { do_sample: false, temperature: 0.7 })).temperature).toBe(0);
  });
});

test("modelInfo adds up", async () => {
  const info = await modelInfo(join(fixtures, "qwen2-tiny"));
  const stored = readTensors(join(fixtures, "qwen2-tiny/model.safetensors"));
  expect(info.parameters).toBe(stored.reduce((sum, tensor) => sum + tensor.data.length / 2, 0));
  // Matrices as stored (2 bytes a value), gains and biases as float32.
  const bytes = stored.reduce((sum, { shape, data }) => sum + data.length * (shape.length === 1 ? 2 : 1), 0);
  expect(info.memory.bf16.weights).toBe(bytes);
  expect(info.memory.f32.weights).toBe(bytes);
  expect(info.memory.bf16.kvPerToken).toBe(2 * 3 * 64 * 2); // K and V, 3 layers, one head of 64, 2 bytes
  expect(info.memory.f32.kvPerToken).toBe(2 * 3 * 64 * 4);
  expect(info.memory.bf16.fullContext).toBe(bytes + 131072 * 2 * 3 * 64 * 2);
  expect(info).toMatchObject({
    family: "qwen2",
    layers: 3,
    tied: false,
    contextLength: 131072,
    slidingWindow: undefined,
  });
});
