/** The engine's step loop on a backend that computes nothing (csrc/testing/test_engine.h), driven round by round. */
import type { NativeEvent, NativeRequest, NativeSessionState, NativeStats } from "../../lib/native";
import { request } from "./engine";
import { type RecordedStep, type TestEngine, type TestEngineOptions, testAddon } from "./test-addon";

/** How a request went. Milliseconds on the engine's clock. */
export interface Run {
  id: number;
  asked: NativeRequest;
  /** Ranges of its prompt that its session's earlier requests have generated. */
  decoded: Int32Array;
  submitted: number;
  tokens: number[];
  /** Of a score request. */
  scores: number[];
  /** When each token was there. */
  times: number[];
  end?: Extract<NativeEvent, { type: "finish" | "cancelled" | "error" }>;
  ended?: number;
}

/** An engine and the requests it has been given. Every round is checked in C++; a broken rule throws. */
export class Simulation {
  readonly engine: TestEngine;
  readonly runs = new Map<number, Run>();
  readonly pressure: Extract<NativeEvent, { type: "pressure" }>[] = [];
  readonly steps: RecordedStep[] = [];
  rounds = 0;
  /** Whether verdicts wait for answerGates(). */
  holdGates = false;
  readonly #gates: { run: Run; index: number }[] = [];

  constructor(options: TestEngineOptions) {
    this.engine = new (testAddon().TestEngine)(options);
  }

  submit(asked: Parameters<typeof request>[0]): Run {
    const whole = request(asked);
    const decoded = whole.session === 0 ? new Int32Array() : this.#decodedOf(whole);
    const submitted = this.engine.now();
    const id = this.engine.submit(whole);
    const run: Run = { id, asked: whole, decoded, submitted, tokens: [], scores: [], times: [] };
    this.runs.set(id, run);
    this.#drain();
    return run;
  }

  /** As far as the prompt begins with what the session holds, the last token excepted, what it has generated stays so. */
  #decodedOf({ session, prompt }: NativeRequest): Int32Array {
    let state: NativeSessionState;
    try {
      state = this.engine.sessionState(session);
    } catch {
      return new Int32Array(); // the request is refused
    }
    const { tokens, decoded } = state;
    const most = Math.min(tokens.length, prompt.length - 1);
    let common = 0;
    while (common < most && tokens[common] === prompt[common]) common++;
    const ranges: number[] = [];
    for (let i = 0; i < decoded.length && decoded[i] < common; i += 2) {
      ranges.push(decoded[i], Math.min(decoded[i + 1], common));
    }
    return Int32Array.from(ranges);
  }

  cancel(run: Run): void {
    this.engine.cancel(run.id);
    this.#drain();
  }

  /** A round. Whether there was anything to do. */
  round(): boolean {
    const worked = this.engine.iterate();
    this.rounds++;
    this.steps.push(...this.engine.takeSteps());
    this.#drain();
    return worked;
  }

  /** Until nothing is left to do. @throws when that takes more than `most` rounds */
  finish(most = 100_000): void {
    for (let i = 0; this.round(); i++) if (i > most) throw new Error(`not finished after ${most} rounds`);
  }

  stats(): NativeStats {
    return this.engine.stats();
  }

  /** What the request yields alone. */
  expected({ asked, decoded }: Run): number[] {
    return Array.from(this.engine.expected(asked.prompt, asked.maxNewTokens, asked.stopTokens, decoded));
  }

  open(): Run[] {
    return [...this.runs.values()].filter((run) => !run.end);
  }

  /** Requests that wait for a verdict. */
  get gates(): number {
    return this.#gates.filter(({ run }) => !run.end).length;
  }

  /** Chooses what the request would have drawn alone. */
  answerGates(): void {
    for (const { run, index } of this.#gates.splice(0)) this.engine.verdict(run.id, this.expected(run)[index]);
    this.#drain();
  }

  #drain(): void {
    for (const event of this.engine.drain()) {
      if (event.type === "pressure") this.pressure.push(event);
      const run = "id" in event ? this.runs.get(event.id) : undefined;
      if (run) this.#take(run, event);
    }
    if (this.#gates.length > 0 && !this.holdGates) this.answerGates();
  }

  #take(run: Run, event: NativeEvent): void {
    const now = this.engine.now();
    if (event.type === "tokens") {
      run.tokens.push(...event.tokens);
      for (let n = event.tokens.length; n > 0; n--) run.times.push(now);
    } else if (event.type === "scores") {
      run.scores.push(...event.logprobs.values);
    } else if (event.type === "gate") {
      this.#gates.push({ run, index: event.index });
    } else if (event.type === "finish" || event.type === "cancelled" || event.type === "error") {
      run.end = event;
      run.ended = now;
    }
  }
}

const TOKENS = 997;

/** `length` tokens of a family: two prompts of a family are equal as far as both go, others differ in every block. */
export function prompt(length: number, family: number): Int32Array {
  return Int32Array.from({ length }, (_, i) => (family * 7919 + i * 31 + ((i * i) % 89)) % TOKENS);
}

/** The first `shared` tokens of one family, then those of another. */
export function branch(shared: number, family: number, length: number, own: number): Int32Array {
  const tokens = prompt(length, own);
  tokens.set(prompt(shared, family).subarray(0, length));
  return tokens;
}
