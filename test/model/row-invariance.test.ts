/**
 * What a request computes never depends on its neighbours, on chunking or on preemption, bit for bit: the same requests
 * alone, all at once, with prompts cut into small pieces, and with a KV cache too small for them.
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
const contextLength = 512;

/** Prompts around the edges of blocks and tiles, greedy and sampled, short and long, one scored, one gated. */
function requests(): NativeRequest[] {
  const random = new Random(11);
  const prompt = (length: number) => Int32Array.from({ length }, () => random.integer(0, vocab - 1));
  const sampled = { temperature: 0.9, topP: 0.95, topK: 40, repetitionPenalty: 1.1 };
  return [
    ...[1, 2, 63, 64, 65, 200, 331].map((length, i) => request({ prompt: prompt(length), maxNewTokens: 12 + i })),
    ...[5, 17, 128, 129].map((length, i) => request({ prompt: prompt(length), sample: { ...sampled, seed: 100 + i } })),
    // Three that outgrow a small cache while they run.
    ...[50, 60, 62].map((length) => request({ prompt: prompt(length), maxNewTokens: 140 })),
    request({ prompt: prompt(140), maxNewTokens: 0, score: true }),
    request({ prompt: prompt(30), gated: true }),
  ];
}

/** Everything at once, started in random order. */
async function together(client: EngineClient, asked: NativeRequest[], seed: number): Promise<Outcome[]> {
  const outcomes: Promise<Outcome>[] = [];
  for (const i of new Random(seed).permutation(asked.length)) outcomes[i] = run(client, asked[i], argmax);
  return Promise.all(outcomes);
}

function expectSame(outcomes: Outcome[], alone: Outcome[], asked: NativeRequest[]) {
  for (const [i, outcome] of outcomes.entries()) {
    const what = `request ${i}, a prompt of ${asked[i].prompt.length} tokens`;
    expect(outcome.tokens, `${what}: tokens`).toEqual(alone[i].tokens);
    expect(outcome.logprobs, `${what}: log-probabilities`).toEqual(alone[i].logprobs);
    expect(outcome.topTokens, `${what}: best tokens`).toEqual(alone[i].topTokens);
    expect(outcome.topLogprobs, `${what}: their log-probabilities`).toEqual(alone[i].topLogprobs);
    for (const [g, logits] of outcome.gates.entries()) {
      expect(
        Buffer.compare(Buffer.from(logits.buffer), Buffer.from(alone[i].gates[g].buffer)),
        `${what}: gate ${g}`,
      ).toBe(0);
    }
  }
}

const cases = ["qwen2-tiny", "llama3-tiny", "qwen3-tiny"].flatMap((name) =>
  devices.flatMap((device) => (["f32", "bf16"] as const).map((precision) => ({ name, device, precision }))),
);

