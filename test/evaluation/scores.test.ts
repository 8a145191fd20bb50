import { describe, expect, it } from "vitest";
import type { Answer } from "../../lib/evaluation/evaluate";
import { summarize, wilsonInterval } from "../../lib/evaluation/scores";

describe("Wilson's interval", () => {
  // R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998), table I.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("of %i in %i is the published one", (correct, n, low, high) => {
    const [from, to] = wilsonInterval(correct, n);
    expect(from).toBeCloseTo(low, 4);
    expect(to).toBeCloseTo(high, 4);
  });

  it("is the pair of shares that lie z standard errors from what was seen", () => {
    for (const [correct, n, z] of [
      [97, 100, 1.96],
      [1, 3, 1],
      [200, 400, 2.576],
    ])
      for (const share of wilsonInterval(correct, n, z))
        expect(Math.abs(correct / n - share)).toBeCloseTo(z * Math.sqrt((share * (1 - share)) / n), 12);
  });

  it("stays within 0 and 1, and is symmetric", () => {
    for (const n of [1, 10, 1000]) {
      const [low, high] = wilsonInterval(n, n);
      expect(high).toBe(1);
      expect(low).toBeGreaterThan(0);
      expect(wilsonInterval(0, n)[0]).toBe(0);
      expect(wilsonInterval(0, n)[1]).toBeCloseTo(1 - low, 12);
    }
  });
});

describe("a summary", () => {
  const answer = (task: string, language: string, index: number, correct: boolean, tokens: number): Answer => ({
    question: {
      ...{ task, language, index, where: "" },
      prompt: { messages: [{ role: "user", content: `${index}?` }] },
      answer: " 4\n",
    },
    ...{ found: correct ? "4" : "5", correct, cut: tokens > 9, promptIds: [1], tokens: Array(tokens).fill(7) },
  });

  it("counts by task and by language, and keeps what was wrong", () => {
    const answers = [
      answer("sums", "en", 0, true, 4),
      answer("sums", "zh", 1, false, 10),
      answer("lists", "en", 0, true, 6),
    ];
    const { overall, tasks, languages, wrong } = summarize(answers);
    expect(overall).toEqual({
      ...{ n: 3, correct: 2, accuracy: 2 / 3, meanTokens: 20 / 3, cut: 1 },
      interval: wilsonInterval(2, 3),
    });
    expect(tasks).toMatchObject({
      sums: { n: 2, correct: 1, accuracy: 0.5, meanTokens: 7, cut: 1 },
      lists: { n: 1, correct: 1, accuracy: 1, meanTokens: 6, cut: 0 },
    });
    expect(languages).toMatchObject({ en: { n: 2, correct: 2 }, zh: { n: 1, correct: 0 } });
    const question = { messages: [{ role: "user", content: "1?" }] };
    expect(wrong).toEqual([{ task: "sums", language: "zh", index: 1, question, expected: "4", found: "5", cut: true }]);
  });
});
