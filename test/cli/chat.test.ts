import { describe, expect, it } from "vitest";
import { type ChatSession, Conversation } from "../../lib/cli/chat";
import { AbortError, R1Error } from "../../lib/errors";
import type { RequestOptions } from "../../lib/options";
import type { FinishPart, Part, PartialResult } from "../../lib/results";
import type { SessionOptions } from "../../lib/session/options";
import type { Message } from "../../lib/text/messages";
import { type TestIo, testIo } from "./run";

const finish: FinishPart = {
  type: "finish",
  reasoning: "",
  tokens: [1, 2],
  finishReason: "stop",
  usage: { promptTokens: 1, cachedTokens: 0, completionTokens: 2, reasoningTokens: 0 },
  timings: { queue: 0, prefill: 1, decode: 1 },
  seed: 1,
};

type Answer = (messages: readonly Message[], options: RequestOptions) => AsyncGenerator<Part, void, undefined>;

/** A model whose sessions answer as told, and which keeps what they were asked. */
function fakeModel(answer: Answer) {
  const asked: Message[][] = [];
  const saved: [string, Message[]][] = [];
  let open = 0;
  const createSession = ({ system, messages = [], keepReasoning = false }: SessionOptions): ChatSession => {
    let said: Message[] = [
      ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
      ...messages,
    ];
    open++;
    return {
      get messages() {
        return [...said];
      },
      system,
      keepReasoning,
      async *stream(content, options = {}) {
        const now: Message[] = [...said, { role: "user", content: content as string }];
        asked.push(now);
        let text = "";
        for await (const part of answer(now, options)) {
          if (part.type === "text") text += part.text;
          if (part.type === "finish") said = [...now, { role: "assistant", content: text }];
          yield part;
        }
      },
      async save(path) {
        if (path.startsWith("none/")) throw new R1Error("E_NOT_FOUND", `${path} cannot be written.`);
        saved.push([path, said]);
      },
      async dispose() {
        open--;
      },
    };
  };
  return { model: { createSession }, asked, saved, open: () => open };
}

async function* say(...texts: string[]): AsyncGenerator<Part, void, undefined> {
  for (const text of texts) yield { type: "text", text, tokens: [1] };
  yield finish;
}

const echo: Answer = (messages) => say("You said ", String(messages.at(-1)?.content));

/** Answers a little and then waits to be aborted. */
const endless: Answer = async function* (_, { signal }) {
  yield { type: "text", text: "Once", tokens: [1] };
  await new Promise<void>((resolve) => {
    if (signal?.aborted) resolve();
    signal?.addEventListener("abort", () => resolve());
  });
  throw new AbortError(signal?.reason, { text: "Once upon" } as PartialResult);
};

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
};

function hold(answer: Answer, io: TestIo, values: Record<string, unknown> = {}) {
  const { model, asked, saved, open } = fakeModel(answer);
  const options = { system: values.system, keepReasoning: values["keep-reasoning"] } as SessionOptions;
  const conversation = new Conversation(model, model.createSession(options), {}, values, io);
  return { ended: conversation.hold(), asked, saved, open };
}

