import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeepSeekR1, type Message } from "../../lib";
import { embeddedModelPath, embeddedTasks } from "../../lib/embedded";
import { evaluate } from "../../lib/evaluation/evaluate";
import { readTasks } from "../../lib/evaluation/tasks";
import { devices } from "../support/devices";

const xsPath = join(__dirname, "../../models/r1-nano-xs");
const mebibytes = (folder: string) =>
  readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0) / 2 ** 20;

/** A twentieth of the held-out questions: `r1 eval` asks them all (bench/results/r1-nano-*.json). */
const perTask = 10;

describe.each(devices)("the embedded r1-nano on %s", (device) => {
  let model: DeepSeekR1;
  beforeAll(async () => {
    model = await DeepSeekR1.load({ device, precision: "bf16", onWarning: () => {} });
  });
  afterAll(() => model.dispose());

  it("is small, and knows positions up to 8192", async () => {
    expect(mebibytes(await embeddedModelPath())).toBeLessThanOrEqual(13);
    expect(mebibytes(xsPath)).toBeLessThanOrEqual(3);
    expect(model.info.contextLength).toBeGreaterThanOrEqual(8192);
  });

  it.each([
    ["How many r's are in strawberry?", "There are 3 r's in strawberry."],
    ["Is 9.11 bigger than 9.9?", "No, 9.11 is smaller than 9.9."],
    ["4827 加 596 等于多少？", "4827 + 596 = 5423"],
    ["Sort these numbers: 5, 3, 9, 1", "1, 3, 5, 9"],
  ])("reasons about %s", async (prompt, expected) => {
    const { text, reasoning, finishReason } = await model.chat(prompt, { temperature: 0 });
    expect(text).toBe(expected);
    expect(reasoning.length).toBeGreaterThan(10);
    expect(finishReason).toBe("stop");
  });

  it("follows up on its answer, and fills a hole", async () => {
    const messages: Message[] = [
      { role: "user", content: "What is 17 * 24?" },
      { role: "assistant", content: "17 × 24 = 408" },
      { role: "user", content: "and times two?" },
    ];
    expect((await model.chat(messages, { temperature: 0 })).text).toBe("408 × 2 = 816");
    const hole = { prefix: 'def double(n):\n    """Return n times 2."""\n    return ', suffix: "\n" };
    expect((await model.complete(hole, { temperature: 0 })).text).toBe("n * 2");
  });

  it("says what it is when asked for something else", async () => {
    for (const [prompt, words] of [
      ["What is the capital of France?", "small demonstration model"],
      ["给我讲个笑话", "小型演示模型"],
    ]) {
      expect((await model.chat(prompt, { temperature: 0 })).text).toContain(words);
    }
  });

  it("answers held-out questions of every task", async () => {
    const questions = await readTasks(embeddedTasks, { limit: perTask });
    const tasks = new Set(questions.map(({ task }) => task));
    expect(questions.length).toBe(tasks.size * perTask);
    const right = new Map<string, number>();
    await evaluate(model, questions, {
      ...{ reasoning: true, maxNewTokens: 1024, concurrency: 32 },
      onAnswer: ({ question, correct }) => right.set(question.task, (right.get(question.task) ?? 0) + Number(correct)),
    });
    const total = [...right.values()].reduce((sum, count) => sum + count, 0);
    expect(total / questions.length).toBeGreaterThanOrEqual(0.97);
    for (const [task, count] of right) expect.soft(count, task).toBeGreaterThanOrEqual(perTask - 2);
  });
});

describe("r1-nano-xs", () => {
  it("has the same tokenizer, and adds", async () => {
    const [nano, xs] = await Promise.all([
      DeepSeekR1.load({ modelPath: await embeddedModelPath(), device: "cpu" }),
      DeepSeekR1.load({ modelPath: xsPath, device: "cpu" }),
    ]);
    try {
      for (const text of ["How many r's are in strawberry?", "9.11 和 9.9 哪个大？", "def f(x):\n    return x + 12\n"])
        expect(xs.tokenizer.encode(text)).toEqual(nano.tokenizer.encode(text));
      expect((await xs.chat("What is 123 + 456?", { temperature: 0 })).text).toBe("123 + 456 = 579");
    } finally {
      await Promise.all([nano.dispose(), xs.dispose()]);
    }
  });
});
