/** What callers get wrong, on every method that takes it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DeepSeekR1 } from "../../lib";
import { R1Error } from "../../lib";
import { loadTiny } from "../support/tiny";

/** Callers in JavaScript can pass anything. */
// biome-ignore lint/suspicious/noExplicitAny: that is the point
type Anything = any;

let model: DeepSeekR1;

beforeAll(async () => {
  model = await loadTiny("cpu", { contextLength: 128 });
});
afterAll(() => model.dispose());

/** Errors come as a rejection, from `stream` at once. */
async function caught(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  return undefined;
}

const untouched = () => expect(model.stats()).toMatchObject({ steps: 0, running: 0, waiting: 0 });

const wrongOptions: [Anything, typeof TypeError | typeof RangeError, RegExp][] = [
  [{ maxTokens: 5 }, TypeError, /unknown name "maxTokens"; expected one of maxNewTokens, minNewTokens, temperature/],
  [{ temprature: undefined }, TypeError, /unknown name "temprature"/],
  [null, TypeError, /options must be an object, found null/],
  [5, TypeError, /options must be an object, found 5/],
  [{ maxNewTokens: "5" }, TypeError, /maxNewTokens must be an integer, found "5"/],
  [{ maxNewTokens: 0 }, RangeError, /maxNewTokens must be an integer from 1 to/],
  [{ maxNewTokens: 2.5 }, RangeError, /found 2.5/],
  [{ maxNewTokens: Number.POSITIVE_INFINITY }, RangeError, /found Infinity/],
  [{ minNewTokens: -1 }, RangeError, /minNewTokens/],
  [{ minNewTokens: 6, maxNewTokens: 5 }, RangeError, /minNewTokens must be at most maxNewTokens \(5\), found 6/],
  [{ temperature: "hot" }, TypeError, /temperature/],
  [{ temperature: -1 }, RangeError, /temperature/],
  [{ topK: -1 }, RangeError, /topK/],
  [{ topP: 1.5 }, RangeError, /topP/],
  [{ minP: 2 }, RangeError, /minP/],
  [{ repetitionPenalty: 0 }, RangeError, /repetitionPenalty/],
  [{ presencePenalty: 3 }, RangeError, /presencePenalty/],
  [{ frequencyPenalty: -3 }, RangeError, /frequencyPenalty/],
  [{ logitBias: 1 }, TypeError, /logitBias/],
  [{ logitBias: { 512: 1 } }, RangeError, /a token id from 0 to 511, found 512/],
  [{ allowTokens: [512] }, RangeError, /allowTokens\[0\] must be a token id from 0 to 511/],
  [{ banTokens: [0, 512] }, RangeError, /banTokens\[1\]/],
  [{ seed: 0.5 }, RangeError, /seed/],
  [{ n: 0 }, RangeError, /n must be an integer from 1 to 64/],
  [{ n: 65 }, RangeError, /found 65/],
  [{ logprobs: 21 }, RangeError, /logprobs must be an integer from 0 to 20/],
  [{ logprobs: true }, TypeError, /logprobs/],
  [{ stop: 5 }, TypeError, /stop must be a string or an array of strings/],
  [{ stop: "" }, RangeError, /stop must be a string of at least one character/],
  [{ stop: ["a", ""] }, RangeError, /stop\[1\]/],
  [{ stop: [1] }, TypeError, /stop\[0\] must be a string/],
  [{ stopTokens: 1 }, TypeError, /stopTokens must be an array of token ids/],
  [{ stopTokens: [-1] }, RangeError, /stopTokens\[0\]/],
  [{ stopTokens: [512] }, RangeError, /stopTokens\[0\] must be a token id from 0 to 511/],
  [{ ignoreEos: 1 }, TypeError, /ignoreEos must be true or false, found 1/],
  [{ preset: "fast" }, RangeError, /preset must be one of/],
  [{ sampler: "best" }, TypeError, /sampler must be a function/],
  [{ signal: {} }, TypeError, /signal must be an AbortSignal/],
  [{ priority: 10 }, RangeError, /priority must be an integer from 0 to 9/],
  [{ timeoutMs: 0 }, RangeError, /timeoutMs/],
  [{ timeoutMs: "1s" }, TypeError, /timeoutMs/],
  [{ addSpecialTokens: "yes" }, TypeError, /addSpecialTokens/],
  [{ parseSpecial: 0 }, TypeError, /parseSpecial/],
];

describe("options", () => {
  it.each(wrongOptions.map(([options, type, message], i) => ({ i, options, type, message })))(
    "case $i is refused by every method before any work starts: $message",
    async ({ options, type, message }) => {
      expect(() => model.stream("Hello", options)).toThrow(type);
      expect(() => model.stream("Hello", options)).toThrow(message);
      for (const action of [
        () => model.chat("Hello", options),
        () => model.generate("Hello", options),
        () => model.complete({ prefix: "a", suffix: "b" }, options),
      ]) {
        const error = await caught(action);
        expect(error).toBeInstanceOf(type);
        expect((error as Error).message).toMatch(message);
      }
      untouched();
    },
  );

  it.each([
    [{ top: 21 }, RangeError],
    [{ top: "5" }, TypeError],
    [{ logprobs: 5 }, TypeError],
    [{ temperature: 1 }, TypeError],
    [{ signal: 1 }, TypeError],
    [{ timeoutMs: -1 }, RangeError],
  ] as [Anything, typeof TypeError][])("%j is refused by logprobs", async (options, type) => {
    await expect(model.logprobs("Hello", options)).rejects.toThrow(type);
    untouched();
  });
});

