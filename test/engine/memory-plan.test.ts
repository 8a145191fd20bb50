/** A model that does not fit names the next smaller choice, and that one loads: csrc/engine/memory_plan.h. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { randomCheckpoint } from "../../lib/checkpoint/random";
import { EngineClient } from "../../lib/engine-client";
import { type LoadSpecOptions, loadSpec } from "../../lib/load-spec";

const config = JSON.parse(readFileSync(join(__dirname, "../fixtures/qwen2-tiny/config.json"), "utf8"));
const checkpoint = randomCheckpoint(config, { storedType: "F32" });
const load = (options: Partial<LoadSpecOptions>) =>
  EngineClient.load(loadSpec(checkpoint, { device: "cpu", precision: "f32", contextLength: 2048, ...options }));

async function loads(options: Partial<LoadSpecOptions>): Promise<EngineClient["info"]> {
  const client = await load(options);
  const { info } = client;
  await client.dispose();
  return info;
}

async function refusal(options: Partial<LoadSpecOptions>): Promise<string> {
  const outcome = await loads(options).catch((error) => error);
  expect(outcome).toMatchObject({ code: "E_OUT_OF_MEMORY" });
  return outcome.message;
}

describe("a model that does not fit", async () => {
  const { weightBytes, workspaceBytes, kvBytesPerToken } = await loads({});
  const fixed = weightBytes + workspaceBytes;

  it.each([64, 1000, 2047])("names the contextLength that fits: memory for %i tokens", async (tokens) => {
    const memoryLimit = fixed + tokens * kvBytesPerToken;
    const message = await refusal({ memoryLimit });
    const contextLength = Math.floor(tokens / 64) * 64;
    expect(message).toContain(`A contextLength of ${contextLength} fits.`);
    expect((await loads({ memoryLimit, contextLength })).contextLength).toBe(contextLength);
  });

  it("names the kvMemory that fits, when that was asked for", async () => {
    const memoryLimit = fixed + 100 * kvBytesPerToken;
    const message = await refusal({ memoryLimit, kvMemory: 10 * 64 * kvBytesPerToken });
    const [, kvMemory, tokens] = /A kvMemory of (\d+) bytes fits, for (\d+) tokens/.exec(message)!;
    expect([Number(kvMemory), Number(tokens)]).toEqual([64 * kvBytesPerToken, 64]);
    expect((await loads({ memoryLimit, kvMemory: Number(kvMemory) })).contextLength).toBe(64);
  });

  it("names the precision that fits when the weights are too large", async () => {
    const memoryLimit = Math.floor(0.7 * weightBytes) + workspaceBytes;
    expect(await refusal({ memoryLimit, contextLength: 64 })).toContain('Precision "bf16" fits');
    await loads({ memoryLimit, contextLength: 64, precision: "bf16" });
  });

  it("says that nothing does", async () => {
    expect(await refusal({ memoryLimit: Math.floor(weightBytes / 4) })).toMatch(/No contextLength.*smaller model/);
  });
});
