/** One turn of a session: the request to the engine, and the answer on its way to the reader. */
import type { RequestPort, RequestSink } from "../engine-client";
import type { PartSource } from "../generation";
import type { NativeRequest } from "../native";
import type { FinishReason, Part, Result } from "../results";
import type { Message } from "../text/messages";

/** What a turn adds to its conversation. */
export interface Answer {
  text: string;
  reasoning: string;
  tokens: readonly number[];
  finishReason: FinishReason;
}

/** Who is told how a turn went. */
export interface TurnOwner {
  /** All of the answer has been read. */
  completed(turn: Turn, answer: Answer): void;
  /** Called once, behind `completed` if there was an answer. */
  ended(turn: Turn): void;
}

/** A turn's request. */
export interface Asked {
  prompt: Int32Array;
  /** Ids that end the answer. */
  stop: ReadonlySet<number>;
}

/** Reads an answer for somebody and tells the session when that is over, whichever way. */
export class Turn implements PartSource {
  /** What is said, before the answer. */
  readonly further: readonly Message[];
  /** Undefined until the prompt has been encoded. */
  asked: Asked | undefined;
  readonly #source: PartSource;
  readonly #owner: TurnOwner;
  #text = "";
  #over = false;
  #failure: { error: unknown } | undefined;

  constructor(further: readonly Message[], source: PartSource, owner: TurnOwner) {
    this.further = further;
    this.#source = source;
    this.#owner = owner;
  }

  async next(): Promise<Part | undefined> {
    const part = await this.#read(() => this.#source.next());
    if (part?.type === "text") this.#text += part.text;
    if (part?.type === "finish") this.#complete({ ...part, text: this.#text });
    else if (!part) this.#end();
    return part;
  }

  async result(): Promise<Result> {
    const result = await this.#read(() => this.#source.result());
    this.#complete(result);
    return result;
  }

  cancel(): void {
    this.#source.cancel();
    this.#end();
  }

  /** Ends it; who reads it, or comes to do so, gets the error. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#failure = { error };
    this.cancel();
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    try {
      const value = await read();
      if (!this.#failure) return value;
    } catch (error) {
      this.#end();
      if (!this.#failure) throw error;
    }
    throw this.#failure.error;
  }

  #complete(answer: Answer): void {
    if (!this.#over) this.#owner.completed(this, answer);
    this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.ended(this);
  }
}

/** The way of a session's requests to the engine, which takes one at a time. */
export class SessionPort implements RequestPort {
  readonly #engine: RequestPort;
  #free: Promise<void> = Promise.resolve();

  constructor(engine: RequestPort) {
    this.#engine = engine;
  }

  /** Resolves when the engine is done with the last request: one that was cancelled ends a moment later. */
  get free(): Promise<void> {
    return this.#free;
  }

  submit(request: NativeRequest, sink: RequestSink): number {
    let free = () => {};
    const id = this.#engine.submit(request, {
      tokens: (tokens, logprobs) => sink.tokens?.(tokens, logprobs),
      gate: (logits, index) => sink.gate?.(logits, index),
      end: (end) => {
        free();
        sink.end(end);
      },
    });
    this.#free = new Promise((resolve) => {
      free = resolve;
    });
    return id;
  }

  cancel(id: number): void {
    this.#engine.cancel(id);
  }

  verdict(id: number, token: number): void {
    this.#engine.verdict(id, token);
  }
}
