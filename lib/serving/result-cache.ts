/**
 * Stands before the engine and answers exact repeats of requests from what equal ones yielded: those that have ended,
 * and those under way (single flight). It knows ids only, so that everything made of them (parts, text, reasoning, stop
 * strings) comes about as it does for a request that the engine answers.
 */
import type { RequestEnd, RequestPort, RequestSink } from "../engine-client";
import type { NativeLogprobs, NativeRequest } from "../native";
import { requestKey, type StopContext } from "./request-key";
import { ResultStore, type StoreLimits } from "./result-store";

/** Of the result cache, since loading. */
export interface ResultCacheStats {
  /** Requests that a kept answer served, that joined an equal one under way, and that were computed. */
  hits: number;
  joined: number;
  misses: number;
  /** Answers that made room for others, and that grew older than `ttlMs`. */
  evictions: number;
  expirations: number;
  /** Kept now. */
  entries: number;
  bytes: number;
}

/** Tokens as they came, in one event. */
interface Chunk {
  tokens: Int32Array;
  logprobs: NativeLogprobs | undefined;
}

/** What the engine reports of one request: `end` is absent while it is under way. */
interface Recording {
  chunks: Chunk[];
  end?: RequestEnd;
}

/** One who reads a recording, from its start. */
interface Reader {
  sink: RequestSink;
  request: NativeRequest;
  recording: Recording;
  /** Absent where the recording is a kept one. */
  flight?: Flight;
  /** Chunks that it has had. */
  at: number;
  /** On our clock, like `firstToken`, which is 0 before it. */
  joined: number;
  firstToken: number;
  /** Another request did the work. */
  shared: boolean;
}

/** A request that the engine works on, and everyone who waits for it. */
interface Flight {
  key: string;
  request: NativeRequest;
  recording: Recording;
  id: number;
  readers: Map<number, Reader>;
  /** The last one to leave is told how the engine ended it. */
  leaving?: Reader;
}

/**
 * @example
 * const cache = new ResultCache(client, { maxEntries: 1000, maxBytes: 1 << 26, ttlMs: 3_600_000 });
 * const id = cache.port({ stop: [], reasoning: undefined }).submit(request, sink);
 */
export class ResultCache {
  readonly #engine: RequestPort;
  readonly #store: ResultStore<Recording>;
  /** The flights that equal requests may join, by their key. */
  readonly #flights = new Map<string, Flight>();
  readonly #readers = new Map<number, Reader>();
  #nextId = 1;
  #hits = 0;
  #joined = 0;
  #misses = 0;

  constructor(engine: RequestPort, limits: StoreLimits, now?: () => number) {
    this.#engine = engine;
    this.#store = new ResultStore(limits, now);
  }

  /** For requests that are a function of their options: greedy or seeded, not gated, no scores, no session. */
  port(context: StopContext): RequestPort {
    return {
      submit: (request, sink) => this.#submit(requestKey(request, context), request, sink),
      cancel: (id, complete = false) => this.#cancel(id, complete),
      verdict: () => {},
    };
  }

