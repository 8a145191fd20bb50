/** Sessions on a made-up engine: what each turn asks it, and what the conversation is after it. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeEach, describe, expect, it } from "vitest";
import type { Message, Part } from "../../lib";
import type { Session } from "../../lib/session/session";
import { fakeModel } from "../support/fake-sessions";

type Fake = Awaited<ReturnType<typeof fakeModel>>;
let fake: Fake;
let engine: Fake["engine"];
let create: Fake["create"];
let ids: Fake["ids"];

beforeEach(async () => {
  fake = await fakeModel();
  ({ engine, create, ids } = fake);
});

const tick = () => new Promise(setImmediate);
const EOS = 1;

/** Waits until the engine has request `id`. */
async function submitted(id: number) {
  for (let i = 0; i < 100 && !engine.requests.has(id); i++) await tick();
  expect(engine.requests.has(id)).toBe(true);
  return engine.requests.get(id)!;
}

/** The engine answers request `id`: ends with EOS, or with its length. */
async function answers(id: number, text: string, reason: "stop" | "length" = "stop"): Promise<number[]> {
  await submitted(id);
  const sampled = [...ids(text), ...(reason === "stop" ? [EOS] : [])];
  engine.tokens(id, ...sampled);
  engine.finish(id, reason);
  return sampled;
}

const user = (content: string): Message => ({ role: "user", content });
const prompt = async (messages: Message[]) => (await fake.model.template.prompt(messages)).ids;

async function collect(stream: AsyncIterable<Part>): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

describe("a turn", () => {
  it("renders the whole conversation anew, in its session", async () => {
    const session = create({
      system: "Be kind.",
      messages: [user("a"), { role: "assistant", content: "b" }],
      salt: "s",
    });
    const first = session.chat("one", { temperature: 0, seed: 4, maxNewTokens: 50 });
    await answers(1, "Hm.</think>\n\nOne.");
    expect(await first).toMatchObject({ text: "One.", reasoning: "Hm.", finishReason: "stop" });
    const said: Message[] = [
      { role: "system", content: "Be kind." },
      user("a"),
      { role: "assistant", content: "b" },
      user("one"),
    ];
    expect(engine.requests.get(1)).toMatchObject({ session: session.id, salt: "s", maxNewTokens: 50 });
    expect([...engine.requests.get(1)!.prompt]).toEqual(await prompt(said));
    const answer: Message = { role: "assistant", content: "One.", reasoning_content: "Hm." };
    expect(session.messages).toEqual([...said, answer]);
    expect(session.system).toBe("Be kind.");

    const second = collect(session.stream([user("two"), user("three")]));
    await answers(2, "Two", "length");
    expect((await second).at(-1)).toMatchObject({ type: "finish", finishReason: "length", reasoning: "Two" });
    expect([...engine.requests.get(2)!.prompt]).toEqual(await prompt([...said, answer, user("two"), user("three")]));
    expect(session.messages.slice(-1)).toEqual([{ role: "assistant", content: "", reasoning_content: "Two" }]);
  });

  it("takes a message with its parts, and keeps copies", async () => {
    const session = create();
    const given = {
      role: "user",
      content: [
        { type: "text", text: "o" },
        { type: "text", text: "ne" },
      ],
    } as const;
    const result = session.chat(given);
    await answers(1, "</think>\n\nOne.");
    await result;
    expect(session.messages[0]).toEqual(user("one"));
    session.messages[0].content = "other";
    session.messages.pop();
    expect(session.messages).toEqual([user("one"), { role: "assistant", content: "One." }]);
  });

  it("may be one of many in other sessions, but only one in its own", async () => {
    const [session, other] = [create(), create()];
    const first = session.chat("one");
    const refused = { code: "E_BAD_INPUT", message: expect.stringMatching(/one at a time.*fork/) };
    await expect(session.chat("two")).rejects.toMatchObject(refused);
    await expect(session.stream("two").next()).rejects.toMatchObject(refused);
    const elsewhere = other.chat("two");
    await answers(1, "</think>1");
    await answers(2, "</think>2");
    expect((await first).text).toBe("1");
    expect((await elsewhere).text).toBe("2");
    expect(session.messages.length).toBe(2);
    // A stream that nobody has read yet has not begun.
    const stream = session.stream("three");
    const second = session.chat("four");
    await answers(3, "</think>4");
    await second;
    const read = collect(stream);
    await answers(4, "</think>3");
    await read;
    expect(session.messages.map(({ content }) => content)).toEqual(["one", "1", "four", "4", "three", "3"]);
  });
});

