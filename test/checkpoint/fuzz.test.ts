/**
 * Mutates valid checkpoints thousands of times. Whatever comes of it is a success whose offsets lie inside their files or
 * an R1Error with an expected code; any other exception, a hang or an offset outside a file is a failure.
 */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { R1Error } from "../../lib/errors";
import { bytesOf, fixtures, tensorsFor, tinyConfig, withHeader, writeFolder, writeSharded } from "./support";

const rounds = 3000;
const expectedCodes = ["E_BAD_CHECKPOINT", "E_NOT_FOUND", "E_UNSUPPORTED"];

/** mulberry32: a seeded generator of numbers in [0, 1). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pick = <T>(random: () => number, list: readonly T[]): T => list[Math.floor(random() * list.length)];

const oddValues: readonly unknown[] = [
  ...[
    0,
    1,
    -1,
    7,
    64,
    1.5,
    2 ** 31,
    2 ** 53,
    1e300,
    -1e300,
    1e-300,
    null,
    true,
    false,
    "",
    "x",
    "BF16",
    "F4",
    "__proto__",
  ],
  ...[[], [0], [-1], [2 ** 40, 2 ** 40], [1e300], [0, 0, 0], {}, { type: "yarn" }, { rope_type: "llama3", factor: 8 }],
];
const oddTokens = [
  "0",
  "-1",
  "1e999",
  "99999999999999999999",
  "null",
  "[]",
  "{}",
  '""',
  '"\\u0000"',
  ",",
  "}",
  "[[[[",
  "\\",
  '"',
];

/** Changes a byte, cuts, duplicates or replaces a stretch of the text. */
function mutateText(text: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * text.length);
  const end = Math.min(text.length, at + Math.floor(random() * 40));
  const middle = pick(random, [
    () => Buffer.from([Math.floor(random() * 256)]),
    () => Buffer.alloc(0),
    () => Buffer.concat([text.subarray(at, end), text.subarray(at, end)]),
    () => Buffer.from(pick(random, oddTokens)),
  ])();
  return Buffer.concat([text.subarray(0, at), middle, text.subarray(random() < 0.5 ? end : at + 1)]);
}

/** Replaces, removes, renames or copies a value somewhere in a JSON object, in place. */
function mutateValue(node: Record<string, unknown>, random: () => number): void {
  const key = pick(random, Object.keys(node));
  const value = node[key];
  if (typeof value === "object" && value !== null && Object.keys(value).length > 0 && random() < 0.8) {
    mutateValue(value as Record<string, unknown>, random);
    return;
  }
  const other = pick(random, Object.keys(node));
  const kind = Math.floor(random() * 6);
  if (kind === 0) node[key] = pick(random, oddValues);
  else if (kind === 1) node[key] = node[other];
  else if (kind === 2) [node[key], node[other]] = [node[other], node[key]];
  else if (kind === 3) node[`${key}x`] = value;
  else if (kind === 4 && typeof value === "number") node[key] = value + pick(random, [-1, 1, 2, 64, -value, value]);
  else if (Array.isArray(node)) node.pop();
  else delete node[key];
}

function mutateJson(text: Buffer, random: () => number): Buffer {
  if (random() < 0.4) return mutateText(text, random);
  const value = JSON.parse(text.toString()) as Record<string, unknown>;
  for (let n = 1 + Math.floor(random() * 3); n > 0; n--) if (Object.keys(value).length > 0) mutateValue(value, random);
  return Buffer.from(JSON.stringify(value));
}

function checkOffsets({ weights, files, config, contextLength }: Checkpoint): void {
  const sizes = files.map((file) => statSync(file).size);
  for (const { file, offset, rows, cols, dtype } of weights.flatMap((weight) => weight.parts)) {
    for (const value of [file, offset, rows, cols]) expect(Number.isSafeInteger(value)).toBe(true);
    expect(offset).toBeGreaterThanOrEqual(8);
    expect((offset as number) + rows * cols * bytesOf[dtype]).toBeLessThanOrEqual(sizes[file as number]);
  }
  expect(config.invFreq.every(Number.isFinite)).toBe(true);
  expect(config.invFreq.length).toBe(config.headDim / 2);
  expect(config.windows.length).toBe(config.layers);
  expect(contextLength).toBeGreaterThan(0);
}

/** Runs `mutate` on a folder `rounds` times and counts the outcomes. */
async function fuzz(folder: string, file: string, mutate: (original: Buffer, random: () => number) => Buffer) {
  const path = join(folder, file);
  const original = readFileSync(path);
  const outcomes: Record<string, number> = {};
  for (let seed = 0; seed < rounds; seed++) {
    writeFileSync(path, mutate(original, generator(seed)));
    let outcome = "success";
    try {
      checkOffsets(await openCheckpoint(folder));
    } catch (error) {
      if (!(error instanceof R1Error) || !expectedCodes.includes(error.code))
        throw new Error(`seed ${seed} of ${file}: unexpected ${error}`, { cause: error });
      outcome = error.code;
    }
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  writeFileSync(path, original);
  return outcomes;
}

const valid = () => {
  const config = tinyConfig({ eos_token_id: [1, 2], rope_scaling: { type: "yarn", factor: 4, beta_fast: 32 } });
  return writeFolder(config, tensorsFor(config), {
    "generation_config.json": JSON.stringify({ eos_token_id: [1], temperature: 0.6, top_p: 0.95, do_sample: true }),
  });
};

test("headers", async () => {
  const outcomes = await fuzz(valid(), "model.safetensors", (original, random) => {
    const start = 8 + Number(original.readBigUInt64LE());
    const header = original.subarray(8, start);
    const data = original.subarray(start);
    if (random() < 0.1) {
      const file = Buffer.from(original);
      file.writeBigUInt64LE(BigInt(Math.floor(2 ** (random() * 63))));
      return random() < 0.5 ? file : file.subarray(0, Math.floor(random() * file.length));
    }
    return withHeader(mutateJson(header, random), random() < 0.1 ? data.subarray(Math.floor(random() * 64)) : data);
  });
  expect(outcomes.E_BAD_CHECKPOINT).toBeGreaterThan(rounds / 2);
  expect(outcomes.success).toBeGreaterThan(0); // some mutations are harmless: the base is valid
});

test("configs", async () => {
  const outcomes = await fuzz(valid(), "config.json", mutateJson);
  expect(outcomes.E_BAD_CHECKPOINT).toBeGreaterThan(rounds / 5);
  expect(outcomes.E_UNSUPPORTED).toBeGreaterThan(0);
  expect(outcomes.success).toBeGreaterThan(0);
});

test("generation configs", async () => {
  const outcomes = await fuzz(valid(), "generation_config.json", mutateJson);
  expect(outcomes.E_BAD_CHECKPOINT).toBeGreaterThan(rounds / 5);
  expect(outcomes.success).toBeGreaterThan(0);
});

test("indexes", async () => {
  const folder = writeSharded(join(fixtures, "qwen3-tiny"), 2);
  const outcomes = await fuzz(folder, "model.safetensors.index.json", mutateJson);
  expect(outcomes.E_BAD_CHECKPOINT).toBeGreaterThan(rounds / 5);
  expect(outcomes.success).toBeGreaterThan(0);
});
