/** A native engine without a model: tests say what it reports and see what it was asked. */
import type { EngineLoadOptions } from "../../lib/engine-client";
import type {
  NativeBinding,
  NativeEngine,
  NativeEngineInfo,
  NativeEvent,
  NativeLoadSpec,
  NativeRequest,
  NativeSessionState,
  NativeStats,
} from "../../lib/native";

export const info: NativeEngineInfo = {
  device: { kind: "cpu", name: "fake", detail: "", totalBytes: 1, freeBytes: 1 },
  weightBytes: 10,
  kvBytesPerToken: 2,
  kvType: "f32",
  kvMaxBytes: 1000,
  workspaceBytes: 5,
  contextLength: 500,
  loadMs: { device: 1, weights: 2, warmup: 3 },
};

export const timings = { queue: 1, prefill: 2, decode: 3 };

const noStats: NativeStats = {
  running: 0,
  waiting: 0,
  preempted: 0,
  swapped: 0,
  kvBlocks: 0,
  kvBlocksUsed: 0,
  kvBlocksCached: 0,
  kvBlocksFree: 0,
  kvBlocksMax: 0,
  blockBytes: 0,
  sessions: 0,
  sessionBlocks: 0,
  steps: 0,
  promptTokens: 0,
  cachedTokens: 0,
  generatedTokens: 0,
  preemptions: 0,
  stepMs: 0,
  interTokenMs: 0,
  hostMsPerStep: 0,
  limits: { sequences: 0, stepTokens: 0 },
  tokensPerSecond: 0,
};

export class FakeEngine implements NativeEngine {
  readonly requests = new Map<number, NativeRequest>();
  readonly cancelled: number[] = [];
  readonly verdicts: [number, number][] = [];
  disposeCalls = 0;
  readonly #wake: () => void;
  #events: NativeEvent[] = [];
  #next = 1;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Reports events, as one wake-up. */
  emit(...events: NativeEvent[]): void {
    this.#events.push(...events);
    this.#wake();
  }

  ready(): void {
    this.emit({ type: "ready", info });
  }

  tokens(id: number, ...tokens: number[]): void {
    this.emit({ type: "tokens", id, tokens: Int32Array.from(tokens) });
  }

  finish(id: number, reason: "stop" | "length" = "length"): void {
    this.emit({ type: "finish", id, reason, cachedTokens: 4, timings });
  }

  submit(request: NativeRequest): number {
    this.requests.set(this.#next, request);
    return this.#next++;
  }

  cancel(id: number): void {
    this.cancelled.push(id);
  }

  verdict(id: number, token: number): void {
    this.verdicts.push([id, token]);
  }

  drain(): NativeEvent[] {
    return this.#events.splice(0);
  }

  stats() {
    return { ...noStats, running: this.requests.size };
  }

  readonly dropped: number[] = [];
  #sessions = 0;

  createSession(): number {
    return ++this.#sessions;
  }

  forkSession(): number {
    return ++this.#sessions;
  }

  dropSession(id: number): void {
    this.dropped.push(id);
  }

  sessionState(): Promise<NativeSessionState> {
    return Promise.resolve({ tokens: new Int32Array(), decoded: new Int32Array(), computed: 0, open: false });
  }

  readSession(): Promise<ArrayBuffer> {
    return Promise.resolve(new ArrayBuffer(0));
  }

  async fillSession(): Promise<void> {}

  async writeSession(): Promise<void> {}

  async sealSession(): Promise<void> {}

  dispose(): void {
    this.disposeCalls++;
  }
}

/** A binding whose engines are fakes; `engines` has those made so far. */
export function fakeBinding(): { native: NativeBinding; engines: FakeEngine[]; options: EngineLoadOptions } {
  const engines: FakeEngine[] = [];
  const native: NativeBinding = {
    createEngine(_spec: NativeLoadSpec, wake: () => void) {
      engines.push(new FakeEngine(wake));
      return engines.at(-1)!;
    },
    describeCuda: () => "there is no GPU here",
    gpuStatus: () => null,
    measureCeilings: () => Promise.reject(new Error("not measured")),
    measureLoadCeilings: async () => ({ readBytesPerS: 0, uploadBytesPerS: 0 }),
    timeSteps: () => Promise.reject(new Error("not measured")),
    version: "0",
  };
  return { native, engines, options: { native } };
}
