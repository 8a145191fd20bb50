import { describe, expect, test } from "vitest";
import { parseConfig } from "../../lib/checkpoint/config";
import type { JsonObject } from "../../lib/checkpoint/json";
import { R1Error } from "../../lib/errors";
import golden from "./rope-golden.json";
import { tinyConfig } from "./support";

const parse = (overrides: object) =>
  parseConfig({ ...tinyConfig(), ...overrides } as unknown as JsonObject, "config.json");

describe("frequencies and factors are transformers'", () => {
  test.each(golden)("$name", ({ config, scale, invFreq }) => {
    const { native } = parseConfig(config as unknown as JsonObject, "config.json");
    expect(native.ropeScale).toBeCloseTo(scale, 14);
    expect(native.invFreq.length).toBe(invFreq.length);
    // One unit in the last place is what two libraries' float32 powers may differ by; sums of two such make it two.
    native.invFreq.forEach((v, i) => {
      expect(Math.abs(v - invFreq[i]) / invFreq[i], `frequency ${i}`).toBeLessThan(2.5e-7);
    });
  });
});

const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32768 };
const computed = 0.1 * Math.log(4) + 1;

describe("attn_factor", () => {
  test("multiplies the computed factor: R1-0528-Qwen3-8B wants 1", () => {
    const { native } = parse({ rope_scaling: { ...yarn, attn_factor: 0.8782488562869419 } });
    expect(native.ropeScale).toBeCloseTo(1, 12);
    expect(parse({ rope_scaling: { ...yarn, attn_factor: 2 } }).native.ropeScale).toBeCloseTo(2 * computed, 12);
  });
  test("does not change an attention_factor", () => {
    const { native } = parse({ rope_scaling: { ...yarn, attention_factor: 1.25, attn_factor: 2 } });
    expect(native.ropeScale).toBe(1.25);
  });
});

test("a YaRN factor that is null follows from the lengths", () => {
  const { rope } = parse({ max_position_embeddings: 65536, rope_scaling: { ...yarn, factor: null } });
  expect(rope.factor).toBe(2);
});

test("context: max_position_embeddings, or what YaRN extends the original length to", () => {
  expect(parse({ max_position_embeddings: 4096 }).contextLength).toBe(4096);
  expect(parse({ max_position_embeddings: 32768, rope_scaling: yarn }).contextLength).toBe(131072);
  expect(parse({ max_position_embeddings: 131072, rope_scaling: yarn }).contextLength).toBe(131072);
  expect(parse({}).contextLength).toBe(32768); // qwen2's default
  expect(parse({ model_type: "llama" }).contextLength).toBe(2048);
});

test("an empty or null rope_scaling is none", () => {
  for (const rope_scaling of [null, {}])
    expect(parse({ rope_scaling }).rope).toMatchObject({ type: "default", scale: 1 });
});

describe("ropeScaling of the caller", () => {
  const override = (overrides: object, ropeScaling: object) =>
    parseConfig({ ...tinyConfig(), ...overrides } as unknown as JsonObject, "config.json", ropeScaling as JsonObject);

  test("replaces the file's and keeps its theta", () => {
    const wanted = parse({ rope_theta: 5e5, max_position_embeddings: 32768, rope_scaling: yarn });
    for (const layout of [
      { rope_theta: 5e5, rope_scaling: { type: "linear", factor: 2 } },
      { rope_parameters: { rope_theta: 5e5, rope_type: "default" } },
    ])
      expect(override({ ...layout, max_position_embeddings: 32768 }, yarn)).toEqual(wanted);
  });
  test("counts the original length from max_position_embeddings", () => {
    expect(override({ max_position_embeddings: 1000 }, { rope_type: "yarn", factor: 4 }).contextLength).toBe(4000);
  });
  test("is a RangeError when it is wrong", () => {
    expect(() => override({}, { rope_type: "yarn", factor: 0.5 })).toThrow(RangeError);
    expect(() => override({}, { rope_type: "linear" })).toThrow("ropeScaling: factor must be a number from 1");
    expect(() => override({}, { rope_type: 7 })).toThrow(RangeError);
  });
});

describe("refused", () => {
  const refused = (overrides: object, code: string, message: string) => {
    const error = (() => {
      try {
        return parse(overrides);
      } catch (thrown) {
        return thrown;
      }
    })() as R1Error;
    expect(error).toBeInstanceOf(R1Error);
    expect(error.message).toContain(message);
    expect(error.code).toBe(code);
  };
  test("an unknown type", () =>
    refused(
      { rope_scaling: { rope_type: "longrope" } },
      "E_UNSUPPORTED",
      'rope_type "longrope" is not supported; supported: default, linear, llama3, yarn',
    ));
  test("partial rotation", () => {
    refused({ partial_rotary_factor: 0.5, rope_scaling: yarn }, "E_UNSUPPORTED", "partial_rotary_factor");
    refused({ partial_rotary_factor: 0.5 }, "E_UNSUPPORTED", "partial_rotary_factor");
    refused(
      { rope_parameters: { rope_type: "default", partial_rotary_factor: 0.25 } },
      "E_UNSUPPORTED",
      "partial_rotary_factor",
    );
  });
  test("parameters by layer type", () =>
    refused({ rope_parameters: { full_attention: { rope_type: "default" } } }, "E_UNSUPPORTED", "per layer type"));
  test("a missing factor", () =>
    refused({ rope_scaling: { type: "linear" } }, "E_BAD_CHECKPOINT", "rope_scaling: factor must be a number from 1"));
  test("llama3 bounds in the wrong order", () =>
    refused(
      { rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4 } },
      "E_BAD_CHECKPOINT",
      "high_freq_factor must be larger than low_freq_factor",
    ));
  test("parameters that give no finite frequencies", () =>
    refused({ rope_theta: 1, rope_scaling: yarn }, "E_BAD_CHECKPOINT", "not finite"));
});
