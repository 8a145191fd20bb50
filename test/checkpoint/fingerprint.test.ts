/** The hash that tells models apart. */
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { modelHash } from "../../lib/checkpoint/fingerprint";
import { bytesOf, fixtures, temporaryFolder, writeSharded } from "./support";

const original = join(fixtures, "qwen3-tiny");
const folder = temporaryFolder();

function copy(name: string): string {
  cpSync(original, join(folder, name), { recursive: true });
  return join(folder, name);
}
const hashOf = async (path: string, options = {}) => modelHash(await openCheckpoint(path, options));

it("is the same for the same weights, wherever they lie and however they are cut into files", async () => {
  const hash = await hashOf(original);
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(await hashOf(original)).toBe(hash);
  expect(await hashOf(copy("other"))).toBe(hash);
  expect(await hashOf(writeSharded(original, 2))).toBe(hash);
});

it("is another one for another config, and for weights that differ at either end of a tensor", async () => {
  const hashes = new Set([await hashOf(original)]);
  hashes.add(await hashOf(join(fixtures, "qwen2-tiny")));
  hashes.add(await hashOf(original, { ropeScaling: { rope_type: "linear", factor: 2 } }));
  const { weights } = await openCheckpoint(original);
  const parts = weights.flatMap((weight) => weight.parts).slice(0, 8);
  for (const { offset = 0, rows, cols, dtype } of parts)
    for (const at of [offset, offset + rows * cols * bytesOf[dtype] - 1]) {
      const path = join(copy("changed"), "model.safetensors");
      const bytes = readFileSync(path);
      bytes[at] ^= 1;
      writeFileSync(path, bytes);
      hashes.add(await hashOf(join(folder, "changed")));
    }
  expect(hashes.size).toBe(3 + 2 * parts.length);
});

it("says so when the weights have gone since they were opened", async () => {
  const path = copy("gone");
  const checkpoint = await openCheckpoint(path);
  truncateSync(join(path, "model.safetensors"), 5000);
  await expect(modelHash(checkpoint)).rejects.toMatchObject({ code: "E_BAD_CHECKPOINT" });
  rmSync(path, { recursive: true });
  await expect(modelHash(checkpoint)).rejects.toMatchObject({ code: "E_NOT_FOUND" });
});
