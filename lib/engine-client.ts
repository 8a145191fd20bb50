/**
 * One native engine and the requests open on it: drains its events on each wake-up and routes every one to the sink of
 * its request. Knows nothing of text; `model.ts` and the benches stand on it.
 */
import { AbortError, errorCodes, R1Error } from "./errors";
import {
  binding,
  type NativeBinding,
  type NativeEngine,
  type NativeEngineInfo,
  type NativeEvent,
  type NativeFailure,
  type NativeLoadSpec,
  type NativeLogprobs,
  type NativeRequest,
  type NativeSessionState,
  type NativeStats,
  type NativeTimings,
} from "./native";

/** How a request ended. `shared`: another one did the work, lib/serving/result-cache.ts. */
export type RequestEnd =
  | { type: "finish"; reason: "stop" | "length"; cachedTokens: number; timings: NativeTimings; shared?: boolean }
  | { type: "cancelled"; cachedTokens: number; timings: NativeTimings; shared?: boolean }
  | { type: "error"; error: Error };

/** Where a request's events go. Called from the wake-up, in order, `end` last; must not throw. */
export interface RequestSink {
  tokens?(tokens: Int32Array, logprobs: NativeLogprobs | undefined): void;
  scores?(first: number, logprobs: NativeLogprobs): void;
  gate?(logits: Float32Array, index: number): void;
  end(end: RequestEnd): void;
}

/** Where requests go: an engine, or what stands before it. */
export interface RequestPort {
  /** @returns the request's id. @throws R1Error when it cannot be taken */
  submit(request: NativeRequest, sink: RequestSink): number;
  /** Its sink's `end` follows. `complete`: what has come is all that was wanted; otherwise nobody wants it any more. */
  cancel(id: number, complete?: boolean): void;
  /** Answers a gate with the token to append. */
  verdict(id: number, token: number): void;
}

/** KV blocks are short: what the engine did about it. */
export type PressureEvent = Extract<NativeEvent, { type: "pressure" }>;

/** How far a load is. Reports come often while weights are read, and at least once per stage. */
export interface LoadProgress {
  /** What is being done: comparing memory with what there is, taking it, reading weights, the first steps. */
  stage: "check" | "allocate" | "weights" | "warmup";
  /** Of the weights that are on the device or, up to 128 MiB, on their way there, as they are kept there. */
  bytes: number;
  /** 0 until it is known. */
  totalBytes: number;
  tensors: number;
  totalTensors: number;
}

export interface EngineLoadOptions {
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
  /** The addon; another one in tests. */
  native?: NativeBinding;
}

const DISPOSED = "The model was disposed. Load it again to go on.";

interface Settler {
  resolve(client: EngineClient): void;
  reject(error: unknown): void;
}

type Routes = { [T in NativeEvent["type"]]: (event: Extract<NativeEvent, { type: T }>) => void };

/**
 * Clients with something under way. The engine's wake-up refers to its client weakly, so that a model nobody refers to
 * any more is collected and its engine disposed; while promises wait for an engine, its client stays here.
 */
const busy = new Set<EngineClient>();

/** Disposes the engine of a client that was dropped without dispose(). */
const dropped = new FinalizationRegistry<NativeEngine>((engine) => engine.dispose());

/**
 * @example
 * const client = await EngineClient.load(spec);
 * const id = client.submit(request, { tokens: (ids) => …, end: (how) => … });
 * await client.dispose();
 */
export class EngineClient implements RequestPort {
  /** Told of each step the engine takes because KV blocks are short. */
  onPressure: ((event: PressureEvent) => void) | undefined;
  readonly #sinks = new Map<number, RequestSink>();
  #engine!: NativeEngine;
  #info: NativeEngineInfo | undefined;
  #loading: Settler | undefined;
  #unlisten: () => void = () => {};
  #onProgress: EngineLoadOptions["onProgress"];
  /** Why nothing can be submitted any more. */
  #closed: R1Error | undefined;
  #disposal: Promise<void> | undefined;
  #disposed: () => void = () => {};
  /** The engine's last event has come. */
  #gone = false;
  /** Promises that wait for the engine. */
  #calls = 0;