describe("a turn that does not end well leaves the conversation as it was", () => {
  it("when it is aborted; the next one waits until the engine has let go", async () => {
    for (const keepReasoning of [false, true]) {
      const session = create({ keepReasoning });
      const before = engine.requests.size;
      const first = session.chat("one");
      await answers(before + 1, "</think>1");
      await first;
      const said = session.messages;
      const controller = new AbortController();
      const second = session.chat("two", { signal: controller.signal });
      await submitted(before + 2);
      engine.tokens(before + 2, ...ids("Hm"));
      controller.abort("enough");
      await expect(second).rejects.toMatchObject({ code: "E_ABORTED", cause: "enough", partial: { reasoning: "Hm" } });
      expect(session.messages).toEqual(said);
      const third = session.chat("three");
      for (let i = 0; i < 20; i++) await tick();
      expect(engine.requests.size).toBe(before + 2);
      engine.retire(before + 2);
      await answers(before + 3, "</think>3");
      await third;
      expect(session.messages.map(({ content }) => content)).toEqual(["one", "1", "three", "3"]);
    }
  });

  it("when it fails, times out, or cannot be encoded", async () => {
    const session = create();
    const failing = session.chat("one");
    await submitted(1);
    engine.emit({ type: "error", id: 1, error: { code: "E_SAMPLING", message: "nothing left" } });
    await expect(failing).rejects.toMatchObject({ code: "E_SAMPLING" });
    const slow = expect(session.chat("one", { timeoutMs: 200 })).rejects.toMatchObject({ code: "E_TIMEOUT" });
    await submitted(2);
    await slow;
    engine.retire(2);
    await expect(session.chat("word ".repeat(600))).rejects.toMatchObject({ code: "E_CONTEXT_OVERFLOW" });
    await expect(session.chat("one", { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "E_ABORTED" });
    expect(session.messages).toEqual([]);
    const good = session.chat("two");
    await answers(3, "</think>2");
    expect((await good).text).toBe("2");
  });

  it("when its stream is left, even before the engine has it", async () => {
    const session = create();
    const stream = session.stream("one");
    void stream.next();
    await stream.return(undefined);
    for (let i = 0; i < 20; i++) await tick();
    expect(engine.requests.size).toBe(0);
    const other = session.stream("two");
    const first = other.next();
    await submitted(1);
    engine.tokens(1, ...ids("Hm"));
    expect(await first).toMatchObject({ value: { text: "Hm" } });
    await other.return(undefined);
    expect(engine.cancelled).toEqual([1]);
    engine.retire(1);
    expect(session.messages).toEqual([]);
    const third = session.chat("three");
    await answers(2, "</think>3");
    await third;
    expect(session.messages.length).toBe(2);
  });
});

describe("with keepReasoning", () => {
  const join = (...parts: ArrayLike<number>[]) => parts.flatMap((part) => Array.from(part));

  it("goes on behind the generated ids, whether they ended with a stop id or by length", async () => {
    const session = create({ keepReasoning: true, system: "Be kind." });
    const first = session.chat("one");
    // No encoding of a text yields single letters in this place: what comes again are these very ids.
    const odd = [...ids("a"), ...ids("b"), ...ids("</think>"), ...ids("O"), ...ids("n"), ...ids("e")];
    await submitted(1);
    engine.tokens(1, ...odd, EOS);
    engine.finish(1, "stop");
    expect(await first).toMatchObject({ text: "One", reasoning: "ab" });
    const before = join(engine.requests.get(1)!.prompt, odd);
    const second = session.chat("two <｜User｜>");
    const sampled = await answers(2, "Two, and more", "length");
    expect(await second).toMatchObject({ text: "", reasoning: "Two, and more" });
    const ending = ids("<｜end▁of▁sentence｜><｜User｜>");
    const opening = ids("<｜Assistant｜><think>\n");
    const plain = fake.model.tokenizer.encode("two <｜User｜>", { addSpecialTokens: false });
    expect([...engine.requests.get(2)!.prompt]).toEqual(join(before, ending, plain, opening));

    const third = session.chat("three");
    await answers(3, "</think>3");
    await third;
    const all = join(engine.requests.get(2)!.prompt, sampled, ending, ids("three"), opening);
    expect([...engine.requests.get(3)!.prompt]).toEqual(all);
  });

  it("drops a stop id that is not the template's, and keeps what a stop string ended", async () => {
    const session = create({ keepReasoning: true });
    const stop = ids("!")[0];
    const first = session.chat("one", { stopTokens: [stop] });
    await submitted(1);
    engine.tokens(1, ...ids("</think>One"), stop);
    engine.finish(1, "stop");
    expect((await first).text).toBe("One");
    const second = session.chat("two", { stop: "END" });
    await submitted(2);
    const held = join(engine.requests.get(1)!.prompt, ids("</think>One"), ids("<｜end▁of▁sentence｜><｜User｜>two"));
    expect([...engine.requests.get(2)!.prompt]).toEqual(join(held, ids("<｜Assistant｜><think>\n")));
    const said = ids("</think>Two END");
    engine.tokens(2, ...said, ...ids(" and what the engine was ahead"));
    engine.retire(2);
    const result = await second;
    expect(result).toMatchObject({ text: "Two ", finishReason: "stop" });
    const third = session.chat("three");
    const request = await submitted(3);
    const start = join(engine.requests.get(2)!.prompt, result.tokens, ids("<｜end▁of▁sentence｜>"));
    expect([...request.prompt].slice(0, start.length)).toEqual(start);
    engine.finish(3, "length");
    await third;
  });

  it("goes back to where it was when a turn was given up", async () => {
    const session = create({ keepReasoning: true });
    const first = session.chat("one");
    const sampled = await answers(1, "Hm</think>1");
    await first;
    const second = session.stream("two");
    const part = second.next();
    await submitted(2);
    engine.tokens(2, ...ids("Hm"));
    await part;
    await second.return(undefined);
    engine.retire(2);
    const third = session.chat("three");
    const { prompt: asked } = await submitted(3);
    const held = join(engine.requests.get(1)!.prompt, sampled);
    expect([...asked]).toEqual(join(held, ids("<｜User｜>three<｜Assistant｜><think>\n")));
    engine.finish(3);
    await third;
  });

  it("adds a system message later where the template writes it in its place", async () => {
    const session = create({ keepReasoning: true });
    const first = session.chat("one");
    await answers(1, "</think>1");
    await first;
    const second = session.chat([{ role: "system", content: "Be kind." }, user("two")]);
    await answers(2, "</think>2");
    expect((await second).text).toBe("2");
    const opening = join(ids("<｜end▁of▁sentence｜>Be kind.<｜User｜>two<｜Assistant｜><think>\n"));
    expect([...engine.requests.get(2)!.prompt].slice(-opening.length)).toEqual(opening);
  });
});

describe("a fork", () => {
  it("has said the same up to the last turn that has ended, and goes on by itself", async () => {
    const session = create({ keepReasoning: true });
    const first = session.chat("one");
    await answers(1, "Hm</think>1");
    await first;
    const open = session.chat("two");
    await submitted(2);
    const fork = session.fork();
    expect(engine.calls).toEqual([`fork ${session.id}`]);
    expect(fork.id).not.toBe(session.id);
    expect(fork.messages).toEqual(session.messages);
    const other = fork.chat("two");
    await answers(3, "</think>other");
    await other;
    await answers(2, "</think>own");
    await open;
    expect([...engine.requests.get(3)!.prompt]).toEqual([...engine.requests.get(2)!.prompt]);
    expect(engine.requests.get(3)!.session).toBe(fork.id);
    expect(session.messages.at(-1)?.content).toBe("own");
    expect(fork.messages.at(-1)?.content).toBe("other");
    await session.dispose();
    const more = fork.chat("three");
    await answers(4, "</think>3");
    expect((await more).text).toBe("3");
  });
});

describe("disposing", () => {
  const gone = { code: "E_DISPOSED", message: expect.stringContaining("session was disposed") };

  it("ends an open turn at any moment, refuses later ones, and may be done again", async () => {
    const moments: ((session: Session) => Promise<unknown>)[] = [
      async (session) => session.chat("one"), // being encoded
      async (session) => {
        const before = engine.requests.size;
        const turn = session.chat("one");
        await submitted(before + 1);
        return { turn };
      },
      async (session) => {
        const before = engine.requests.size;
        const stream = session.stream("one");
        const first = stream.next();
        await submitted(before + 1);
        engine.tokens(before + 1, ...ids("Hm"));
        await first;
        return { turn: stream.next() };
      },
    ];
    for (const moment of moments) {
      const session = create();
      const at = moment(session).then((value) => (value as { turn: Promise<unknown> }).turn ?? value);
      const rejected = expect(at).rejects.toMatchObject(gone);
      for (let i = 0; i < (moment === moments[0] ? 0 : 20); i++) await tick();
      const request = Math.max(
        ...[...engine.requests].filter(([, r]) => r.session === session.id).map(([id]) => id),
        0,
      );
      const disposal = session.dispose();
      if (request > 0) engine.retire(request);
      await disposal;
      await rejected;
      await session.dispose();
      expect(engine.dropped.filter((id) => id === session.id)).toEqual([session.id]);
      await expect(session.chat("two")).rejects.toMatchObject(gone);
      await expect(session.stream("two").next()).rejects.toMatchObject(gone);
      await expect(session.save("nowhere")).rejects.toMatchObject(gone);
      expect(() => session.fork()).toThrow(expect.objectContaining({ code: "E_DISPOSED" }));
      expect(session.messages).toEqual([]);
    }
  });

  it("happens at the end of a scope, and when nobody refers to the session any more", async () => {
    let id: number;
    {
      await using session = create();
      id = session.id;
    }
    expect(engine.dropped).toEqual([id]);
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    const make = async () => {
      const session = create();
      const turn = session.chat("one");
      await answers(1, "</think>1");
      await turn;
      return session.id;
    };
    const forgotten = await make();
    for (let i = 0; i < 50 && !engine.dropped.includes(forgotten); i++) {
      gc();
      await tick();
    }
    expect(engine.dropped).toContain(forgotten);
  });

  it("of the model ends its sessions", async () => {
    const session = create();
    const turn = session.chat("one");
    await submitted(1);
    const disposal = fake.model.client.dispose();
    engine.emit({ type: "disposed" });
    await disposal;
    await expect(turn).rejects.toMatchObject({ code: "E_DISPOSED", message: expect.stringContaining("model") });
    await expect(session.chat("two")).rejects.toMatchObject({ code: "E_DISPOSED" });
    expect(() => session.fork()).toThrow(expect.objectContaining({ code: "E_DISPOSED" }));
    await expect(session.save("nowhere")).rejects.toMatchObject({ code: "E_DISPOSED" });
    await session.dispose();
  });
});

describe("what callers get wrong", () => {
  // biome-ignore lint/suspicious/noExplicitAny: callers in JavaScript can pass anything
  type Anything = any;

  it.each<[Anything, RegExp]>([
    [{ sytem: "x" }, /unknown name "sytem"; expected one of system, messages, keepReasoning, salt/],
    [null, /options must be an object, found null/],
    [{ system: 5 }, /system must be a string/],
    [{ messages: "hello" }, /messages must be an array of messages, found "hello"/],
    [{ messages: [{ role: "robot", content: "" }] }, /messages\[0\]\.role must be one of/],
    [{ keepReasoning: 1 }, /keepReasoning must be true or false/],
    [{ salt: 5 }, /salt must be a string/],
  ])("createSession(%j)", (options, message) => {
    expect(() => create(options)).toThrow(message);
    expect(() => create({ salt: "x".repeat(1025) })).toThrow(RangeError);
  });

  it.each<[Anything, Anything, RegExp]>([
    [undefined, {}, /message must be a string, a message or an array of messages, found undefined/],
    [[], {}, /at least one message/],
    [[1, 2, 3], {}, /messages\[0\] must be an object/],
    [new Int32Array(3), {}, /message must be a string/],
    [{ role: "user" }, {}, /messages\[0\]\.content/],
    ["x", { n: 2 }, /n must be left out/],
    ["x", { salt: "s" }, /one salt for all its turns/],
    ["x", { maxTokens: 5 }, /unknown name "maxTokens"/],
    ["x", 5, /options must be an object/],
  ])("chat(%j, %j)", async (message, options, expected) => {
    const session = create();
    await expect(session.chat(message, options)).rejects.toThrow(expected);
    expect(() => session.stream(message, options)).toThrow(TypeError);
    expect(engine.requests.size).toBe(0);
  });

  it("messages that no file could hold", async () => {
    const message = { role: "user", content: "x", extra: 5n } as Anything;
    await expect(create().chat(message)).rejects.toThrow(/plain data/);
    expect(() => create({ messages: [message] })).toThrow(TypeError);
  });
});
