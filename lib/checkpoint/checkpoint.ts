/** A Hugging Face model folder, read and checked without touching the weights: what the engine is to load, and from where. */

import { readdir } from "node:fs/promises";
import { isAbsolute, join, relative, resolve } from "node:path";
import { R1Error } from "../errors";
import type { NativeModelConfig, NativePart, NativeWeight, StoredType } from "../native";
import { type ModelConfig, parseConfig } from "./config";
import { families, ignoredTensors, type TensorSpec } from "./families";
import { isFile, readSmallFile, requireFolder } from "./files";
import { type GenerationDefaults, readGeneration } from "./generation";
import { isObject, type JsonObject, kindOf, parseJsonObject } from "./json";
import type { Rope } from "./rope";
import { readSafetensorsHeader, type StoredTensor } from "./safetensors";

export interface Checkpoint {
  /** `model_type`: a row of families.ts. */
  family: string;
  config: NativeModelConfig;
  /** Engine weights in the order of the forward pass. */
  weights: NativeWeight[];
  /** Absolute paths of the safetensors files, which the weights' parts index. Empty for made-up weights. */
  files: string[];
  generation: GenerationDefaults;
  /** Tokens the model was made for, prompt included. */
  contextLength: number;
  /** Values in all weights; tied ones are counted once. */
  parameters: number;
  /** The types the weights are stored in, most values first. */
  storedTypes: StoredType[];
  /** The embedding table is the head as well. */
  tied: boolean;
  rope: Rope;
}

const storedTypes: readonly string[] = ["F32", "F16", "BF16"] satisfies StoredType[];
const singleFile = "model.safetensors";
const indexFile = "model.safetensors.index.json";

export interface OpenOptions {
  /** In place of config.json's `rope_scaling`, for example `{ rope_type: "yarn", factor: 4 }`; theta stays the file's. */
  ropeScaling?: Readonly<Record<string, unknown>>;
}

/**
 * Reads config.json, generation_config.json and the headers of the weight files in `folder` and checks that they fit.
 *
 * @throws R1Error E_NOT_FOUND (folder, config, tokenizer, weights, a shard), E_BAD_CHECKPOINT (malformed or truncated
 *   files; missing, extra or misshapen tensors), E_UNSUPPORTED (a well-formed model that this version cannot run); RangeError for a
 *   bad `ropeScaling`
 */
export async function openCheckpoint(folder: string, options: OpenOptions = {}): Promise<Checkpoint> {
  await requireFolder(folder);
  const configPath = join(folder, "config.json");
  const configHint = "A model folder needs the config.json that was published with the weights.";
  const json = parseJsonObject(await readSmallFile(configPath, configHint), configPath);
  const config = parseConfig(json, configPath, options.ropeScaling as JsonObject | undefined);
  const tokenizer = join(folder, "tokenizer.json");
  if (!(await isFile(tokenizer)))
    throw new R1Error(
      "E_NOT_FOUND",
      `${tokenizer} was not found. Download the model's tokenizer.json into the folder.`,
    );

  const generationPath = join(folder, "generation_config.json");
  const generationJson = (await isFile(generationPath))
    ? parseJsonObject(await readSmallFile(generationPath, ""), generationPath)
    : undefined;
  const generation = readGeneration(generationJson, generationPath, config.stopTokens, config.native.vocab);
  const { files, tensors } = await readTensors(folder);
  return assemble(config, generation, files, tensors, folder);
}

/** A tensor and the file it lies in. */
type LocatedTensor = StoredTensor & { file: number };

async function readTensors(folder: string): Promise<{ files: string[]; tensors: Map<string, LocatedTensor> }> {
  const single = join(folder, singleFile);
  if (await isFile(single)) {
    const header = await readSafetensorsHeader(single);
    return { files: [resolve(single)], tensors: new Map([...header].map(([name, t]) => [name, { ...t, file: 0 }])) };
  }
  const index = join(folder, indexFile);
  if (await isFile(index)) return readShards(folder, index);
  const others = (await readdir(folder)).filter((name) => /\.(safetensors|bin|gguf|pt|pth)$/.test(name)).slice(0, 3);
  const found = others.length > 0 ? ` Found ${others.join(", ")}.` : "";
  throw new R1Error(
    "E_NOT_FOUND",
    `${folder} has no weights: expected ${singleFile}, or ${indexFile} and its shards.${found}`,
  );
}

