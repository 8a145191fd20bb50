/**
 * A prompt served by the prefix cache yields, bit for bit, what it yields when it is computed: repeated, sharing parts,
 * under a running first owner, with the pool so full that blocks are given away.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EngineClient } from "../../lib/engine-client";
import type { LoadSpecOptions } from "../../lib/load-spec";
import type { NativeRequest } from "../../lib/native";
import { argmax } from "../../lib/sampling/reference";
import { devices } from "../support/devices";
import { loadEngine, type Outcome, request, run } from "../support/engine";
import { Random } from "../support/random";
import { KV_BLOCK } from "../support/steps";

const vocab = 512;
const random = new Random(29);
const common = Int32Array.from({ length: 400 }, () => random.integer(0, vocab - 1));

/** The first `shared` tokens of `common`, then tokens of its own. */
function prompt(shared: number, own: number): Int32Array {
  return Int32Array.from([...common.subarray(0, shared), ...Array.from({ length: own }, () => random.integer(0, 511))]);
}

const asked: NativeRequest[] = [
  ...[64, 65, 128, 191, 192, 193, 400].map((shared) => request({ prompt: prompt(shared, 0), maxNewTokens: 20 })),
  ...[0, 63, 64, 100, 256].map((shared) => request({ prompt: prompt(shared, 90), maxNewTokens: 20 })),
  request({ prompt: prompt(300, 10), maxNewTokens: 30, sample: { temperature: 0.9, topP: 0.9, seed: 5 } }),
  request({ prompt: prompt(320, 3), gated: true }),
  request({ prompt: prompt(200, 70), maxNewTokens: 0, score: true }),
];

const same = (outcome: Outcome, alone: Outcome, what: string) =>
  expect({ ...outcome, cachedTokens: 0 }, what).toEqual({ ...alone, cachedTokens: 0 });

const cases = ["qwen2-tiny", "qwen3-tiny"].flatMap((name) =>
  devices.flatMap((device) => (["f32", "bf16"] as const).map((precision) => ({ name, device, precision }))),
);

describe.each(cases)("$name on $device at $precision", ({ name, device, precision }) => {
  const alone: Outcome[] = [];
  const load = (options: Partial<LoadSpecOptions> = {}) =>
    loadEngine(join(__dirname, "../fixtures", name), { device, precision, contextLength: 1024, ...options });
  let client: EngineClient;

  beforeAll(async () => {
    const plain = await load({ prefixCache: false });
    for (const one of asked) alone.push(await run(plain, one, argmax));
    for (const { cachedTokens } of alone) expect(cachedTokens).toBe(0);
    await plain.dispose();
    client = await load();
  });
  afterAll(() => client?.dispose());

  it("one after the other, and again", async () => {
    const cached: number[][] = [[], []];
    for (const round of [0, 1]) {
      for (const [i, one] of asked.entries()) {
        const outcome = await run(client, one, argmax);
        same(outcome, alone[i], `round ${round}, request ${i}`);
        cached[round].push(outcome.cachedTokens);
      }
    }
    expect(cached[0]).toEqual([0, 64, 64, 128, 191, 192, 192, 0, 63, 64, 100, 256, 300, 320, 0]);
    expect(cached[1]).toEqual([63, 64, 127, 190, 191, 192, 384, 89, 152, 153, 189, 345, 309, 320, 0]);
  });

  it("all at once, prompts in pieces, blocks given away", async () => {
    for (const options of [
      {},
      { prefillRows: 64 },
      { prefillRows: 37, stepTokens: 20 },
      { kvMemory: 9 * KV_BLOCK * client.info.kvBytesPerToken },
      { maxSequences: 3, kvMemory: 9 * KV_BLOCK * client.info.kvBytesPerToken, prefillRows: 100 },
    ]) {
      const other = await load(options);
      const outcomes: Promise<Outcome>[] = [];
      for (const i of new Random(3).permutation(asked.length)) outcomes[i] = run(other, asked[i], argmax);
      for (const [i, outcome] of (await Promise.all(outcomes)).entries()) {
        same(outcome, alone[i], `${JSON.stringify(options)}, request ${i}`);
      }
      const { cachedTokens, kvBlocksUsed, kvBlocksCached, kvBlocksFree, kvBlocks } = other.stats();
      expect(cachedTokens).toBeGreaterThan(0);
      expect([kvBlocksUsed, kvBlocksCached + kvBlocksFree]).toEqual([0, kvBlocks]);
      await other.dispose();
    }
  });
});