  readonly #routes: Routes = {
    progress: (event) => this.#progress(event),
    ready: (event) => this.#ready(event.info),
    "load-failed": (event) => this.#failLoad(toError(event.error)),
    tokens: (event) => this.#sinks.get(event.id)?.tokens?.(event.tokens, event.logprobs),
    scores: (event) => this.#sinks.get(event.id)?.scores?.(event.first, event.logprobs),
    gate: (event) => this.#sinks.get(event.id)?.gate?.(event.logits, event.index),
    finish: (event) => this.#end(event.id, event),
    cancelled: (event) => this.#end(event.id, event),
    error: (event) => this.#end(event.id, { type: "error", error: toError(event.error) }),
    pressure: (event) => this.onPressure?.(event),
    failed: (event) => this.#close(toError(event.error)),
    disposed: () => {
      this.#gone = true;
      this.#disposed();
    },
  };

  private constructor(onProgress: EngineLoadOptions["onProgress"]) {
    this.#onProgress = onProgress;
  }

  /**
   * Starts an engine and waits until it is ready. When loading fails or is aborted, the promise rejects after all memory
   * is back.
   *
   * @throws R1Error as the engine reports; AbortError
   */
  static load(spec: NativeLoadSpec, options: EngineLoadOptions = {}): Promise<EngineClient> {
    const { signal, onProgress, native = binding() } = options;
    if (signal?.aborted) return Promise.reject(new AbortError(signal.reason, undefined));
    const client = new EngineClient(onProgress);
    return new Promise<EngineClient>((resolve, reject) => {
      const abort = () => client.#failLoad(new AbortError(signal?.reason, undefined));
      client.#loading = { resolve, reject };
      client.#unlisten = () => signal?.removeEventListener("abort", abort);
      const engine: { current?: NativeEngine } = {};
      client.#engine = native.createEngine(spec, wakeUp(new WeakRef(client), engine));
      engine.current = client.#engine;
      dropped.register(client, client.#engine, client);
      client.#hold();
      signal?.addEventListener("abort", abort);
    });
  }

  get info(): NativeEngineInfo {
    return this.#info as NativeEngineInfo;
  }

  /** Set once the model was disposed or its device lost: every submit throws it. */
  get closed(): R1Error | undefined {
    return this.#closed;
  }

  /** @returns the request's id. @throws R1Error E_DISPOSED, or what put the engine in its failed state */
  submit(request: NativeRequest, sink: RequestSink): number {
    if (this.#closed) throw this.#closed;
    const id = this.#engine.submit(request);
    if (id === 0) throw new R1Error("E_DISPOSED", DISPOSED);
    this.#sinks.set(id, sink);
    this.#hold();
    return id;
  }

  /** Its sink's `end` follows; nothing happens when it has ended already. */
  cancel(id: number): void {
    if (this.#sinks.has(id)) this.#engine.cancel(id);
  }

  /** Answers a gate with the token to append. */
  verdict(id: number, token: number): void {
    if (this.#sinks.has(id)) this.#engine.verdict(id, token);
  }

  stats(): NativeStats {
    return this.#engine.stats();
  }

  // ---- sessions: lib/native.ts says what each does

  /** @throws R1Error E_DISPOSED, or what put the engine in its failed state */
  createSession(): number {
    if (this.#closed) throw this.#closed;
    return this.#engine.createSession();
  }

  /** @throws R1Error as {@link createSession} */
  forkSession(id: number): number {
    if (this.#closed) throw this.#closed;
    return this.#engine.forkSession(id);
  }

  /** Nothing happens when the engine is gone. */
  dropSession(id: number): void {
    this.#engine.dropSession(id);
  }

  sessionState(id: number): Promise<NativeSessionState> {
    return this.#call((engine) => engine.sessionState(id));
  }

  readSession(id: number, layer: number, first: number, count: number): Promise<ArrayBuffer> {
    return this.#call((engine) => engine.readSession(id, layer, first, count));
  }

  fillSession(id: number, tokens: Int32Array, decoded: Int32Array): Promise<void> {
    return this.#call((engine) => engine.fillSession(id, tokens, decoded));
  }

  writeSession(id: number, layer: number, first: number, count: number, data: ArrayBuffer): Promise<void> {
    return this.#call((engine) => engine.writeSession(id, layer, first, count, data));
  }

  sealSession(id: number): Promise<void> {
    return this.#call((engine) => engine.sealSession(id));
  }

  /** @throws R1Error what the engine rejects with */
  async #call<T>(call: (engine: NativeEngine) => Promise<T>): Promise<T> {
    if (this.#closed) throw this.#closed;
    this.#calls++;
    this.#hold();
    try {
      return await call(this.#engine);
    } catch (error) {
      throw isFailure(error) ? toError(error) : error;
    } finally {
      this.#calls--;
      this.#hold();
    }
  }

  /** Rejects what is open with E_DISPOSED; resolves when all memory is back. May be called again, and while loading. */
  dispose(): Promise<void> {
    if (!this.#disposal) {
      this.#disposal = new Promise<void>((resolve) => {
        this.#disposed = resolve;
      });
      dropped.unregister(this);
      this.#close(new R1Error("E_DISPOSED", DISPOSED));
      this.#hold();
      this.#engine.dispose();
    }
    return this.#disposal;
  }

  /** Hands over what the engine has reported. Called on its wake-ups. @internal */
  drain(): void {
    for (const event of this.#engine.drain()) (this.#routes[event.type] as (event: NativeEvent) => void)(event);
    this.#hold();
  }

  #progress({ stage, bytes, totalBytes, tensors, totalTensors }: LoadProgress): void {
    if (!this.#loading || !this.#onProgress) return;
    try {
      this.#onProgress({ stage, bytes, totalBytes, tensors, totalTensors });
    } catch (error) {
      this.#failLoad(error);
    }
  }

  #ready(info: NativeEngineInfo): void {
    this.#info = info;
    this.#endLoading()?.resolve(this);
  }

  /** Gives the memory back first, so that the caller can load again at once. */
  #failLoad(error: unknown): void {
    const loading = this.#endLoading();
    if (loading) this.dispose().then(() => loading.reject(error));
  }

  #endLoading(): Settler | undefined {
    const loading = this.#loading;
    this.#loading = undefined;
    this.#onProgress = undefined;
    this.#unlisten();
    return loading;
  }

  #close(error: R1Error): void {
    this.#closed ??= error;
    this.#endLoading()?.reject(error);
    for (const id of [...this.#sinks.keys()]) this.#end(id, { type: "error", error });
  }

  #end(id: number, end: RequestEnd): void {
    const sink = this.#sinks.get(id);
    this.#sinks.delete(id);
    sink?.end(end);
  }

  /** Keeps the client from being collected as long as something waits for it. */
  #hold(): void {
    const disposing = this.#disposal !== undefined && !this.#gone;
    if (this.#loading || this.#sinks.size > 0 || this.#calls > 0 || disposing) busy.add(this);
    else busy.delete(this);
  }
}

/**
 * In a function of its own, so that the closure holds the client weakly. Once that is gone, the events of its engine's
 * disposal still have to be taken, or the engine would keep the process alive.
 */
function wakeUp(client: WeakRef<EngineClient>, engine: { current?: NativeEngine }): () => void {
  return () => {
    const owner = client.deref();
    if (owner) owner.drain();
    else engine.current?.drain();
  };
}

const isFailure = (error: unknown): error is NativeFailure =>
  error instanceof Error && Object.hasOwn(errorCodes, String((error as Partial<NativeFailure>).code));

function toError({ code, message }: NativeFailure): R1Error {
  return new R1Error(code, message);
}
