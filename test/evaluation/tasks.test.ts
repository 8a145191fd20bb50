import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readTasks } from "../../lib/evaluation/tasks";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "r1-tasks-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, ...lines: (object | string)[]) =>
  writeFileSync(
    join(folder, name),
    lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join(""),
  );
const chat = (task: string, content: string, answer: string, language = "en") => ({
  ...{ task, language, messages: [{ role: "user", content }], answer },
});
const hole = { task: "code", language: "python", prefix: "def f(a):\n", suffix: "\n", answer: "    return a" };

describe("task files", () => {
  beforeEach(() => {
    write("sums.jsonl", chat("sums", "1+1?", "2"), "", chat("sums", "2+2?", "4", "zh"), chat("sums", "3+3?", "6"));
    write("code.jsonl", hole);
    write("README.md", "not a task");
  });

  it("are read by name, line by line", async () => {
    expect(await readTasks(folder)).toEqual([
      {
        ...{ task: "code", language: "python", index: 0, answer: "    return a" },
        prompt: { prefix: "def f(a):\n", suffix: "\n" },
        where: `${join(folder, "code.jsonl")}:1`,
      },
      ...(
        [
          ["1+1?", "2", "en", 1],
          ["2+2?", "4", "zh", 3],
          ["3+3?", "6", "en", 4],
        ] as const
      ).map(([content, answer, language, line], index) => ({
        ...{ task: "sums", language, index, answer },
        prompt: { messages: [{ role: "user", content }] },
        where: `${join(folder, "sums.jsonl")}:${line}`,
      })),
    ]);
  });

  it("are read in part", async () => {
    const some = await readTasks(folder, { tasks: ["sums", "sums"], limit: 2 });
    expect(some.map(({ task, index }) => [task, index])).toEqual([
      ["sums", 0],
      ["sums", 1],
    ]);
    expect(await readTasks(folder, { limit: 1 })).toHaveLength(2);
  });

  it("are named where one is asked for that is not there", async () => {
    await expect(readTasks(folder, { tasks: ["sum"] })).rejects.toMatchObject({
      code: "E_NOT_FOUND",
      message: `${folder} has no task "sum"; there are code, sums.`,
    });
  });
});

describe("folders without tasks", () => {
  it.each([
    ["that do not exist", "nowhere", /nowhere cannot be read \(ENOENT\); expected a folder of \*\.jsonl files/],
    ["that are files", "file.txt", /file\.txt cannot be read \(ENOTDIR\)/],
    ["that are empty", "", /has no tasks; expected \*\.jsonl files, one question per line/],
  ])("%s", async (_, name, message) => {
    write("file.txt", "x");
    await expect(readTasks(join(folder, name))).rejects.toMatchObject({
      code: "E_NOT_FOUND",
      message: expect.stringMatching(message),
    });
  });
});

describe("a line that is not as expected is named with its file", () => {
  const good = chat("sums", "1+1?", "2");
  const { messages: _, ...open } = good;
  const shape = /expected .*"messages": .* or .*"prefix", "suffix"/;
  const cases: [string, object | string, RegExp][] = [
    ["no JSON", '{"task": "sums",', shape],
    ["no object", "[1]", shape],
    ["null", "null", shape],
    ["no task", { ...good, task: undefined }, /a string as "task", found undefined/],
    ["another file's task", { ...good, task: "code" }, /"task": "sums", as the file is called, found "code"/],
    ["no language", { ...good, language: 1 }, /a string as "language", found 1/],
    ["no answer", { ...good, answer: 2 }, /a string as "answer", found 2/],
    ["an empty answer", { ...good, answer: " \n" }, /an answer that is not empty/],
    ["neither question nor hole", open, /either "messages" or "prefix" and "suffix".*found neither/],
    ["question and hole", { ...good, prefix: "a", suffix: "b" }, /found both/],
    ["half a hole", { ...open, prefix: "a" }, /a string as "suffix", found undefined/],
    ["a misspelt name", { ...good, anser: "2" }, /found the name "anser"/],
    ["no messages", { ...good, messages: [] }, /at least one message/],
    [
      "a message of nobody",
      { ...good, messages: [{ role: "me", content: "x" }] },
      /messages\[0\]\.role must be one of/,
    ],
    ["an answer as question", { ...good, messages: [{ role: "assistant", content: "2" }] }, /found "assistant"/],
  ];
  it.each(cases)("%s", async (_, line, message) => {
    write("sums.jsonl", good, line);
    const error = await readTasks(folder).catch((caught) => caught);
    expect(error).toMatchObject({ code: "E_BAD_INPUT", message: expect.stringMatching(message) });
    expect(error.message).toMatch(/sums\.jsonl:2: /);
  });

  it("and so are a file without questions and one that is not UTF-8", async () => {
    write("sums.jsonl", "");
    await expect(readTasks(folder)).rejects.toMatchObject({
      code: "E_BAD_INPUT",
      message: expect.stringMatching(/sums\.jsonl: expected at least one question, found none/),
    });
    writeFileSync(join(folder, "sums.jsonl"), Uint8Array.of(0x7b, 0xff, 0x7d));
    await expect(readTasks(folder)).rejects.toMatchObject({
      code: "E_BAD_INPUT",
      message: expect.stringMatching(/sums\.jsonl: expected UTF-8/),
    });
  });
});
