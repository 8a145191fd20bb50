/** Saved sessions: the bytes of the file, what is refused, and what is left when writing fails. */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeWhole } from "../../lib/session/file";
import type { SessionHeader } from "../../lib/session/header";
import type { SessionOptions } from "../../lib/session/options";
import { restoreSession } from "../../lib/session/restore";
import type { Session } from "../../lib/session/session";
import { fakeModel, kv, layers, perToken } from "../support/fake-sessions";

let fake: Awaited<ReturnType<typeof fakeModel>>;
let folder: string;
let path: string;

beforeEach(async () => {
  fake = await fakeModel();
  folder = mkdtempSync(join(tmpdir(), "r1-session-"));
  path = join(folder, "chat.r1session");
});
afterEach(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true });
});

const EOS = 1;
const tick = () => new Promise(setImmediate);

async function say(session: Session, message: string, answer: string, reason: "stop" | "length" = "stop") {
  const { engine, ids } = fake;
  const id = engine.requests.size + 1;
  const turn = session.chat(message);
  while (!engine.requests.has(id)) await tick();
  engine.tokens(id, ...ids(answer), ...(reason === "stop" ? [EOS] : []));
  engine.finish(id, reason);
  return turn;
}

async function conversation(options: SessionOptions = {}): Promise<Session> {
  const session = fake.create(options);
  await say(session, "one", "Hm</think>1");
  await say(session, "two", "Hm</think>2");
  return session;
}

/** A file taken apart by hand. */
function parts(file: string) {
  const bytes = readFileSync(file);
  const length = bytes.readUInt32LE(12);
  const header = JSON.parse(bytes.toString("utf8", 16, 16 + length)) as SessionHeader;
  return { bytes, header, data: bytes.subarray(16 + length, -32), checksum: bytes.subarray(-32) };
}

/** A file put together by hand, with a checksum that is right. */
function assemble(header: object, data: Uint8Array, version = 1): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(16);
  prefix.write("R1SESSN\0", "latin1");
  prefix.writeUInt32LE(version, 8);
  prefix.writeUInt32LE(json.length, 12);
  const content = Buffer.concat([prefix, json, data]);
  return Buffer.concat([content, createHash("sha256").update(content).digest()]);
}

