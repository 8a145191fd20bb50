/** Requests on a made-up engine: what arrives when, and in which order, is decided here. */
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { EngineClient } from "../../lib/engine-client";
import { R1Error } from "../../lib/errors";
import { Generation, type GenerationOptions, PartStream } from "../../lib/generation";
import type { NativeLoadSpec, NativeRequest } from "../../lib/native";
import type { Part, TextPart } from "../../lib/results";
import type { Sampler } from "../../lib/sampling/options";
import { AnswerDecoder, type AnswerOptions } from "../../lib/text/answer-decoder";
import { Tokenizer } from "../../lib/text/tokenizer";
import { type FakeEngine, fakeBinding, timings } from "../support/fake-engine";

const EOS = 1;
let tokenizer: Tokenizer;
let client: EngineClient;
let engine: FakeEngine;

beforeAll(async () => {
  tokenizer = await Tokenizer.load(join(__dirname, "../fixtures/qwen2-tiny"));
});

beforeEach(async () => {
  const { engines, options } = fakeBinding();
  const loading = EngineClient.load({} as NativeLoadSpec, options);
  engines[0].ready();
  client = await loading;
  engine = engines[0];
});

interface Extra extends AnswerOptions {
  sampler?: Sampler;
  logprobs?: boolean;
  prepare?: () => Promise<void>;
}

function generation(options: Partial<GenerationOptions> = {}, extra: Extra = {}) {
  const { sampler, logprobs = false, prepare = async () => {}, ...answer } = extra;
  const decoders: AnswerDecoder[] = [];
  const decoder = () => {
    decoders.push(new AnswerDecoder(tokenizer, answer));
    return decoders.at(-1)!;
  };
  const request = { sample: { seed: 3, choice: 0 }, gated: sampler !== undefined } as NativeRequest;
  const eager = (answer.stop?.length ?? 0) > 0;
  const choice = {
    seed: 3,
    promptTokens: 6,
    vocab: 512,
    decoder,
    stopTokens: new Set([EOS]),
    eager,
    logprobs,
    sampler,
  };
  const plan = async () => {
    await prepare();
    return { request, choice };
  };
  const made = new Generation(client, { n: 1, seed: 3, ...options }, plan);
  return { made, stream: new PartStream(made), decoders };
}

const ids = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
const tick = () => new Promise(setImmediate);

async function collect(stream: AsyncIterable<Part>): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

const textOf = (parts: Part[]) => parts.map((part) => (part.type === "finish" ? "" : part.text)).join("");
const tokensOf = (parts: Part[]) => parts.flatMap((part) => (part.type === "finish" ? [] : part.tokens));

