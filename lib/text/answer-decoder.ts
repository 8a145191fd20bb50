/** Generated ids to the parts of an answer: decoding, reasoning and stop strings, in one pass. */
import { ReasoningSplitter, type ReasoningStart, thinkTags } from "./reasoning-splitter";
import { StopStrings } from "./stop-strings";
import type { StreamDecoder } from "./stream-decoder";
import type { Tokenizer } from "./tokenizer";

/** A piece of text and what it belongs to. */
export interface AnswerPiece {
  type: "reasoning" | "text";
  text: string;
}

/** What one id adds to an answer. */
export interface AnswerStep {
  /** What the id belongs to: tags are part of the reasoning. */
  type: "reasoning" | "text";
  /** Text that is now certain, in order; none while a character, a stop string or the reasoning's end is incomplete. */
  pieces: AnswerPiece[];
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
 * Feed it every generated id in order, then {@link flush} it. Special tokens have no text.
 *
 * @example
 * const answer = new AnswerDecoder(tokenizer, { reasoning: "inside", stop: ["END"] });
 * for (const id of ids) {
 *   for (const { type, text } of answer.push(id).pieces) show(type, text);
 *   if (answer.stopped) break; // `id` completed the stop string: what comes after it does not count
 * }
 * for (const { type, text } of answer.flush()) show(type, text);
 */
export class AnswerDecoder {
  /** Ids that belong to the reasoning so far. */
  reasoningTokens = 0;
  readonly #decoder: StreamDecoder;
  readonly #splitter: ReasoningSplitter;
  readonly #stop: StopStrings;
  readonly #minNewTokens: number;
  #count = 0;

  constructor(tokenizer: Tokenizer, { reasoning, stop = [], minNewTokens = 0 }: AnswerOptions = {}) {
    this.#decoder = tokenizer.stream({ skipSpecialTokens: true });
    this.#splitter = new ReasoningSplitter(reasoning ? thinkTags(tokenizer) : undefined, reasoning ?? "outside");
    this.#stop = new StopStrings(stop);
    this.#minNewTokens = minNewTokens;
  }

  /** A stop string is complete: the id pushed last is the last that counts. */
  get stopped(): boolean {
    return this.#stop.stopped;
  }

  /** What `id` adds. `silent`: it has no text, as the stop id that ended the answer. */
  push(id: number, silent = false): AnswerStep {
    this.#count++;
    const pieces: AnswerPiece[] = [];
    const tag = silent ? undefined : this.#splitter.tag(id);
    if (tag) {
      this.#drain(pieces);
      if (!this.stopped) this.#splitter.enter(tag);
    } else if (!silent) this.#add(pieces, this.#decoder.push(id));
    const type = tag && !this.stopped ? "reasoning" : this.#splitter.type;
    if (type === "reasoning") this.reasoningTokens++;
    return { type, pieces };
  }

  /** What was held back; call it once, after the last id. */
  flush(): AnswerPiece[] {
    const pieces: AnswerPiece[] = [];
    this.#drain(pieces);
    const { type } = this.#splitter;
    if (type === "reasoning") append(pieces, type, this.#splitter.flush());
    return pieces;
  }

  /** Ends a run of text: incomplete characters and possible stop strings come out. */
  #drain(pieces: AnswerPiece[]): void {
    this.#add(pieces, this.#decoder.flush());
    if (this.#splitter.type === "text" && !this.stopped) append(pieces, "text", this.#stop.flush());
  }

  #add(pieces: AnswerPiece[], decoded: string): void {
    const { type } = this.#splitter;
    const text = this.#splitter.push(decoded);
    const searched = type === "text" && this.#count >= this.#minNewTokens;
    append(pieces, type, searched || this.stopped ? this.#stop.push(text) : text);
  }
}

function append(pieces: AnswerPiece[], type: AnswerPiece["type"], text: string): void {
  if (text !== "") pieces.push({ type, text });
}
