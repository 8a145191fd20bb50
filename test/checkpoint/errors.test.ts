import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import type { R1ErrorCode } from "../../lib/errors";
import { R1Error } from "../../lib/errors";
import {
  type ConfigJson,
  fixtures,
  readTensors,
  safetensors,
  type TestTensor,
  temporaryFolder,
  tensorsFor,
  tinyConfig,
  withHeader,
  writeFolder,
  writeIndex,
  writeSharded,
} from "./support";

async function expectError(folder: string, code: R1ErrorCode, ...mentions: (string | RegExp)[]): Promise<void> {
  const error = await openCheckpoint(folder).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(R1Error);
  expect((error as R1Error).code, (error as R1Error).message).toBe(code);
  for (const mention of mentions) expect((error as R1Error).message).toMatch(mention);
}

const bad = "E_BAD_CHECKPOINT";

describe("missing files", () => {
  test("folder", () => expectError(join(temporaryFolder(), "absent"), "E_NOT_FOUND", /folder .*absent was not found/));
  test("a file in place of the folder", () =>
    expectError(join(fixtures, "qwen2-tiny/config.json"), "E_NOT_FOUND", "is a file; expected a model folder"));
  test("config", () =>
    expectError(writeFolder(tinyConfig(), undefined, { "config.json": null }), "E_NOT_FOUND", /config\.json .*ENOENT/));
  test("tokenizer", () =>
    expectError(writeFolder(tinyConfig(), undefined, { "tokenizer.json": null }), "E_NOT_FOUND", "tokenizer.json"));
  test("weights", () =>
    expectError(
      writeFolder(tinyConfig(), undefined, { "model.safetensors": null, "pytorch_model.bin": "x" }),
      "E_NOT_FOUND",
      "has no weights",
      "Found pytorch_model.bin",
    ));
  test("a shard", () => {
    const folder = writeSharded(join(fixtures, "qwen2-tiny"), 3);
    rmSync(join(folder, "model-2-of-3.safetensors"));
    return expectError(folder, "E_NOT_FOUND", "model-2-of-3.safetensors", "ENOENT");
  });
  test("a folder named config.json", () => {
    const folder = writeFolder(tinyConfig(), undefined, { "config.json": null });
    mkdirSync(join(folder, "config.json"));
    return expectError(folder, "E_NOT_FOUND", "not a regular file");
  });
});

describe("invalid JSON", () => {
  const config = (text: string | Buffer) => writeFolder(tinyConfig(), undefined, { "config.json": text });
  test("names file, line and column", () =>
    expectError(config('{\n  "model_type": "qwen2",\n  "a": tru\n}'), bad, /config\.json: .*line 3, column 8/));
  test("an end too soon", () =>
    expectError(config('{"a": [1, 2'), bad, "line 1, column 12", "found the end of the file"));
  test("text after the object", () => expectError(config("{} x"), bad, "expected the end of the file"));
  test("a duplicate key", () => expectError(config('{"a": 1, "a": 2}'), bad, '"a" a second time'));
  test("an unfinished string", () => expectError(config('{"a": "b\\"}'), bad, "expected a string"));
  test("numbers as JSON does not know them", () => expectError(config('{"a": NaN}'), bad, "expected a value"));
  test("a list", () => expectError(config("[1]"), bad, "expected a JSON object, found a list"));
  test("nothing", () => expectError(config(""), bad, "found the end of the file"));
  test("bytes that are not UTF-8", () => expectError(config(Buffer.from([0x7b, 0xff, 0x7d])), bad, "not UTF-8"));
  test("nesting without end", () => expectError(config(`{"a":${"[".repeat(100_000)}`), bad, "nested levels"));
  test("in generation_config.json", () =>
    expectError(
      writeFolder(tinyConfig(), undefined, { "generation_config.json": "{" }),
      bad,
      /generation_config\.json/,
    ));
  test("in a header", () =>
    expectError(
      writeFolder(tinyConfig(), undefined, { "model.safetensors": withHeader('{"a":', Buffer.alloc(0)) }),
      bad,
      /model\.safetensors \(header\): invalid JSON/,
    ));
});