describe("parts", () => {
  it("come as tokens come, and end with the result less its text", async () => {
    const { stream } = generation();
    const first = stream.next();
    await tick();
    engine.tokens(1, ...ids("The quick"));
    expect((await first).value).toEqual({ type: "text", text: "The quick", tokens: ids("The quick") });
    const second = stream.next();
    engine.tokens(1, ...ids(" fox"), EOS);
    engine.finish(1, "stop");
    expect((await second).value).toMatchObject({ text: " fox", tokens: [...ids(" fox"), EOS] });
    expect(await stream.next()).toEqual({
      done: false,
      value: {
        type: "finish",
        reasoning: "",
        tokens: [...ids("The quick"), ...ids(" fox"), EOS],
        finishReason: "stop",
        usage: {
          promptTokens: 6,
          cachedTokens: 4,
          completionTokens: ids("The quick fox").length + 1,
          reasoningTokens: 0,
        },
        timings,
        seed: 3,
      },
    });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect(engine.cancelled).toEqual([]);
  });

  it("carry each character whole, and tokens even where there is no text yet", async () => {
    const { stream } = generation();
    const smile = ids("🙂");
    expect(smile.length).toBeGreaterThan(1);
    const reading = collect(stream);
    for (const id of smile) {
      await tick();
      engine.tokens(1, id);
    }
    await tick();
    engine.finish(1);
    const parts = await reading;
    expect(parts.slice(0, -1).map((part) => (part as TextPart).text)).toEqual([
      ...Array(smile.length - 1).fill(""),
      "🙂",
    ]);
    expect(tokensOf(parts)).toEqual(smile);
  });

  it("complete what was held back when the answer ends", async () => {
    const { stream } = generation();
    const reading = collect(stream);
    await tick();
    engine.tokens(1, ids("🙂")[0]);
    await tick();
    engine.finish(1);
    const parts = await reading;
    expect(textOf(parts)).toBe("\ufffd");
    expect(parts.at(-2)).toEqual({ type: "text", text: "\ufffd", tokens: [] });
  });

  it("split the reasoning from the answer", async () => {
    const { made } = generation({}, { reasoning: "opened" });
    const result = made.result();
    await tick();
    const close = tokenizer.idOf("</think>")!;
    engine.tokens(1, ...ids("\nfirst"), close, ...ids("\n\nthe fox"));
    engine.finish(1);
    expect(await result).toMatchObject({
      reasoning: "first",
      text: "the fox",
      usage: { reasoningTokens: ids("\nfirst").length + 1 },
    });
  });

  it("carry log-probabilities beside their tokens", async () => {
    const { stream } = generation({}, { logprobs: true });
    const reading = collect(stream);
    await tick();
    const run = (values: number[], tops: number[][]) => ({
      values: Float32Array.from(values),
      count: 2,
      topTokens: Int32Array.from(tops.flat()),
      topValues: Float32Array.from(tops.flat(), (t) => -t),
    });
    engine.emit({
      type: "tokens",
      id: 1,
      tokens: Int32Array.of(20, 21),
      logprobs: run(
        [-1, -2],
        [
          [5, 6],
          [7, 8],
        ],
      ),
    });
    engine.emit({ type: "tokens", id: 1, tokens: Int32Array.of(22), logprobs: run([-3], [[9, 10]]) });
    engine.finish(1);
    const parts = await reading;
    const expected = [
      {
        token: 20,
        logprob: -1,
        top: [
          { token: 5, logprob: -5 },
          { token: 6, logprob: -6 },
        ],
      },
      {
        token: 21,
        logprob: -2,
        top: [
          { token: 7, logprob: -7 },
          { token: 8, logprob: -8 },
        ],
      },
      {
        token: 22,
        logprob: -3,
        top: [
          { token: 9, logprob: -9 },
          { token: 10, logprob: -10 },
        ],
      },
    ];
    expect(parts.flatMap((part) => (part.type === "finish" ? [] : part.logprobs!))).toEqual(expected);
    expect(parts.at(-1)!.logprobs).toEqual(expected);
  });
});

describe("a slow reader", () => {
  it("costs ids only: text is made when it is read", async () => {
    const { stream, decoders } = generation();
    const first = stream.next();
    await tick();
    const push = vi.spyOn(decoders[0], "push");
    engine.tokens(1, 20);
    await first;
    push.mockClear();
    for (let i = 0; i < 1000; i++) engine.tokens(1, 20, 21, 22);
    await tick();
    expect(push).not.toHaveBeenCalled();
    const { value } = await stream.next();
    expect((value as TextPart).tokens).toHaveLength(3000);
    expect(push).toHaveBeenCalledTimes(3000);
  });

  it("still gets everything after the engine is done", async () => {
    const { stream } = generation({ timeoutMs: 20 });
    const first = stream.next();
    await tick();
    engine.tokens(1, 20);
    await first;
    engine.tokens(1, 21);
    engine.finish(1);
    await new Promise((resolve) => setTimeout(resolve, 40)); // beyond its time limit, which the engine kept
    expect(tokensOf(await collect(stream))).toEqual([21]);
  });
});

describe("stop strings", () => {
  it("stop the engine even if nobody reads, and what comes after is dropped", async () => {
    const { stream } = generation({}, { stop: ["fox"] });
    const first = stream.next();
    await tick();
    engine.tokens(1, ...ids("The"));
    await first;
    const rest = ids(" quick brown fox jumps");
    for (const id of rest) engine.tokens(1, id);
    expect(engine.cancelled).toEqual([1]);
    engine.emit({ type: "cancelled", id: 1, cachedTokens: 0, timings });
    const parts = await collect(stream);
    expect(textOf(parts)).toBe(" quick brown ");
    expect(parts.at(-1)).toMatchObject({ type: "finish", finishReason: "stop" });
    const counted = tokensOf(parts);
    expect(counted).toEqual(rest.slice(0, counted.length));
    expect(tokenizer.decode(counted)).toContain("fox");
    expect(tokenizer.decode(counted.slice(0, -1))).not.toContain("fox");
    expect((parts.at(-1) as { usage: { completionTokens: number } }).usage.completionTokens).toBe(counted.length + 1);
  });

  it("win over a length that was reached at the same time", async () => {
    const { made } = generation({}, { stop: ["fox"] });
    const result = made.result();
    await tick();
    engine.emit(
      { type: "tokens", id: 1, tokens: Int32Array.from(ids("a fox jumps")) },
      { type: "finish", id: 1, reason: "length", cachedTokens: 0, timings },
    );
    expect(await result).toMatchObject({ text: "a ", finishReason: "stop" });
  });
});

