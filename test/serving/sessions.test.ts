/** Sessions of a whole model: what they say, what they need not compute, and how they come through anything. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { DeepSeekR1, type LoadOptions, type Message, type ModelEvent, type Part, type Session } from "../../lib";
import { embeddedModelPath } from "../../lib/embedded";
import { ChatTemplate } from "../../lib/text/chat-template";
import { devices } from "../support/devices";

const root = join(__dirname, "../..");
const xsPath = join(root, "models/r1-nano-xs");
const questions = ["What is 17 * 24?", "and times two?", "How many r's are in strawberry?"];
const greedy = { temperature: 0, maxNewTokens: 300 };
const warm = { temperature: 0.8, seed: 5, maxNewTokens: 200 };
const user = (content: string): Message => ({ role: "user", content });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "r1-sessions-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function collect(stream: AsyncIterable<Part>): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

function commonStart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

describe.each(devices)("on %s", (device) => {
  const load = (options: Partial<LoadOptions> = {}) =>
    DeepSeekR1.load({ device, contextLength: 2048, threads: 2, onWarning: () => {}, ...options });
  let model: DeepSeekR1;
  /** Knows nothing of what was before. */
  let plain: DeepSeekR1;
  beforeAll(async () => {
    model = await load();
    plain = await load({ prefixCache: false });
  });
  afterAll(() => Promise.all([model.dispose(), plain.dispose()]));

  /** Tokens of one turn after another. */
  async function turns(session: Session, asked: readonly string[], options: object = warm): Promise<number[][]> {
    const all: number[][] = [];
    for (const question of asked) all.push((await session.chat(question, options)).tokens);
    return all;
  }

  const until = async (condition: () => boolean) => {
    for (let i = 0; i < 1000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(condition()).toBe(true);
  };

  it("say what model.chat says, and compute only what they must", async () => {
    await using session = model.createSession();
    const template = new ChatTemplate(model.tokenizer);
    let held: number[] = [];
    let cached = 0;
    for (const question of questions) {
      const messages = [...session.messages, user(question)];
      const { ids } = await template.prompt(messages);
      const result = await session.chat(question, greedy);
      const expected = await plain.chat(messages, greedy);
      expect(result.tokens).toEqual(expected.tokens);
      expect([result.text, result.reasoning]).toEqual([expected.text, expected.reasoning]);
      expect(result.usage).toEqual({ ...expected.usage, cachedTokens: expect.any(Number) });
      expect(result.usage.cachedTokens).toBeGreaterThanOrEqual(commonStart(held, ids));
      if (held.length > 0) expect(result.usage.cachedTokens).toBeGreaterThan(cached);
      cached = result.usage.cachedTokens;
      held = [...ids, ...result.tokens];
    }
    expect(session.messages.map(({ role }) => role)).toEqual(questions.flatMap(() => ["user", "assistant"]));
    expect(session.messages[3].content).toBe("408 × 2 = 816");
    const streamed = model.createSession({ messages: session.messages.slice(0, 2) });
    const parts = await collect(streamed.stream(questions[1], greedy));
    expect(streamed.messages).toEqual(session.messages.slice(0, 4));
    expect(parts.at(-1)).toMatchObject({ type: "finish", finishReason: "stop" });
    await streamed.dispose();
  });

  it("with keepReasoning go on behind every token there was, and compute none of them again", async () => {
    for (const maxNewTokens of [300, 20]) {
      await using session = model.createSession({ keepReasoning: true, system: "Calculate." });
      let before: { prompt: number; tokens: number; stopped: boolean } | undefined;
      for (const question of questions) {
        const { usage, tokens, finishReason } = await session.chat(question, { ...greedy, maxNewTokens });
        if (before) {
          expect(usage.cachedTokens).toBe(before.prompt + before.tokens - 1);
          expect(usage.promptTokens).toBeGreaterThan(before.prompt + before.tokens + 3);
        }
        before = { prompt: usage.promptTokens, tokens: tokens.length, stopped: finishReason === "stop" };
      }
      expect(before?.stopped).toBe(maxNewTokens === 300);
    }
  });

  it.each([false, true])(
    "are reproducible, also as forks, which go on independently (keepReasoning %s)",
    async (keepReasoning) => {
      const create = () => model.createSession({ keepReasoning });
      await using session = create();
      await using same = create();
      const expected = await turns(session, questions);
      expect(await turns(same, questions.slice(0, 1))).toEqual(expected.slice(0, 1));
      await using fork = same.fork();
      await using other = same.fork();
      const [own, forked, apart] = await Promise.all([
        turns(same, questions.slice(1)),
        turns(fork, questions.slice(1)),
        turns(other, ["Sort these numbers: 5, 3, 9, 1", questions[2]]),
      ]);
      expect(own).toEqual(expected.slice(1));
      expect(forked).toEqual(expected.slice(1));
      expect(apart).not.toEqual(expected.slice(1));
      expect(other.messages.length).toBe(6);
      expect(fork.messages).toEqual(session.messages);
    },
  );

  it.each([false, true])(
    "go on from a file as they would have, in another process too (keepReasoning %s)",
    async (keepReasoning) => {
      await using session = model.createSession({ keepReasoning, system: "Calculate." });
      await turns(session, questions.slice(0, 2));
      const path = join(folder, `${device}-${keepReasoning}.r1session`);
      await session.save(path);
      const said = session.messages;
      const expected = await session.chat(questions[2], warm);

      const restored = await model.restoreSession(path);
      expect(restored.messages).toEqual(said);
      const here = await restored.chat(questions[2], warm);
      expect(here.tokens).toEqual(expected.tokens);
      if (keepReasoning) expect(here.usage.cachedTokens).toBe(expected.usage.cachedTokens);
      await restored.dispose();

      await using fresh = await load({ prefixCache: false });
      const there = await (await fresh.restoreSession(path)).chat(questions[2], warm);
      expect(there.tokens).toEqual(expected.tokens);
      expect(there.usage.cachedTokens).toBeGreaterThan(10);

      const script = `const { DeepSeekR1 } = require(${JSON.stringify(join(root, "dist/index.js"))});
      (async () => {
        const model = await DeepSeekR1.load({ device: "${device}", contextLength: 2048, onWarning: () => {} });
        const session = await model.restoreSession(${JSON.stringify(path)});
        console.log(JSON.stringify((await session.chat(${JSON.stringify(questions[2])}, ${JSON.stringify(warm)})).tokens));
        await session.save(${JSON.stringify(`${path}2`)}); // and the process ends by itself
      })();`;
      const { stdout, stderr } = await promisify(execFile)(process.execPath, ["-e", script]);
      expect(stderr).toBe("");
      expect(JSON.parse(stdout)).toEqual(expected.tokens);
      const next = "and times three?";
      const later = await model.restoreSession(`${path}2`);
      expect((await later.chat(next, warm)).tokens).toEqual((await session.chat(next, warm)).tokens);
      await later.dispose();
    },
  );

  it("are refused by another model and another precision", async () => {
    await using session = model.createSession();
    await session.chat(questions[0], greedy);
    const path = join(folder, `${device}-other.r1session`);
    await session.save(path);
    await using xs = await load({ modelPath: xsPath });
    await expect(xs.restoreSession(path)).rejects.toMatchObject({
      code: "E_SESSION_MISMATCH",
      message: expect.stringMatching(/was saved with the model "r1-nano" .* this one is "r1-nano-xs"/),
    });
    await using half = await load({ precision: model.info.precision === "f32" ? "bf16" : "f32" });
    await expect(half.restoreSession(path)).rejects.toMatchObject({
      code: "E_SESSION_MISMATCH",
      message: expect.stringContaining(`Load it with precision: "${model.info.precision}".`),
    });
    await using scaled = await load({ ropeScaling: { rope_type: "linear", factor: 2 } });
    await expect(scaled.restoreSession(path)).rejects.toMatchObject({ code: "E_SESSION_MISMATCH" });
    await using same = await load({ modelPath: await embeddedModelPath(), contextLength: 1024 });
    expect((await same.restoreSession(path)).messages).toEqual(session.messages);
  });

  it("come from whole files only", async () => {
    await using session = model.createSession({ keepReasoning: true });
    await session.chat(questions[0], greedy);
    const path = join(folder, `${device}-whole.r1session`);
    await session.save(path);
    const bytes = readFileSync(path);
    await until(() => model.stats().sessions === 1);
    const { kvBlocksUsed } = model.stats();
    for (const at of [20, bytes.length >> 1, bytes.length - 5]) {
      const flipped = Buffer.from(bytes);
      flipped[at] ^= 64;
      writeFileSync(path, flipped);
      await expect(model.restoreSession(path)).rejects.toMatchObject({ code: "E_BAD_INPUT" });
    }
    writeFileSync(path, bytes.subarray(0, bytes.length >> 1));
    await expect(model.restoreSession(path)).rejects.toMatchObject({ code: "E_BAD_INPUT" });
    await until(() => model.stats().sessions === 1 && model.stats().kvBlocksUsed === kvBlocksUsed);
  });

  it("take one turn at a time, and a turn that is given up leaves no trace", async () => {
    for (const keepReasoning of [false, true]) {
      await using session = model.createSession({ keepReasoning });
      await using control = model.createSession({ keepReasoning });
      const expected = await turns(control, questions);
      expect(await turns(session, questions.slice(0, 1))).toEqual(expected.slice(0, 1));
      const said = session.messages;
      const endless = { temperature: 1, seed: 1, ignoreEos: true };
      const stream = session.stream("Count.", endless);
      for (let i = 0; i < 3; i++) await stream.next();
      await expect(session.chat(questions[1])).rejects.toMatchObject({ code: "E_BAD_INPUT" });
      await stream.return(undefined);
      expect(session.messages).toEqual(said);
      const signal = AbortSignal.timeout(30);
      await expect(session.chat("Count.", { ...endless, signal })).rejects.toMatchObject({ code: "E_ABORTED" });
      await expect(session.chat("Count.", { ...endless, timeoutMs: 20 })).rejects.toMatchObject({ code: "E_TIMEOUT" });
      const refusing = { sampler: () => -1 };
      await expect(session.chat("Count.", refusing)).rejects.toThrow(RangeError);
      await expect(session.chat("Count. ".repeat(3000))).rejects.toMatchObject({ code: "E_CONTEXT_OVERFLOW" });
      expect(session.messages).toEqual(said);
      expect(await turns(session, questions.slice(1))).toEqual(expected.slice(1));
    }
  });

  it("are counted, and give everything back at whatever moment they are disposed", async () => {
    await using own = await load({ prefixCache: false });
    const moments: ((session: Session) => Promise<unknown>)[] = [
      async () => {},
      async (session) => ({ turn: session.chat(questions[0], greedy) }),
      async (session) => session.chat(questions[0], greedy),
      async (session) => {
        const stream = session.stream(questions[0], { ...greedy, ignoreEos: true });
        await stream.next();
        await stream.next();
        return { turn: stream.next().then(() => stream.next()) };
      },
      async (session) => ({ turn: session.save(join(folder, "moment.r1session")) }),
    ];
    for (const moment of moments) {
      const session = own.createSession();
      await until(() => own.stats().sessions === 1);
      const { turn } = ((await moment(session)) ?? {}) as { turn?: Promise<unknown> };
      const ended = turn?.then(
        () => "done",
        (error) => error.code,
      );
      await session.dispose();
      await session.dispose();
      if (turn) expect(["done", "E_DISPOSED", "E_BAD_INPUT"]).toContain(await ended);
      await until(() => own.stats().sessions === 0 && own.stats().kvBlocksUsed === 0);
      expect(own.stats()).toMatchObject({ sessionBlocks: 0, running: 0, waiting: 0 });
      expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    }
    const session = own.createSession();
    await session.chat(questions[0], greedy);
    await until(() => own.stats().sessionBlocks > 0);
    expect(own.stats()).toMatchObject({ sessions: 1, running: 0 });
    const path = join(folder, "moment.r1session");
    await session.save(path);
    const gone = { code: "E_DISPOSED" };
    const rejected = Promise.all([
      expect(own.createSession().chat(questions[0], { ignoreEos: true })).rejects.toMatchObject(gone),
      expect(own.restoreSession(path)).rejects.toMatchObject(gone),
      session.save(path).catch((error) => expect(error).toMatchObject(gone)),
    ]);
    await own.dispose();
    await rejected;
    expect(own.stats()).toMatchObject({ sessions: 0, sessionBlocks: 0 });
    await session.dispose();
    expect(() => own.createSession()).toThrow(expect.objectContaining({ code: "E_DISPOSED" }));
    await expect(own.restoreSession("x")).rejects.toMatchObject({ code: "E_DISPOSED" });
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  it("that nobody refers to any more are dropped", async () => {
    await using own = await load();
    const use = async () => {
      const session = own.createSession();
      await session.chat(questions[0], { ...greedy, maxNewTokens: 5 });
      void session.stream(questions[1]);
    };
    await use();
    expect(own.stats().sessions).toBe(1);
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    await until(() => {
      gc();
      return own.stats().sessions === 0;
    });
    const { text } = await own.chat(questions[0], greedy);
    expect(text).toBe("17 × 24 = 408");
  });

  it.each([false, true])(
    "say the same when they have to make room for others (keepReasoning %s)",
    async (keepReasoning) => {
      const { kvPerToken } = model.info.memory;
      await using own = await load({ kvMemory: 64 * 20 * kvPerToken, contextLength: 640, prefixCache: false });
      const events = own.events();
      const control = model.createSession({ keepReasoning });
      const expected = await turns(control, questions, greedy);
      await control.dispose();
      const sessions = Array.from({ length: 6 }, () => own.createSession({ keepReasoning }));
      for (const [i] of questions.entries()) {
        for (const session of sessions) expect((await session.chat(questions[i], greedy)).tokens).toEqual(expected[i]);
        await until(() => own.stats().sessionBlocks <= own.stats().kvBlocksMax / 2);
        // A request that needs nearly all of the pool.
        const long = await own.generate("word ".repeat(300), { ...greedy, ignoreEos: true, maxNewTokens: 200 });
        expect(long.tokens.length).toBe(200);
      }
      const together = await Promise.all(sessions.map((session) => session.chat("and times three?", greedy)));
      for (const { tokens } of together) expect(tokens).toEqual(together[0].tokens);
      await own.dispose();
      const seen: ModelEvent[] = [];
      for await (const event of events) seen.push(event);
      const gaveWay = seen.flatMap((event) =>
        event.type === "pressure" && event.session !== undefined ? [event] : [],
      );
      expect(gaveWay.length).toBeGreaterThan(0);
      expect(gaveWay.every(({ session, bytes }) => sessions.some(({ id }) => id === session) && bytes > 0)).toBe(true);
    },
  );

  it("hold no more of the cache than sessionKvShare", async () => {
    await using own = await load({ sessionKvShare: 0, prefixCache: false });
    await using session = own.createSession({ keepReasoning: true });
    await using control = model.createSession({ keepReasoning: true });
    expect(await turns(session, questions)).toEqual(await turns(control, questions));
    await until(() => own.stats().kvBlocksUsed === 0);
    expect(own.stats()).toMatchObject({ sessions: 1, sessionBlocks: 0 });
  });

  it("leave what times out to a second model, unless it would have to know the tokens", async () => {
    await using own = await load({ onTimeout: model });
    await using session = own.createSession();
    let calls = 0;
    // The first model's first token never comes; after that, each is the best.
    const sampler = (logits: Float32Array) =>
      calls++ < 1 ? new Promise<number>(() => {}) : logits.reduce((best, z, i) => (z > logits[best] ? i : best), 0);
    const slow = { ...greedy, reasoning: false, sampler, timeoutMs: 2000 };
    const result = await session.chat(questions[0], slow);
    expect(result.answeredBy).toBe(model.info.modelPath);
    expect(session.messages).toEqual([user(questions[0]), { role: "assistant", content: result.text }]);
    const next = await session.chat(questions[1], greedy);
    expect(next).not.toHaveProperty("answeredBy");
    const { tokens } = await plain.chat(session.messages.slice(0, 3), greedy);
    expect(next.tokens).toEqual(tokens);
    calls = 0;
    await using keeping = own.createSession({ keepReasoning: true });
    await expect(keeping.chat(questions[0], { ...slow, timeoutMs: 50 })).rejects.toMatchObject({ code: "E_TIMEOUT" });
  });

  it("work as the README shows", async () => {
    const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)];
    const example = blocks.map(([, code]) => code).find((code) => code.includes("createSession")) as string;
    const cwd = process.cwd();
    process.chdir(folder);
    const [written, logged] = [vi.spyOn(process.stdout, "write"), vi.spyOn(console, "log")];
    written.mockReturnValue(true);
    logged.mockReturnValue(undefined);
    try {
      const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
      await AsyncFunction("model", example)(model);
      expect(readdirSync(folder)).toContain("sums.r1session");
      expect(logged.mock.calls).toEqual([["408 × 2 = 816", expect.any(Number)], [4]]);
      expect(written.mock.calls.map(([text]) => text).join("")).toContain("9.9");
    } finally {
      vi.restoreAllMocks();
      process.chdir(cwd);
    }
  });
});
