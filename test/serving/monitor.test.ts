/** Thresholds, events and measured times, on a made-up engine and a made-up GPU. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EngineClient } from "../../lib/engine-client";
import type { NativeGpuStatus, NativeLoadSpec, NativeStats } from "../../lib/native";
import type { ModelEvent } from "../../lib/serving/events";
import { LatencyWatch } from "../../lib/serving/latency";
import { checkMonitor } from "../../lib/serving/options";
import { percentile, percentiles } from "../../lib/serving/percentiles";
import { Serving, type ServingOptions } from "../../lib/serving/serving";
import { assess, type ThresholdChange } from "../../lib/serving/thresholds";
import { request } from "../support/engine";
import { type FakeEngine, fakeBinding, timings } from "../support/fake-engine";

const ask = () => request({ prompt: Int32Array.of(1) });
const quiet: NativeGpuStatus = { utilization: 50, memoryUsed: 10e9, memoryTotal: 100e9, temperature: 40, power: 100 };

let client: EngineClient;
let engine: FakeEngine;
let gpu: NativeGpuStatus | null;
let reads: number;

beforeEach(async () => {
  vi.useFakeTimers();
  const { engines, options } = fakeBinding();
  const loading = EngineClient.load({} as NativeLoadSpec, options);
  engines[0].ready();
  client = await loading;
  engine = engines[0];
  gpu = quiet;
  reads = 0;
});
afterEach(() => vi.useRealTimers());

function serve(more: Partial<ServingOptions> = {}) {
  const gpuStatus = () => {
    reads++;
    return gpu;
  };
  return new Serving(client, { gpu: 0, gpuStatus, ...more }, []);
}

describe("states", () => {
  const limits = checkMonitor({}, "monitor");
  const nothing = { memory: null, latency: null, gpuUse: null };
  it.each([
    ["memory", [74.9, 75, 84.9, 85, 100], ["ok", "warn", "warn", "alert", "alert"]],
    ["latency", [0, 499, 500, 999, 1000], ["ok", "ok", "warn", "warn", "alert"]],
    ["gpuUse", [0, 30, 31, 94, 95], ["warn", "warn", "ok", "ok", "alert"]],
  ] as const)("of %s at %j are %j", (measure, values, states) => {
    const found = values.map((value) => assess({ ...nothing, [measure]: value }, true, limits)[measure]);
    expect(found).toEqual(states);
  });

  it("are ok where there is nothing to measure, and of a GPU that has nothing to do", () => {
    expect(assess(nothing, true, limits)).toEqual({ memory: "ok", latency: "ok", gpuUse: "ok" });
    expect(assess({ ...nothing, gpuUse: 0 }, false, limits).gpuUse).toBe("ok");
    expect(assess({ ...nothing, gpuUse: 99 }, false, limits).gpuUse).toBe("alert");
  });

  it("follow the bounds that were given", () => {
    const own = checkMonitor({ memory: { warn: 10 }, gpuUse: { low: 0, high: 100 } }, "monitor");
    expect(own).toMatchObject({ intervalMs: 1000, memory: { warn: 10, alert: 85 }, gpuUse: { low: 0, high: 100 } });
    expect(assess({ ...nothing, memory: 10, gpuUse: 99 }, true, own)).toMatchObject({ memory: "warn", gpuUse: "ok" });
  });
});

describe("the monitor", () => {
  it("looks at nothing unless somebody listens, and stops when the last one leaves", async () => {
    const serving = serve();
    serving.events.on("pressure", () => {});
    await vi.advanceTimersByTimeAsync(10_000);
    expect([reads, vi.getTimerCount()]).toEqual([0, 0]);
    const leave = [serving.events.on("threshold", () => {}), serving.events.on("threshold", () => {})];
    await vi.advanceTimersByTimeAsync(3000);
    expect([reads, vi.getTimerCount()]).toEqual([4, 1]);
    leave[0]();
    leave[0]();
    expect(vi.getTimerCount()).toBe(1);
    leave[1]();
    await vi.advanceTimersByTimeAsync(10_000);
    expect([reads, vi.getTimerCount()]).toEqual([4, 0]);
    const stream = serving.events.stream();
    expect(vi.getTimerCount()).toBe(1);
    await stream.return(undefined);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("reports what changes, once", async () => {
    const seen: ThresholdChange[] = [];
    const serving = serve({ monitor: checkMonitor({ intervalMs: 100 }, "monitor") });
    serving.events.on("threshold", (change) => seen.push(change));
    await vi.advanceTimersByTimeAsync(250);
    expect(seen).toEqual([]);
    gpu = { ...quiet, memoryUsed: 80e9, utilization: 99 };
    await vi.advanceTimersByTimeAsync(1000);
    expect(seen.splice(0)).toEqual([
      { measure: "memory", state: "warn", previous: "ok", value: 80 },
      { measure: "gpuUse", state: "alert", previous: "ok", value: 99 },
    ]);
    expect(serving.stats()).toMatchObject({ gpu, states: { memory: "warn", gpuUse: "alert", latency: "ok" } });
    gpu = { ...quiet, memoryUsed: 86e9 };
    await vi.advanceTimersByTimeAsync(1000);
    gpu = null;
    await vi.advanceTimersByTimeAsync(1000);
    expect(seen).toEqual([
      { measure: "memory", state: "alert", previous: "warn", value: 86 },
      { measure: "gpuUse", state: "ok", previous: "alert", value: 50 },
      { measure: "memory", state: "ok", previous: "alert", value: null },
    ]);
  });

  it("does not count what the KV cache could give up", async () => {
    const blocks = { kvBlocks: 100, kvBlocksUsed: 40, blockBytes: 1e9 };
    vi.spyOn(engine, "stats").mockReturnValue({ running: 0, waiting: 0, ...blocks } as NativeStats);
    gpu = { ...quiet, memoryUsed: 95e9 };
    expect(serve().stats().states.memory).toBe("ok"); // 35 of 100 GB
  });

  it("ends with the model", async () => {
    const serving = serve();
    serving.events.on("threshold", () => {});
    serving.dispose();
    expect(vi.getTimerCount()).toBe(0);
    serving.events.on("threshold", () => {});
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("events", () => {
  const pressure = (blocks: number) => ({ type: "pressure", action: "swapped", id: 1, blocks }) as const;

  it("of pressure say how much memory it is about", () => {
    vi.spyOn(engine, "stats").mockReturnValue({ blockBytes: 1000 } as NativeStats);
    const seen: unknown[] = [];
    serve().events.on("pressure", (event) => seen.push(event));
    engine.emit(pressure(3));
    expect(seen).toEqual([{ action: "swapped", blocks: 3, bytes: 3000 }]);
  });

  it("reach everyone, though a listener throws", async () => {
    const thrown: unknown[] = [];
    const uncaught = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => thrown.push(error));
    try {
      const serving = serve();
      const error = new Error("listener");
      serving.events.on("pressure", () => {
        throw error;
      });
      const heard = vi.fn();
      serving.events.on("pressure", heard);
      engine.emit(pressure(1), pressure(2));
      expect(heard).toHaveBeenCalledTimes(2);
      vi.useRealTimers();
      await new Promise(setImmediate);
      expect(thrown).toEqual([error, error]);
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const listener of uncaught) process.on("uncaughtException", listener);
    }
  });

  it("wait in a stream for who reads them late, the newest 1000", async () => {
    const { events } = serve();
    const stream = events.stream();
    const early = stream.next();
    for (let i = 0; i < 1100; i++) engine.emit(pressure(i));
    expect((await early).value).toMatchObject({ type: "pressure", blocks: 0 });
    expect((await stream.next()).value).toMatchObject({ blocks: 100 });
    const pending: ModelEvent[] = [];
    events.dispose();
    for await (const event of stream) pending.push(event);
    expect(pending).toHaveLength(1000);
    expect(pending[0]).toMatchObject({ blocks: 101 });
    expect(pending.at(-1)).toEqual({ type: "disposed" });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it("warnings that nobody hears are kept for the first who listens, and given to the caller of load at once", async () => {
    const onWarning = vi.fn();
    const serving = serve({ onWarning });
    const warning = { code: "timeout-fallback", message: "…" } as const;
    serving.warn(warning);
    expect(onWarning.mock.calls).toEqual([[warning]]);
    const heard = vi.fn();
    serving.events.on("warning", heard);
    serving.warn({ ...warning, message: "now" });
    await Promise.resolve();
    expect(heard.mock.calls.flat().map(({ message }) => message)).toEqual(["now", "…"]);
  });
});

describe("times to the first token", () => {
  it("are those of the last minute, and of who still waits", () => {
    let now = 0;
    const watch = new LatencyWatch(client, () => now);
    const seen: unknown[] = [];
    const sink = {
      tokens: (ids: Int32Array) => seen.push(...ids),
      end: ({ type }: { type: string }) => seen.push(type),
    };
    const first = watch.submit(ask(), sink);
    watch.submit(ask(), sink);
    now = 100;
    engine.tokens(first, 5);
    now = 130;
    engine.tokens(first, 6);
    expect(watch.recent()).toEqual([100, 130]);
    engine.finish(first);
    engine.emit({ type: "cancelled", id: 2, cachedTokens: 0, timings });
    expect(watch.recent()).toEqual([100]);
    expect(seen).toEqual([5, 6, "finish", "cancelled"]);
    now = 60_101;
    expect(watch.recent()).toEqual([]);
  });

  it("pass cancels and gates on", () => {
    const watch = new LatencyWatch(client);
    const gate = vi.fn();
    const id = watch.submit(ask(), { gate, end: () => {} });
    engine.emit({ type: "gate", id, logits: new Float32Array(2), index: 3 });
    watch.verdict(id, 7);
    watch.cancel(id);
    expect(gate.mock.calls[0][1]).toBe(3);
    expect([engine.verdicts, engine.cancelled]).toEqual([[[id, 7]], [id]]);
  });
});

describe("percentiles", () => {
  it("are values that were measured, at the nearest rank", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
    expect([0, 1, 50, 95, 99, 100].map((p) => percentile(hundred, p))).toEqual([1, 1, 50, 95, 99, 100]);
    expect([50, 51, 95].map((p) => percentile([1, 2], p))).toEqual([1, 2, 2]);
    expect(percentile([7], 50)).toBe(7);
    expect(percentile([], 50)).toBeNaN();
    expect(percentiles([10, 9, 3, 100])).toEqual({ p50: 9, p95: 100, p99: 100 });
  });
});
