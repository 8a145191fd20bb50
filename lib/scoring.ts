/** Log-probabilities of given ids: one request that generates nothing. */
import type { EngineClient, RequestEnd, RequestSink } from "./engine-client";
import { Interruption } from "./interruption";
import type { NativeLogprobs, NativeRequest } from "./native";
import type { LogprobsOptions } from "./options";
import { alternatives, type Logprobs } from "./results";

/** @throws what made the request fail */
export function score(client: EngineClient, request: NativeRequest, options: LogprobsOptions): Promise<Logprobs> {
  return new Promise((resolve, reject) => {
    new Scoring(client, request, options, resolve, reject).start();
  });
}

class Scoring implements RequestSink {
  readonly #client: EngineClient;
  readonly #request: NativeRequest;
  readonly #result: Logprobs;
  readonly #resolve: (result: Logprobs) => void;
  readonly #reject: (error: unknown) => void;
  readonly #interruption: Interruption;
  #id: number | undefined;
  #over = false;

  constructor(
    client: EngineClient,
    request: NativeRequest,
    options: LogprobsOptions,
    resolve: (result: Logprobs) => void,
    reject: (error: unknown) => void,
  ) {
    this.#client = client;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#interruption = new Interruption(
      options,
      (error) => this.#fail(error),
      () => undefined,
    );
    const tokens = Array.from(request.prompt);
    this.#result = { tokens, logprobs: new Float32Array(tokens.length).fill(Number.NaN) };
    if (options.top) this.#result.top = tokens.map(() => []);
  }

  start(): void {
    this.#interruption.start();
    if (this.#over) return;
    try {
      this.#id = this.#client.submit(this.#request, this);
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
