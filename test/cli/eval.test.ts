/** `r1 eval` on a small checkpoint, with questions whose answers are its own. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DeepSeekR1 } from "../../lib";
import { type EvalReport, formatReport } from "../../lib/cli/eval-report";
import { main } from "../../lib/cli/main";
import { wilsonInterval } from "../../lib/evaluation/scores";
import { loadTiny, tinyFolder } from "../support/tiny";
import { r1, sink } from "./run";

const scratch = mkdtempSync(join(tmpdir(), "r1-eval-"));
const tasks = join(scratch, "tasks");
const maxNewTokens = 16;
const argv = [
  ...["eval", "--model", tinyFolder, "--device", "cpu", "--context-length", "512", "--tasks", tasks],
  ...["--max-new-tokens", String(maxNewTokens)],
];
const questions = ["Hello", "Who?", "347 + 589 =", "The quick brown fox"];
const holes = [1, 2, 3].map((i) => ({ prefix: `def f${i}(`, suffix: "return n" }));

let model: DeepSeekR1;
beforeAll(async () => {
  model = await loadTiny("cpu", { contextLength: 512 });
  const greedy = { temperature: 0, maxNewTokens };
  mkdirSync(tasks);
  const write = (name: string, lines: object[]) =>
    writeFileSync(join(tasks, `${name}.jsonl`), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  // Right without reasoning: all but the second.
  const chats = questions.map(async (content, i) => ({
    ...{ task: "chat", language: i < 3 ? "en" : "zh", messages: [{ role: "user", content }] },
    answer: i === 1 ? "42" : (await model.chat(content, { ...greedy, reasoning: false })).text,
  }));
  const codes = holes.map(async (hole, i) => ({
    ...{ task: "code", language: "python", ...hole },
    answer: i === 2 ? "  nothing\nat all" : (await model.complete(hole, greedy)).text,
  }));
  write("chat", await Promise.all(chats));
  write("code", await Promise.all(codes));
});
afterAll(async () => {
  await model.dispose();
  rmSync(scratch, { recursive: true });
});

const json = async (...more: string[]): Promise<EvalReport> => {
  const { code, stdout, stderr } = await r1([...argv, "--json", ...more]);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
};

describe("r1 eval", () => {
  it("counts right answers by task and language, and keeps the wrong ones", async () => {
    const report = await json("--no-reasoning");
    expect(report).toMatchObject({
      ...{ model: "qwen2-tiny", parameters: 685696, precision: "f32", device: { kind: "cpu" } },
      ...{ maxNewTokens, concurrency: 32, questions: 7, complete: true },
    });
    expect(report.runs).toHaveLength(1);
    const [run] = report.runs;
    expect(run).toMatchObject({
      reasoning: false,
      overall: { n: 7, correct: 5, accuracy: 5 / 7, interval: wilsonInterval(5, 7) },
      tasks: { chat: { n: 4, correct: 3 }, code: { n: 3, correct: 2 } },
      languages: { en: { n: 3, correct: 2 }, zh: { n: 1, correct: 1 }, python: { n: 3, correct: 2 } },
    });
    const found = (await model.chat("Who?", { temperature: 0, maxNewTokens, reasoning: false })).text.trim();
    expect(run.wrong).toMatchObject([
      { task: "chat", language: "en", index: 1, question: { messages: [{ content: "Who?" }] }, expected: "42", found },
      { task: "code", language: "python", index: 2, question: holes[2], expected: "nothing\nat all" },
    ]);
  });

  it("shows a table and the first failures", async () => {
    const { code, stdout, stderr } = await r1([...argv, "--no-reasoning", "--failures", "1"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^eval · qwen2-tiny · f32 · /);
    expect(stdout).toMatch(/^task +no reasoning +accuracy +95 % interval +tokens$/m);
    expect(stdout).toMatch(/^chat +3 of 4 +75\.0 % +30\.1 to 95\.4 +\d+\.\d$/m);
    expect(stdout).toMatch(/^overall +5 of 7 +71\.4 % +35\.9 to 91\.8 +\d+\.\d$/m);
    expect(stdout).toMatch(
      /--- chat 1 \(en, no reasoning\) ---\n {2}question {2}Who\?\n {2}expected {2}42\n {2}found {5}/,
    );
    expect(stdout).not.toContain("--- code");
  });

  it("asks with and without reasoning, and shows what it gains", async () => {
    const report = await json("--both");
    expect(report.runs.map(({ reasoning, overall }) => [reasoning, overall.n])).toEqual([
      [true, 7],
      [false, 7],
    ]);
    expect(report.runs[1]).toMatchObject({ ...(await json("--no-reasoning")).runs[0], ...timesOf(report.runs[1]) });
    expect(report.runs[0]).toMatchObject({ ...(await json()).runs[0], ...timesOf(report.runs[0]) });
    expect(report.runs[0].tasks.code).toEqual(report.runs[1].tasks.code);
    const text = formatReport(report);
    expect(text).toMatch(/^task +reasoning +accuracy .* no reasoning +accuracy .* gain$/m);
    const gain = (report.runs[0].tasks.chat.accuracy - report.runs[1].tasks.chat.accuracy) * 100;
    expect(gain).toBeLessThan(0);
    expect(text).toMatch(new RegExp(`^chat .* 3 of 4 .* ${gain.toFixed(1)}$`, "m"));
    expect(text).toMatch(/^code .* \+0\.0$/m);
  });
  const timesOf = ({ seconds, tokensPerSecond }: EvalReport["runs"][number]) => ({ seconds, tokensPerSecond });

  it("asks some of the questions", async () => {
    const [run] = (await json("--task", "chat", "--limit", "2", "--no-reasoning", "--concurrency", "1")).runs;
    expect(run.overall).toMatchObject({ n: 2, correct: 1 });
    expect(Object.keys(run.tasks)).toEqual(["chat"]);
  });

  it("writes the report, and the ids of every prompt and answer", async () => {
    const [out, answers] = [join(scratch, "results/report.json"), join(scratch, "answers.jsonl")];
    const report = await json("--both", "--out", out, "--answers", answers);
    expect(JSON.parse(readFileSync(out, "utf8"))).toEqual(report);
    const lines = readFileSync(answers, "utf8").trimEnd().split("\n");
    const ids = lines.map((line) => JSON.parse(line));
    expect(ids.map(({ task, index, reasoning }) => [task, index, reasoning])).toEqual(
      [true, false].flatMap((reasoning) => [
        ...questions.map((_, i) => ["chat", i, reasoning]),
        ...holes.map((_, i) => ["code", i, reasoning]),
      ]),
    );
    const greedy = { temperature: 0, maxNewTokens };
    const silent = ids[questions.length + holes.length];
    const prompt = "<｜begin▁of▁sentence｜><｜User｜>Hello<｜Assistant｜><think>\n\n</think>\n\n";
    expect(silent.promptIds).toEqual(model.tokenizer.encode(prompt, { addSpecialTokens: false, parseSpecial: true }));
    expect(silent.tokens).toEqual((await model.chat("Hello", { ...greedy, reasoning: false })).tokens);
    expect(ids[0].tokens).toEqual((await model.chat("Hello", greedy)).tokens);
    expect(ids[4].tokens).toEqual((await model.complete(holes[0], greedy)).tokens);
  });

  it("looks first whether it can write", async () => {
    writeFileSync(join(scratch, "file"), "");
    for (const path of [scratch, join(scratch, "file/report.json")]) {
      const { code, stdout, stderr } = await r1([...argv, "--model", "nowhere", "--out", path]);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/^r1: [^\n]* cannot be written \([^\n]*\)\. Name another file\.\n$/);
    }
  });

  it("names the file and line that is not as expected, before a model is loaded", async () => {
    const folder = join(scratch, "bad");
    mkdirSync(folder);
    writeFileSync(join(folder, "sums.jsonl"), '{"task": "sums", "question": "1+1?"}\n');
    const { code, stderr } = await r1([...argv, "--tasks", folder, "--model", "nowhere"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^r1: [^\n]*sums\.jsonl:1: expected [^\n]*found the name "question"\.\n$/);
  });

  it("shows how far it is, and when interrupted what it got", async () => {
    const long = join(scratch, "long");
    mkdirSync(long);
    const line = { task: "long", language: "en", messages: [{ role: "user", content: "Hello" }], answer: "x" };
    writeFileSync(join(long, "long.jsonl"), `${JSON.stringify(line)}\n`.repeat(2000));
    const controller = new AbortController();
    const [stdin, stdout, stderr] = [new PassThrough(), sink(), sink(true)];
    stderr.on("data", (chunk) => {
      if (/ [1-9]\d* of 2000, 0\.0 % right, \d+ tokens\/s/.test(String(chunk))) controller.abort();
    });
    const out = join(scratch, "interrupted.json");
    const code = await main([...argv, "--tasks", long, "--both", "--out", out, "--concurrency", "2"], {
      ...{ stdin, stdout, stderr, env: { NO_COLOR: "1" }, signal: controller.signal },
    });
    expect(code).toBe(130);
    expect(stdout.text()).toMatch(/^long +0 of \d+ +0\.0 % +0\.0 to /m);
    expect(stdout.text()).not.toContain("no reasoning");
    expect(stderr.text()).toMatch(/r1: interrupted: the figures are of the \d+ answers? that there were/);
    expect(existsSync(out)).toBe(false);
  });
});
