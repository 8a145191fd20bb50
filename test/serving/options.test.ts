/** What the engine is told of the options that it acts on itself. */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { LoadOptions } from "../../lib";
import { binding, type NativeEngine, type NativeLoadSpec } from "../../lib/native";
import { loadTiny } from "../support/tiny";

afterEach(() => vi.restoreAllMocks());

/** A loaded model, the spec it was loaded by, and the requests that reach its engine. */
async function watched(options: Partial<LoadOptions>) {
  const create = vi.spyOn(binding(), "createEngine");
  const model = await loadTiny("cpu", options);
  const spec = create.mock.calls[0][0] as NativeLoadSpec;
  const engine = create.mock.results[0].value as NativeEngine;
  const submit = vi.spyOn(engine, "submit");
  return { model, spec, requests: () => submit.mock.calls.map(([request]) => request) };
}

describe("the engine is told", () => {
  it("how to queue, share and swap", async () => {
    const serving = { maxQueue: 7, targetInterTokenMs: 12.5, prefixCache: false, hostKvMemory: 1 << 20 };
    const { model, spec } = await watched(serving);
    expect(spec).toMatchObject(serving);
    await model.dispose();
  });

  it("the defaults where nothing is asked for", async () => {
    const { model, spec, requests } = await watched({});
    expect(spec).toMatchObject({
      maxQueue: 0,
      targetInterTokenMs: 0,
      prefixCache: true,
      hostKvMemory: 0,
      stepTokens: 0,
    });
    await model.generate("a", { maxNewTokens: 1 });
    expect(requests()[0]).toMatchObject({ priority: 5, queueTimeoutMs: 0, salt: "", cache: true, session: 0 });
    await model.dispose();
  });

  it("when a request has its turn and what it shares", async () => {
    const { model, requests } = await watched({ resultCache: {} });
    const options = { priority: 9, queueTimeoutMs: 5000, salt: "tenant", cache: false };
    await model.generate("a", { ...options, maxNewTokens: 1, temperature: 0 });
    await model.logprobs("a b", options);
    const { score: _, ...asked } = { ...options, session: 0, score: false };
    expect(requests()).toEqual([expect.objectContaining(asked), expect.objectContaining({ ...asked, score: true })]);
    await model.dispose();
  });
});
