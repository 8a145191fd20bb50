/** A second model that answers when a request times out (`LoadOptions.onTimeout`). */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { R1Error } from "../errors";
import type { PartSource } from "../generation";
import type { CheckedRequest } from "../options";
import type { CheckedPrompt } from "../prompts";
import type { Part, Result } from "../results";

/** The second model, as far as requests see it. */
export interface Second {
  /** Its `modelPath`, which results name. */
  name: string;
  /** Asks it the same. @throws TypeError, RangeError */
  ask(): PartSource;
}

/** Whether a request means what it means only in its own model's token ids. */
export function speaksInIds(prompt: CheckedPrompt, options: CheckedRequest): boolean {
  const { logitBias, allowTokens, banTokens, stopTokens, sampler } = options;
  return prompt.kind === "ids" || [logitBias, allowTokens, banTokens, stopTokens, sampler].some((given) => given);
}

/** Whether two model folders have the same tokenizer.json, and so the same ids. */
export async function sameTokenizer(folder: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([folder, other].map((path) => readFile(join(path, "tokenizer.json"))));
  return a.equals(b);
}

/**
 * The parts of the first model's answer; of the second one's, where the first has timed out before any part of its
 * answer was handed out.
 */
export class FallbackSource implements PartSource {
  readonly #second: Second;
  readonly #switched: (error: R1Error) => void;
  #source: PartSource;
  /** Parts have been handed out, or the second model answers: there is no way back. */
  #committed = false;
  #cancelled = false;
  #answeredBy: string | undefined;

  /** @param switched told of the E_TIMEOUT that makes the second model answer */
  constructor(first: PartSource, second: Second, switched: (error: R1Error) => void) {
    this.#source = first;
    this.#second = second;
    this.#switched = switched;
  }

  async next(): Promise<Part | undefined> {
    const part = await this.#answer((source) => source.next());
    if (part) this.#committed = true;
    return part?.type === "finish" ? this.#signed(part) : part;
  }

  async result(): Promise<Result> {
    const result = this.#signed(await this.#answer((source) => source.result()));
    return result.choices ? { ...result, choices: result.choices.map((choice) => this.#signed(choice)) } : result;
  }

  cancel(): void {
    this.#cancelled = true;
    this.#source.cancel();
  }

  async #answer<T>(read: (source: PartSource) => Promise<T>): Promise<T> {
    try {
      return await read(this.#source);
    } catch (error) {
      const timedOut = error instanceof R1Error && error.code === "E_TIMEOUT";
      if (!timedOut || this.#committed || this.#cancelled) throw error;
      this.#committed = true;
      this.#source = this.#second.ask();
      this.#answeredBy = this.#second.name;
      this.#switched(error);
      return read(this.#source);
    }
  }

  #signed<T extends { answeredBy?: string }>(answer: T): T {
    return this.#answeredBy === undefined ? answer : { answeredBy: this.#answeredBy, ...answer };
  }
}
