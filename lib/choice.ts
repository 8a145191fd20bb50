/**
 * One answer of a request: takes the engine's events and keeps unread output as ids. Text is made when it is read, but
 * for a second, eager pass where there are stop strings, so that the engine stops in time even if nobody reads.
 */
import { outOfRange, wrongType } from "./arguments";
import type { RequestEnd, RequestPort, RequestSink } from "./engine-client";
import type { NativeLogprobs, NativeRequest } from "./native";
import {
  alternatives,
  type FinishPart,
  type PartialResult,
  type Result,
  type TextPart,
  type Timings,
  type TokenLogprob,
} from "./results";
import type { Sampler } from "./sampling/options";
import type { AnswerDecoder } from "./text/answer-decoder";

export interface ChoiceSpec {
  /** Which of the choices. */
  index: number;
  seed: number;
  promptTokens: number;
  vocab: number;
  /** Makes ids into text; each call gives one that starts anew. */
  decoder(): AnswerDecoder;
  /** Ids that end the answer: they are no part of its text. */
  stopTokens: ReadonlySet<number>;
  /** Whether there are stop strings to look for as tokens arrive. */
  eager: boolean;
  logprobs: boolean;
  sampler?: Sampler;
}

/** Who is told of what happens. */
export interface ChoiceOwner {
  /** There is something new to read. */
  changed(): void;
  failed(error: unknown): void;
}

/** Token ids from `first` on come with these log-probabilities. */
interface LogprobRun {
  first: number;
  run: NativeLogprobs;
}

export class Choice implements RequestSink {
  readonly #spec: ChoiceSpec;
  readonly #owner: ChoiceOwner;
  readonly #client: RequestPort;
  readonly #decoder: AnswerDecoder;
  readonly #watch: AnswerDecoder | undefined;
  readonly #submitted = performance.now();
  readonly #id: number;
  /** Everything sampled; what is before `#read` has been made into text. */
  readonly #tokens: number[] = [];
  #read = 0;
  readonly #runs: LogprobRun[] = [];
  readonly #logprobs: TokenLogprob[] = [];
  #text = "";
  #reasoning = "";
  #flushed = false;
  #end: RequestEnd | undefined;
  /** A stop string has been met: what still arrives is dropped. */
  #stopped = false;
  #cancelled = false;
  #firstToken = 0;

  /** Submits the request. @throws R1Error when the engine takes none */
  constructor(client: RequestPort, request: NativeRequest, spec: ChoiceSpec, owner: ChoiceOwner) {
    this.#spec = spec;
    this.#owner = owner;
    this.#client = client;
    this.#decoder = spec.decoder();
    this.#watch = spec.eager ? spec.decoder() : undefined;
    this.#id = client.submit(request, this);
  }

  // ---- events of the engine