describe("the file", () => {
  it("has what the format says, byte for byte", async () => {
    const session = await conversation({ system: "Be kind.", salt: "s" });
    await session.save(path);
    const { bytes, header, data, checksum } = parts(path);
    expect(bytes.toString("latin1", 0, 8)).toBe("R1SESSN\0");
    expect(bytes.readUInt32LE(8)).toBe(1);
    expect(checksum).toEqual(createHash("sha256").update(bytes.subarray(0, -32)).digest());
    const { prompt } = fake.engine.requests.get(2)!;
    const tokens = [...prompt, ...fake.ids("Hm</think>2"), EOS];
    const computed = tokens.length - 1;
    expect(header).toEqual({
      model: { name: "qwen2-tiny", hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
      ...{ precision: "f32", kvType: "f32", adapter: null, mask: null, layers, kvHeads: 2, headDim: 16 },
      ...{ tokens, decoded: [prompt.length, computed], computed, held: null },
      messages: session.messages.slice(1),
      options: { system: "Be kind.", keepReasoning: false, salt: "s" },
    });
    const expected = Array.from({ length: layers }, (_, layer) =>
      tokens.slice(0, computed).map((token, i) => kv(layer, token, i)),
    );
    expect(data.equals(Buffer.concat(expected.flat()))).toBe(true);
    expect(readdirSync(folder)).toEqual(["chat.r1session"]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(fake.engine.dropped.length).toBe(1);
  });

  it("gives the session back as it was, on a model of its own", async () => {
    for (const options of [{}, { keepReasoning: true, system: "x", salt: "s" }] as SessionOptions[]) {
      const session = await conversation(options);
      await session.save(path);
      const other = await fakeModel();
      const restored = await restoreSession(other.model, path);
      expect(restored.messages).toEqual(session.messages);
      expect([restored.system, restored.keepReasoning]).toEqual([session.system, session.keepReasoning]);
      const was = fake.engine.held.get(session.id)!;
      const is = other.engine.held.get(restored.id)!;
      const count = is.tokens.length;
      expect(count).toBeGreaterThanOrEqual(was.tokens.length - 1);
      expect(is).toMatchObject({ tokens: was.tokens.slice(0, count), decoded: was.decoded, computed: was.computed });
      for (let layer = 0; layer < layers; layer++)
        expect(is.written!.get(layer)!.subarray(0, is.computed * perToken)).toEqual(
          new Uint8Array(Buffer.concat(is.tokens.slice(0, is.computed).map((token, i) => kv(layer, token, i)))),
        );
      const turns = [session.chat("three"), restored.chat("three")];
      const mine = fake.engine.requests.size + 1;
      while (!fake.engine.requests.has(mine) || !other.engine.requests.has(1)) await tick();
      const [a, b] = [fake.engine.requests.get(mine)!, other.engine.requests.get(1)!];
      expect({ ...b, session: 0, sample: { ...b.sample, seed: 0 } }).toEqual({
        ...a,
        session: 0,
        sample: { ...a.sample, seed: 0 },
      });
      fake.engine.finish(mine);
      other.engine.finish(1);
      await Promise.all(turns);
      await restored.save(path);
      expect(parts(path).header.messages).toEqual(restored.messages.slice(options.system ? 1 : 0));
    }
  });

  it("of a session without turns, and with messages only, goes both ways", async () => {
    for (const options of [
      {},
      { keepReasoning: true, messages: [{ role: "user", content: "a" }] },
    ] as SessionOptions[]) {
      const session = fake.create(options);
      await session.save(path);
      expect(parts(path)).toMatchObject({ header: { tokens: [], computed: 0, held: null }, data: Buffer.alloc(0) });
      expect((await restoreSession(fake.model, path)).messages).toEqual(session.messages);
    }
    expect(fake.engine.calls).not.toContain("fillSession");
  });

  it("leaves out what a turn that was given up had computed", async () => {
    const session = await conversation({ keepReasoning: true });
    const said = session.messages;
    const { tokens } = fake.engine.held.get(session.id)!;
    const stream = session.stream("three");
    const first = stream.next();
    while (!fake.engine.requests.has(3)) await tick();
    fake.engine.tokens(3, ...fake.ids("Hmmm"));
    await first;
    await stream.return(undefined);
    fake.engine.retire(3);
    await session.save(path);
    const { header } = parts(path);
    expect(header.tokens).toEqual(tokens.slice(0, -1));
    expect(header).toMatchObject({ held: tokens.length - 1, computed: tokens.length - 1, messages: said });
    expect(header.decoded.every((index) => index <= tokens.length)).toBe(true);
    await restoreSession(fake.model, path);
  });

  it("is written anew when keys and values have to make room meanwhile, and keeps who computed what", async () => {
    const session = await conversation();
    const { engine } = fake;
    let left = 2;
    engine.onRead = () => {
      const still = Math.max(...engine.held.keys());
      const held = engine.held.get(still)!;
      if (left-- > 0) engine.held.set(still, { ...held, computed: held.computed - 3 });
    };
    await session.save(path);
    const { header } = parts(path);
    const { tokens, decoded } = engine.held.get(session.id)!;
    expect(header).toMatchObject({ tokens, decoded, computed: tokens.length - 1 - 6 });
    const other = await fakeModel();
    const restored = await restoreSession(other.model, path);
    expect(other.engine.held.get(restored.id)).toMatchObject({ tokens, decoded, computed: header.computed });
    // Without an end, it gives up.
    engine.onRead = () => {
      const still = Math.max(...engine.held.keys());
      const held = engine.held.get(still)!;
      engine.held.set(still, { ...held, computed: held.computed - 1 });
    };
    await expect(session.save(path)).rejects.toMatchObject({ code: "E_INVALID_ARGUMENT" });
    expect(readdirSync(folder)).toEqual(["chat.r1session"]);
  });
});

describe("a file that cannot be written", () => {
  it("leaves nothing behind, and what was there as it was", async () => {
    const session = await conversation();
    await session.save(path);
    const before = readFileSync(path);
    await say(session, "three", "</think>3");
    fake.engine.refusals.set("readSession", { code: "E_DEVICE_LOST", message: "gone" });
    await expect(session.save(path)).rejects.toMatchObject({ code: "E_DEVICE_LOST" });
    fake.engine.refusals.clear();
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder)).toEqual(["chat.r1session"]);
    expect(fake.engine.dropped.length).toBe(2);
    await session.save(path);
    expect(readFileSync(path)).not.toEqual(before);
  });

  it("is an error that says why", async () => {
    const session = await conversation();
    await expect(session.save(join(folder, "none/x"))).rejects.toMatchObject({
      code: "E_NOT_FOUND",
      message: expect.stringMatching(/folder .*none does not exist/),
    });
    mkdirSync(path);
    await expect(session.save(path)).rejects.toMatchObject({ code: "E_FILE", message: expect.stringContaining(path) });
    expect(readdirSync(folder)).toEqual(["chat.r1session"]);
    await expect(
      writeWhole(join(folder, "x"), async () => {
        throw Object.assign(new Error("no room"), { code: "ENOSPC", syscall: "write" });
      }),
    ).rejects.toMatchObject({ code: "E_FILE", message: expect.stringContaining("Make room on the disk") });
    expect(readdirSync(folder)).toEqual(["chat.r1session"]);
    await expect(session.save(5 as never)).rejects.toThrow(TypeError);
    await expect(session.save("")).rejects.toThrow(RangeError);
    await expect(session.save("a\0b")).rejects.toThrow(RangeError);
  });
});

