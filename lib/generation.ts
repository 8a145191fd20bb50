/** A request under way: its choices, its signal and its time limit, and the stream of parts that users iterate. */
import { Choice, type ChoiceOwner, type ChoiceSpec } from "./choice";
import type { RequestPort } from "./engine-client";
import { Interruption } from "./interruption";
import type { NativeRequest } from "./native";
import type { RunOptions } from "./options";
import type { Part, PartialResult, Result } from "./results";

/** What is known once the prompt has been encoded. */
export interface GenerationPlan {
  /** Of choice 0. */
  request: NativeRequest;
  choice: Omit<ChoiceSpec, "index">;
  /** Where it goes, if not to the client. */
  port?: RequestPort;
}

/** What yields the parts of an answer. */
export interface PartSource {
  /** The next part; undefined after the last. One call at a time. @throws what made the request fail */
  next(): Promise<Part | undefined>;
  /** Runs to the end. @throws what made the request fail */
  result(): Promise<Result>;
  /** Ends it silently: a pending next() returns undefined. */
  cancel(): void;
}

export interface GenerationOptions extends RunOptions {
  n: number;
  seed: number;
}

export class Generation implements ChoiceOwner, PartSource {
  readonly #client: RequestPort;
  readonly #options: GenerationOptions;
  readonly #prepare: (signal: AbortSignal | undefined) => Promise<GenerationPlan>;
  readonly #choices: Choice[] = [];
  readonly #ready: Part[] = [];
  /** Choices whose finish part has been made. */
  readonly #finished = new Set<Choice>();
  #started = false;
  #over = false;
  #failure: { error: unknown } | undefined;
  /** The choice whose turn it is to be read. */
  #turn = 0;
  #wake: () => void = () => {};
  readonly #interruption: Interruption;

  /** @param prepare encodes the prompt; called by the first next() */
  constructor(
    client: RequestPort,
    options: GenerationOptions,
    prepare: (signal: AbortSignal | undefined) => Promise<GenerationPlan>,
  ) {
    this.#client = client;
    this.#options = options;
    this.#prepare = prepare;
    this.#interruption = new Interruption(
      options,
      (error) => this.failed(error),
      () => this.#partial(),
    );
  }

  async next(): Promise<Part | undefined> {
    if (!this.#started) await this.#start();
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      const part = this.#ready.shift() ?? this.#take();
      if (part || this.#over) return part;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async result(): Promise<Result> {
    while (await this.next());
    const choices = this.#choices.map((choice) => choice.result());
    return choices.length > 1 ? { ...choices[0], choices } : choices[0];
  }

  cancel(): void {
    this.#close();
    for (const choice of this.#choices) choice.cancel();
  }

  changed(): void {
    if (this.#choices.every((choice) => choice.ended)) this.#interruption.stopClock();
    this.#wake();
  }

  failed(error: unknown): void {
    if (this.#over) return;
    this.#failure = { error };
    this.cancel();
  }

  async #start(): Promise<void> {
    this.#started = true;
    const { signal, n } = this.#options;
    if (!this.#over) this.#interruption.start();
    if (this.#over) return;
    try {
      const { request, choice, port = this.#client } = await this.#prepare(signal);
      for (let index = 0; index < n && !this.#over; index++) {
        const sample = { ...request.sample, choice: index };
        this.#choices.push(new Choice(port, { ...request, sample }, { ...choice, index }, this));
      }
    } catch (error) {
      this.failed(error);
    }
  }

  /** Makes text of what one choice has, the others' turn coming next. */
  #take(): Part | undefined {
    const count = this.#choices.length;
    for (let i = 0; i < count && !this.#over; i++) {
      const index = (this.#turn + i) % count;
      const parts = this.#partsOf(this.#choices[index], index);
      if (parts.length === 0) continue;
      this.#turn = index + 1;
      this.#ready.push(...parts);
      if (this.#finished.size === this.#options.n) this.#close();
      return this.#ready.shift();
    }
    return undefined;
  }

  #partsOf(choice: Choice, index: number): Part[] {
    const parts: Part[] = choice.take();
    if (choice.finished && !this.#finished.has(choice)) {
      this.#finished.add(choice);
      parts.push(choice.finishPart());
    }
    return this.#options.n > 1 ? parts.map((part) => ({ ...part, index })) : parts;
  }

  #partial(): PartialResult {
    if (this.#choices.length === 0) return nothing(this.#options.seed);
    const choices = this.#choices.map((choice) => choice.partial());
    return choices.length > 1 ? { ...choices[0], choices } : choices[0];
  }

  #close(): void {
    this.#over = true;
    this.#interruption.close();
    this.#wake();
  }
}

function nothing(seed: number): PartialResult {
  return {
    text: "",
    reasoning: "",
    tokens: [],
    finishReason: null,
    usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0, reasoningTokens: 0 },
    timings: { queue: 0, prefill: 0, decode: 0 },
    seed,
  };
}

/** Streams that were dropped before their end: nobody will read them. */
const abandoned = new FinalizationRegistry<PartSource>((generation) => generation.cancel());

/** What `stream` returns. Calls of next() may overlap; they are served in order. */
export class PartStream implements AsyncGenerator<Part, void, undefined> {
  readonly #generation: PartSource;
  #last: Promise<unknown> = Promise.resolve();
  #done = false;

  constructor(generation: PartSource) {
    this.#generation = generation;
    abandoned.register(this, generation, this);
  }

  next(): Promise<IteratorResult<Part, void>> {
    const step = this.#last.then(() => this.#step());
    this.#last = step.catch(() => {});
    return step;
  }

  /** Cancels what is not finished. Called by leaving a `for await` loop. */
  async return(): Promise<IteratorResult<Part, void>> {
    this.#close();
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<Part, void>> {
    this.#close();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
  }

  async #step(): Promise<IteratorResult<Part, void>> {
    if (this.#done) return { done: true, value: undefined };
    try {
      const value = await this.#generation.next();
      if (value && !this.#done) return { done: false, value };
    } catch (error) {
      this.#close();
      throw error;
    }
    this.#close();
    return { done: true, value: undefined };
  }

  #close(): void {
    if (this.#done) return;
    this.#done = true;
    abandoned.unregister(this);
    this.#generation.cancel();
  }
}
