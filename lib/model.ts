/** A loaded model: what users hold. */
import { checkVocabulary } from "./arguments";
import { type Checkpoint, openCheckpoint } from "./checkpoint/checkpoint";
import type { EngineClient } from "./engine-client";
import { AbortError, R1Error } from "./errors";
import { Generation, type GenerationPlan, PartStream } from "./generation";
import { details, loadEngine, locateModel, type ModelDetails } from "./loading";
import type { NativeRequest, NativeStats } from "./native";
import {
  type CheckedRequest,
  checkLoadOptions,
  checkLogprobsOptions,
  checkRequestOptions,
  type LoadOptions,
  type LogprobsOptions,
  type RequestOptions,
  type Warning,
} from "./options";
import {
  type ChatPrompt,
  type CheckedPrompt,
  checkChatPrompt,
  checkHolePrompt,
  checkStreamPrompt,
  checkTextPrompt,
  encodePrompt,
  type HolePrompt,
  type StreamPrompt,
  type TokenIds,
} from "./prompts";
import type { Logprobs, Part, Result } from "./results";
import { resolveSampling } from "./sampling/options";
import { drawSeed, lowerPlan } from "./sampling/plan";
import { score } from "./scoring";
import { AnswerDecoder } from "./text/answer-decoder";
import { ChatTemplate } from "./text/chat-template";
import { Tokenizer } from "./text/tokenizer";

/** What the engine is doing. Counts of requests, KV blocks (64 tokens each), and steps and tokens since loading. */
export type ModelStats = NativeStats;

interface ModelEvents {
  warning: Warning;
  disposed: undefined;
}

type Listener<E extends keyof ModelEvents> = (event: ModelEvents[E]) => void;

/** What a loaded model is made of. */
interface Parts {
  client: EngineClient;
  tokenizer: Tokenizer;
  template: ChatTemplate;
  checkpoint: Checkpoint;
  info: ModelDetails;
  warnings: Warning[];
}

/** Tokens generated at most where the caller does not say. */
const MAX_NEW_TOKENS = 32768;
const DEFAULT_PRIORITY = 5;
/** How a request waits and shares where nothing else is asked for. */
const unlimited = { queueTimeoutMs: 0, salt: "", cache: true, session: 0 };
/** For requests that draw nothing themselves. */
const greedy = resolveSampling({ temperature: 0 }, {});

/**
 * A model of the DeepSeek-R1 family, loaded into this process. Any number of requests may be open at once.
 *
 * Bad arguments throw a `TypeError` or `RangeError` before any work starts (from `stream` at once, from the others as a
 * rejection); all else is an {@link R1Error} with a code.
 *
 * @example
 * const model = await DeepSeekR1.load({ modelPath: "./DeepSeek-R1-Distill-Qwen-7B" });
 * for await (const part of model.stream("Why is the sky blue?", { maxNewTokens: 500 }))
 *   if (part.type === "text") process.stdout.write(part.text);
 * await model.dispose();
 */
