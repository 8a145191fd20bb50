/** Generated ids to the parts of an answer: decoding, reasoning and stop strings, in one pass. */
import { ReasoningSplitter, type ReasoningStart, thinkTags } from "./reasoning-splitter";
import { StopStrings } from "./stop-strings";
import type { StreamDecoder } from "./stream-decoder";
import type { Tokenizer } from "./tokenizer";

/** What one id adds to an answer. */
export interface AnswerPiece {
  type: "reasoning" | "text";
  /** "" while a character, a stop string or the end of the reasoning is incomplete. */
  text: string;
}

export interface AnswerOptions {
  /** Where the prompt ends; without it nothing is split, and tags are text. */
  reasoning?: ReasoningStart;
  /** Looked for in the text, not in the reasoning. */
  stop?: readonly string[];
  /** Ids before the first that may complete a stop string. */
  minNewTokens?: number;
}

/**
 * Feed it every generated id in order; each gives one piece, and {@link finish} gives what was still held back.
 * Special tokens have no text.
 *
 * @example
 * const answer = new AnswerDecoder(tokenizer, { reasoning: "inside", stop: ["END"] });
 * for (const id of ids) {
 *   const { type, text } = answer.push(id);
 *   if (answer.stopped) break; // `id` completed the stop string: what comes after it does not count
 * }
 * const rest = answer.finish();
 */
export class AnswerDecoder {
  readonly #decoder: StreamDecoder;
  readonly #splitter: ReasoningSplitter;
  readonly #stop: StopStrings;
  readonly #free: number;
  #count = 0;

  constructor(tokenizer: Tokenizer, { reasoning, stop = [], minNewTokens = 0 }: AnswerOptions = {}) {
    this.#decoder = tokenizer.stream({ skipSpecialTokens: true });
    this.#splitter = new ReasoningSplitter(reasoning ? thinkTags(tokenizer) : undefined, reasoning ?? "outside");
    this.#stop = new StopStrings(stop);
    this.#free = minNewTokens - 1;
  }

  /** A stop string is complete: the id pushed last is the last that counts. */
  get stopped(): boolean {
    return this.#stop.stopped;
  }

  /** What `id` adds. `silent`: it has no text, as the stop id that ended the answer. */
  push(id: number, silent = false): AnswerPiece {
    const searched = this.#count++ >= this.#free;
    const tag = silent ? undefined : this.#splitter.tag(id);
    if (tag) return this.#enter(tag);
    const { type } = this.#splitter;
    return { type, text: silent ? "" : this.#add(this.#decoder.push(id), searched) };
  }

  /** What was held back; call it once, after the last id. */
  finish(): AnswerPiece {
    const { type } = this.#splitter;
    if (this.stopped) return { type, text: "" };
    const text = this.#add(this.#decoder.flush(), true) + this.#splitter.flush();
    return { type, text: this.stopped ? text : text + this.#stop.flush() };
  }

  /** A tag belongs to the reasoning; before an opening one the text ends, with what was held back of it. */
  #enter(tag: "open" | "close"): AnswerPiece {
    const { type } = this.#splitter;
    let text = this.#add(this.#decoder.flush(), true);
    if (type === "text" && !this.stopped) text += this.#stop.flush();
    this.#splitter.enter(tag);
    return { type: text === "" ? "reasoning" : type, text };
  }

  #add(decoded: string, searched: boolean): string {
    const { type } = this.#splitter;
    const text = this.#splitter.push(decoded);
    if (type === "reasoning") return text;
    return searched ? this.#stop.push(text) : text;
  }
}