  tokens(ids: Int32Array, logprobs: NativeLogprobs | undefined): void {
    if (this.#stopped || this.#cancelled || this.#end) return;
    if (this.#tokens.length === 0) this.#firstToken = performance.now();
    if (logprobs) this.#runs.push({ first: this.#tokens.length, run: logprobs });
    for (const id of ids) {
      this.#tokens.push(id);
      this.#watch?.push(id, this.#spec.stopTokens.has(id));
      if (!this.#watch?.stopped) continue;
      this.#stopped = true;
      this.#client.cancel(this.#id, true);
      break;
    }
    this.#owner.changed();
  }

  gate(logits: Float32Array, index: number): void {
    void this.#decide(logits, index);
  }

  end(end: RequestEnd): void {
    this.#end = end;
    if (end.type === "error") this.#owner.failed(end.error);
    else this.#owner.changed();
  }

  async #decide(logits: Float32Array, index: number): Promise<void> {
    const { sampler, vocab, index: choice } = this.#spec;
    try {
      const token = await (sampler as Sampler)(logits, { tokens: this.#tokens.slice(0, index), index, choice });
      if (typeof token !== "number") throw wrongType("What the sampler returns", "a token id", token);
      if (!Number.isInteger(token) || token < 0 || token >= vocab) {
        throw outOfRange("What the sampler returns", `a token id from 0 to ${vocab - 1}`, token);
      }
      this.#client.verdict(this.#id, token);
    } catch (error) {
      if (!this.#end && !this.#stopped && !this.#cancelled) this.#owner.failed(error);
    }
  }

  // ---- reading

  /** The engine is done with it. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Everything has been read. */
  get finished(): boolean {
    return this.#flushed;
  }

  /** Text of what arrived since the last call, in order, neighbours of one type as one part. */
  take(): TextPart[] {
    const parts: TextPart[] = [];
    while (this.#read < this.#tokens.length) this.#takeToken(parts, this.#tokens[this.#read++]);
    if (this.ended && !this.#flushed) {
      this.#flushed = true;
      for (const { type, text } of this.#decoder.flush()) this.#append(parts, type, text);
    }
    for (const { type, text } of parts) {
      if (type === "text") this.#text += text;
      else this.#reasoning += text;
    }
    return parts;
  }

  #takeToken(parts: TextPart[], id: number): void {
    const { type, pieces } = this.#decoder.push(id, this.#spec.stopTokens.has(id));
    const found = pieces.findIndex((piece) => piece.type === type);
    const own = found < 0 ? pieces.length : found;
    for (const piece of pieces.slice(0, own)) this.#append(parts, piece.type, piece.text);
    const part = this.#append(parts, type, pieces[own]?.text ?? "");
    part.tokens.push(id);
    if (part.logprobs) {
      const logprob = this.#logprobOf(this.#read - 1);
      part.logprobs.push(logprob);
      this.#logprobs.push(logprob);
    }
    for (const piece of pieces.slice(own + 1)) this.#append(parts, piece.type, piece.text);
  }

  #append(parts: TextPart[], type: TextPart["type"], text: string): TextPart {
    let part = parts.at(-1);
    if (part?.type !== type) {
      part = this.#spec.logprobs ? { type, text: "", tokens: [], logprobs: [] } : { type, text: "", tokens: [] };
      parts.push(part);
    }
    part.text += text;
    return part;
  }

  /** Log-probability of token `i`; runs that lie behind it are dropped. */
  #logprobOf(i: number): TokenLogprob {
    while (this.#runs.length > 1 && this.#runs[1].first <= i) this.#runs.shift();
    const { first, run } = this.#runs[0];
    return { token: this.#tokens[i], logprob: run.values[i - first], top: alternatives(run, i - first) };
  }

  // ---- outcome

  /** Only once it has ended; reads what is unread. */
  result(): Result {
    const reason = this.#end?.type === "finish" && !this.#stopped ? this.#end.reason : "stop";
    return { ...this.#outcome(), finishReason: reason };
  }

  finishPart(): FinishPart {
    const { text: _, ...rest } = this.result();
    return { type: "finish", ...rest };
  }

  /** Whatever there is, at any time. */
  partial(): PartialResult {
    return this.#end?.type === "finish" || (this.#end && this.#stopped)
      ? this.result()
      : { ...this.#outcome(), finishReason: null };
  }

  #outcome(): Omit<Result, "finishReason" | "choices"> {
    this.take();
    return {
      text: this.#text,
      reasoning: this.#reasoning,
      tokens: this.#tokens.slice(),
      usage: {
        promptTokens: this.#spec.promptTokens,
        cachedTokens: this.#end && this.#end.type !== "error" ? this.#end.cachedTokens : 0,
        completionTokens: this.#tokens.length,
        reasoningTokens: this.#decoder.reasoningTokens,
      },
      timings: this.#timings(),
      seed: this.#spec.seed,
      ...(this.#end?.type !== "error" && this.#end?.shared ? { cached: true } : {}),
      ...(this.#spec.logprobs ? { logprobs: this.#logprobs } : {}),
    };
  }

  /** The engine's clock; ours for a request that has not ended there, and then waiting counts as prefill. */
  #timings(): Timings {
    if (this.#end && this.#end.type !== "error") return this.#end.timings;
    const now = performance.now();
    const first = this.#firstToken || now;
    return { queue: 0, prefill: first - this.#submitted, decode: now - first };
  }

  cancel(): void {
    if (!this.ended && !this.#cancelled) this.#client.cancel(this.#id);
    this.#cancelled = true;
  }
}