describe("configs that are refused", () => {
  const refused = (overrides: ConfigJson, code: R1ErrorCode, ...mentions: (string | RegExp)[]) =>
    expectError(
      writeFolder(tinyConfig(), undefined, { "config.json": JSON.stringify(tinyConfig(overrides)) }),
      code,
      ...mentions,
    );

  test("an unknown model_type", () =>
    refused({ model_type: "mamba2" }, "E_UNSUPPORTED", '"mamba2" is not supported', "qwen2, llama, qwen3"));
  test("a model_type that every object has", () =>
    refused({ model_type: "constructor" }, "E_UNSUPPORTED", "constructor"));
  test("no model_type", () => refused({ model_type: undefined }, bad, "model_type must be a string, found nothing"));
  test("another activation", () => refused({ hidden_act: "gelu" }, "E_UNSUPPORTED", 'hidden_act "gelu"'));
  test("quantized weights", () =>
    refused({ quantization_config: { quant_method: "gptq" } }, "E_UNSUPPORTED", 'quant_method "gptq"'));
  test("hidden_size", () =>
    refused({ hidden_size: 68, head_dim: 64 }, "E_UNSUPPORTED", "hidden_size 68", "divisible by 8"));
  test("head_dim", () => refused({ head_dim: 96 }, "E_UNSUPPORTED", "head_dim 96", "64, 128"));
  test("a head_dim that follows from the rest", () =>
    refused({ num_attention_heads: 2 }, "E_UNSUPPORTED", "head_dim 32 (hidden_size 64 / num_attention_heads 2)"));
  test("KV heads that do not divide the heads", () =>
    refused({ num_attention_heads: 3, num_key_value_heads: 2 }, bad, "a divisor of num_attention_heads (3), found 2"));
  test("a type of layer", () => refused({ layer_types: ["linear_attention"] }, "E_UNSUPPORTED", "linear_attention"));
  test("layer_types of another length", () => refused({ layer_types: [] }, bad, "one entry for each of the 1 layers"));
  for (const [key, value] of [
    ["hidden_size", 64.5],
    ["hidden_size", -64],
    ["hidden_size", "64"],
    ["num_hidden_layers", 0],
    ["num_hidden_layers", 1e9],
    ["num_attention_heads", 1e300],
    ["vocab_size", 2 ** 40],
    ["vocab_size", [11]],
    ["intermediate_size", true],
    ["max_position_embeddings", 0.5],
    ["rms_norm_eps", -1],
    ["rope_theta", 0],
    ["tie_word_embeddings", "yes"],
    ["rope_scaling", "yarn"],
    ["eos_token_id", "</s>"],
  ] as const)
    test(`${key}: ${JSON.stringify(value)}`, () => refused({ [key]: value }, bad, new RegExp(`${key} must be`)));
});

describe("tensors that do not fit the config", () => {
  const config = tinyConfig();
  const changed = (edit: (tensors: TestTensor[]) => TestTensor[]) => writeFolder(config, edit(tensorsFor(config)));

  test("one is missing", () =>
    expectError(
      changed((tensors) => tensors.filter((t) => t.name !== "model.layers.0.self_attn.k_proj.bias")),
      bad,
      "missing tensor model.layers.0.self_attn.k_proj.bias",
    ));
  test("a layer is missing", () =>
    expectError(
      writeFolder(tinyConfig({ num_hidden_layers: 2 }), tensorsFor(config)),
      bad,
      "missing tensors",
      "and 8 more",
    ));
  test("one is too many", () =>
    expectError(
      changed((tensors) => [...tensors, { ...tensors[0], name: "model.layers.0.self_attn.o_proj.bias" }]),
      bad,
      "extra tensor model.layers.0.self_attn.o_proj.bias",
    ));
  test("a head without tied embeddings is missing", () =>
    expectError(
      changed((tensors) => tensors.filter((t) => t.name !== "lm_head.weight")),
      bad,
      "missing tensor lm_head",
    ));
  test("a wrong shape", () =>
    expectError(
      writeFolder(tinyConfig({ vocab_size: 12 }), tensorsFor(config)),
      bad,
      "model.embed_tokens.weight",
      "asks for [12, 64], found [11, 64]",
    ));
  test("a vector stored as a matrix", () =>
    expectError(
      changed((tensors) => tensors.map((t) => (t.name === "model.norm.weight" ? { ...t, shape: [64, 1] } : t))),
      bad,
      "asks for [64], found [64, 1]",
    ));
  test("a type that cannot be computed with", () =>
    expectError(
      changed((tensors) =>
        tensors.map((t) => ({ ...t, dtype: "I8", shape: t.shape, data: t.data.subarray(t.data.length / 2) })),
      ),
      "E_UNSUPPORTED",
      "stored as I8; supported: F32, F16, BF16",
    ));
});

