import { getEventListeners } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AbortError, type DeepSeekR1, R1Error, type Result } from "../../lib";
import { type Answer, type Examinee, evaluate } from "../../lib/evaluation/evaluate";
import type { Question, QuestionPrompt } from "../../lib/evaluation/tasks";
import { devices } from "../support/devices";
import { loadTiny } from "../support/tiny";

const question = (index: number, prompt: QuestionPrompt | string, answer: string): Question => ({
  ...{ task: "made-up", language: "en", index, answer, where: `made-up.jsonl:${index + 1}` },
  prompt: typeof prompt === "string" ? { messages: [{ role: "user", content: prompt }] } : prompt,
});

async function run(
  model: Examinee,
  questions: Question[],
  { reasoning = true, maxNewTokens = 24, concurrency = 4, signal }: Partial<Parameters<typeof evaluate>[2]> = {},
) {
  const answers: Answer[] = [];
  const onAnswer = (answer: Answer) => answers.push(answer);
  await evaluate(model, questions, { reasoning, maxNewTokens, concurrency, signal, onAnswer });
  return answers.sort((a, b) => a.question.index - b.question.index);
}

describe.each(devices)("answers on %s", (device) => {
  let model: DeepSeekR1;
  beforeAll(async () => {
    model = await loadTiny(device, { contextLength: 512 });
  });
  afterAll(() => model.dispose());

  const greedy = { temperature: 0, maxNewTokens: 24 };
  const prompts = ["Hello", "The quick brown fox", "量子计算", "347 + 589 =", "def fibonacci(n):"];
  const hole = { prefix: "def f(", suffix: "return n" };

  it("are what the API gives greedily, and right when they are what is expected", async () => {
    for (const reasoning of [true, false]) {
      const results = await Promise.all([
        ...prompts.map((prompt) => model.chat(prompt, { ...greedy, reasoning })),
        model.complete(hole, greedy),
      ]);
      const asked = [...prompts, hole].map((prompt, i) =>
        question(i, prompt, i % 2 === 1 ? `\n${results[i].text} ` : "something else"),
      );
      const answers = await run(model, asked, { reasoning });
      expect(answers.map(({ tokens }) => tokens)).toEqual(results.map(({ tokens }) => tokens));
      expect(answers.map(({ promptIds }) => promptIds.length)).toEqual(results.map(({ usage }) => usage.promptTokens));
      expect(answers.map(({ found }) => found)).toEqual(results.map(({ text }) => text.trim()));
      expect(answers.map(({ correct }) => correct)).toEqual([false, true, false, true, false, true]);
      expect(answers.map(({ cut }) => cut)).toEqual(results.map(({ finishReason }) => finishReason === "length"));
    }
  });

  it("do not depend on how many questions are open", async () => {
    const asked = prompts.map((prompt, i) => question(i, prompt, "x"));
    const alone = await run(model, asked, { concurrency: 1 });
    expect(await run(model, asked, { concurrency: 64 })).toEqual(alone);
  });

  it("of a question that does not fit the context fail with its line", async () => {
    const asked = [question(0, "Hello", "x"), question(1, "x ".repeat(600), "x")];
    await expect(run(model, asked)).rejects.toMatchObject({
      code: "E_CONTEXT_OVERFLOW",
      message: expect.stringMatching(/^made-up\.jsonl:2: The prompt has \d+ tokens/),
    });
    expect(model.stats()).toMatchObject({ running: 0, waiting: 0 });
  });
});

describe("many questions", () => {
  let tiny: DeepSeekR1;
  beforeAll(async () => {
    tiny = await loadTiny("cpu", { contextLength: 64 });
  });
  afterAll(() => tiny.dispose());

  /** Answers "yes" after a while; `fails` is the call that fails instead. */
  function slowModel(fails = -1) {
    const seen = { open: 0, most: 0, calls: 0 };
    const chat: Examinee["chat"] = async (_, options = {}) => {
      const call = seen.calls++;
      seen.most = Math.max(seen.most, ++seen.open);
      const signal = options.signal as AbortSignal;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, call === fails ? 5 : 20);
        signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
      });
      seen.open--;
      if (signal.aborted) throw new AbortError(signal.reason, undefined);
      if (call === fails) throw new R1Error("E_SAMPLING", "no token");
      return { text: " yes\n", tokens: [1], finishReason: "stop" } as Result;
    };
    return { model: { tokenizer: tiny.tokenizer, chat, generate: chat }, seen };
  }
  const many = (count: number) => Array.from({ length: count }, (_, i) => question(i, "?", "yes"));

  it("are open at once, as many as allowed, each asked once", async () => {
    for (const [count, concurrency] of [
      [20, 7],
      [3, 8],
    ]) {
      const { model, seen } = slowModel();
      const answers = await run(model, many(count), { concurrency });
      expect(answers.map(({ question: { index } }) => index)).toEqual([...Array(count).keys()]);
      expect(answers.every(({ correct, cut }) => correct && !cut)).toBe(true);
      expect(seen).toMatchObject({ calls: count, open: 0, most: Math.min(count, concurrency) });
    }
  });

  it("end with the first that fails", async () => {
    const { model, seen } = slowModel(9);
    await expect(run(model, many(40), { concurrency: 6 })).rejects.toMatchObject({
      code: "E_SAMPLING",
      message: expect.stringMatching(/^made-up\.jsonl:\d+: no token$/),
    });
    expect(seen.open).toBe(0);
    expect(seen.calls).toBeLessThan(20);
  });

  it("end with the caller's signal, and leave nothing at it", async () => {
    const { model, seen } = slowModel();
    const controller = new AbortController();
    const running = run(model, many(40), { concurrency: 12, signal: controller.signal });
    setTimeout(() => controller.abort("enough"), 30);
    await expect(running).rejects.toMatchObject({ code: "E_ABORTED", cause: "enough" });
    expect(seen.open).toBe(0);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });
});