describe("prompts", () => {
  const messages: Anything = [{ role: "user", content: "Hello" }];

  it.each([
    [
      "generate(messages)",
      () => model.generate(messages),
      TypeError,
      /messages need the chat template: use chat or stream/,
    ],
    ["logprobs(messages)", () => model.logprobs(messages), TypeError, /messages need the chat template/],
    [
      "generate()",
      () => (model as Anything).generate(),
      TypeError,
      /prompt must be a string or token ids, found undefined/,
    ],
    [
      "generate({text})",
      () => model.generate({ text: "a" } as Anything),
      TypeError,
      /prompt must be a string or token ids/,
    ],
    ["generate([])", () => model.generate([]), RangeError, /prompt must have at least one token id/],
    [
      "generate([512])",
      () => model.generate([1, 512]),
      RangeError,
      /prompt\[1\] must be a token id from 0 to 511, found 512/,
    ],
    ["generate([-1])", () => model.generate([-1]), RangeError, /prompt\[0\]/],
    ["generate([1.5])", () => model.generate([1.5]), RangeError, /prompt\[0\]/],
    ["generate([1, null])", () => model.generate([1, null] as Anything), TypeError, /prompt\[1\]/],
    ["generate of a Float32Array", () => model.generate(new Float32Array(2) as Anything), TypeError, /prompt must be/],
    ["generate of nothing", () => model.generate("", { addSpecialTokens: false }), RangeError, /at least one token/],
    ["chat()", () => (model as Anything).chat(), TypeError, /a string, messages or token ids, found undefined/],
    ["chat({text})", () => model.chat({ text: "a" } as Anything), TypeError, /a string, messages or token ids/],
    ["chat([])", () => model.chat([]), RangeError, /at least one/],
    ["chat with a message without role", () => model.chat([{ content: "a" }] as Anything), TypeError, /role/],
    ["chat with an unknown role", () => model.chat([{ role: "boss", content: "a" }] as Anything), TypeError, /role/],
    [
      "chat with content of a wrong type",
      () => model.chat([{ role: "user", content: 5 }] as Anything),
      TypeError,
      /content/,
    ],
    ["chat([512])", () => model.chat([512]), RangeError, /prompt\[0\]/],
    ["stream(5)", () => model.stream(5 as Anything), TypeError, /prompt/],
    [
      "stream({})",
      () => model.stream({} as Anything),
      TypeError,
      /a string, messages, token ids, \{ text \} or \{ prefix, suffix \}/,
    ],
    ["stream({text: 5})", () => model.stream({ text: 5 } as Anything), TypeError, /prompt.text must be a string/],
    ["stream({text, more})", () => model.stream({ text: "a", more: 1 } as Anything), TypeError, /unknown name "more"/],
    ["stream({prefix: 5})", () => model.stream({ prefix: 5 } as Anything), TypeError, /prompt.prefix must be a string/],
    ["complete()", () => (model as Anything).complete(), TypeError, /prompt must be \{ prefix, suffix \}/],
    [
      "complete({suffix})",
      () => model.complete({ suffix: "a" } as Anything),
      TypeError,
      /prompt must be \{ prefix, suffix \}/,
    ],
    [
      "complete({prefix, suffix: 5})",
      () => model.complete({ prefix: "a", suffix: 5 } as Anything),
      TypeError,
      /prompt.suffix/,
    ],
    ["complete of a string", () => model.complete("a" as Anything), TypeError, /prompt must be/],
  ] as [string, () => unknown, typeof TypeError | typeof RangeError, RegExp][])(
    "%s is refused",
    async (_what, action, type, message) => {
      const error = await caught(action);
      expect(error).toBeInstanceOf(type);
      expect((error as Error).message).toMatch(message);
      untouched();
    },
  );

  it("that do not fit the context are an error with the figures", async () => {
    const ids = Array<number>(128).fill(20);
    const full = await caught(() => model.generate(ids));
    expect(full).toBeInstanceOf(R1Error);
    expect(full).toMatchObject({
      code: "E_CONTEXT_OVERFLOW",
      message:
        "The prompt has 128 tokens and 1 more is to be generated, but the context holds 128. " +
        "Shorten the prompt, lower maxNewTokens, or load the model with a larger contextLength or kvMemory.",
    });
    const wanted = await caught(() => model.generate(ids.slice(28), { maxNewTokens: 29 }));
    expect(wanted).toMatchObject({ code: "E_CONTEXT_OVERFLOW", message: expect.stringContaining("29 more") });
    const scored = await caught(() => model.logprobs([...ids, 20]));
    expect(scored).toMatchObject({ code: "E_CONTEXT_OVERFLOW", message: expect.stringContaining("129 tokens") });
    const streamed = await caught(() => model.stream(ids).next());
    expect(streamed).toMatchObject({ code: "E_CONTEXT_OVERFLOW" });
    untouched();
  });
});

describe("sampling", () => {
  it.each([
    { allowTokens: [] },
    { allowTokens: [7], banTokens: [7] },
    { temperature: 0, allowTokens: [7], logitBias: { 7: Number.NEGATIVE_INFINITY } },
  ])("%j leaves nothing to draw", async (options) => {
    await expect(model.generate("a", options)).rejects.toMatchObject({ code: "E_SAMPLING" });
  });
});

describe("events", () => {
  it("have known names and functions to call", () => {
    expect(() => model.on("warnings" as Anything, () => {})).toThrow(TypeError);
    expect(() => model.on("warning", 5 as Anything)).toThrow(TypeError);
  });
});