describe("a file that cannot be restored", () => {
  const restore = (model = fake.model) => restoreSession(model, path);

  it("is not there, or no session", async () => {
    await expect(restore()).rejects.toMatchObject({ code: "E_NOT_FOUND", message: expect.stringContaining(path) });
    mkdirSync(path);
    await expect(restore()).rejects.toMatchObject({ code: "E_NOT_FOUND" });
    rmSync(path, { recursive: true });
    for (const text of ["", "R1", "hello, this is another kind of file, and it has many bytes"]) {
      writeFileSync(path, text);
      await expect(restore()).rejects.toMatchObject({
        code: "E_BAD_INPUT",
        message: expect.stringContaining("is not a saved session"),
      });
    }
    await expect(restoreSession(fake.model, 5 as never)).rejects.toThrow(TypeError);
  });

  it("belongs to another model, precision or version", async () => {
    await (await conversation()).save(path);
    const { header, data } = parts(path);
    const mismatch = (message: RegExp) => ({ code: "E_SESSION_MISMATCH", message: expect.stringMatching(message) });
    const cases: [object, RegExp][] = [
      [
        { model: { name: "other", hash: "0".repeat(64) } },
        /the model "other" \(SHA-256 0000.*this one is "qwen2-tiny"/,
      ],
      [{ adapter: "law" }, /the adapter "law"/],
      [{ mask: "sinks" }, /the mask "sinks"/],
      [{ precision: "bf16" }, /precision bf16 .* loaded in f32 .*precision: "bf16"/],
      [{ kvType: "bf16" }, /keys and values in bf16/],
      [{ layers: 3 }, /layers 3, and this model has 2/],
      [{ headDim: 1e15 }, /headDim/],
    ];
    for (const [change, message] of cases) {
      writeFileSync(path, assemble({ ...header, ...change }, data));
      await expect(restore()).rejects.toMatchObject(mismatch(message));
    }
    writeFileSync(path, assemble({ any: "thing" }, data, 2));
    await expect(restore()).rejects.toMatchObject(mismatch(/version 2 .* reads version 1/));
    writeFileSync(path, assemble(header, data));
    const other = await fakeModel({ precision: "bf16" });
    await expect(restore(other.model)).rejects.toMatchObject(mismatch(/precision f32/));
    const small = await fakeModel({ contextLength: 10 });
    await expect(restore(small.model)).rejects.toMatchObject({ code: "E_CONTEXT_OVERFLOW" });
    expect((await restore()).messages.length).toBe(4);
  });

  it("is damaged: what was flipped says nothing else, and the engine never gets to use it", async () => {
    await (await conversation()).save(path);
    const { bytes, header, data } = parts(path);
    const { engine, model } = fake;
    const damaged = { code: "E_BAD_INPUT", message: expect.stringMatching(/is (damaged|not a saved session)/) };
    const places = [0, 8, 9, 12, 13, 16, 40, 200, bytes.length - data.length, bytes.length - 33, bytes.length - 1];
    for (const at of places) {
      const flipped = Buffer.from(bytes);
      flipped[at] ^= 1;
      writeFileSync(path, flipped);
      await expect(restore(), `byte ${at}`).rejects.toMatchObject(damaged);
    }
    for (const length of [8, 16, 47, 48, 100, bytes.length - 1, bytes.length - 33]) {
      writeFileSync(path, bytes.subarray(0, length));
      await expect(restore(), `${length} bytes`).rejects.toMatchObject(damaged);
    }
    writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(1)]));
    await expect(restore()).rejects.toMatchObject(damaged);
    const { tokens, computed } = header;
    const lies: object[] = [
      ...[{ computed: tokens.length + 1 }, { computed: computed - 1 }, { computed: -1 }, { computed: 1.5 }],
      ...[{ tokens: [...tokens.slice(0, -1), 512] }, { tokens: [-1] }, { tokens: 5 }, { tokens: undefined }],
      ...[{ decoded: [3] }, { decoded: [5, 5] }, { decoded: [4, 2] }, { decoded: [0, 4, 3, 6] }, { decoded: [0, 1e9] }],
      ...[{ messages: [{ role: "robot" }] }, { messages: {} }, { options: null }, { options: { system: 1 } }],
      ...[{ held: 3 }, { held: 1e9 }, { held: 0 }, { layers: 0 }, { model: "x" }, { kvType: "f64" }],
    ];
    for (const lie of lies) {
      writeFileSync(path, assemble({ ...header, ...lie }, data));
      await expect(restore(), JSON.stringify(lie)).rejects.toMatchObject({ code: "E_BAD_INPUT" });
    }
    expect(engine.calls).not.toContain("sealSession");
    expect([...engine.held.keys()]).toEqual([1]);
    writeFileSync(path, bytes);
    await restoreSession(model, path);
    expect(engine.calls).toContain("sealSession");
  });

  it("finds no room, or a model that is gone", async () => {
    await (await conversation()).save(path);
    for (const call of ["fillSession", "writeSession", "sealSession"]) {
      fake.engine.refusals.set(call, { code: "E_OUT_OF_MEMORY", message: "12 blocks" });
      await expect(restore()).rejects.toMatchObject({ name: "R1Error", code: "E_OUT_OF_MEMORY", message: "12 blocks" });
      fake.engine.refusals.clear();
    }
    expect([...fake.engine.held.keys()]).toEqual([1]);
    const disposal = fake.model.client.dispose();
    fake.engine.emit({ type: "disposed" });
    await disposal;
    await expect(restore()).rejects.toMatchObject({ code: "E_DISPOSED" });
  });
});