describe.each(cases)("$name on $device at $precision", ({ name, device, precision }) => {
  const asked = requests();
  const alone: Outcome[] = [];
  const load = (options: Partial<LoadSpecOptions>) =>
    loadEngine(join(__dirname, "../fixtures", name), { device, precision, contextLength, ...options });
  let client: EngineClient;

  /** Runs all requests at once on an engine of its own. */
  async function elsewhere(options: Partial<LoadSpecOptions>, seed: number) {
    const other = await load(options);
    const outcomes = await together(other, asked, seed);
    const stats = other.stats();
    await other.dispose();
    expectSame(outcomes, alone, asked);
    return stats;
  }

  beforeAll(async () => {
    client = await load({});
    for (const one of asked) alone.push(await run(client, one, argmax));
  });
  afterAll(() => client?.dispose());

  it("gives something to compare", () => {
    for (const [i, { tokens, logprobs, gates }] of alone.entries()) {
      expect(tokens.length).toBe(asked[i].score ? 0 : asked[i].maxNewTokens);
      expect(logprobs.length).toBe(asked[i].score ? asked[i].prompt.length - 1 : tokens.length);
      expect(gates.length).toBe(asked[i].gated ? tokens.length : 0);
      expect(logprobs.every(Number.isFinite)).toBe(true);
    }
  });

  it("all at once", async () => {
    for (const seed of [1, 2]) expectSame(await together(client, asked, seed), alone, asked);
  });

  it.each([1, 16, 100])("with prompts in pieces of %i rows", async (prefillRows) => {
    await elsewhere({ prefillRows }, prefillRows);
  });

  it("with few sequences at a time", async () => {
    await elsewhere({ maxSequences: 3 }, 5);
  });

  it("with a KV cache that makes requests wait and gives their blocks away", async () => {
    const blocks = 7;
    const stats = await elsewhere({ kvMemory: blocks * KV_BLOCK * client.info.kvBytesPerToken }, 6);
    expect(stats.kvBlocksMax).toBe(blocks);
    expect(stats.kvBlocksUsed).toBe(0);
  });

  it.each([
    { launchAhead: true, blocks: 0 },
    { launchAhead: true, blocks: 8 },
    { launchAhead: false, blocks: 0 },
  ])("with launchAhead $launchAhead and $blocks blocks (0: plenty)", async ({ launchAhead, blocks }) => {
    const random = new Random(17);
    const sampled = { temperature: 0.9, topP: 0.95, topK: 40, minP: 0.01 };
    const drawn = Array.from({ length: 8 }, (_, i) =>
      request({
        prompt: Int32Array.from({ length: 20 + 23 * i }, () => random.integer(0, vocab - 1)),
        maxNewTokens: 30 + 20 * (i % 4),
        stopTokens: Int32Array.from({ length: i % 3 === 0 ? 20 : 0 }, () => random.integer(0, vocab - 1)),
        sample:
          i % 2 === 0 ? { ...sampled, seed: i, biasTokens: Int32Array.of(7), biasValues: Float32Array.of(2) } : {},
      }),
    );
    const expected: Outcome[] = [];
    for (const one of drawn) expected.push(await run(client, one));
    const other = await load({ launchAhead, kvMemory: blocks * KV_BLOCK * client.info.kvBytesPerToken });
    const outcomes = await together(other, drawn, 4);
    await other.dispose();
    expectSame(outcomes, expected, drawn);
  });

  it("beside a longer sequence, from before it has 1024 tokens until after", async () => {
    // On a GPU longer ones have other kernels, and a graph of their own.
    const long = await load({ contextLength: 1200 });
    const both = [1000, 1100].map((length) =>
      request({
        prompt: Int32Array.from({ length }, (_, i) => (i * i + length) % vocab),
        maxNewTokens: 50,
      }),
    );
    const expected = [await run(long, both[0], argmax), await run(long, both[1], argmax)];
    expectSame(await together(long, both, 3), expected, both);
    await long.dispose();
  });

  it.each([true, false])("forty at once, steps launched ahead: %s", async (launchAhead) => {
    // Steps of every number of rows up to 64 and back, while blocks are handed out and come back.
    const random = new Random(23);
    const many = Array.from({ length: 40 }, (_, i) =>
      request({
        prompt: Int32Array.from({ length: 1 + 3 * i }, () => random.integer(0, vocab - 1)),
        maxNewTokens: 6 + ((i * 7) % 40),
        sample: i % 2 === 0 ? { temperature: 0.9, topK: 40, seed: i } : {},
      }),
    );
    const expected: Outcome[] = [];
    for (const one of many) expected.push(await run(client, one));
    const other = await load({ launchAhead });
    const outcomes = await together(other, many, 8);
    await other.dispose();
    expectSame(outcomes, expected, many);
  });

  const room = [{ what: "computed anew", hostKvMemory: 0 }];
  if (device === "cuda") room.push({ what: "swapped to host memory and back", hostKvMemory: 2 ** 28 });

  it.each(room)("after preemption, $what", async ({ hostKvMemory }) => {
    // Five sequences start in a block each and grow to four: twenty blocks where there are eight.
    const random = new Random(3);
    const growing = Array.from({ length: 5 }, (_, i) =>
      request({ prompt: Int32Array.from({ length: 40 + i }, () => random.integer(0, vocab - 1)), maxNewTokens: 190 }),
    );
    const expected: Outcome[] = [];
    for (const one of growing) expected.push(await run(client, one));
    const small = await load({ kvMemory: 8 * KV_BLOCK * client.info.kvBytesPerToken, hostKvMemory });
    const outcomes = await together(small, growing, 9);
    const { promptTokens, generatedTokens, kvBlocksUsed, preemptions } = small.stats();
    await small.dispose();
    expectSame(outcomes, expected, growing);
    expect(kvBlocksUsed).toBe(0);
    const prompts = growing.reduce((sum, { prompt }) => sum + prompt.length, 0);
    expect(generatedTokens).toBe(5 * 190);
    expect(preemptions).toBeGreaterThan(0);
    if (hostKvMemory > 0) expect(promptTokens, "no prompt token was computed again").toBe(prompts);
    else expect(promptTokens, "prompt tokens were computed again").toBeGreaterThan(prompts);
  });

  if (device === "cpu") {
    it("with one thread", async () => {
      await elsewhere({ threads: 1 }, 7);
    });
  }
});