describe("several choices", () => {
  it("are requests that differ in their index, whose parts interleave", async () => {
    const { stream } = generation({ n: 2 });
    const reading = collect(stream);
    await tick();
    expect([...engine.requests.values()].map((request) => request.sample)).toEqual([
      { seed: 3, choice: 0 },
      { seed: 3, choice: 1 },
    ]);
    engine.emit(
      { type: "tokens", id: 2, tokens: Int32Array.of(20) },
      { type: "tokens", id: 1, tokens: Int32Array.of(21) },
    );
    await tick();
    engine.tokens(1, 22);
    engine.finish(1);
    await tick();
    engine.finish(2);
    const parts = await reading;
    expect(parts.map((part) => [part.type, part.index, part.tokens])).toEqual([
      ["text", 0, [21]],
      ["text", 1, [20]],
      ["text", 0, [22]],
      ["finish", 0, [21, 22]],
      ["finish", 1, [20]],
    ]);
  });

  it("are all in the result, the first on top", async () => {
    const { made } = generation({ n: 2 });
    const result = made.result();
    await tick();
    engine.tokens(2, 20);
    engine.finish(2);
    engine.tokens(1, 21);
    engine.finish(1);
    const { choices, ...top } = await result;
    expect(choices).toHaveLength(2);
    expect(choices![0]).toEqual(top);
    expect(choices!.map((choice) => choice.tokens)).toEqual([[21], [20]]);
  });

  it("fail together", async () => {
    const { made } = generation({ n: 3 });
    const result = made.result();
    await tick();
    engine.emit({ type: "error", id: 2, error: { code: "E_SAMPLING", message: "nothing left" } });
    await expect(result).rejects.toMatchObject({ code: "E_SAMPLING" });
    expect(engine.cancelled).toEqual([1, 3]);
  });
});

