import { describe, expect, it, vi } from "vitest";
import { EngineClient, type RequestEnd } from "../../lib/engine-client";
import type { NativeLoadSpec, NativeRequest } from "../../lib/native";
import { fakeBinding, info, timings } from "../support/fake-engine";

const spec = {} as NativeLoadSpec;
const request = {} as NativeRequest;

async function ready() {
  const { engines, options } = fakeBinding();
  const loading = EngineClient.load(spec, options);
  engines[0].ready();
  return { client: await loading, engine: engines[0] };
}

/** A sink that remembers. */
function sink() {
  const seen: unknown[] = [];
  return {
    seen,
    tokens: (ids: Int32Array) => seen.push([...ids]),
    scores: (first: number) => seen.push({ first }),
    gate: (_: Float32Array, index: number) => seen.push({ index }),
    end: (end: RequestEnd) => seen.push(end.type === "error" ? end.error : end.type),
  };
}

describe("loading", () => {
  it("reports progress and resolves when the engine is ready", async () => {
    const { engines, options } = fakeBinding();
    const onProgress = vi.fn();
    const loading = EngineClient.load(spec, { ...options, onProgress });
    const progress = { stage: "weights", bytes: 5, totalBytes: 10, tensors: 1, totalTensors: 2 } as const;
    engines[0].emit({ type: "progress", ...progress });
    engines[0].ready();
    const client = await loading;
    engines[0].emit({ type: "progress", ...progress });
    expect(onProgress.mock.calls).toEqual([[progress]]);
    expect(client.info).toBe(info);
    expect(client.closed).toBeUndefined();
  });

  it("rejects with what failed, once the memory is back", async () => {
    const { engines, options } = fakeBinding();
    const settled = vi.fn();
    const loading = EngineClient.load(spec, options).catch((error) => settled(error));
    engines[0].emit({ type: "load-failed", error: { code: "E_OUT_OF_MEMORY", message: "too small" } });
    await new Promise(setImmediate);
    expect(engines[0].disposeCalls).toBe(1);
    expect(settled).not.toHaveBeenCalled();
    engines[0].emit({ type: "disposed" });
    await loading;
    expect(settled.mock.calls[0][0]).toMatchObject({ name: "R1Error", code: "E_OUT_OF_MEMORY", message: "too small" });
  });

  it("can be aborted before and while it runs", async () => {
    const { engines, options } = fakeBinding();
    await expect(EngineClient.load(spec, { ...options, signal: AbortSignal.abort("early") })).rejects.toMatchObject({
      code: "E_ABORTED",
      cause: "early",
    });
    expect(engines).toHaveLength(0);
    const controller = new AbortController();
    const loading = EngineClient.load(spec, { ...options, signal: controller.signal });
    controller.abort("late");
    engines[0].ready(); // it was under way
    engines[0].emit({ type: "disposed" });
    await expect(loading).rejects.toMatchObject({ name: "AbortError", code: "E_ABORTED", cause: "late" });
    expect(engines[0].disposeCalls).toBe(1);
  });

  it("passes on what a progress listener throws", async () => {
    const { engines, options } = fakeBinding();
    const error = new Error("listener");
    const onProgress = () => {
      throw error;
    };
    const loading = EngineClient.load(spec, { ...options, onProgress });
    engines[0].emit({ type: "progress", stage: "check", bytes: 0, totalBytes: 0, tensors: 0, totalTensors: 0 });
    engines[0].emit({ type: "disposed" });
    await expect(loading).rejects.toBe(error);
  });
});

describe("requests", () => {
  it("get their own events, in order, until they end", async () => {
    const { client, engine } = await ready();
    const [a, b] = [sink(), sink()];
    const [first, second] = [client.submit(request, a), client.submit(request, b)];
    const logprobs = {
      values: new Float32Array(1),
      count: 0,
      topTokens: new Int32Array(),
      topValues: new Float32Array(),
    };
    engine.emit(
      { type: "tokens", id: first, tokens: Int32Array.of(1) },
      { type: "scores", id: second, first: 3, logprobs },
      { type: "gate", id: first, logits: new Float32Array(2), index: 1 },
      { type: "cancelled", id: second, cachedTokens: 0, timings },
    );
    engine.tokens(first, 2, 3);
    engine.finish(first);
    engine.tokens(first, 4); // after its end
    engine.tokens(99, 4); // of nobody
    expect(a.seen).toEqual([[1], { index: 1 }, [2, 3], "finish"]);
    expect(b.seen).toEqual([{ first: 3 }, "cancelled"]);
  });

  it("fail alone", async () => {
    const { client, engine } = await ready();
    const [a, b] = [sink(), sink()];
    const [first, second] = [client.submit(request, a), client.submit(request, b)];
    engine.emit({ type: "error", id: first, error: { code: "E_SAMPLING", message: "nothing left" } });
    engine.finish(second);
    expect(a.seen).toEqual([expect.objectContaining({ code: "E_SAMPLING" })]);
    expect(b.seen).toEqual(["finish"]);
  });

  it("are cancelled and answered only while they are open", async () => {
    const { client, engine } = await ready();
    const id = client.submit(request, sink());
    client.verdict(id, 7);
    client.cancel(id);
    engine.emit({ type: "cancelled", id, cachedTokens: 0, timings });
    client.verdict(id, 8);
    client.cancel(id);
    expect(engine.verdicts).toEqual([[id, 7]]);
    expect(engine.cancelled).toEqual([id]);
  });

  it("cannot be submitted to a failed engine", async () => {
    const { client, engine } = await ready();
    const failure = { code: "E_DEVICE_LOST", message: "Xid 79" } as const;
    const open = sink();
    const id = client.submit(request, open);
    engine.emit({ type: "error", id, error: failure }, { type: "failed", error: failure });
    expect(open.seen).toEqual([expect.objectContaining({ code: "E_DEVICE_LOST" })]);
    expect(() => client.submit(request, sink())).toThrow(expect.objectContaining(failure));
    const disposing = client.dispose();
    engine.emit({ type: "disposed" });
    await disposing;
  });
});

describe("disposing", () => {
  it("ends what is open, refuses what comes, and resolves when the engine is gone, each time it is asked", async () => {
    const { client, engine } = await ready();
    const open = sink();
    const id = client.submit(request, open);
    let gone = false;
    const both = Promise.all([client.dispose(), client.dispose()]).then(() => {
      gone = true;
    });
    expect(open.seen).toEqual([expect.objectContaining({ code: "E_DISPOSED" })]);
    expect(() => client.submit(request, sink())).toThrow(expect.objectContaining({ code: "E_DISPOSED" }));
    engine.emit({ type: "cancelled", id, cachedTokens: 0, timings });
    await new Promise(setImmediate);
    expect(gone).toBe(false);
    engine.emit({ type: "disposed" });
    await both;
    await client.dispose();
    expect(engine.disposeCalls).toBe(1);
    expect(open.seen).toHaveLength(1);
  });
});
