/** Model folders written at run time: valid ones to start from, in every layout, and the means to spoil them. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

export type ConfigJson = Record<string, unknown>;
export interface TestTensor {
  name: string;
  dtype: string;
  shape: number[];
  data: Buffer;
}

export const fixtures = join(__dirname, "../fixtures");
export const denseCases = ["qwen2-tiny", "llama3-tiny", "qwen3-tiny"];

const root = mkdtempSync(join(tmpdir(), "r1-checkpoint-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;

export function temporaryFolder(): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  return folder;
}

export const bytesOf: Record<string, number> = { F32: 4, F16: 2, BF16: 2, I8: 1, F64: 8 };

/** The bytes of a safetensors file. `edit` may change the header before it is written. */
export function safetensors(tensors: TestTensor[], edit: (header: ConfigJson) => unknown = (h) => h): Buffer {
  const header: ConfigJson = { __metadata__: { format: "pt" } };
  let at = 0;
  for (const { name, dtype, shape, data } of tensors) {
    header[name] = { dtype, shape, data_offsets: [at, at + data.length] };
    at += data.length;
  }
  return withHeader(JSON.stringify(edit(header)), Buffer.concat(tensors.map((tensor) => tensor.data)));
}

export function withHeader(json: string | Buffer, data: Buffer): Buffer {
  const text = Buffer.from(json as string);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

/** Reads a safetensors file with nothing but JSON.parse, independently of lib/checkpoint. */
export function readTensors(path: string): TestTensor[] {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE());
  const header = JSON.parse(file.subarray(8, start).toString()) as Record<string, never>;
  return Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(
      ([name, { dtype, shape, data_offsets }]: [
        string,
        { dtype: string; shape: number[]; data_offsets: number[] },
      ]) => {
        return { name, dtype, shape, data: file.subarray(start + data_offsets[0], start + data_offsets[1]) };
      },
    );
}

/** A small qwen2 config (one layer, hidden 64, one head of 64), changed by `overrides`. */
export function tinyConfig(overrides: ConfigJson = {}): ConfigJson {
  return {
    model_type: "qwen2",
    hidden_size: 64,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    num_key_value_heads: 1,
    vocab_size: 11,
    ...overrides,
  };
}

/** The tensors that transformers would save for `config`, by the names of its modules. */
export function tensorsFor(config: ConfigJson, dtype = "BF16"): TestTensor[] {
  const number = (key: string) => config[key] as number;
  const [hidden, inter, vocab] = [number("hidden_size"), number("intermediate_size"), number("vocab_size")];
  const heads = number("num_attention_heads");
  const headDim = (config.head_dim as number) ?? hidden / heads;
  const [q, kv] = [heads * headDim, number("num_key_value_heads") * headDim];
  const attentionBias = config.model_type !== "qwen2" && config.attention_bias === true;
  const list: [string, number[], boolean][] = [["model.embed_tokens.weight", [vocab, hidden], true]];
  for (let n = 0; n < number("num_hidden_layers"); n++) {
    const layer = (name: string, shape: number[], wanted = true) =>
      list.push([`model.layers.${n}.${name}`, shape, wanted]);
    const qkvBias = config.model_type === "qwen2" || attentionBias;
    for (const [name, rows] of [
      ["q", q],
      ["k", kv],
      ["v", kv],
    ] as const) {
      layer(`self_attn.${name}_proj.weight`, [rows, hidden]);
      layer(`self_attn.${name}_proj.bias`, [rows], qkvBias);
    }
    layer("self_attn.o_proj.weight", [hidden, q]);
    layer("self_attn.o_proj.bias", [hidden], attentionBias);
    layer("self_attn.q_norm.weight", [headDim], config.model_type === "qwen3");
    layer("self_attn.k_norm.weight", [headDim], config.model_type === "qwen3");
    const mlpBias = config.model_type === "llama" && config.mlp_bias === true;
    for (const [name, rows, cols] of [
      ["gate", inter, hidden],
      ["up", inter, hidden],
      ["down", hidden, inter],
    ] as const) {
      layer(`mlp.${name}_proj.weight`, [rows, cols]);
      layer(`mlp.${name}_proj.bias`, [rows], mlpBias);
    }
    layer("input_layernorm.weight", [hidden]);
    layer("post_attention_layernorm.weight", [hidden]);
  }
  list.push(["model.norm.weight", [hidden], true], ["lm_head.weight", [vocab, hidden], !config.tie_word_embeddings]);
  let seed = 1;
  return list
    .filter(([, , wanted]) => wanted)
    .map(([name, shape]) => {
      const data = Buffer.alloc(shape.reduce((a, b) => a * b, bytesOf[dtype]));
      for (let i = 0; i < data.length; i++) data[i] = seed++ & 0x3f; // finite in every type
      return { name, dtype, shape, data };
    });
}

/** Writes a complete folder. A file given as null is left out. */
export function writeFolder(
  config: ConfigJson,
  tensors: TestTensor[] = tensorsFor(config),
  files: Record<string, string | Buffer | null> = {},
): string {
  const folder = temporaryFolder();
  const all: Record<string, string | Buffer | null> = {
    "config.json": JSON.stringify(config),
    "tokenizer.json": "{}",
    "model.safetensors": safetensors(tensors),
    ...files,
  };
  for (const [name, content] of Object.entries(all)) if (content !== null) writeFileSync(join(folder, name), content);
  return folder;
}

/** The same checkpoint as `source` in `count` shards with an index. */
export function writeSharded(source: string, count: number): string {
  const folder = temporaryFolder();
  for (const name of ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"])
    copyFileSync(join(source, name), join(folder, name));
  const tensors = readTensors(join(source, "model.safetensors"));
  const map: Record<string, string> = {};
  for (let i = 0; i < count; i++) {
    const file = `model-${i + 1}-of-${count}.safetensors`;
    const part = tensors.filter((_, n) => n % count === i);
    for (const { name } of part) map[name] = file;
    writeFileSync(join(folder, file), safetensors(part));
  }
  writeIndex(folder, map);
  return folder;
}

export function writeIndex(folder: string, weightMap: unknown): void {
  writeFileSync(
    join(folder, "model.safetensors.index.json"),
    JSON.stringify({ metadata: { total_size: 0 }, weight_map: weightMap }),
  );
}