async function readShards(
  folder: string,
  index: string,
): Promise<{ files: string[]; tensors: Map<string, LocatedTensor> }> {
  const map = parseJsonObject(await readSmallFile(index, ""), index).weight_map;
  if (!isObject(map))
    throw new R1Error("E_BAD_CHECKPOINT", `${index}: weight_map must be an object, found ${kindOf(map)}.`);
  const shards = shardNames(map, index);
  const files: string[] = [];
  const tensors = new Map<string, LocatedTensor>();
  for (const shard of shards) {
    const path = resolve(folder, shard);
    for (const [name, tensor] of await readSafetensorsHeader(path)) {
      const other = tensors.get(name);
      if (other)
        throw new R1Error("E_BAD_CHECKPOINT", `Tensor ${name} is in two shards: ${files[other.file]} and ${path}.`);
      tensors.set(name, { ...tensor, file: files.length });
    }
    files.push(path);
  }
  for (const [name, shard] of Object.entries(map)) {
    const found = tensors.get(name);
    const expected = resolve(folder, shard as string);
    if (!found || files[found.file] !== expected)
      throw new R1Error(
        "E_BAD_CHECKPOINT",
        `${index} places tensor ${name} in ${expected}, and it is ${found ? `in ${files[found.file]}` : "not there"}.`,
      );
  }
  return { files, tensors };
}

/** The distinct files that the index names, all inside the model folder. */
function shardNames(map: JsonObject, index: string): string[] {
  for (const [name, shard] of Object.entries(map)) {
    const inside =
      typeof shard === "string" &&
      shard.endsWith(".safetensors") &&
      !shard.includes("\0") &&
      !isAbsolute(shard) &&
      !relative("/folder", resolve("/folder", shard)).startsWith("..");
    if (!inside)
      throw new R1Error(
        "E_BAD_CHECKPOINT",
        `${index}: tensor ${name}: expected a .safetensors file inside the model folder, found ${kindOf(shard)}.`,
      );
  }
  return [...new Set(Object.values(map) as string[])];
}

function assemble(
  config: ModelConfig,
  generation: GenerationDefaults,
  files: string[],
  tensors: Map<string, LocatedTensor>,
  folder: string,
): Checkpoint {
  const specs = families[config.family].tensors(config.native, config.biases, config.tied);
  checkNames(specs, tensors, config, folder);
  const weights = specs.map((spec) => ({
    name: spec.name,
    parts: spec.parts.map((part) => locate(part, tensors.get(part.name) as LocatedTensor, files)),
  }));
  return {
    family: config.family,
    config: config.native,
    weights,
    files,
    generation,
    contextLength: config.contextLength,
    ...countValues(weights),
    tied: config.tied,
    rope: config.rope,
  };
}

/** Every tensor that the config asks for is there, and nothing else but what is known to be harmless. */
function checkNames(
  specs: TensorSpec[],
  tensors: Map<string, LocatedTensor>,
  config: ModelConfig,
  folder: string,
): void {
  const wanted = new Set(specs.flatMap((spec) => spec.parts.map((part) => part.name)));
  const missing = [...wanted].filter((name) => !tensors.has(name));
  if (missing.length > 0)
    throw new R1Error(
      "E_BAD_CHECKPOINT",
      `${folder}: missing ${list(missing)}. The config (${config.family}, ${config.native.layers} layers) asks for ` +
        `${wanted.size} tensors and the files have ${tensors.size}: they do not belong together, or a file is incomplete.`,
    );
  const harmless = (name: string) => ignoredTensors.test(name) || (config.tied && name === "lm_head.weight");
  const extra = [...tensors.keys()].filter((name) => !wanted.has(name) && !harmless(name));
  if (extra.length > 0)
    throw new R1Error(
      "E_BAD_CHECKPOINT",
      `${folder}: extra ${list(extra)}. A ${config.family} model with this config has no such weights; ` +
        "running without them would give wrong text.",
    );
}

function list(names: string[]): string {
  const more = names.length > 4 ? ` and ${names.length - 4} more` : "";
  return `${names.length === 1 ? "tensor" : "tensors"} ${names.slice(0, 4).join(", ")}${more}`;
}

function locate(spec: TensorSpec["parts"][number], tensor: LocatedTensor, files: string[]): NativePart {
  const { name, dtype, shape, file, offset } = tensor;
  if (shape.length !== spec.shape.length || shape.some((size, i) => size !== spec.shape[i]))
    throw new R1Error(
      "E_BAD_CHECKPOINT",
      `${files[file]}: tensor ${name} has a wrong shape: the config asks for [${spec.shape.join(", ")}], ` +
        `found [${shape.join(", ")}].`,
    );
  if (!storedTypes.includes(dtype))
    throw new R1Error(
      "E_UNSUPPORTED",
      `${files[file]}: tensor ${name} is stored as ${dtype}; supported: ${storedTypes.join(", ")}.`,
    );
  return { name, dtype: dtype as StoredType, rows: shape[0], cols: shape[1] ?? 1, file, offset };
}

/** Values in all and by type. */
export function countValues(weights: NativeWeight[]): Pick<Checkpoint, "parameters" | "storedTypes"> {
  const counts = new Map<StoredType, number>();
  for (const { parts } of weights)
    for (const { dtype, rows, cols } of parts) counts.set(dtype, (counts.get(dtype) ?? 0) + rows * cols);
  return {
    parameters: [...counts.values()].reduce((sum, n) => sum + n, 0),
    storedTypes: [...counts].sort((a, b) => b[1] - a[1]).map(([type]) => type),
  };
}
