/** Chat messages: their shape, and the marks that keep what callers wrote from becoming control tokens. */
import type { AddedTokens } from "./added-tokens";

/** A piece of a message's content. */
export interface TextContent {
  type: "text";
  text: string;
}

/** A function call that an assistant made, in OpenAI's shape. `arguments` is JSON text, or an object for templates that want one. */
export interface ToolCall {
  id?: string;
  type?: "function";
  function: { name: string; arguments: string | Record<string, unknown> };
}

/** One turn of a conversation. Fields beside these reach the chat template as they are. */
export interface Message {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  /** Text, or parts that are joined. May be null for an assistant that only called tools. */
  content?: string | readonly TextContent[] | null;
  name?: string;
  /** What an assistant thought, for templates that write it. */
  reasoning_content?: string;
  tool_calls?: readonly ToolCall[];
  tool_call_id?: string;
}

type Json = Record<string, unknown>;

const roles: readonly string[] = ["system", "developer", "user", "assistant", "tool"];

/** Nesting that a template is given at most; deeper, or circular, input is refused. */
const maxDepth = 64;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const wrong = (name: string, expected: string, value: unknown) =>
  new TypeError(
    `${name} must be ${expected}, found ${value === null ? "null" : Array.isArray(value) ? "an array" : typeof value}.`,
  );

/** Copies of the messages with their contents as one string each. @throws TypeError for a wrong shape */
export function checkMessages(messages: unknown): Json[] {
  if (!Array.isArray(messages)) throw wrong("messages", "an array of messages", messages);
  if (messages.length === 0) throw new TypeError("messages must hold at least one message, found none.");
  return messages.map((message, i) => checkMessage(message, `messages[${i}]`));
}

function checkMessage(message: unknown, at: string): Json {
  if (!isObject(message)) throw wrong(at, "an object { role, content }", message);
  const { role, tool_calls: calls } = message;
  if (typeof role !== "string" || !roles.includes(role)) {
    const found = typeof role === "string" ? JSON.stringify(role) : typeof role;
    throw new TypeError(`${at}.role must be one of ${roles.join(", ")}, found ${found}.`);
  }
  for (const key of ["name", "reasoning_content", "tool_call_id"])
    if (message[key] !== undefined && typeof message[key] !== "string")
      throw wrong(`${at}.${key}`, "a string", message[key]);
  if (calls !== undefined) checkToolCalls(calls, `${at}.tool_calls`);
  const empty = role === "assistant" && (message.content ?? null) === null;
  if (empty && !(calls as unknown[] | undefined)?.length)
    throw new TypeError(
      `${at}.content must be a string or text parts; only an assistant's that calls tools may be null.`,
    );
  return { ...message, content: empty ? null : joined(message.content, `${at}.content`) };
}

function joined(content: unknown, at: string): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw wrong(at, 'a string or an array of { type: "text", text }', content);
  return content
    .map((part, i) => {
      if (!isObject(part) || part.type !== "text" || typeof part.text !== "string")
        throw new TypeError(
          `${at}[${i}] must be { type: "text", text: string }; other kinds of content are not supported.`,
        );
      return part.text;
    })
    .join("");
}

function checkToolCalls(calls: unknown, at: string): void {
  if (!Array.isArray(calls)) throw wrong(at, "an array", calls);
  calls.forEach((call, i) => {
    const called = isObject(call) ? call.function : undefined;
    if (!isObject(called) || typeof called.name !== "string")
      throw new TypeError(`${at}[${i}] must be { type: "function", function: { name, arguments } }.`);
    if (typeof called.arguments !== "string" && !isObject(called.arguments))
      throw wrong(`${at}[${i}].function.arguments`, "a string of JSON or an object", called.arguments);
  });
}

/** @throws TypeError for a wrong shape */
export function checkTools(tools: unknown): Json[] | undefined {
  if (tools === undefined || tools === null) return undefined;
  if (!Array.isArray(tools)) throw wrong("tools", "an array", tools);
  return tools.map((tool, i) => {
    if (!isObject(tool) || !isObject(tool.function) || typeof tool.function.name !== "string")
      throw new TypeError(`tools[${i}] must be { type: "function", function: { name, description, parameters } }.`);
    return tool;
  });
}

const thinkTags = ["<think>", "</think>"];

/**
 * Puts a marker into every text that reads as an added token, so that it can be told from those which the template writes.
 * The marker is a private-use character that occurs nowhere else; whoever renders the marked messages takes it out again.
 */
export class Marker {
  readonly character: string;
  readonly #added: AddedTokens;
  readonly #suffixes: ReadonlySet<string>;

  /** `texts`: everything in which the marker must not occur. */
  constructor(added: AddedTokens, texts: readonly string[]) {
    this.#added = added;
    this.#suffixes = added.suffixes;
    this.character = unusedCharacter(texts);
  }

  /** A copy of a message with every string marked, `<think>` and `</think>` in an assistant's content excepted. */
  message(message: Json): Json {
    const { role, content, ...rest } = message;
    const keep = role === "assistant" ? thinkTags : [];
    return {
      role,
      content: typeof content === "string" ? this.text(content, keep) : content,
      ...(this.deep(rest) as Json),
    };
  }

  /** A copy of any JSON-like value with every string, keys included, marked. @throws TypeError when it is too deep */
  deep(value: unknown, depth = 0): unknown {
    if (depth > maxDepth) throw new TypeError(`messages and tools must not be nested deeper than ${maxDepth} levels.`);
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.deep(item, depth + 1));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [this.text(key), this.deep(item, depth + 1)]));
  }

  /**
   * Marks behind the first character of each added token in `text`. The edges are marked too where the text could make up
   * a token together with what the template writes beside it.
   */
  text(text: string, keep: readonly string[] = []): string {
    let out = this.#startsInsideToken(text) ? this.character : "";
    let done = 0;
    for (let at = 0; at < text.length; at++) {
      if (!this.#added.mayStart(text.charCodeAt(at))) continue;
      const { whole, partial } = this.#added.startsAt(text, at);
      if (!whole && !(partial && isNoWord(text.slice(at)))) continue;
      if (whole && keep.some((tag) => text.startsWith(tag, at))) continue;
      const next = at + (text.codePointAt(at)! > 0xffff ? 2 : 1);
      out += text.slice(done, next) + this.character;
      done = next;
      at = next - 1;
    }
    return out + text.slice(done);
  }

  #startsInsideToken(text: string): boolean {
    for (let end = Math.min(text.length, this.#added.longest); end > 0; end--)
      if (this.#suffixes.has(text.slice(0, end)) && isNoWord(text.slice(0, end))) return true;
    return false;
  }
}

/** A character as templates that ask for ASCII write it in JSON. */
export const escaped = (character: string): string =>
  Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16)}`).join("");

/** Templates compare words (`message.type == "function"`): those stay as they are. */
const isNoWord = (text: string) => !/^[\p{L}\p{N}_\s-]+$/u.test(text);

/** A private-use character that occurs in none of the texts. @throws TypeError when there is none left */
export function unusedCharacter(texts: readonly string[]): string {
  const ranges = [
    [0xe000, 0xf8ff],
    [0xf0000, 0xffffd],
  ];
  for (const [first, last] of ranges)
    for (let code = first; code <= last; code++) {
      const character = String.fromCodePoint(code);
      if (!texts.some((text) => text.includes(character) || text.includes(escaped(character)))) return character;
    }
  throw new TypeError("messages use every private-use character there is.");
}
