/** Every option and every kind of prompt on a loaded model. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DeepSeekR1, type Part, presets, type RequestOptions, type Result } from "../../lib";
import { logSoftmax, referenceRow, sampleReference } from "../../lib/sampling/reference";
import { devices } from "../support/devices";
import { loadTiny } from "../support/tiny";

const PROMPT = "The quick brown fox: 347 + 589 =";
const EOS = 1;

describe.each(devices)("on %s", (device) => {
  let model: DeepSeekR1;
  /** What the model says to PROMPT by itself. */
  let greedy: Result;

  beforeAll(async () => {
    model = await loadTiny(device, { contextLength: 1024 });
    greedy = await model.generate(PROMPT, { temperature: 0, maxNewTokens: 16, ignoreEos: true });
  });
  afterAll(() => model.dispose());

  const generate = (options: RequestOptions = {}) =>
    model.generate(PROMPT, { maxNewTokens: 16, ignoreEos: true, ...options });

  async function parts(stream: AsyncIterable<Part>): Promise<Part[]> {
    const all: Part[] = [];
    for await (const part of stream) all.push(part);
    return all;
  }
  const tokensOf = (all: Part[]) => all.flatMap((part) => (part.type === "finish" ? [] : part.tokens));
  const textOf = (all: Part[], type: "text" | "reasoning") =>
    all.map((part) => (part.type === type ? part.text : "")).join("");

  describe("results", () => {
    it("say what was generated and how", () => {
      expect(greedy.tokens).toHaveLength(16);
      expect(greedy).toMatchObject({
        text: model.tokenizer.decode(greedy.tokens, { skipSpecialTokens: true }),
        reasoning: "",
        finishReason: "length",
        usage: {
          promptTokens: model.tokenizer.encode(PROMPT).length,
          cachedTokens: 0,
          completionTokens: 16,
          reasoningTokens: 0,
        },
      });
      expect(Number.isSafeInteger(greedy.seed)).toBe(true);
      for (const ms of [greedy.timings.queue, greedy.timings.prefill, greedy.timings.decode]) {
        expect(ms).toBeGreaterThanOrEqual(0);
      }
      expect(greedy.timings.decode).toBeGreaterThan(0);
      expect(greedy).not.toHaveProperty("logprobs");
      expect(greedy).not.toHaveProperty("choices");
    });

    it("are the same from stream, piece by piece", async () => {
      const all = await parts(model.stream({ text: PROMPT }, { temperature: 0, maxNewTokens: 16, ignoreEos: true }));
      expect(textOf(all, "text")).toBe(greedy.text);
      expect(tokensOf(all)).toEqual(greedy.tokens);
      const { text, timings, seed, ...rest } = greedy;
      expect(all.at(-1)).toMatchObject({ type: "finish", ...rest });
      expect(all.at(-1)).not.toHaveProperty("text");
      expect(all.filter((part) => part.type === "finish")).toHaveLength(1);
    });
  });

  describe("prompts", () => {
    it("of text and of its ids are the same", async () => {
      const ids = model.tokenizer.encode(PROMPT);
      for (const given of [ids, Int32Array.from(ids), Uint32Array.from(ids), Uint16Array.from(ids)]) {
        expect((await model.generate(given, { temperature: 0, maxNewTokens: 16, ignoreEos: true })).tokens).toEqual(
          greedy.tokens,
        );
      }
    });

    it("get BOS unless told otherwise, and read control tokens only when told so", async () => {
      const count = async (text: string, options: RequestOptions) =>
        (await model.generate(text, { maxNewTokens: 1, ...options })).usage.promptTokens;
      const plain = await count(PROMPT, {});
      expect(await count(PROMPT, { addSpecialTokens: false })).toBe(plain - 1);
      expect(await count("<｜User｜>", { parseSpecial: true, addSpecialTokens: false })).toBe(1);
      expect(await count("<｜User｜>", { addSpecialTokens: false })).toBeGreaterThan(1);
    });

    it("of a chat go through the template, and the answer begins with reasoning", async () => {
      const options = { temperature: 0, maxNewTokens: 12, ignoreEos: true };
      const fromText = await model.chat("Hello", options);
      const messages = [{ role: "user", content: "Hello" }] as const;
      expect((await model.chat(messages, options)).tokens).toEqual(fromText.tokens);
      const ids = model.tokenizer.encode("<｜begin▁of▁sentence｜><｜User｜>Hello<｜Assistant｜><think>\n", {
        addSpecialTokens: false,
        parseSpecial: true,
      });
      const fromIds = await model.chat(ids, options);
      const { timings: _a, seed: _b, ...expected } = fromText;
      expect(fromIds).toMatchObject(expected);
      expect(fromText.usage.promptTokens).toBe(ids.length);
      expect(fromText.usage.reasoningTokens).toBeGreaterThan(0);
      expect(fromText.reasoning).not.toBe("");
      const all = await parts(model.stream("Hello", options));
      expect(textOf(all, "reasoning")).toBe(fromText.reasoning);
      expect(textOf(all, "text")).toBe(fromText.text);
      expect(tokensOf(all)).toEqual(fromText.tokens);
      expect(all.at(-1)).toMatchObject({ usage: fromText.usage, reasoning: fromText.reasoning });
    });

    it("leave the reasoning at </think>", async () => {
      const close = model.tokenizer.idOf("</think>")!;
      const sampler = (_: Float32Array, { index }: { index: number }) => (index === 2 ? close : 30 + index);
      const result = await model.chat("Hello", { sampler, maxNewTokens: 6, ignoreEos: true });
      expect(result.tokens).toEqual([30, 31, close, 33, 34, 35]);
      expect(result.usage.reasoningTokens).toBe(3);
      expect(result.reasoning).toBe(model.tokenizer.decode([30, 31]));
      expect(result.text).toBe(model.tokenizer.decode([33, 34, 35]));
    });

    it("with a hole are made of the tokenizer's own tokens", async () => {
      const options = { temperature: 0, maxNewTokens: 8, ignoreEos: true };
      const completed = await model.complete({ prefix: "def f(", suffix: "return n" }, options);
      const encode = (text: string) => model.tokenizer.encode(text, { addSpecialTokens: false });
      const [begin, hole, end] = ["begin", "hole", "end"].map((name) => model.tokenizer.idOf(`<｜fim▁${name}｜>`)!);
      const ids = [0, begin, ...encode("def f("), hole, ...encode("return n"), end];
      expect(completed.tokens).toEqual((await model.generate(ids, options)).tokens);
      expect(completed.usage.promptTokens).toBe(ids.length);
      const all = await parts(model.stream({ prefix: "def f(", suffix: "return n" }, options));
      expect(tokensOf(all)).toEqual(completed.tokens);
      expect((await model.complete({ prefix: "def f(" }, options)).usage.promptTokens).toBe(
        ids.length - encode("return n").length,
      );
    });
  });

  describe("options", () => {
    it("that leave only the best token are greedy", async () => {
      for (const options of [{ topK: 1 }, { topP: 0 }, { minP: 1 }, { temperature: 0.001 }] as RequestOptions[]) {
        expect((await generate({ temperature: 1.5, ...options })).tokens).toEqual(greedy.tokens);
      }
    });

    it("temperature, topK, topP and minP change what is drawn", async () => {
      const base = { temperature: 5, topP: 1, seed: 4 };
      const draws = await Promise.all(
        [{}, { temperature: 2 }, { topK: 3 }, { topP: 0.3 }, { minP: 0.5 }].map((o) => generate({ ...base, ...o })),
      );
      expect(new Set(draws.map((draw) => draw.tokens.join())).size).toBe(5);
    });

    it("penalties keep away from what was said", async () => {
      const options = { temperature: 0, maxNewTokens: 40 };
      const distinct = async (more: RequestOptions) => new Set((await generate({ ...options, ...more })).tokens).size;
      const plain = await distinct({});
      expect(await distinct({ repetitionPenalty: 100 })).toBeGreaterThan(plain);
      expect(await distinct({ presencePenalty: 2 })).toBeGreaterThan(plain);
      expect(await distinct({ frequencyPenalty: 2 })).toBeGreaterThan(plain);
    });

    it("logitBias, allowTokens and banTokens force and forbid", async () => {
      expect(new Set((await generate({ logitBias: { 77: 1e9 } })).tokens)).toEqual(new Set([77]));
      expect(new Set((await generate({ logitBias: new Map([[78, 1e9]]) })).tokens)).toEqual(new Set([78]));
      expect(new Set((await generate({ allowTokens: [90, 91], temperature: 100 })).tokens)).toEqual(new Set([90, 91]));
      const [best] = greedy.tokens;
      expect((await generate({ temperature: 0, banTokens: [best] })).tokens).not.toContain(best);
      expect(
        (await generate({ temperature: 0, logitBias: { [best]: Number.NEGATIVE_INFINITY } })).tokens,
      ).not.toContain(best);
    });

    it("seed repeats a draw, and is drawn and returned where it is not given", async () => {
      const options = { temperature: 2, topP: 1 };
      const first = await generate({ ...options, seed: 5 });
      expect(first.seed).toBe(5);
      expect((await generate({ ...options, seed: 5 })).tokens).toEqual(first.tokens);
      expect((await generate({ ...options, seed: 6 })).tokens).not.toEqual(first.tokens);
      const drawn = await generate(options);
      expect((await generate({ ...options, seed: drawn.seed })).tokens).toEqual(drawn.tokens);
      expect((await generate(options)).seed).not.toBe(drawn.seed);
    });

    it("draw what the reference sampler draws from the same logits, for each choice", async () => {
      const promptTokens = greedy.usage.promptTokens;
      const chain = {
        ...{ temperature: 3, topK: 60, topP: 0.9, minP: 0.02, seed: 2 ** 53 - 1 },
        ...{ presencePenalty: 0.5, frequencyPenalty: 0.25, repetitionPenalty: 1.2 },
      };
      const own = await generate({ ...chain, n: 2, logitBias: { 30: 2 } });
      const prompt = new Set(model.tokenizer.encode(PROMPT));
      const rest = { logprobs: -1, minNewTokens: 0, allow: null };
      const empty = { biasTokens: new Int32Array(), biasValues: new Float32Array() };
      const forced = await generate({
        n: 2,
        sampler: (logits, { tokens, index, choice }) => {
          const edits = [...new Set([...prompt, ...tokens, 30])].map((token) => ({
            token,
            seen: prompt.has(token) || tokens.includes(token),
            count: tokens.filter((id) => id === token).length,
            bias: token === 30 ? 2 : 0,
          }));
          const row = referenceRow({ ...chain, ...rest, ...empty, choice }, promptTokens + index);
          return sampleReference(logits, row, edits).token;
        },
      });
      expect(forced.choices!.map((choice) => choice.tokens)).toEqual(own.choices!.map((choice) => choice.tokens));
      expect(new Set(own.tokens).size).toBeGreaterThan(4);
      expect(own.choices![1].tokens).not.toEqual(own.tokens);
    });

    it("n gives choices with draws of their own, the first as if it were alone", async () => {
      const options = { temperature: 3, topP: 1, seed: 8 };
      const { choices, ...top } = await generate({ ...options, n: 3 });
      expect(choices).toHaveLength(3);
      expect(choices![0]).toEqual(top);
      expect(top.tokens).toEqual((await generate(options)).tokens);
      expect(new Set(choices!.map((choice) => choice.tokens.join())).size).toBe(3);
      const all = await parts(model.stream({ text: PROMPT }, { ...options, n: 3, maxNewTokens: 16, ignoreEos: true }));
      for (const index of [0, 1, 2]) {
        expect(tokensOf(all.filter((part) => part.index === index))).toEqual(choices![index].tokens);
      }
      expect(all.filter((part) => part.type === "finish").map((part) => part.index)).toHaveLength(3);
    });

    it("logprobs are of the unmodified logits", async () => {
      const sampled: Float32Array[] = [];
      await generate({
        sampler: (logits, { index }) => {
          sampled.push(logits.slice());
          return greedy.tokens[index];
        },
      });
      const { logprobs, tokens } = await generate({ temperature: 0, logprobs: 3, logitBias: { 5: -3 } });
      expect(tokens).toEqual(greedy.tokens);
      expect(logprobs).toHaveLength(16);
      logprobs!.forEach(({ token, logprob, top }, i) => {
        const exact = logSoftmax(sampled[i]);
        expect(token).toBe(tokens[i]);
        expect(logprob).toBeCloseTo(exact[token], 4);
        expect(top).toHaveLength(3);
        expect(top[0]).toEqual({ token, logprob });
        const best = [...exact.keys()].sort((a, b) => exact[b] - exact[a] || a - b).slice(0, 3);
        expect(top.map((one) => one.token)).toEqual(best);
      });
      expect((await generate({ logprobs: 0 })).logprobs!.every(({ top }) => top.length === 0)).toBe(true);
      const n = await generate({ logprobs: 1, n: 2 });
      expect(n.choices!.map((choice) => choice.logprobs!.length)).toEqual([16, 16]);
    });

    it("stop ends the text before the string, wherever its tokens begin and end", async () => {
      const text = "The quick brown fox jumps over the lazy dog. 量子计算🙂的";
      const ids = model.tokenizer.encode(text, { addSpecialTokens: false });
      const say = (stop: string[]) =>
        generate({ sampler: (_, { index }) => ids[index], maxNewTokens: ids.length, stop });
      for (const length of [1, 2, 5, 11]) {
        for (let at = 0; at + length <= text.length; at += 3) {
          const stop = text.slice(at, at + length);
          if (/\p{Surrogate}/u.test(stop)) continue;
          const { text: said, tokens, usage, finishReason } = await say(["~never~", stop]);
          expect(said).toBe(text.slice(0, text.indexOf(stop)));
          expect(finishReason).toBe("stop");
          expect(tokens).toEqual(ids.slice(0, tokens.length));
          expect(usage.completionTokens).toBe(tokens.length);
          expect(model.tokenizer.decode(tokens)).toContain(stop);
          expect(model.tokenizer.decode(tokens.slice(0, -1))).not.toContain(stop);
        }
      }
      expect((await say(["dog", "own f", "fox jumps"])).text).toBe("The quick br");
      expect(await say(["dog!"])).toMatchObject({ text, tokens: ids, finishReason: "length" });
    });

    it("stop also as a plain string, and never where it does not occur", async () => {
      expect((await generate({ temperature: 0, stop: "~never~" })).text).toBe(greedy.text);
    });

    it("generation_config.json's stop ids end the answer unless told otherwise", async () => {
      const push = { logitBias: { [EOS]: 1e9 }, maxNewTokens: 4, ignoreEos: undefined };
      expect(await generate(push)).toMatchObject({ tokens: [EOS], text: "", finishReason: "stop" });
      const length = { tokens: [EOS, EOS, EOS, EOS], text: "", finishReason: "length" };
      expect(await generate({ ...push, ignoreEos: true })).toMatchObject(length);
      expect(await generate({ ...push, stopTokens: [] })).toMatchObject(length);
      expect(await generate({ ...push, stopTokens: [77] })).toMatchObject(length);
      expect(await generate({ ...push, ignoreEos: true, stopTokens: [EOS] })).toMatchObject({ tokens: [EOS] });
      const own = await generate({ logitBias: { 77: 1e9 }, stopTokens: [77] });
      expect(own).toMatchObject({ tokens: [77], text: "", finishReason: "stop" });
    });

    it("reasoning: false answers behind an empty think block, and means nothing to ids, texts and holes", async () => {
      const options = { temperature: 0, maxNewTokens: 8, ignoreEos: true };
      const silent = await model.chat("Hello", { ...options, reasoning: false });
      const rendered = "<｜begin▁of▁sentence｜><｜User｜>Hello<｜Assistant｜><think>\n\n</think>\n\n";
      const ids = model.tokenizer.encode(rendered, { addSpecialTokens: false, parseSpecial: true });
      expect(silent.tokens).toEqual((await model.generate(ids, options)).tokens);
      expect(silent).toMatchObject({ reasoning: "", usage: { promptTokens: ids.length, reasoningTokens: 0 } });
      expect(silent.text).not.toBe("");
      expect(silent.tokens).not.toEqual((await model.chat("Hello", options)).tokens);
      for (const prompt of [ids.slice(0, -3), { text: PROMPT }, { prefix: "def f(", suffix: "return n" }]) {
        const answered = tokensOf(await parts(model.stream(prompt, options)));
        expect(tokensOf(await parts(model.stream(prompt, { ...options, reasoning: false })))).toEqual(answered);
      }
      await expect(model.chat("Hello", { reasoning: "no" as never })).rejects.toThrow(
        /reasoning must be true or false, found "no"/,
      );
    });

    it("minNewTokens bans stop ids, and passes over stop strings, until then", async () => {
      const push = { logitBias: { [EOS]: 1e9 }, ignoreEos: undefined, temperature: 0 };
      const { tokens } = await generate({ ...push, minNewTokens: 5 });
      expect(tokens).toHaveLength(6);
      expect(tokens.indexOf(EOS)).toBe(5);
      const letter = [...greedy.text].find((c) => c !== "\ufffd")!;
      const searched = await generate({ temperature: 0, stop: letter, minNewTokens: 10 });
      expect(searched.tokens.length).toBeGreaterThanOrEqual(10);
    });

    it("maxNewTokens is by default what the context leaves", async () => {
      const { usage, finishReason } = await model.generate(PROMPT, { ignoreEos: true });
      expect(usage.promptTokens + usage.completionTokens).toBe(1024);
      expect(finishReason).toBe("length");
      expect((await generate({ maxNewTokens: 1 })).tokens).toHaveLength(1);
    });

    it("are taken from the call, the preset, generation_config.json, in this order", async () => {
      const seed = 21;
      const config = { temperature: 0.6, topP: 0.95 }; // the fixture's
      const same = async (a: RequestOptions, b: RequestOptions) =>
        expect((await generate({ seed, ...a })).tokens).toEqual((await generate({ seed, ...b })).tokens);
      await same({}, config);
      for (const preset of Object.keys(presets) as (keyof typeof presets)[]) {
        await same({ preset }, { ...config, ...presets[preset] });
      }
      await same({ preset: "creative", temperature: 7 }, { temperature: 7, topP: 0.95 });
    });

    it("sampler chooses for each choice, and may take its time", async () => {
      const seen: number[] = [];
      const { choices } = await generate({
        n: 2,
        maxNewTokens: 3,
        sampler: async (logits, { tokens, index, choice }) => {
          expect(logits).toHaveLength(512);
          expect(tokens).toHaveLength(index);
          await new Promise((resolve) => setTimeout(resolve, 5 * choice));
          seen.push(choice);
          return 100 * (choice + 1) + index;
        },
      });
      expect(choices!.map((choice) => choice.tokens)).toEqual([
        [100, 101, 102],
        [200, 201, 202],
      ]);
      expect(seen.toSorted()).toEqual([0, 0, 0, 1, 1, 1]);
    });

    it("priority lets some go first", async () => {
      for (const priority of [0, 9])
        expect((await generate({ priority, temperature: 0 })).tokens).toEqual(greedy.tokens);
    });
  });

  describe("beside each other", () => {
    it("requests give what they give alone", async () => {
      const requests: [string, RequestOptions][] = Array.from({ length: 12 }, (_, i) => [
        `${PROMPT.repeat(1 + (i % 4))} ${i}`,
        { temperature: i % 3, topP: 0.99, topK: 20 * (i % 2), seed: i, maxNewTokens: 5 + 3 * i, ignoreEos: true },
      ]);
      const alone: Result[] = [];
      for (const [prompt, options] of requests) alone.push(await model.generate(prompt, options));
      const together = await Promise.all(requests.map(([prompt, options]) => model.generate(prompt, options)));
      expect(together.map((result) => result.tokens)).toEqual(alone.map((result) => result.tokens));
    });

    it("one that is not read holds nobody up", async () => {
      const slow = model.stream({ text: PROMPT }, { ignoreEos: true });
      await slow.next();
      const others = await Promise.all([1, 2, 3].map((seed) => generate({ seed })));
      expect(others.map((result) => result.tokens.length)).toEqual([16, 16, 16]);
      const rest = await parts(slow);
      expect((rest.at(-1) as { usage: { completionTokens: number } }).usage.completionTokens).toBeGreaterThan(900);
    });

    it("one whose sampler thinks holds nobody up", async () => {
      let release: (token: number) => void = () => {};
      const gated = generate({
        maxNewTokens: 1,
        sampler: () =>
          new Promise<number>((resolve) => {
            release = resolve;
          }),
      });
      expect((await generate({ temperature: 0 })).tokens).toEqual(greedy.tokens);
      release(50);
      expect((await gated).tokens).toEqual([50]);
    });

    it("one that fails fails alone", async () => {
      const good = generate({ temperature: 0 });
      const bad = generate({ allowTokens: [] });
      const thrown = generate({
        sampler: () => {
          throw new Error("mine");
        },
      });
      await expect(bad).rejects.toMatchObject({ name: "R1Error", code: "E_SAMPLING" });
      await expect(thrown).rejects.toThrow("mine");
      expect((await good).tokens).toEqual(greedy.tokens);
    });
  });

  describe("ending early", () => {
    const long = { ignoreEos: true } as const;

    it("a signal rejects with what there is, and the blocks come back", async () => {
      const controller = new AbortController();
      const stream = model.stream({ text: PROMPT }, { ...long, signal: controller.signal, temperature: 0 });
      const first = await stream.next();
      controller.abort(new Error("enough"));
      const error = await stream.next().catch((caught) => caught);
      expect(error).toMatchObject({ name: "AbortError", code: "E_ABORTED", cause: new Error("enough") });
      expect(error.partial.tokens.slice(0, 1)).toEqual(greedy.tokens.slice(0, 1));
      expect(error.partial.text.startsWith((first.value as { text: string }).text)).toBe(true);
      expect(await stream.next()).toEqual({ done: true, value: undefined });
      await expect(generate({ signal: AbortSignal.abort(1) })).rejects.toMatchObject({ code: "E_ABORTED", cause: 1 });
      await expect(model.logprobs(PROMPT, { signal: AbortSignal.abort(1) })).rejects.toMatchObject({
        code: "E_ABORTED",
      });
    });

    it("leaving the loop cancels silently, and a time limit rejects", async () => {
      for await (const _ of model.stream({ text: PROMPT }, long)) break;
      await expect(model.generate(PROMPT, { ...long, timeoutMs: 1, n: 16 })).rejects.toMatchObject({
        code: "E_TIMEOUT",
      });
      await expect.poll(() => model.stats()).toMatchObject({ running: 0, kvBlocksUsed: 0 });
    });
  });

  describe("logprobs", () => {
    it("score each token of a text", async () => {
      const { tokens, logprobs, top } = await model.logprobs(PROMPT, { top: 2 });
      expect(tokens).toEqual(model.tokenizer.encode(PROMPT));
      expect(logprobs).toBeInstanceOf(Float32Array);
      expect(logprobs).toHaveLength(tokens.length);
      expect(logprobs[0]).toBeNaN();
      expect(logprobs.slice(1).every((p) => p < 0)).toBe(true);
      expect(top).toHaveLength(tokens.length);
      expect(top![0]).toEqual([]);
      for (const best of top!.slice(1)) {
        expect(best).toHaveLength(2);
        expect(best[0].logprob).toBeGreaterThanOrEqual(best[1].logprob);
      }
      const plain = await model.logprobs(tokens);
      expect(plain.logprobs).toEqual(logprobs);
      expect(plain).not.toHaveProperty("top");
    });

    it("agree with those of generation", async () => {
      const generated = await generate({ temperature: 0, logprobs: 0 });
      const ids = [...model.tokenizer.encode(PROMPT), ...generated.tokens];
      const scored = (await model.logprobs(ids)).logprobs.slice(-16);
      generated.logprobs!.forEach(({ logprob }, i) => {
        expect(scored[i]).toBeCloseTo(logprob, 3);
      });
    });

    it("of one token are NaN, and of a long text come whole", async () => {
      expect(await model.logprobs([5])).toEqual({ tokens: [5], logprobs: Float32Array.of(Number.NaN) });
      const ids = Array.from({ length: 1024 }, (_, i) => 20 + (i % 400));
      const { logprobs } = await model.logprobs(ids);
      expect(logprobs.slice(1).every((p) => Number.isFinite(p))).toBe(true);
    });
  });

  it("all blocks have come back", async () => {
    await expect.poll(() => model.stats()).toMatchObject({ running: 0, waiting: 0, kvBlocksUsed: 0 });
  });
});
