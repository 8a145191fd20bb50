/** What a loaded model reports of itself: listeners, and streams of everything. */
import type { Warning } from "../load-options";
import type { ThresholdChange } from "./thresholds";

/** A step that the engine took because its KV cache was full. */
export interface Pressure {
  /**
   * `swapped`: a request's keys and values were moved to host memory; `recomputed`: they were given up, and will be
   * computed again; `restored`: they were copied back; `smaller-batch`: fewer requests run at a time from now on;
   * `session-swapped`, `session-dropped`: an idle session's were moved to host memory, or given up.
   */
  action: "swapped" | "recomputed" | "restored" | "smaller-batch" | "session-swapped" | "session-dropped";
  /** KV blocks of 64 tokens that were freed, or taken again. */
  blocks: number;
  bytes: number;
  /** `id` of the session, where it was one's. */
  session?: number;
}

/** What `model.on` reports, by name. */
export interface ModelEvents {
  /** Those raised while loading come too, soon after the first listener is there. */
  warning: Warning;
  pressure: Pressure;
  /** Memory, latency or GPU use has entered another state. Watched only while somebody listens. */
  threshold: ThresholdChange;
  disposed: undefined;
}

/** An event as `model.events()` yields it. */
export type ModelEvent =
  | ({ type: "warning" } & Warning)
  | ({ type: "pressure" } & Pressure)
  | ({ type: "threshold" } & ThresholdChange)
  | { type: "disposed" };

export type EventName = keyof ModelEvents;
export type Listener<E extends EventName> = (event: ModelEvents[E]) => void;

const names: readonly EventName[] = ["warning", "pressure", "threshold", "disposed"];
/** Warnings kept for a first listener, and events kept for a slow reader of a stream: the oldest are dropped. */
const mostKept = 1000;

/** A listener that throws keeps nobody else from hearing; its error is an uncaught exception. */
export function tell<T>(listener: (value: T) => void, value: T): void {
  try {
    listener(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

export class EventHub {
  readonly #listeners: { [E in EventName]: Set<Listener<E>> } = {
    warning: new Set(),
    pressure: new Set(),
    threshold: new Set(),
    disposed: new Set(),
  };
  readonly #warnings: Warning[];
  readonly #watch: (wanted: boolean) => void;
  #disposed = false;

  /**
   * @param warnings those raised so far
   * @param watch called when thresholds begin to be of interest, and when they no longer are
   */
  constructor(warnings: Warning[], watch: (wanted: boolean) => void) {
    this.#warnings = warnings;
    this.#watch = watch;
  }

  /** @returns a function that stops listening. @throws TypeError */
  on<E extends EventName>(event: E, listener: Listener<E>): () => void {
    if (!names.includes(event)) throw new TypeError(`Unknown event "${event}"; expected ${names.join(", ")}.`);
    if (typeof listener !== "function") throw new TypeError("The listener must be a function.");
    const listeners = this.#listeners[event] as Set<Listener<E>>;
    // Each call listens by itself, even with the same function.
    const own: Listener<E> = (value) => listener(value);
    listeners.add(own);
    if (event === "warning") this.#replay();
    if (event === "threshold" && listeners.size === 1 && !this.#disposed) this.#watch(true);
    return () => {
      const listened = listeners.delete(own);
      if (listened && event === "threshold" && listeners.size === 0) this.#watch(false);
    };
  }

  emit<E extends EventName>(event: E, value: ModelEvents[E]): void {
    const listeners = this.#listeners[event] as Set<Listener<E>>;
    if (event === "warning" && listeners.size === 0) {
      this.#warnings.push(value as Warning);
      if (this.#warnings.length > mostKept) this.#warnings.shift();
    }
    for (const listener of [...listeners]) tell(listener, value);
  }

  /** The last event; thresholds are watched no more. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#listeners.threshold.size > 0) this.#watch(false);
    this.emit("disposed", undefined);
  }

  /** Everything from now on; ends behind "disposed". */
  stream(): AsyncGenerator<ModelEvent, void, undefined> {
    return new EventStream(this, this.#disposed);
  }

  #replay(): void {
    queueMicrotask(() => {
      for (const warning of this.#warnings.splice(0)) this.emit("warning", warning);
    });
  }
}

/** Listens from its making on, so that nothing is missed between two reads. */
class EventStream implements AsyncGenerator<ModelEvent, void, undefined> {
  readonly #kept: ModelEvent[] = [];
  readonly #waiting: ((result: IteratorResult<ModelEvent, void>) => void)[] = [];
  readonly #leave: (() => void)[];
  #over: boolean;

  constructor(hub: EventHub, over: boolean) {
    this.#over = over;
    this.#leave = over
      ? []
      : [
          hub.on("warning", (event) => this.#push({ type: "warning", ...event })),
          hub.on("pressure", (event) => this.#push({ type: "pressure", ...event })),
          hub.on("threshold", (event) => this.#push({ type: "threshold", ...event })),
          hub.on("disposed", () => {
            this.#push({ type: "disposed" });
            this.#close();
          }),
        ];
  }

  next(): Promise<IteratorResult<ModelEvent, void>> {
    const value = this.#kept.shift();
    if (value) return Promise.resolve({ done: false, value });
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async return(): Promise<IteratorResult<ModelEvent, void>> {
    this.#kept.length = 0;
    this.#close();
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<ModelEvent, void>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #push(value: ModelEvent): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting({ done: false, value });
    else this.#kept.push(value);
    if (this.#kept.length > mostKept) this.#kept.shift();
  }

  #close(): void {
    this.#over = true;
    for (const leave of this.#leave.splice(0)) leave();
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }
}
