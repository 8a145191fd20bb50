/** Waiting, refusals and memory pressure through the addon, on the engine's own thread and clock. */
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { EngineClient, PressureEvent, RequestEnd } from "../../lib/engine-client";
import type { LoadSpecOptions } from "../../lib/load-spec";
import { loadEngine, request, run } from "../support/engine";
import { KV_BLOCK } from "../support/steps";

const prompt = (length: number, first = 20) => Int32Array.from({ length }, (_, i) => first + (i % 400));

describe("an engine", () => {
  let client: EngineClient;
  const load = async (options: Partial<LoadSpecOptions>) => {
    const folder = join(__dirname, "../fixtures/qwen2-tiny");
    client = await loadEngine(folder, { device: "cpu", contextLength: 1024, threads: 2, ...options });
    return client;
  };
  afterEach(() => client.dispose());

  /** A request that keeps its place until it is cancelled: its token is never chosen. */
  const holdPlace = () =>
    new Promise<{ id: number; end: Promise<RequestEnd> }>((resolve) => {
      const { promise: end, resolve: over } = deferred<RequestEnd>();
      const id = client.submit(request({ prompt: prompt(10), gated: true }), {
        gate: () => resolve({ id, end }),
        end: over,
      });
    });

  it("ends a request that waits too long though it has nothing else to do", async () => {
    await load({ maxSequences: 1 });
    const holder = await holdPlace();
    const began = performance.now();
    const late = run(client, request({ prompt: prompt(5), queueTimeoutMs: 60 }));
    const patient = run(client, request({ prompt: prompt(5), queueTimeoutMs: 60_000, maxNewTokens: 3 }));
    await expect(late).rejects.toMatchObject({
      code: "E_TIMEOUT",
      message: expect.stringMatching(/^The request waited \d+ ms for its turn, and its queueTimeoutMs is 60\./),
    });
    expect(performance.now() - began).toBeGreaterThanOrEqual(59);
    client.cancel(holder.id);
    expect((await patient).tokens).toHaveLength(3);
    expect((await holder.end).type).toBe("cancelled");
  });

  it("refuses what its queue cannot hold and takes more once there is room", async () => {
    await load({ maxSequences: 1, maxQueue: 2 });
    const holder = await holdPlace();
    const waiting = [1, 2].map(() => run(client, request({ prompt: prompt(5), maxNewTokens: 2 })));
    await expect(run(client, request({ prompt: prompt(5) }))).rejects.toMatchObject({
      code: "E_OVERLOADED",
      message: expect.stringContaining("2 requests wait (maxQueue) and 1 are being served"),
    });
    expect(client.stats()).toMatchObject({ running: 1, waiting: 2 });
    client.cancel(holder.id);
    for (const outcome of await Promise.all(waiting)) expect(outcome.tokens).toHaveLength(2);
    expect((await run(client, request({ prompt: prompt(5) }))).tokens).toHaveLength(16);
  });

  it("tells of each step it takes for lack of KV blocks, and of its state", async () => {
    await load({});
    const { kvBytesPerToken } = client.info;
    const asked = [0, 1, 2, 3].map((i) => request({ prompt: prompt(50, 20 + i), maxNewTokens: 200 }));
    const alone = [];
    for (const one of asked) alone.push((await run(client, one)).tokens);
    await client.dispose();
    await load({ kvMemory: 8 * KV_BLOCK * kvBytesPerToken });
    const events: PressureEvent[] = [];
    client.onPressure = (event) => events.push(event);
    const outcomes = await Promise.all(asked.map((one) => run(client, one)));
    expect(outcomes.map(({ tokens }) => tokens)).toEqual(alone);
    const recomputed = events.filter(({ action }) => action === "recomputed");
    const stats = client.stats();
    expect(recomputed.length).toBeGreaterThan(0);
    expect(recomputed.every(({ blocks, id }) => blocks > 0 && id > 1)).toBe(true);
    expect(events.some(({ action }) => action === "smaller-batch")).toBe(true);
    expect(stats).toMatchObject({
      ...{ running: 0, waiting: 0, preempted: 0, swapped: 0, kvBlocksUsed: 0, kvBlocksMax: 8 },
      ...{ blockBytes: KV_BLOCK * kvBytesPerToken, generatedTokens: 800, preemptions: recomputed.length },
      tokensPerSecond: 0,
    });
    expect(stats.kvBlocksCached + stats.kvBlocksFree).toBe(stats.kvBlocks);
    for (const key of ["stepMs", "interTokenMs", "hostMsPerStep"] as const) {
      expect(stats[key], key).toBeGreaterThan(0);
      expect(stats[key], key).toBeLessThan(10_000);
    }
  });

  it("refuses a session it does not know", async () => {
    await load({});
    await expect(run(client, request({ prompt: prompt(5), session: 7 }))).rejects.toMatchObject({
      code: "E_BAD_INPUT",
      message: expect.stringContaining("Session 7"),
    });
  });
});

function deferred<T>() {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
