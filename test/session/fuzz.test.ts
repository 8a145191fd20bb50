/**
 * Mutates saved sessions thousands of times, with checksums that are right and wrong. Whatever comes of it is a session
 * or an R1Error with an expected code; any other exception, a hang or an engine that is given too much is a failure.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { R1Error } from "../../lib/errors";
import { restoreSession } from "../../lib/session/restore";
import { fakeModel } from "../support/fake-sessions";
import { generator, mutateJson } from "../support/mutate";

const rounds = 2000;
const expectedCodes = ["E_BAD_INPUT", "E_SESSION_MISMATCH", "E_CONTEXT_OVERFLOW"];

function withChecksum(content: Buffer): Buffer {
  return Buffer.concat([content, createHash("sha256").update(content).digest()]);
}

/** A file whose header, data, length or checksum may be off. */
function mutate(original: Buffer, random: () => number): Buffer {
  const end = 16 + original.readUInt32LE(12);
  let header = original.subarray(16, end);
  let data = original.subarray(end, -32);
  if (random() < 0.8) header = mutateJson(header, random);
  if (random() < 0.2) data = data.subarray(Math.floor(random() * data.length));
  const prefix = Buffer.from(original.subarray(0, 16));
  prefix.writeUInt32LE(random() < 0.9 ? header.length : Math.floor(2 ** (random() * 32)), 12);
  if (random() < 0.05) prefix[Math.floor(random() * 12)] ^= 1 << Math.floor(random() * 8);
  const file = withChecksum(Buffer.concat([prefix, header, data]));
  if (random() < 0.1) file[Math.floor(random() * file.length)] ^= 1 << Math.floor(random() * 8);
  return random() < 0.05 ? file.subarray(0, Math.floor(random() * file.length)) : file;
}

test("saved sessions", async () => {
  const { model, engine, create, ids } = await fakeModel();
  const folder = mkdtempSync(join(tmpdir(), "r1-session-"));
  const path = join(folder, "chat.r1session");
  try {
    const session = create({ keepReasoning: true, system: "Be kind." });
    const turn = session.chat("one");
    while (engine.requests.size === 0) await new Promise(setImmediate);
    engine.tokens(1, ...ids("Hm</think>1"));
    engine.finish(1);
    await turn;
    await session.save(path);
    const original = readFileSync(path);
    const outcomes: Record<string, number> = {};
    for (let seed = 0; seed < rounds; seed++) {
      writeFileSync(path, mutate(original, generator(seed)));
      let outcome = "success";
      try {
        const restored = await restoreSession(model, path);
        const held = engine.held.get(restored.id)!;
        expect(held.sealed).toBe(true);
        expect(held.computed).toBeLessThanOrEqual(held.tokens.length);
        await restored.dispose();
      } catch (error) {
        if (!(error instanceof R1Error) || !expectedCodes.includes(error.code))
          throw new Error(`seed ${seed}: unexpected ${error}`, { cause: error });
        outcome = error.code;
      }
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      expect([...engine.held.keys()]).toEqual([session.id]);
    }
    expect(outcomes.E_BAD_INPUT).toBeGreaterThan(rounds / 2);
    expect(outcomes.E_SESSION_MISMATCH).toBeGreaterThan(rounds / 100);
    expect(outcomes.success).toBeGreaterThan(rounds / 50); // some mutations are harmless
  } finally {
    rmSync(folder, { recursive: true });
  }
});
