/** Golden checkpoints: model folders with a golden.safetensors of what transformers computes in float32. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { readSafetensorsHeader } from "../../lib/checkpoint/safetensors";
import { fromBf16Bits } from "../support/rounding";

export interface GoldenCase {
  name: string;
  folder: string;
  /** Why it is not compared in this version; absent: it is. */
  skip?: string;
}

export interface GoldenPrompt {
  ids: Int32Array;
  /** Logits after the last `rows` positions, [rows][vocab]. */
  logits: Float32Array;
  rows: number;
  greedy: number[];
  /** Logit of each greedy token minus the runner-up's. */
  margin: Float32Array;
}

export interface Golden {
  vocab: number;
  short: GoldenPrompt;
  long: GoldenPrompt;
  /** [layers + 1][rows][hidden]: the residual before each layer, then the output of the final norm. */
  hidden: { values: Float32Array; layers: number; rows: number; width: number };
}

/** Model types that golden values exist for and that this version does not load. */
const later: Record<string, string> = { deepseek_v3: "the architecture deepseek_v3 is not part of this version" };

function caseOf(folder: string): GoldenCase {
  const config = join(folder, "config.json");
  const type = existsSync(config) ? JSON.parse(readFileSync(config, "utf8")).model_type : undefined;
  return { name: basename(folder), folder, skip: later[type] };
}

/** The folders in `parent`, or `parent` itself where it is a model. */
function casesIn(parent: string): GoldenCase[] {
  if (existsSync(join(parent, "config.json"))) return [caseOf(parent)];
  const folders = readdirSync(parent, { withFileTypes: true })
    .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !/^[._]/.test(entry.name))
    .map((entry) => join(parent, entry.name));
  return folders.sort().map(caseOf);
}

/**
 * The cases of the repository and, with `R1_FIXTURES=DIR`, every folder in DIR (in place of the repository's where the
 * names are the same).
 * @throws when DIR has none: a comparison that compares nothing must not pass
 */
export function goldenCases(): GoldenCase[] {
  const own = casesIn(join(__dirname, "../fixtures")).filter((c) => existsSync(join(c.folder, "golden.safetensors")));
  const more = process.env.R1_FIXTURES;
  if (more === undefined) return own;
  const found = casesIn(resolve(more));
  if (found.length === 0) throw new Error(`R1_FIXTURES=${more}: there is no model folder in it`);
  const names = new Set(found.map((c) => c.name));
  return [...own.filter((c) => !names.has(c.name)), ...found];
}

type Tensors = Map<string, { shape: number[]; values: Float32Array | BigInt64Array }>;

/** A safetensors file of F32, BF16 and I64 tensors. */
export async function readTensors(path: string): Promise<Tensors> {
  const file = readFileSync(path);
  const tensors: Tensors = new Map();
  for (const { name, dtype, shape, offset, bytes } of (await readSafetensorsHeader(path)).values()) {
    const data = file.buffer.slice(file.byteOffset + offset, file.byteOffset + offset + bytes);
    if (dtype === "F32") tensors.set(name, { shape, values: new Float32Array(data) });
    else if (dtype === "I64") tensors.set(name, { shape, values: new BigInt64Array(data) });
    else if (dtype === "BF16")
      tensors.set(name, { shape, values: Float32Array.from(new Uint16Array(data), fromBf16Bits) });
    else throw new Error(`${path}: ${name} is ${dtype}; expected F32, BF16 or I64`);
  }
  return tensors;
}

/** @throws when the folder has no golden values or lacks some */
export async function readGolden(folder: string): Promise<Golden> {
  const path = join(folder, "golden.safetensors");
  if (!existsSync(path)) throw new Error(`${path} does not exist: a case without golden values cannot be compared`);
  const tensors = await readTensors(path);
  const get = (name: string) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`${path} has no ${name}`);
    return tensor;
  };
  const floats = (name: string) => get(name).values as Float32Array;
  const ids = (name: string) => Int32Array.from(get(name).values as BigInt64Array, Number);
  const prompt = (name: string): GoldenPrompt => ({
    ids: ids(`${name}.ids`),
    logits: floats(`${name}.logits`),
    rows: get(`${name}.logits`).shape[0],
    greedy: [...ids(`${name}.greedy`)],
    margin: floats(`${name}.margin`),
  });
  const [states, rows, width] = get("short.hidden").shape;
  return {
    vocab: get("short.logits").shape[1],
    short: prompt("short"),
    long: prompt("long"),
    hidden: { values: floats("short.hidden"), layers: states - 1, rows, width },
  };
}

/** ‖a − b‖ / ‖b‖ */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values, expected ${expected.length}`);
  let error = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return Math.sqrt(error / norm);
}
