/**
 * Finding added tokens in text, as the Rust library does: leftmost first, then longest; first the tokens that are not
 * normalized, then, in what is left, the others; `lstrip` and `rstrip` take whitespace with them.
 */
import type { AddedToken } from "./tokenizer-files";

/** A stretch of text: `token` is set where it stands for an added token. */
export interface Stretch {
  text: string;
  token?: AddedToken;
  /** Offset in the text that was split. */
  start: number;
}

/** Where a character of the text must not take part in an added token that crosses it: offsets between characters. */
export type Barriers = ReadonlySet<number>;

interface TrieNode {
  next: Map<number, TrieNode>;
  token?: AddedToken;
}

const none: Barriers = new Set();
const wordEnd = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const wordStart = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const space = /^\p{White_Space}$/u;

/** A set of added tokens as a trie of UTF-16 units. */
class TokenTrie {
  readonly #root: TrieNode = { next: new Map() };

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) {
      let node = this.#root;
      for (let i = 0; i < token.content.length; i++) {
        const unit = token.content.charCodeAt(i);
        const child = node.next.get(unit) ?? { next: new Map() };
        node.next.set(unit, child);
        node = child;
      }
      node.token = token;
    }
  }

  get empty(): boolean {
    return this.#root.next.size === 0;
  }

  mayStart(unit: number): boolean {
    return this.#root.next.has(unit);
  }

  /** The longest token that starts at `at` and crosses no barrier; barriers are counted from `-base`. */
  longest(text: string, at: number, barriers: Barriers, base: number): AddedToken | undefined {
    let node: TrieNode | undefined = this.#root;
    let found: AddedToken | undefined;
    for (let end = at; end < text.length && (end === at || !barriers.has(base + end)); ) {
      node = node.next.get(text.charCodeAt(end++));
      if (!node) break;
      // A token of one character has no inside: the barrier behind it is meant for it.
      if (node.token && !(barriers.has(base + end) && isOneCharacter(node.token.content))) found = node.token;
    }
    return found;
  }

  /** Whether a token starts at `at` in full (`whole`), or the text ends inside one (`partial`). */
  startsAt(text: string, at: number): { whole: boolean; partial: boolean } {
    let node: TrieNode | undefined = this.#root;
    let whole = false;
    for (let i = at; node && i < text.length; i++) {
      node = node.next.get(text.charCodeAt(i));
      if (node?.token) whole = true;
    }
    return { whole, partial: node !== undefined && node.next.size > 0 };
  }
}

const isOneCharacter = (text: string) => text.length === 1 || (text.length === 2 && isHighSurrogate(text, 0));
const isHighSurrogate = (text: string, at: number) => (text.charCodeAt(at) & 0xfc00) === 0xd800;

/** The added tokens of a tokenizer. */
export class AddedTokens {
  readonly all: readonly AddedToken[];
  readonly #byText = new Map<string, AddedToken>();
  readonly #byId = new Map<number, AddedToken>();
  readonly #passes: TokenTrie[];
  readonly #anywhere: TokenTrie;

  constructor(tokens: readonly AddedToken[]) {
    this.all = tokens;
    for (const token of tokens) {
      this.#byText.set(token.content, token);
      this.#byId.set(token.id, token);
    }
    this.#passes = [false, true]
      .map((normalized) => new TokenTrie(tokens.filter((token) => token.normalized === normalized)))
      .filter((trie) => !trie.empty);
    this.#anywhere = new TokenTrie(tokens);
    const contents = tokens.map((token) => token.content);
    this.longest = Math.max(0, ...contents.map((content) => content.length));
    this.suffixes = new Set(
      contents.flatMap((text) => Array.from({ length: text.length - 1 }, (_, i) => text.slice(i + 1))),
    );
  }

  byText(text: string): AddedToken | undefined {
    return this.#byText.get(text);
  }

  byId(id: number): AddedToken | undefined {
    return this.#byId.get(id);
  }

  /** Every proper suffix of every token. */
  readonly suffixes: ReadonlySet<string>;
  /** UTF-16 units of the longest token. */
  readonly longest: number;

  /** Whether any token starts with this UTF-16 unit. */
  mayStart(unit: number): boolean {
    return this.#anywhere.mayStart(unit);
  }

  /** Whether a token starts at `at` in full (`whole`), or the text ends inside one (`partial`). */
  startsAt(text: string, at: number): { whole: boolean; partial: boolean } {
    return this.#anywhere.startsAt(text, at);
  }

  /** Splits `text` into added tokens and what lies between them; empty stretches are left out. */
  split(text: string, barriers: Barriers = none): Stretch[] {
    let stretches: Stretch[] = text === "" ? [] : [{ text, start: 0 }];
    for (const trie of this.#passes)
      stretches = stretches.flatMap((stretch) => (stretch.token ? [stretch] : splitOnce(stretch, trie, barriers)));
    return stretches;
  }
}

function splitOnce(whole: Stretch, trie: TokenTrie, barriers: Barriers): Stretch[] {
  const { text } = whole;
  const out: Stretch[] = [];
  const push = (start: number, end: number, token?: AddedToken) => {
    if (end > start) out.push({ text: text.slice(start, end), start: whole.start + start, token });
  };
  let done = 0;
  for (let at = 0; at < text.length; ) {
    const token = trie.longest(text, at, barriers, whole.start);
    if (!token) {
      at++;
      continue;
    }
    let start = at;
    let end = at + token.content.length;
    at = end;
    if (token.singleWord && (wordEnd.test(lastCharacter(text, start)) || wordStart.test(text.slice(end, end + 2))))
      continue;
    if (token.lstrip) while (start > done && space.test(text[start - 1])) start--;
    if (token.rstrip) while (end < text.length && space.test(text[end])) end++;
    start = Math.max(start, done);
    push(done, start);
    push(start, end, token);
    done = end;
  }
  push(done, text.length);
  return out;
}

const lastCharacter = (text: string, end: number) => text.slice(Math.max(0, end - 2), end);