export class DeepSeekR1 implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #listeners: { [E in keyof ModelEvents]: Set<Listener<E>> } = { warning: new Set(), disposed: new Set() };

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Reads a model folder and loads its weights; without a `modelPath` those of the embedded r1-nano.
   *
   * @throws TypeError, RangeError; R1Error E_NOT_FOUND, E_BAD_CHECKPOINT, E_UNSUPPORTED, E_OUT_OF_MEMORY,
   *   E_DEVICE_UNAVAILABLE, E_BINDING; AbortError. All memory is back when it rejects.
   */
  static async load(options?: LoadOptions): Promise<DeepSeekR1> {
    const checked = checkLoadOptions(options);
    throwIfAborted(checked.signal);
    const warnings: Warning[] = [];
    const warn = (warning: Warning) => {
      warnings.push(warning);
      checked.onWarning?.(warning);
    };
    const located = await locateModel(checked, warn);
    const checkpoint = await openCheckpoint(located.modelPath, { ropeScaling: located.ropeScaling });
    const tokenizer = await Tokenizer.load(located.modelPath);
    const template = new ChatTemplate(tokenizer);
    const { client, precision } = await loadEngine(checkpoint, located, warn);
    try {
      const info = details(checkpoint, located, client, precision, warn);
      return new DeepSeekR1({ client, tokenizer, template, checkpoint, info, warnings });
    } catch (error) {
      await client.dispose();
      throw error;
    }
  }

  /** `encode(text, { addSpecialTokens, parseSpecial })` and `decode(ids)`. */
  get tokenizer(): Tokenizer {
    return this.#parts.tokenizer;
  }

  get info(): ModelDetails {
    return this.#parts.info;
  }

  /** A snapshot; all zero once disposed. */
  stats(): ModelStats {
    return this.#parts.client.stats();
  }

  /**
   * Answers a conversation piece by piece. Leaving the loop cancels silently. The request starts with the first `next()`;
   * one that reads slowly holds up nobody, and what it has not read is kept as ids only.
   *
   * @param prompt a string (one user message), messages, token ids, `{ text }` (as {@link generate}) or
   *   `{ prefix, suffix }` (as {@link complete})
   * @throws TypeError, RangeError at once; from `next()` what {@link chat} rejects with
   * @example
   * for await (const part of model.stream(messages, { preset: "reasoning" }))
   *   if (part.type !== "finish") process.stdout.write(part.text);
   */
  stream(prompt: StreamPrompt, options?: RequestOptions): AsyncGenerator<Part, void, undefined> {
    return new PartStream(this.#generation(checkStreamPrompt(prompt, this.info.vocabulary), options));
  }

  /**
   * Answers a conversation: a string (one user message), messages, or token ids of a rendered one.
   *
   * @throws TypeError, RangeError; R1Error E_CONTEXT_OVERFLOW, E_BAD_INPUT, E_SAMPLING, E_TIMEOUT, E_DISPOSED,
   *   E_OUT_OF_MEMORY, E_DEVICE_LOST; AbortError with the {@link PartialResult}; whatever a custom sampler throws
   * @example
   * const { reasoning, text } = await model.chat([{ role: "user", content: "What is 347 + 589?" }]);
   */
  async chat(prompt: ChatPrompt, options?: RequestOptions): Promise<Result> {
    return this.#generation(checkChatPrompt(prompt, this.info.vocabulary), options).result();
  }

  /**
   * Continues a text, or token ids, without a chat template. Reasoning is not split off.
   *
   * @throws as {@link chat}; TypeError for messages
   * @example
   * const { text } = await model.generate("def fibonacci(n):", { temperature: 0, maxNewTokens: 100 });
   */
  async generate(prompt: string | TokenIds, options?: RequestOptions): Promise<Result> {
    return this.#generation(checkTextPrompt(prompt, this.info.vocabulary), options).result();
  }

  /**
   * Fills in what belongs between `prefix` and `suffix`, with the model's own tokens for that.
   *
   * @throws as {@link chat}; R1Error E_UNSUPPORTED for a model without such tokens
   * @example
   * const { text } = await model.complete({ prefix: "def add(a, b):\n", suffix: "\n\nprint(add(1, 2))" });
   */
  async complete(prompt: HolePrompt, options?: RequestOptions): Promise<Result> {
    return this.#generation(checkHolePrompt(prompt), options).result();
  }

  /**
   * Log-probability of each token of a text, given those before it.
   *
   * @throws TypeError, RangeError; R1Error E_CONTEXT_OVERFLOW, E_TIMEOUT, E_DISPOSED, …; AbortError
   * @example
   * const { tokens, logprobs } = await model.logprobs("The sky is blue.");
   * const perplexity = Math.exp(-logprobs.slice(1).reduce((sum, p) => sum + p, 0) / (tokens.length - 1));
   */
  async logprobs(prompt: string | TokenIds, options?: LogprobsOptions): Promise<Logprobs> {
    const checked = checkLogprobsOptions(options);
    const { client, info, tokenizer, template } = this.#parts;
    const given = checkTextPrompt(prompt, info.vocabulary);
    return score(client, checked, async (signal) => {
      this.#throwIfClosed();
      const { ids } = await encodePrompt(given, checked, tokenizer, template, signal);
      if (ids.length > info.contextLength) throw overflow(ids.length, 0, info.contextLength);
      return {
        prompt: ids,
        maxNewTokens: 0,
        stopTokens: new Int32Array(),
        sample: lowerPlan({}, greedy, { vocab: info.vocabulary, seed: 0, logprobs: checked.top ?? 0, minNewTokens: 0 }),
        priority: checked.priority ?? DEFAULT_PRIORITY,
        gated: false,
        score: true,
        ...unlimited,
      };
    });
  }

  /**
   * Listens to `"warning"` (those raised while loading come too, soon after the first listener is added) or `"disposed"`.
   * @returns a function that stops listening
   */
  on<E extends keyof ModelEvents>(event: E, listener: Listener<E>): () => void {
    const listeners = this.#listeners[event] as Set<Listener<E>> | undefined;
    if (!listeners)
      throw new TypeError(`Unknown event "${event}"; expected ${Object.keys(this.#listeners).join(", ")}.`);
    if (typeof listener !== "function") throw new TypeError("The listener must be a function.");
    listeners.add(listener);
    if (event === "warning") this.#replay();
    return () => listeners.delete(listener);
  }

  /**
   * Gives all memory back; open requests reject with `E_DISPOSED`, later ones too. Resolves when every byte is back. May
   * be called at any time and more than once.
   */
  async dispose(): Promise<void> {
    const first = this.#parts.client.closed?.code !== "E_DISPOSED";
    await this.#parts.client.dispose();
    if (first) for (const listener of this.#listeners.disposed) listener(undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #replay(): void {
    const { warnings } = this.#parts;
    queueMicrotask(() => {
      for (const warning of warnings.splice(0)) for (const listener of this.#listeners.warning) listener(warning);
    });
  }

  #throwIfClosed(): void {
    const { closed } = this.#parts.client;
    if (closed) throw closed;
  }

  /** Checks everything that can be checked without encoding the prompt. */
  #generation(prompt: CheckedPrompt, options: RequestOptions | undefined): Generation {
    const checked = checkRequestOptions(options);
    const { seed = drawSeed(), n = 1, signal, timeoutMs } = checked;
    const request = this.#request(checked, seed);
    const prepare = (during: AbortSignal | undefined) => this.#plan(prompt, checked, request, during);
    return new Generation(this.#parts.client, { n, seed, signal, timeoutMs }, prepare);
  }

  /** All of the request but its prompt and length. */
  #request(checked: CheckedRequest, seed: number): Omit<NativeRequest, "prompt" | "maxNewTokens"> {
    const { info, checkpoint } = this.#parts;
    const { logprobs = -1, minNewTokens = 0, sampler } = checked;
    if (checked.stopTokens) checkVocabulary("stopTokens", checked.stopTokens, info.vocabulary);
    const stopTokens = checked.stopTokens ?? (checked.ignoreEos ? [] : checkpoint.generation.stopTokens);
    const context = { vocab: info.vocabulary, seed, logprobs, minNewTokens };
    const plan = lowerPlan(checked, resolveSampling(checked, checkpoint.generation), context);
    // Who chooses for itself is not to fail because the standard chain could not.
    return {
      stopTokens: Int32Array.from(stopTokens),
      sample: sampler ? lowerPlan({}, greedy, context) : plan,
      priority: checked.priority ?? DEFAULT_PRIORITY,
      gated: sampler !== undefined,
      score: false,
      ...unlimited,
    };
  }

  async #plan(
    prompt: CheckedPrompt,
    checked: CheckedRequest,
    request: Omit<NativeRequest, "prompt" | "maxNewTokens">,
    signal: AbortSignal | undefined,
  ): Promise<GenerationPlan> {
    this.#throwIfClosed();
    const { tokenizer, template, info } = this.#parts;
    const { ids, reasoning } = await encodePrompt(prompt, checked, tokenizer, template, signal);
    const room = info.contextLength - ids.length;
    const wanted = Math.max(checked.maxNewTokens ?? 1, checked.minNewTokens ?? 1);
    if (room < wanted) throw overflow(ids.length, wanted, info.contextLength);
    const { stop = [], minNewTokens } = checked;
    return {
      request: { ...request, prompt: ids, maxNewTokens: checked.maxNewTokens ?? Math.min(room, MAX_NEW_TOKENS) },
      choice: {
        seed: request.sample.seed,
        promptTokens: ids.length,
        vocab: info.vocabulary,
        decoder: () => new AnswerDecoder(tokenizer, { reasoning, stop, minNewTokens }),
        stopTokens: new Set(request.stopTokens),
        eager: stop.length > 0,
        logprobs: checked.logprobs !== undefined,
        sampler: checked.sampler,
      },
    };
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError(signal.reason, undefined);
}

function overflow(prompt: number, wanted: number, context: number): R1Error {
  const both = wanted > 0 ? ` and ${wanted} more ${wanted === 1 ? "is" : "are"} to be generated` : "";
  return new R1Error(
    "E_CONTEXT_OVERFLOW",
    `The prompt has ${prompt} ${prompt === 1 ? "token" : "tokens"}${both}, but the context holds ${context}. ` +
      "Shorten the prompt, lower maxNewTokens, or load the model with a larger contextLength or kvMemory.",
  );
}
