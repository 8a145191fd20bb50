/**
 * Mutates valid checkpoints thousands of times. Whatever comes of it is a success whose offsets lie inside their files or
 * an R1Error with an expected code; any other exception, a hang or an offset outside a file is a failure.
 */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { R1Error } from "../../lib/errors";
import { generator, mutateJson } from "../support/mutate";
import { bytesOf, fixtures, tensorsFor, tinyConfig, withHeader, writeFolder, writeSharded } from "./support";

const rounds = 3000;
const expectedCodes = ["E_BAD_CHECKPOINT", "E_NOT_FOUND", "E_UNSUPPORTED"];

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