describe("ending it from outside", () => {
  it("aborts a pending read at once, with all that was generated", async () => {
    const controller = new AbortController();
    const { stream } = generation({ signal: controller.signal });
    const first = stream.next();
    await tick();
    engine.tokens(1, ...ids("The quick"));
    await first;
    const second = stream.next();
    await tick();
    controller.abort("enough");
    await expect(second).rejects.toMatchObject({
      name: "AbortError",
      code: "E_ABORTED",
      cause: "enough",
      partial: { text: "The quick", tokens: ids("The quick"), finishReason: null, seed: 3, usage: { promptTokens: 6 } },
    });
    expect(engine.cancelled).toEqual([1]);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it("aborts with what nobody had read yet, too", async () => {
    const controller = new AbortController();
    const { made } = generation({ signal: controller.signal, n: 2 });
    const result = made.result();
    await tick();
    engine.emit({ type: "tokens", id: 2, tokens: Int32Array.from(ids("The")) });
    controller.abort();
    engine.tokens(2, 30);
    const error = await result.catch((caught) => caught);
    expect(error.partial).toMatchObject({
      text: "",
      tokens: [],
      choices: [{ text: "" }, { text: "The", tokens: ids("The") }],
    });
  });

  it("never starts when the signal has fired already", async () => {
    const prepare = vi.fn(async () => {});
    const { made } = generation({ signal: AbortSignal.abort("no") }, { prepare });
    await expect(made.result()).rejects.toMatchObject({
      code: "E_ABORTED",
      cause: "no",
      partial: { tokens: [], seed: 3 },
    });
    expect(prepare).not.toHaveBeenCalled();
    expect(engine.requests.size).toBe(0);
  });

  it("aborts while the prompt is being encoded", async () => {
    const controller = new AbortController();
    const { made } = generation({ signal: controller.signal }, { prepare: async () => controller.abort("early") });
    await expect(made.result()).rejects.toMatchObject({ code: "E_ABORTED", cause: "early" });
    expect(engine.requests.size).toBe(0);
  });

  it("listens to the signal only as long as it must", async () => {
    const { signal } = new AbortController();
    const remove = vi.spyOn(signal, "removeEventListener");
    const { made } = generation({ signal });
    const result = made.result();
    await tick();
    engine.finish(1);
    await result;
    expect(remove).toHaveBeenCalled();
  });

  it("keeps the time limit", async () => {
    const { made } = generation({ timeoutMs: 15 });
    const error = await made.result().catch((caught) => caught);
    expect(error).toBeInstanceOf(R1Error);
    expect(error).toMatchObject({ code: "E_TIMEOUT", message: expect.stringContaining("15") });
    expect(engine.cancelled).toEqual([1]);
  });

  it("cancels silently when the loop is left", async () => {
    const { stream } = generation();
    setImmediate(() => engine.tokens(1, 20));
    for await (const _ of stream) break;
    expect(engine.cancelled).toEqual([1]);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it("ends a pending read when the stream is returned", async () => {
    const { stream } = generation();
    const pending = stream.next();
    await tick();
    expect(await stream.return()).toEqual({ done: true, value: undefined });
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(engine.cancelled).toEqual([1]);
  });

  it("submits nothing for a stream that is never read", async () => {
    const { stream } = generation();
    await stream.return();
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    await expect(stream.throw(new Error("mine"))).rejects.toThrow("mine");
    expect(engine.requests.size).toBe(0);
  });

  it("serves overlapping reads in order", async () => {
    const { stream } = generation();
    const reads = [stream.next(), stream.next(), stream.next()];
    await tick();
    engine.tokens(1, 20);
    await tick();
    engine.tokens(1, 21);
    engine.finish(1);
    const parts = (await Promise.all(reads)).map(({ value }) => value as Part);
    expect(parts.map((part) => [part.type, part.tokens])).toEqual([
      ["text", [20]],
      ["text", [21]],
      ["finish", [20, 21]],
    ]);
  });

  it("rejects with E_DISPOSED when the model goes", async () => {
    const { made } = generation();
    const result = made.result();
    await tick();
    const gone = client.dispose();
    await expect(result).rejects.toMatchObject({ code: "E_DISPOSED" });
    await expect(generation().made.result()).rejects.toMatchObject({ code: "E_DISPOSED" });
    engine.emit({ type: "disposed" });
    await gone;
  });
});

describe("custom samplers", () => {
  const gate = (id: number, index: number, logits = Float32Array.of(1, 2, 3)) =>
    engine.emit({ type: "gate", id, logits, index });

  it("see the logits and the output, and choose", async () => {
    const seen: unknown[] = [];
    const sampler: Sampler = async (logits, context) => {
      seen.push([[...logits], context]);
      await tick();
      return 40 + context.index;
    };
    const { made } = generation({ n: 2 }, { sampler });
    const result = made.result();
    await tick();
    gate(1, 0);
    gate(2, 0);
    await tick();
    await tick();
    expect(engine.verdicts).toEqual([
      [1, 40],
      [2, 40],
    ]);
    engine.tokens(2, 40);
    gate(2, 1);
    await tick();
    await tick();
    expect(engine.verdicts.at(-1)).toEqual([2, 41]);
    engine.finish(1);
    engine.finish(2);
    await result;
    expect(seen).toEqual([
      [[1, 2, 3], { tokens: [], index: 0, choice: 0 }],
      [[1, 2, 3], { tokens: [], index: 0, choice: 1 }],
      [[1, 2, 3], { tokens: [40], index: 1, choice: 1 }],
    ]);
  });

  it.each([
    [
      "throws",
      () => {
        throw new SyntaxError("mine");
      },
      SyntaxError,
      "mine",
    ],
    ["rejects", () => Promise.reject(new SyntaxError("mine")), SyntaxError, "mine"],
    ["returns nothing", () => undefined, TypeError, "must be a token id, found undefined"],
    ["returns a string", () => "7", TypeError, 'found "7"'],
    ["returns a fraction", () => 1.5, RangeError, "from 0 to 511, found 1.5"],
    ["returns an id outside the vocabulary", () => 512, RangeError, "found 512"],
    ["returns NaN", () => Number.NaN, RangeError, "found NaN"],
  ])("fail their own request alone when one %s", async (_what, sampler, type, message) => {
    const other = generation().made.result();
    await tick();
    const result = generation({}, { sampler: sampler as Sampler }).made.result();
    const failed = result.catch((error) => error);
    await tick();
    gate(2, 0);
    const error = await failed;
    expect(error).toBeInstanceOf(type);
    expect(error.message).toContain(message);
    expect(engine.cancelled).toEqual([2]);
    expect(engine.verdicts).toEqual([]);
    engine.tokens(1, 20);
    engine.finish(1);
    expect(await other).toMatchObject({ tokens: [20] });
  });

  it("may answer too late", async () => {
    let answer: (token: number) => void = () => {};
    const sampler = () =>
      new Promise<number>((resolve) => {
        answer = resolve;
      });
    const controller = new AbortController();
    const { made } = generation({ signal: controller.signal }, { sampler });
    const result = made.result().catch((error) => error);
    await tick();
    gate(1, 0);
    await tick();
    controller.abort();
    engine.emit({ type: "cancelled", id: 1, cachedTokens: 0, timings });
    answer(5);
    expect(await result).toMatchObject({ code: "E_ABORTED" });
    await tick();
    expect(engine.verdicts).toEqual([]);
  });
});
