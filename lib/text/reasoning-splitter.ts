/** Tells reasoning from answer by the ids of `<think>` and `</think>`. */
import type { Tokenizer } from "./tokenizer";

/** Where a prompt ends: outside of reasoning, right behind `<think>`, or further inside. */
export type ReasoningStart = "outside" | "opened" | "inside";

/** Ids of the tags, which differ by family; undefined for a model without them. */
export interface ThinkTags {
  open: number;
  close: number;
}

export function thinkTags(tokenizer: Tokenizer): ThinkTags | undefined {
  const open = tokenizer.idOf("<think>");
  const close = tokenizer.idOf("</think>");
  return open === undefined || close === undefined ? undefined : { open, close };
}

/**
 * Where a prompt ends. A `<think>` that an earlier turn left open does not count: special tokens end a turn.
 */
export function reasoningStart(tokenizer: Tokenizer, prompt: ArrayLike<number>): ReasoningStart {
  const tags = thinkTags(tokenizer);
  if (!tags) return "outside";
  for (let i = prompt.length - 1; i >= 0; i--) {
    if (prompt[i] === tags.open) return i === prompt.length - 1 ? "opened" : "inside";
    if (prompt[i] === tags.close || tokenizer.isSpecial(prompt[i])) return "outside";
  }
  return "outside";
}

/**
 * The state of an answer, id by id. A tag belongs to the reasoning and is no text; `</think>` outside of reasoning is
 * text. Without tags all is text.
 *
 * The newlines that templates put around the tags are left out of the text: one behind `<think>`, one before `</think>`,
 * two behind it. Only the one that may be before `</think>` is held back for that.
 */
export class ReasoningSplitter {
  readonly #tags: ThinkTags | undefined;
  #inside: boolean;
  /** Newlines still to be left out at the start of what follows. */
  #skip: number;
  #held = "";

  constructor(tags: ThinkTags | undefined, start: ReasoningStart) {
    this.#tags = tags;
    this.#inside = tags !== undefined && start !== "outside";
    this.#skip = this.#inside && start === "opened" ? 1 : 0;
  }

  /** What the next text belongs to. */
  get type(): "reasoning" | "text" {
    return this.#inside ? "reasoning" : "text";
  }

  /** Whether `id` is a tag here: it changes the state, or repeats it, and has no text. */
  tag(id: number): "open" | "close" | undefined {
    if (!this.#tags) return undefined;
    if (id === this.#tags.open) return "open";
    return id === this.#tags.close && this.#inside ? "close" : undefined;
  }

  /** Goes over a tag. */
  enter(tag: "open" | "close"): void {
    if (tag === "open" && this.#inside) return;
    this.#inside = tag === "open";
    this.#skip = this.#inside ? 1 : 2;
    this.#held = "";
  }

  /** The part of `text`, and of what was held back, that is certain. */
  push(text: string): string {
    if (text === "") return "";
    let start = 0;
    while (start < text.length && start < this.#skip && text[start] === "\n") start++;
    this.#skip = start === text.length ? this.#skip - start : 0;
    const pending = this.#held + text.slice(start);
    const hold = this.#inside && pending.endsWith("\n") ? 1 : 0;
    this.#held = pending.slice(pending.length - hold);
    return pending.slice(0, pending.length - hold);
  }

  /** What was held back, at the end of the answer. */
  flush(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }
}