describe("malformed safetensors", () => {
  const config = tinyConfig();
  const tensors = tensorsFor(config);
  const file = (content: Buffer) => writeFolder(config, [], { "model.safetensors": content });
  type Header = Record<string, { dtype: unknown; shape: unknown; data_offsets: unknown }>;
  const edited = (edit: (header: Header) => void) =>
    file(
      safetensors(tensors, (header) => {
        edit(header as Header);
        return header;
      }),
    );
  const first = tensors[0].name;
  const second = tensors[1].name;
  const bytes = tensors[0].data.length;

  test("an empty file", () => expectError(file(Buffer.alloc(0)), bad, "truncated: expected at least 8 bytes, found 0"));
  test("a header too long", () => {
    const content = safetensors(tensors);
    content.writeBigUInt64LE(100_000_001n);
    return expectError(file(content), bad, "header too long: 100000001 bytes");
  });
  test("a header of 2^64 - 1 bytes", () => {
    const content = safetensors(tensors);
    content.writeBigUInt64LE(2n ** 64n - 1n);
    return expectError(file(content), bad, "header too long: 18446744073709551615");
  });
  test("a header longer than the file", () =>
    expectError(file(safetensors(tensors).subarray(0, 100)), bad, /truncated: the header needs \d+ bytes/));
  test("data that end too soon", () => {
    const folder = file(safetensors(tensors));
    truncateSync(join(folder, "model.safetensors"), safetensors(tensors).length - 1);
    return expectError(folder, bad, "out of range", "truncated");
  });
  test("data that nobody owns", () =>
    expectError(
      file(Buffer.concat([safetensors(tensors), Buffer.alloc(3)])),
      bad,
      "3 bytes after lm_head.weight belong to no tensor",
    ));
  test("a Git LFS pointer", () =>
    expectError(file(Buffer.from("version https://git-lfs.github.com/spec/v1\n")), bad, "git lfs pull"));
  test("overlapping tensors", () =>
    expectError(
      edited((h) => {
        h[second] = h[first];
      }),
      bad,
      "overlap",
    ));
  test("a hole", () =>
    expectError(
      edited((h) => {
        delete h[second];
      }),
      bad,
      "a hole of",
    ));
  test("offsets out of range", () =>
    expectError(
      edited((h) => (h[first].data_offsets = [2 ** 40, 2 ** 40 + bytes])),
      bad,
      "out of range",
    ));
  test("offsets that run backwards", () =>
    expectError(
      edited((h) => (h[first].data_offsets = [bytes, 0])),
      bad,
      "begin <= end",
    ));
  test("a negative offset", () =>
    expectError(
      edited((h) => (h[first].data_offsets = [-1, 5])),
      bad,
      "non-negative integers",
    ));
  test("a fractional size", () =>
    expectError(
      edited((h) => (h[first].shape = [1.5, 64])),
      bad,
      "non-negative integers",
    ));
  test("a negative size", () =>
    expectError(
      edited((h) => (h[first].shape = [-11, -64])),
      bad,
      "non-negative integers",
    ));
  test("offsets that do not span the shape", () =>
    expectError(
      edited((h) => (h[first].shape = [10, 64])),
      bad,
      /takes 1280 bytes, but its data_offsets span 1408/,
    ));
  test("a shape that overflows", () =>
    expectError(
      edited((h) => (h[first].shape = [2 ** 52, 2 ** 52, 0])),
      bad,
      "overflows",
    ));
  test("an unknown dtype", () =>
    expectError(
      edited((h) => (h[first].dtype = "BF17")),
      bad,
      'unknown dtype "BF17"',
    ));
  test("a dtype that every object has", () =>
    expectError(
      edited((h) => (h[first].dtype = "toString")),
      bad,
      'unknown dtype "toString"',
    ));
  test("a tensor that is no object", () =>
    expectError(
      edited((h) => (h[first] = 5 as never)),
      bad,
      "expected an object, found 5",
    ));
  test("a tensor listed twice", () => {
    const content = safetensors(tensors);
    const length = Number(content.readBigUInt64LE());
    const json = content.subarray(8, 8 + length).toString();
    const twice = `${json.slice(0, -1)},${json.slice(json.indexOf(`"${first}"`), json.indexOf(`,"${second}"`))}}`;
    return expectError(file(withHeader(twice, content.subarray(8 + length))), bad, `"${first}" a second time`);
  });
});

describe("malformed indexes", () => {
  const config = tinyConfig();
  const index = (map: unknown) => {
    const folder = writeFolder(config, [], { "model.safetensors": null });
    writeFileSync(join(folder, "all.safetensors"), safetensors(tensorsFor(config)));
    writeIndex(folder, map);
    return folder;
  };
  const complete = Object.fromEntries(tensorsFor(config).map((t) => [t.name, "all.safetensors"]));

  test("the base of these cases is valid", () => openCheckpoint(index(complete)));
  for (const name of [
    "../all.safetensors",
    "/etc/all.safetensors",
    "a/../../b.safetensors",
    "a\0.safetensors",
    "",
    ".",
    7,
    null,
  ])
    test(`a shard ${JSON.stringify(name)}`, () =>
      expectError(index({ ...complete, [tensorsFor(config)[0].name]: name }), bad, "file inside the model folder"));
  test("no weight_map", () => expectError(index([]), bad, "weight_map must be an object, found a list"));
  test("a tensor that its shard does not have", () =>
    expectError(index({ ...complete, "model.more": "all.safetensors" }), bad, "model.more", "it is not there"));
  test("a tensor in two shards", () => {
    const folder = index({ ...complete, "model.norm.weight": "other.safetensors" });
    const norm = tensorsFor(config).filter((t) => t.name === "model.norm.weight");
    writeFileSync(join(folder, "other.safetensors"), safetensors(norm));
    return expectError(folder, bad, "model.norm.weight is in two shards");
  });
  test("a truncated shard", () => {
    const folder = writeSharded(join(fixtures, "qwen3-tiny"), 2);
    truncateSync(join(folder, "model-2-of-2.safetensors"), 5000);
    return expectError(folder, bad, "model-2-of-2.safetensors");
  });
});

test("the fixtures themselves are read by the same rules", () => {
  expect(readTensors(join(fixtures, "qwen3-tiny/model.safetensors")).length).toBeGreaterThan(20);
});