  stats(): ResultCacheStats {
    const { evictions } = this.#store;
    const size = this.#store.size();
    const counts = { hits: this.#hits, joined: this.#joined, misses: this.#misses };
    return { ...counts, evictions, expirations: this.#store.expirations, ...size };
  }

  /** Forgets what is kept. */
  clear(): void {
    this.#store.clear();
  }

  #submit(key: string, request: NativeRequest, sink: RequestSink): number {
    const kept = this.#store.get(key);
    if (kept) {
      this.#hits++;
      return this.#read(reader(request, sink, kept));
    }
    const flight = this.#flights.get(key);
    if (flight && mayJoin(flight, request)) {
      this.#joined++;
      return this.#read(reader(request, sink, flight.recording, flight));
    }
    return this.#start(key, request, sink);
  }

  /** Reads what is there already; later than the caller's next line, as an engine would report. */
  #read(reader: Reader): number {
    const id = this.#nextId++;
    this.#readers.set(id, reader);
    reader.flight?.readers.set(id, reader);
    queueMicrotask(() => this.#pump(id, reader));
    return id;
  }

  #start(key: string, request: NativeRequest, sink: RequestSink): number {
    const recording: Recording = { chunks: [] };
    const flight: Flight = { key, request, recording, id: 0, readers: new Map() };
    flight.id = this.#engine.submit(request, {
      tokens: (tokens, logprobs) => {
        recording.chunks.push({ tokens, logprobs });
        for (const [id, reader] of [...flight.readers]) this.#pump(id, reader);
      },
      end: (end) => this.#land(flight, end),
    });
    this.#misses++;
    if (!this.#flights.has(key)) this.#flights.set(key, flight);
    const id = this.#nextId++;
    const first: Reader = { ...reader(request, sink, recording, flight), shared: false };
    this.#readers.set(id, first);
    flight.readers.set(id, first);
    return id;
  }

  #land(flight: Flight, end: RequestEnd): void {
    const { key, recording } = flight;
    recording.end = end;
    // One that was cancelled ended where somebody left, not where the answer ends; #cancel has kept what was complete.
    if (end.type === "finish" && !flight.leaving) this.#keep(key, recording.chunks, end.reason);
    this.#forget(flight);
    for (const [id, reader] of [...flight.readers]) this.#pump(id, reader);
    flight.leaving?.sink.end(seenBy(flight.leaving, end));
  }

  /** Hands a reader all that has come since it last read. */
  #pump(id: number, reader: Reader): void {
    const { recording, sink } = reader;
    while (this.#readers.has(id) && reader.at < recording.chunks.length) {
      const { tokens, logprobs } = recording.chunks[reader.at++];
      reader.firstToken ||= performance.now();
      sink.tokens?.(tokens, logprobs);
    }
    if (!recording.end || !this.#readers.has(id)) return;
    this.#leave(id, reader);
    sink.end(seenBy(reader, recording.end));
  }

  /** The work goes on as long as somebody waits for it. */
  #cancel(id: number, complete: boolean): void {
    const reader = this.#readers.get(id);
    if (!reader) return;
    const { flight, recording } = reader;
    this.#leave(id, reader);
    const underWay = flight !== undefined && !recording.end;
    if (underWay && complete) {
      this.#keep(flight.key, recording.chunks.slice(0, reader.at), "stop");
      this.#forget(flight);
    }
    if (underWay && flight.readers.size === 0) {
      flight.leaving = reader;
      this.#forget(flight);
      this.#engine.cancel(flight.id, complete);
    } else {
      queueMicrotask(() => reader.sink.end({ type: "cancelled", ...ownFigures(reader) }));
    }
  }

  #leave(id: number, reader: Reader): void {
    this.#readers.delete(id);
    reader.flight?.readers.delete(id);
  }

  /** Nobody else joins it. */
  #forget(flight: Flight): void {
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
  }

  #keep(key: string, chunks: Chunk[], reason: "stop" | "length"): void {
    const whole = joinChunks(chunks);
    const end: RequestEnd = { type: "finish", reason, cachedTokens: 0, timings: { queue: 0, prefill: 0, decode: 0 } };
    this.#store.set(key, { chunks: [whole], end }, chunkBytes(whole));
  }
}

function reader(request: NativeRequest, sink: RequestSink, recording: Recording, flight?: Flight): Reader {
  return { request, sink, recording, flight, at: 0, joined: performance.now(), firstToken: 0, shared: true };
}

/**
 * Whether the request is served as it asks: in a flight of its own priority, and not by one whose waiting for its turn
 * may end earlier or later than this one's would.
 */
function mayJoin({ request: first, recording }: Flight, request: NativeRequest): boolean {
  const started = recording.chunks.length > 0;
  return (
    first.priority === request.priority && (started || (first.queueTimeoutMs === 0 && request.queueTimeoutMs === 0))
  );
}

/** How the end looks to a reader: who did not do the work has figures of its own. */
function seenBy(reader: Reader, end: RequestEnd): RequestEnd {
  return end.type === "error" || !reader.shared ? end : { ...end, ...ownFigures(reader) };
}

/** Nothing of a prompt is computed for who shares the work of another. */
function ownFigures({ request, joined, firstToken, shared }: Reader) {
  const now = performance.now();
  const first = firstToken || now;
  const timings = { queue: 0, prefill: first - joined, decode: now - first };
  return { cachedTokens: shared ? request.prompt.length : 0, timings, shared };
}

function joinChunks(chunks: Chunk[]): Chunk {
  const tokens = Int32Array.from(chunks.flatMap((chunk) => [...chunk.tokens]));
  const runs = chunks.flatMap(({ logprobs }) => (logprobs ? [logprobs] : []));
  if (runs.length === 0) return { tokens, logprobs: undefined };
  const logprobs: NativeLogprobs = {
    count: runs[0].count,
    values: Float32Array.from(runs.flatMap((run) => [...run.values])),
    topTokens: Int32Array.from(runs.flatMap((run) => [...run.topTokens])),
    topValues: Float32Array.from(runs.flatMap((run) => [...run.topValues])),
  };
  return { tokens, logprobs };
}

function chunkBytes({ tokens, logprobs }: Chunk): number {
  const scores = logprobs ? [logprobs.values, logprobs.topTokens, logprobs.topValues] : [];
  return [tokens, ...scores].reduce((sum, list) => sum + list.byteLength, 0);
}
