/** What requests take as a prompt, and how it becomes token ids. */
import { checkOptions, checkString, checkTokenIds, checkVocabulary, isTokenIds, wrongType } from "./arguments";
import type { RequestOptions } from "./options";
import type { ChatTemplate } from "./text/chat-template";
import { fillInTheMiddle } from "./text/fim";
import { checkMessages, type Message } from "./text/messages";
import { type ReasoningStart, reasoningStart } from "./text/reasoning-splitter";
import type { Tokenizer } from "./text/tokenizer";

/** Token ids, which are used as they are. */
export type TokenIds = readonly number[] | Int32Array | Uint32Array | Uint16Array;

/** A conversation; a string is one user message. */
export type ChatPrompt = string | readonly Message[] | TokenIds;

/** The code around a hole to fill. */
export interface HolePrompt {
  prefix: string;
  /** Default: "". */
  suffix?: string;
}

/** As {@link ChatPrompt}; `{ text }` is continued without a template, and `{ prefix, suffix }` has a hole filled. */
export type StreamPrompt = ChatPrompt | { text: string } | HolePrompt;

/** A prompt of known shape. Only the answers to a chat are split into reasoning and text. */
export type CheckedPrompt =
  | { kind: "messages"; messages: unknown }
  | { kind: "text"; text: string }
  | { kind: "hole"; prefix: string; suffix: string }
  | { kind: "ids"; ids: Int32Array; chat: boolean };

export interface EncodedPrompt {
  ids: Int32Array;
  /** Where the prompt ends; undefined when the answer is not to be split. */
  reasoning?: ReasoningStart;
}

/** @throws TypeError, RangeError */
export function checkChatPrompt(
  value: unknown,
  vocab: number,
  expected = "a string, messages or token ids",
): CheckedPrompt {
  if (typeof value === "string") return { kind: "messages", messages: [{ role: "user", content: value }] };
  if (Array.isArray(value) && !isTokenIds(value)) return { kind: "messages", messages: checkMessages(value) };
  if (isTokenIds(value)) return { kind: "ids", ids: checkIds("prompt", value, vocab), chat: true };
  throw wrongType("prompt", expected, value);
}

/** @throws TypeError, RangeError */
export function checkStreamPrompt(value: unknown, vocab: number): CheckedPrompt {
  const expected = "a string, messages, token ids, { text } or { prefix, suffix }";
  if (typeof value !== "object" || value === null || Array.isArray(value) || isTokenIds(value)) {
    return checkChatPrompt(value, vocab, expected);
  }
  if ("text" in value) {
    const { text } = checkOptions<{ text: string }>("prompt", value, { text: (v) => checkString("prompt.text", v) });
    return { kind: "text", text: checkString("prompt.text", text) };
  }
  if ("prefix" in value) return checkHolePrompt(value);
  throw wrongType("prompt", expected, value);
}

/** A text or ids; messages need a template. @throws TypeError, RangeError */
export function checkTextPrompt(value: unknown, vocab: number): CheckedPrompt {
  if (typeof value === "string") return { kind: "text", text: value };
  if (isTokenIds(value)) return { kind: "ids", ids: checkIds("prompt", value, vocab), chat: false };
  const hint = Array.isArray(value) ? " (messages need the chat template: use chat or stream)" : "";
  throw wrongType("prompt", `a string or token ids${hint}`, value);
}

/** @throws TypeError */
export function checkHolePrompt(value: unknown): CheckedPrompt {
  if (typeof value !== "object" || value === null || !("prefix" in value))
    throw wrongType("prompt", "{ prefix, suffix }", value);
  const { prefix, suffix = "" } = checkOptions<Required<HolePrompt>>("prompt", value, {
    prefix: (text) => checkString("prompt.prefix", text),
    suffix: (text) => checkString("prompt.suffix", text),
  });
  if (prefix === undefined) throw wrongType("prompt.prefix", "a string", prefix);
  return { kind: "hole", prefix, suffix };
}

function checkIds(name: string, value: unknown, vocab: number): Int32Array {
  const ids = checkTokenIds(name, value);
  if (ids.length === 0) throw new RangeError(`${name} must have at least one token id, found none.`);
  checkVocabulary(name, ids, vocab);
  return ids;
}

/** @throws R1Error E_BAD_INPUT, E_UNSUPPORTED; RangeError for a text without any tokens */
export async function encodePrompt(
  prompt: CheckedPrompt,
  options: Pick<RequestOptions, "addSpecialTokens" | "parseSpecial" | "reasoning">,
  tokenizer: Tokenizer,
  template: ChatTemplate,
  signal?: AbortSignal,
): Promise<EncodedPrompt> {
  const { addSpecialTokens, parseSpecial } = options;
  switch (prompt.kind) {
    case "ids":
      return prompt.chat ? { ids: prompt.ids, reasoning: reasoningStart(tokenizer, prompt.ids) } : { ids: prompt.ids };
    case "messages": {
      const { ids, reasoning } = await template.prompt(prompt.messages, { reasoning: options.reasoning, signal });
      return { ids: nonEmpty(ids), reasoning };
    }
    case "text":
      return { ids: nonEmpty(await tokenizer.encodeAsync(prompt.text, { addSpecialTokens, parseSpecial }, signal)) };
    case "hole":
      return { ids: nonEmpty(await fillInTheMiddle(tokenizer, prompt.prefix, prompt.suffix, options)) };
  }
}

function nonEmpty(ids: number[]): Int32Array {
  if (ids.length === 0) throw new RangeError("The prompt must have at least one token, found none: it is empty.");
  return Int32Array.from(ids);
}
