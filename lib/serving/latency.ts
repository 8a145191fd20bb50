/** Stands before the engine and takes the time that each request waits for its first token. */
import type { RequestPort, RequestSink } from "../engine-client";
import type { NativeRequest } from "../native";

/** What counts as recent, and how many requests are kept at most. */
const windowMs = 60_000;
const mostKept = 1024;

export class LatencyWatch implements RequestPort {
  readonly #engine: RequestPort;
  readonly #now: () => number;
  /** When each request came that has no token yet. */
  readonly #waiting = new Map<number, number>();
  /** Times to the first token, by when it came. */
  #past: { at: number; ms: number }[] = [];

  constructor(engine: RequestPort, now: () => number = () => performance.now()) {
    this.#engine = engine;
    this.#now = now;
  }

  submit(request: NativeRequest, sink: RequestSink): number {
    const submitted = this.#now();
    let waits = true;
    const id: number = this.#engine.submit(request, {
      tokens: (tokens, logprobs) => {
        if (waits) {
          waits = false;
          this.#waiting.delete(id);
          this.#add(submitted);
        }
        sink.tokens?.(tokens, logprobs);
      },
      gate: (logits, index) => sink.gate?.(logits, index),
      end: (end) => {
        this.#waiting.delete(id);
        sink.end(end);
      },
    });
    this.#waiting.set(id, submitted);
    return id;
  }

  cancel(id: number): void {
    this.#engine.cancel(id);
  }

  verdict(id: number, token: number): void {
    this.#engine.verdict(id, token);
  }

  /** Milliseconds to the first token of the last minute's requests; of those that still wait, the time so far. */
  recent(): number[] {
    const now = this.#now();
    this.#past = this.#past.filter(({ at }) => at > now - windowMs);
    const waits = Array.from(this.#waiting.values(), (submitted) => now - submitted);
    return [...this.#past.map(({ ms }) => ms), ...waits];
  }

  #add(submitted: number): void {
    const at = this.#now();
    this.#past.push({ at, ms: at - submitted });
    if (this.#past.length > 2 * mostKept) this.#past = this.#past.slice(-mostKept);
  }
}