describe("a conversation through a pipe", () => {
  it("remembers what was said", async () => {
    const io = testIo();
    const { ended, asked } = hold(echo, io);
    io.stdin.end("one\n\ntwo\\\nthree\nlast");
    expect(await ended).toBe(0);
    expect(io.stdout()).toBe("You said one\nYou said two\nthree\nYou said last\n");
    expect(asked[1]).toEqual([
      { role: "user", content: "one" },
      { role: "assistant", content: "You said one" },
      { role: "user", content: "two\nthree" },
    ]);
    expect(asked[2].length).toBe(5);
  });

  it("forgets with /reset, but not the system message", async () => {
    const io = testIo();
    const { ended, asked } = hold(echo, io, { system: "Be kind." });
    io.stdin.end("one\n/reset\ntwo\n/exit\nthree\n");
    expect(await ended).toBe(0);
    expect(asked.at(-1)).toEqual([
      { role: "system", content: "Be kind." },
      { role: "user", content: "two" },
    ]);
    expect(asked.length).toBe(2);
  });

  it("has help, and names commands that it does not have", async () => {
    const io = testIo();
    const { ended, asked } = hold(echo, io);
    io.stdin.end("/help\n/rest\n");
    await ended;
    expect(io.stdout()).toContain("/reset         forget");
    expect(io.stderr()).toContain("unknown command /rest");
    expect(asked).toEqual([]);
  });

  it("is saved where it is told to, again there, and goes on where that fails", async () => {
    const io = testIo();
    const { ended, saved } = hold(echo, io);
    io.stdin.end("/save\none\n/save my chat.r1session\n/save none/x\ntwo\n/save\n");
    expect(await ended).toBe(0);
    expect(saved.map(([path, said]) => [path, said.length])).toEqual([
      ["my chat.r1session", 2],
      ["my chat.r1session", 4],
    ]);
    expect(io.stderr()).toBe("r1: /save needs the name of a file.\nr1: none/x cannot be written.\n");
    expect(io.stdout()).toContain("Saved as my chat.r1session.\nYou said two\n");
  });

  it("is saved where it came from, until it begins anew", async () => {
    const io = testIo();
    const { ended, saved } = hold(echo, io, { session: "from.r1session" });
    io.stdin.end("/save\n/reset\n/save\n");
    await ended;
    expect(saved).toEqual([["from.r1session", []]]);
    expect(io.stderr()).toContain("/save needs the name of a file");
  });

  it("forgets a question without an answer, unless reasoning is kept", async () => {
    for (const keep of [false, true]) {
      const io = testIo();
      let calls = 0;
      const think: Answer = (messages, options) => (calls++ === 0 ? say() : echo(messages, options));
      const { ended, asked, open } = hold(think, io, { "keep-reasoning": keep });
      io.stdin.end("one\ntwo\n");
      await ended;
      expect(asked[1].map(({ content }) => content)).toEqual(keep ? ["one", "", "two"] : ["two"]);
      expect(open()).toBe(1);
    }
  });

  it("goes on after an error, without the message that led to it", async () => {
    const io = testIo();
    let calls = 0;
    const { ended, asked } = hold((messages, options) => {
      if (calls++ > 0) return echo(messages, options);
      return (async function* () {
        yield* [];
        throw new R1Error("E_CONTEXT_OVERFLOW", "The prompt is too long.");
      })();
    }, io);
    io.stdin.end("one\ntwo\n");
    expect(await ended).toBe(0);
    expect(io.stderr()).toMatch(/^r1: The prompt is too long\..*\/reset begins anew\.\n$/);
    expect(asked[1]).toEqual([{ role: "user", content: "two" }]);
  });

  it("ends when the device is lost", async () => {
    const io = testIo();
    const { ended } = hold(async function* () {
      yield* [];
      throw new R1Error("E_DEVICE_LOST", "gone");
    }, io);
    io.stdin.end("one\ntwo\n");
    await expect(ended).rejects.toMatchObject({ code: "E_DEVICE_LOST" });
  });

  it("ends when the program is interrupted between messages", async () => {
    const controller = new AbortController();
    const io = testIo(false, controller.signal);
    const { ended } = hold(echo, io);
    controller.abort(new Error("interrupted"));
    await expect(ended).rejects.toBeInstanceOf(AbortError);
  });

  it("shows reasoning only when asked to, and never sends it back", async () => {
    const think: Answer = async function* () {
      yield { type: "reasoning", text: "Hm.", tokens: [1] };
      yield* say("Yes.");
    };
    for (const shown of [true, false]) {
      const io = testIo();
      const { ended, asked } = hold(think, io, { "show-reasoning": shown });
      io.stdin.end("one\ntwo\n");
      await ended;
      expect(io.stdout()).toBe((shown ? "<think>\nHm.\n</think>\n\nYes.\n" : "Yes.\n").repeat(2));
      expect(asked[1][1]).toEqual({ role: "assistant", content: "Yes." });
    }
  });
});

describe("a conversation at a terminal", () => {
  const ctrlC = "\x03";
  const ctrlD = "\x04";

  it("stops the answer at Ctrl-C and keeps what was written of it", async () => {
    const io = testIo(true);
    let calls = 0;
    const { ended, asked } = hold((messages, options) => (calls++ === 0 ? endless : echo)(messages, options), io);
    await until(() => io.stdout().includes("> "));
    io.stdin.write("tell me\r");
    await until(() => io.stdout().includes("Once"));
    // Between prompts the terminal is not raw: Ctrl-C is a signal, which `hold` listens to while it answers.
    expect(process.listenerCount("SIGINT")).toBe(1);
    process.emit("SIGINT");
    await until(() => io.stderr().includes("[stopped]"));
    expect(process.listenerCount("SIGINT")).toBe(0);
    io.stdin.write("go on\r");
    await until(() => io.stderr().includes("2 tokens in"));
    io.stdin.write(ctrlD);
    expect(await ended).toBe(0);
    expect(asked[1]).toEqual([
      { role: "user", content: "tell me" },
      { role: "assistant", content: "Once upon" },
      { role: "user", content: "go on" },
    ]);
  });

  it("ends with 130 at the second Ctrl-C, and a message between the two counts", async () => {
    const io = testIo(true);
    const { ended, asked } = hold(echo, io);
    await until(() => io.stdout().includes("> "));
    io.stdin.write(`half a mess${ctrlC}`);
    await until(() => io.stdout().includes("Ctrl-C again"));
    io.stdin.write("hello\r");
    await until(() => asked.length === 1 && io.stderr().includes("2 tokens in"));
    io.stdin.write(ctrlC);
    await until(() => io.stdout().split("Ctrl-C again").length === 3);
    io.stdin.write(ctrlC);
    expect(await ended).toBe(130);
    expect(asked).toEqual([[{ role: "user", content: "hello" }]]);
  });

  it("takes a message of several lines", async () => {
    const io = testIo(true);
    const { ended, asked } = hold(echo, io);
    await until(() => io.stdout().includes("> "));
    io.stdin.write("one\\\r");
    await until(() => io.stdout().includes("… "));
    io.stdin.write("two\r");
    await until(() => asked.length === 1);
    expect(asked[0][0].content).toBe("one\ntwo");
    await until(() => io.stderr().includes("2 tokens in"));
    io.stdin.write("/exit\r");
    expect(await ended).toBe(0);
  });
});
