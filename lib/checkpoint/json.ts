/**
 * A strict JSON parser for files that somebody else wrote: unlike JSON.parse it names line and column, refuses duplicate
 * keys (RFC 8259 §4 leaves their meaning open), bounds the depth, and gives objects without a prototype.
 */
import { R1Error } from "../errors";

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

const maxDepth = 64;
const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const literals: [string, Json][] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Parses `text`; `file` is named in errors. @throws R1Error E_BAD_CHECKPOINT */
export function parseJson(text: string, file: string): Json {
  return new Parser(text, file).document();
}

/** Decodes UTF-8 (a byte order mark is skipped) and parses an object. @throws R1Error E_BAD_CHECKPOINT */
export function parseJsonObject(bytes: Uint8Array, file: string): JsonObject {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new R1Error("E_BAD_CHECKPOINT", `${file}: invalid JSON: the file is not UTF-8. Download it again.`, {
      cause,
    });
  }
  const value = parseJson(text, file);
  if (!isObject(value))
    throw new R1Error("E_BAD_CHECKPOINT", `${file}: expected a JSON object, found ${kindOf(value)}.`);
  return value;
}

export function kindOf(value: Json | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return typeof value === "string" && value.length > 80 ? `"${value.slice(0, 80)}…"` : JSON.stringify(value);
}

class Parser {
  #text: string;
  #file: string;
  #at = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  document(): Json {
    const value = this.#value(0);
    if (this.#peek() !== "") this.#fail("the end of the file");
    return value;
  }

  #value(depth: number): Json {
    if (depth > maxDepth) this.#fail(`at most ${maxDepth} nested levels`);
    const next = this.#peek();
    if (next === "{") return this.#object(depth);
    if (next === "[") return this.#array(depth);
    if (next === '"') return this.#string();
    for (const [word, value] of literals)
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    numberPattern.lastIndex = this.#at;
    const match = numberPattern.exec(this.#text);
    if (!match) this.#fail("a value");
    this.#at += match[0].length;
    return Number(match[0]);
  }

  #object(depth: number): JsonObject {
    const object: JsonObject = Object.create(null);
    this.#at++;
    if (this.#take("}")) return object;
    for (;;) {
      if (this.#peek() !== '"') this.#fail("a quoted key");
      const start = this.#at;
      const key = this.#string();
      if (key in object) {
        this.#at = start;
        this.#fail("a new key", `${kindOf(key)} a second time`);
      }
      if (!this.#take(":")) this.#fail("':'");
      object[key] = this.#value(depth + 1);
      if (this.#take("}")) return object;
      if (!this.#take(",")) this.#fail("',' or '}'");
    }
  }

  #array(depth: number): Json[] {
    const array: Json[] = [];
    this.#at++;
    if (this.#take("]")) return array;
    for (;;) {
      array.push(this.#value(depth + 1));
      if (this.#take("]")) return array;
      if (!this.#take(",")) this.#fail("',' or ']'");
    }
  }

  #string(): string {
    const start = this.#at;
    let end = start + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === "\\" ? 2 : 1;
    try {
      const value = JSON.parse(this.#text.slice(start, end + 1)) as string;
      this.#at = end + 1;
      return value;
    } catch {
      this.#fail("a string", "one with a bad escape, a control character or no end");
    }
  }

  /** The next character that is not white space, "" at the end. */
  #peek(): string {
    while (" \t\n\r".includes(this.#text[this.#at] ?? "x")) this.#at++;
    return this.#text[this.#at] ?? "";
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #fail(expected: string, found?: string): never {
    const before = this.#text.slice(0, this.#at);
    const line = before.split("\n").length;
    const column = this.#at - before.lastIndexOf("\n");
    const next = this.#peek();
    const what = found ?? (next === "" ? "the end of the file" : JSON.stringify(next));
    throw new R1Error(
      "E_BAD_CHECKPOINT",
      `${this.#file}: invalid JSON at line ${line}, column ${column}: expected ${expected}, found ${what}.`,
    );
  }
}
