import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { parseConfig } from "../../lib/checkpoint/config";
import type { JsonObject } from "../../lib/checkpoint/json";
import { type ConfigJson, tensorsFor, tinyConfig, writeFolder } from "./support";

const parse = (overrides: ConfigJson) => parseConfig(tinyConfig(overrides) as JsonObject, "config.json");

describe("biases", () => {
  const cases: [string, ConfigJson, string[]][] = [
    ["qwen2 always has q, k and v", { model_type: "qwen2" }, ["qkv_bias"]],
    ["qwen2 knows no attention_bias", { model_type: "qwen2", attention_bias: false, mlp_bias: true }, ["qkv_bias"]],
    ["llama has none", { model_type: "llama" }, []],
    ["llama with attention_bias", { model_type: "llama", attention_bias: true }, ["qkv_bias", "o_bias"]],
    ["llama with mlp_bias", { model_type: "llama", mlp_bias: true }, ["gate_up_bias", "down_bias"]],
    ["qwen3 has none, and norms per head", { model_type: "qwen3", head_dim: 64 }, ["q_norm", "k_norm"]],
    [
      "qwen3 with attention_bias",
      { model_type: "qwen3", head_dim: 64, attention_bias: true },
      ["qkv_bias", "q_norm", "k_norm", "o_bias"],
    ],
  ];
  test.each(cases)("%s", async (_, overrides, expected) => {
    const config = tinyConfig(overrides);
    const { weights } = await openCheckpoint(writeFolder(config, tensorsFor(config)));
    const plain = new Set(["attn_norm", "qkv", "o", "mlp_norm", "gate_up", "down"]);
    const names = weights.map((w) => w.name).filter((name) => name.startsWith("layers.0."));
    expect(names.map((name) => name.slice(9)).filter((name) => !plain.has(name))).toEqual(expected);
    expect(names.length).toBe(plain.size + expected.length);
  });
});

describe("shapes", () => {
  test("head_dim apart from hidden / heads", async () => {
    const config = tinyConfig({ model_type: "qwen3", head_dim: 128, num_attention_heads: 3, num_key_value_heads: 1 });
    const { config: native, weights } = await openCheckpoint(writeFolder(config));
    expect(native).toMatchObject({ headDim: 128, heads: 3, kvHeads: 1, hidden: 64, qkNorm: true });
    expect(weights.find((w) => w.name === "layers.0.o")?.parts[0]).toMatchObject({ rows: 64, cols: 384 });
  });
  test("qwen3 has heads of 128 unless it says otherwise", () => {
    expect(parse({ model_type: "qwen3", hidden_size: 128, num_attention_heads: 2 }).native.headDim).toBe(128);
  });
  test("a null head_dim follows from the rest", () => {
    expect(parse({ model_type: "llama", head_dim: null }).native.headDim).toBe(64);
  });
  test("MHA: no or null num_key_value_heads", () => {
    const heads = { model_type: "llama", hidden_size: 256, num_attention_heads: 4 };
    expect(parse({ ...heads, num_key_value_heads: undefined }).native.kvHeads).toBe(4);
    expect(parse({ ...heads, model_type: "qwen2", num_key_value_heads: null }).native.kvHeads).toBe(4);
    expect(parse({ ...heads, model_type: "qwen2", num_key_value_heads: undefined }).native.kvHeads).toBe(4);
  });
  test("transformers' defaults for absent keys", () => {
    const { native, tied, rope } = parseConfig({ model_type: "llama", hidden_size: 2048 }, "config.json");
    expect(native).toMatchObject({
      ...{ vocab: 32000, layers: 32, heads: 32, kvHeads: 32, headDim: 64, intermediate: 11008, normEps: 1e-6 },
    });
    expect(tied).toBe(false);
    expect(rope.theta).toBe(10000);
    expect(parseConfig({ model_type: "qwen2" }, "config.json").native).toMatchObject({
      ...{ vocab: 151936, hidden: 4096, kvHeads: 32, headDim: 128, intermediate: 22016 },
    });
  });
  test("an odd vocabulary", async () => {
    const config = tinyConfig({ vocab_size: 257 });
    expect((await openCheckpoint(writeFolder(config))).config.vocab).toBe(257);
  });
  test("swish is another name of silu", () => {
    expect(parse({ hidden_act: "swish" }).family).toBe("qwen2");
  });
});

describe("sliding windows", () => {
  const windows = (overrides: ConfigJson) => [...parse({ num_hidden_layers: 4, ...overrides }).native.windows];
  const layer_types = ["full_attention", "sliding_attention", "full_attention", "sliding_attention"];

  test("off unless use_sliding_window says so", () => {
    expect(windows({ sliding_window: 8 })).toEqual([0, 0, 0, 0]);
    expect(windows({ sliding_window: 8, use_sliding_window: false, max_window_layers: 0 })).toEqual([0, 0, 0, 0]);
    expect(windows({ sliding_window: 8, use_sliding_window: false, layer_types })).toEqual([0, 0, 0, 0]);
  });
  test("from max_window_layers on", () => {
    const on = { sliding_window: 8, use_sliding_window: true };
    expect(windows({ ...on, max_window_layers: 1 })).toEqual([0, 8, 8, 8]);
    expect(windows({ ...on, max_window_layers: 0 })).toEqual([8, 8, 8, 8]);
    expect(windows({ ...on, max_window_layers: 4 })).toEqual([0, 0, 0, 0]);
    expect(windows(on)).toEqual([0, 0, 0, 0]); // the default is 28
  });
  test("layer_types decide where they exist", () => {
    const on = { sliding_window: 8, use_sliding_window: true, max_window_layers: 0 };
    expect(windows({ ...on, layer_types })).toEqual([0, 8, 0, 8]);
  });
  test("an absent window is 4096 tokens, null is none", () => {
    const on = { use_sliding_window: true, max_window_layers: 3 };
    expect(windows(on)).toEqual([0, 0, 0, 4096]);
    expect(windows({ ...on, sliding_window: null })).toEqual([0, 0, 0, 0]);
  });
  test("llama has none", () => {
    expect(windows({ model_type: "llama", sliding_window: 8, use_sliding_window: true, max_window_layers: 0 })).toEqual(
      [0, 0, 0, 0],
    );
  });
});
