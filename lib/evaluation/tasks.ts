/** Questions with one right answer, from a folder of `*.jsonl` files: one file per task, one question per line. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { found } from "../arguments";
import { readSmallFile } from "../checkpoint/files";
import { R1Error } from "../errors";
import { checkMessages, type Message } from "../text/messages";

/** A conversation that ends with the user, or code with a hole. */
export type QuestionPrompt = { messages: Message[] } | { prefix: string; suffix: string };

export interface Question {
  /** The file's name, and "task" of each of its lines. */
  task: string;
  /** "en", "zh"; of a hole the programming language's name. */
  language: string;
  /** Counted from 0 within the task. */
  index: number;
  prompt: QuestionPrompt;
  /** The exact text that is right. */
  answer: string;
  /** File and line, for messages. */
  where: string;
}

export interface TaskSelection {
  /** Names of the tasks to read. Default: all. */
  tasks?: readonly string[];
  /** Questions of each task at most, the first ones. Default: all. */
  limit?: number;
}

const extension = ".jsonl";
const shape =
  '{ "task", "language", "messages": [{ "role", "content" }], "answer" } or ' +
  '{ "task", "language", "prefix", "suffix", "answer" }';
const names = ["task", "language", "messages", "prefix", "suffix", "answer"];

/**
 * The questions of a folder, by task in the order of the names.
 *
 * @throws R1Error E_NOT_FOUND (folder, tasks), E_BAD_INPUT naming the file and line that is not as expected
 */
export async function readTasks(folder: string, { tasks, limit }: TaskSelection = {}): Promise<Question[]> {
  const there = await taskNames(folder);
  for (const name of tasks ?? [])
    if (!there.includes(name))
      throw new R1Error("E_NOT_FOUND", `${folder} has no task ${found(name)}; there are ${there.join(", ")}.`);
  const wanted = tasks ? there.filter((name) => tasks.includes(name)) : there;
  const questions: Question[] = [];
  for (const task of wanted) questions.push(...(await readTask(join(folder, task + extension), task, limit)));
  return questions;
}

async function taskNames(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    throw new R1Error(
      "E_NOT_FOUND",
      `The tasks folder ${folder} cannot be read (${cause.code}); expected a folder of *${extension} files.`,
      { cause },
    );
  });
  const tasks = files.filter((file) => file.endsWith(extension)).map((file) => file.slice(0, -extension.length));
  if (tasks.length === 0)
    throw new R1Error("E_NOT_FOUND", `${folder} has no tasks; expected *${extension} files, one question per line.`);
  return tasks.sort();
}

async function readTask(path: string, task: string, limit = Number.POSITIVE_INFINITY): Promise<Question[]> {
  const questions: Question[] = [];
  for (const [i, line] of decode(await readSmallFile(path, "Check the path."), path)
    .split("\n")
    .entries()) {
    if (line.trim() === "") continue;
    if (questions.length >= limit) break;
    questions.push({ task, index: questions.length, ...readQuestion(line, task, `${path}:${i + 1}`) });
  }
  if (questions.length === 0) throw bad(path, "at least one question", "none");
  return questions;
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new R1Error("E_BAD_INPUT", `${path}: expected UTF-8, found bytes that are none.`, { cause });
  }
}

function readQuestion(line: string, task: string, where: string): Omit<Question, "task" | "index"> {
  const object = parse(line, where);
  const extra = Object.keys(object).find((name) => !names.includes(name));
  if (extra !== undefined) throw bad(where, shape, `the name ${JSON.stringify(extra)}`);
  const text = (name: string): string => {
    const value = object[name];
    if (typeof value !== "string") throw bad(where, `a string as "${name}"`, found(value));
    return value;
  };
  if (text("task") !== task) throw bad(where, `"task": "${task}", as the file is called`, found(object.task));
  const answer = text("answer");
  if (answer.trim() === "") throw bad(where, "an answer that is not empty", found(answer));
  return { language: text("language"), prompt: readPrompt(object, text, where), answer, where };
}

function parse(line: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw bad(where, `a JSON object ${shape}`, `no JSON (${(cause as Error).message})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad(where, shape, found(value));
  return value as Record<string, unknown>;
}

function readPrompt(object: Record<string, unknown>, text: (name: string) => string, where: string): QuestionPrompt {
  const { messages, prefix, suffix } = object;
  const hole = prefix !== undefined || suffix !== undefined;
  if (hole === (messages !== undefined))
    throw bad(where, `either "messages" or "prefix" and "suffix": ${shape}`, hole ? "both" : "neither");
  if (hole) return { prefix: text("prefix"), suffix: text("suffix") };
  try {
    const checked = checkMessages(messages) as unknown as Message[];
    if (checked.at(-1)?.role !== "user") throw bad(where, "a last message from the user", found(checked.at(-1)?.role));
    return { messages: checked };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new R1Error("E_BAD_INPUT", `${where}: ${error.message}`, { cause: error });
  }
}

const bad = (where: string, expected: string, what: string): R1Error =>
  new R1Error("E_BAD_INPUT", `${where}: expected ${expected}, found ${what}.`);
