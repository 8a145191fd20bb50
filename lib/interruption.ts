/** What may end a request from outside: its signal and its time limit. */
import { AbortError, R1Error } from "./errors";
import type { RunOptions } from "./options";
import type { PartialResult } from "./results";

export class Interruption {
  readonly #options: RunOptions;
  readonly #fail: (error: unknown) => void;
  readonly #partial: () => PartialResult | undefined;
  readonly #abort = () => this.#fail(new AbortError(this.#options.signal?.reason, this.#partial()));
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param fail called with what the request is to reject with
   * @param partial what an AbortError carries
   */
  constructor(options: RunOptions, fail: (error: unknown) => void, partial: () => PartialResult | undefined) {
    this.#options = options;
    this.#fail = fail;
    this.#partial = partial;
  }

  /** Begins to watch; a signal that has fired already fails the request at once. */
  start(): void {
    const { signal, timeoutMs } = this.#options;
    if (signal?.aborted) {
      this.#abort();
      return;
    }
    signal?.addEventListener("abort", this.#abort, { once: true });
    if (timeoutMs !== undefined) this.#timer = setTimeout(() => this.#timeOut(timeoutMs), timeoutMs).unref();
  }

  /** The work is done in time; the result has yet to be read. */
  stopClock(): void {
    clearTimeout(this.#timer);
  }

  close(): void {
    this.stopClock();
    this.#options.signal?.removeEventListener("abort", this.#abort);
  }

  #timeOut(limit: number): void {
    this.#fail(
      new R1Error("E_TIMEOUT", `The request took longer than its timeoutMs of ${limit}. Allow more, or ask for less.`),
    );
  }
}
