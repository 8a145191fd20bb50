/** Calls about sessions through the addon: what they refuse, and what becomes of them when the engine goes. */
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { loadSpec } from "../../lib/load-spec";
import { binding, type NativeEngine, type NativeEvent } from "../../lib/native";
import { request } from "../support/engine";

const none = new Int32Array();

describe("an engine's session calls", () => {
  let engine: NativeEngine;
  let events: NativeEvent[];
  let seen: () => void;

  /** Begins to load. */
  let create: () => void;

  beforeEach(async () => {
    const checkpoint = await openCheckpoint(join(__dirname, "../fixtures/qwen2-tiny"));
    const spec = loadSpec(checkpoint, { device: "cpu", threads: 2, contextLength: 1024 });
    create = () => {
      events = [];
      seen = () => {};
      engine = binding().createEngine(spec, () => {
        events.push(...engine.drain());
        seen();
      });
    };
    create();
  });
  afterEach(() => disposed());

  /** Waits for an event, of a request where `id` is given. */
  const until = (type: NativeEvent["type"], id?: number) =>
    new Promise<void>((resolve) => {
      seen = () => {
        if (events.some((event) => event.type === type && (id === undefined || ("id" in event && event.id === id))))
          resolve();
      };
      seen();
    });
  const disposed = () => {
    engine.dispose();
    return until("disposed");
  };

  it("are answered once the model is loaded", async () => {
    const session = engine.createSession();
    await expect(engine.sessionState(session)).resolves.toEqual({
      ...{ tokens: none, decoded: none, computed: 0, open: false },
    });
    expect(events.some(({ type }) => type === "ready")).toBe(true);
    const id = engine.submit(request({ prompt: Int32Array.of(1, 2, 3), maxNewTokens: 4, session }));
    await until("finish", id);
    const state = await engine.sessionState(session);
    expect(state).toMatchObject({ decoded: Int32Array.of(3, 6), computed: 6, open: false });
    const data = await engine.readSession(session, 0, 0, 6);
    expect(data).toBeInstanceOf(ArrayBuffer);
    expect(engine.stats()).toMatchObject({ sessions: 1, sessionBlocks: 1 });
    expect(events.every((event) => event.type !== undefined)).toBe(true);
  });

  it("refuse what makes no sense, and the engine lives on", async () => {
    const session = engine.createSession();
    const loose = engine as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    for (const args of [[session], [session, "0", 0, 1], [session, 0, {}, 1], [session, 0, 0, null]]) {
      expect(() => loose.readSession(...args)).toThrow(TypeError);
    }
    for (const args of [
      [session, -1, 0, 1],
      [session, 0, 0.5, 1],
      [session, 0, 0, 2 ** 31],
      [session, 0, Number.NaN, 1],
      [session, Number.POSITIVE_INFINITY, 0, 1],
    ]) {
      expect(() => loose.readSession(...args)).toThrow(RangeError);
    }
    expect(() => loose.fillSession(session, [1, 2], none)).toThrow(TypeError);
    expect(() => loose.fillSession(session, none)).toThrow(TypeError);
    expect(() => loose.writeSession(session, 0, 0, 1, new Uint8Array(8))).toThrow(TypeError);
    for (const id of [undefined, {}, "1", -3, Number.NaN, 1e300, 77, engine.forkSession(77)]) {
      await expect(loose.sessionState(id), String(id)).rejects.toMatchObject({ code: "E_BAD_INPUT" });
      await expect(loose.sealSession(id), String(id)).rejects.toMatchObject({ code: "E_BAD_INPUT" });
      loose.dropSession(id);
    }
    await expect(engine.readSession(session, 0, 0, 1)).rejects.toMatchObject({ code: "E_INVALID_ARGUMENT" });
    await expect(engine.readSession(session, 0, 2147483647, 2147483647)).rejects.toMatchObject({
      code: "E_INVALID_ARGUMENT",
    });
    await engine.fillSession(session, Int32Array.of(5, 6, 7), none);
    await expect(engine.writeSession(session, 0, 0, 3, new ArrayBuffer(0))).rejects.toMatchObject({
      code: "E_INVALID_ARGUMENT",
    });
    await expect(engine.writeSession(session, 0, 0, 3, new ArrayBuffer(1e6))).rejects.toMatchObject({
      code: "E_INVALID_ARGUMENT",
    });
    await engine.sealSession(session);
    await expect(engine.sessionState(session)).resolves.toMatchObject({ computed: 0, tokens: Int32Array.of(5, 6, 7) });
  });

  it("that are under way when the engine is disposed are all answered, later ones with E_DISPOSED", async () => {
    const session = engine.createSession();
    const before = Array.from({ length: 50 }, () => engine.sessionState(session));
    await before[0];
    const during = Array.from({ length: 50 }, () => engine.sessionState(session));
    engine.dispose();
    during.push(engine.sealSession(session) as never);
    for (const how of await Promise.allSettled([...before, ...during])) {
      if (how.status === "rejected") expect(["E_DISPOSED", "E_BAD_INPUT"]).toContain(how.reason.code);
    }
    await disposed();
    for (const call of [
      engine.sessionState(session),
      engine.readSession(session, 0, 0, 1),
      engine.fillSession(session, none, none),
      engine.writeSession(session, 0, 0, 1, new ArrayBuffer(1)),
      engine.sealSession(session),
    ]) {
      await expect(call).rejects.toMatchObject({ code: "E_DISPOSED" });
    }
    expect(engine.createSession()).toBe(0);
    expect(engine.forkSession(session)).toBe(0);
    engine.dropSession(session);
  });

  it("that come while it loads are answered when it is disposed before", async () => {
    await disposed();
    create();
    const pending = engine.sessionState(engine.createSession());
    engine.dispose();
    await expect(pending).rejects.toMatchObject({ code: "E_DISPOSED" });
  });
});
