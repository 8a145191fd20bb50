/** Log-probabilities of given ids: one request that generates nothing. */
import type { EngineClient, RequestEnd, RequestSink } from "./engine-client";
import { Interruption } from "./interruption";
import type { NativeLogprobs, NativeRequest } from "./native";
import type { LogprobsOptions } from "./options";
import { alternatives, type Logprobs } from "./results";

type Prepare = (signal: AbortSignal | undefined) => Promise<NativeRequest>;

/**
 * @param prepare encodes the text
 * @throws what made the request fail
 */
export function score(client: EngineClient, options: LogprobsOptions, prepare: Prepare): Promise<Logprobs> {
  return new Promise((resolve, reject) => {
    void new Scoring(client, options, resolve, reject).start(prepare);
  });
}

class Scoring implements RequestSink {
  readonly #client: EngineClient;
  readonly #options: LogprobsOptions;
  readonly #resolve: (result: Logprobs) => void;
  readonly #reject: (error: unknown) => void;
  readonly #interruption: Interruption;
  #result: Logprobs = { tokens: [], logprobs: new Float32Array() };
  #id: number | undefined;
  #over = false;

  constructor(
    client: EngineClient,
    options: LogprobsOptions,
    resolve: (result: Logprobs) => void,
    reject: (error: unknown) => void,
  ) {
    this.#client = client;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#interruption = new Interruption(
      options,
      (error) => this.#fail(error),
      () => undefined,
    );
  }

  async start(prepare: Prepare): Promise<void> {
    this.#interruption.start();
    if (this.#over) return;
    try {
      const request = await prepare(this.#options.signal);
      if (this.#over) return;
      const tokens = Array.from(request.prompt);
      this.#result = { tokens, logprobs: new Float32Array(tokens.length).fill(Number.NaN) };
      if (this.#options.top) this.#result.top = tokens.map(() => []);
      this.#id = this.#client.submit(request, this);
    } catch (error) {
      this.#fail(error);
    }
  }

  scores(first: number, scores: NativeLogprobs): void {
    this.#result.logprobs.set(scores.values, first);
    const { top } = this.#result;
    if (top) for (let i = 0; i < scores.values.length; i++) top[first + i] = alternatives(scores, i);
  }

  end(end: RequestEnd): void {
    if (this.#over) return;
    if (end.type === "error") {
      this.#fail(end.error);
    } else {
      this.#close();
      this.#resolve(this.#result);
    }
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#close();
    if (this.#id !== undefined) this.#client.cancel(this.#id);
    this.#reject(error);
  }

  #close(): void {
    this.#over = true;
    this.#interruption.close();
  }
}
