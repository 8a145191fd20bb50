/** A loaded model: what users hold. */
import { checkVocabulary, wrongType } from "./arguments";
import { type Checkpoint, openCheckpoint } from "./checkpoint/checkpoint";
import type { EngineClient } from "./engine-client";
import { AbortError, R1Error } from "./errors";
import { Generation, type GenerationPlan, type PartSource, PartStream } from "./generation";
import { checkLoadOptions, type LoadOptions, type Warning } from "./load-options";
import { details, loadEngine, locateModel, type ModelDetails } from "./loading";
import type { NativeRequest } from "./native";
import {
  type CheckedRequest,
  checkLogprobsOptions,
  checkRequestOptions,
  type LogprobsOptions,
  type RequestOptions,
  type RunOptions,
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
import type { EventName, Listener, ModelEvent } from "./serving/events";
import { Serving } from "./serving/serving";
import type { ModelStats } from "./serving/stats";
import { FallbackSource, sameTokenizer, speaksInIds } from "./serving/timeout-fallback";
import { AnswerDecoder } from "./text/answer-decoder";
import { ChatTemplate } from "./text/chat-template";
import { Tokenizer } from "./text/tokenizer";

/** What a loaded model is made of. */
interface Parts {
  client: EngineClient;
  tokenizer: Tokenizer;
  template: ChatTemplate;
  checkpoint: Checkpoint;
  info: ModelDetails;
  serving: Serving;
  /** Answers what times out. */
  second?: SecondModel;
}

interface SecondModel {
  model: DeepSeekR1;
  /** Loaded by the first one, and disposed with it. */
  owned: boolean;
  /** Its token ids mean the same. */
  sameIds: boolean;
}

/** Tokens generated at most where the caller does not say. */
const MAX_NEW_TOKENS = 32768;
const DEFAULT_PRIORITY = 5;
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
    checkSecondModel(checked.onTimeout);
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
    const loaded = await loadEngine(checkpoint, located, warn);
    const { client, gpu } = loaded;
    try {
      const info = details(checkpoint, located, loaded, warn);
      const { resultCache, monitor, onWarning } = checked;
      const second = checked.onTimeout && (await DeepSeekR1.#loadSecond(checked.onTimeout, info));
      const serving = new Serving(client, { gpu, resultCache, monitor, onWarning }, warnings);
      return new DeepSeekR1({ client, tokenizer, template, checkpoint, info, serving, second });
    } catch (error) {
      await client.dispose();
      throw error;
    }
  }

  static async #loadSecond(given: DeepSeekR1 | LoadOptions, first: ModelDetails): Promise<SecondModel> {
    const owned = !(given instanceof DeepSeekR1);
    const model = owned ? await DeepSeekR1.load(given) : given;
    try {
      return { model, owned, sameIds: await sameTokenizer(first.modelPath, model.info.modelPath) };
    } catch (error) {
      if (owned) await model.dispose();
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

  /**
   * A snapshot; all zero or null once disposed.
   *
   * @example
   * const { running, waiting, tokensPerSecond, cacheHitRate, gpu, states } = model.stats();
   */
  stats(): ModelStats {
    return this.#parts.serving.stats();
  }

  /**
   * Answers a conversation piece by piece. Leaving the loop cancels silently. The request starts with the first
   * `next()`; one that reads slowly holds up nobody, and what it has not read is kept as ids only.
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
   * @throws TypeError, RangeError; R1Error E_CONTEXT_OVERFLOW, E_BAD_INPUT, E_SAMPLING, E_TIMEOUT, E_OVERLOADED, E_DISPOSED,
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
        gated: false,
        score: true,
        ...turn(checked),
      };
    });
  }

  /**
   * Listens to `"warning"` (those raised while loading come too, soon after the first listener is added), `"pressure"`
   * (the engine makes room in its KV cache), `"threshold"` (memory, latency or GPU use is `ok`, `warn` or `alert`;
   * watched only while somebody listens, `LoadOptions.monitor`) or `"disposed"`.
   *
   * @returns a function that stops listening
   * @throws TypeError
   * @example
   * model.on("threshold", ({ measure, state, value }) => console.log(`${measure} is ${state}: ${value}`));
   */
  on<E extends EventName>(event: E, listener: Listener<E>): () => void {
    return this.#parts.serving.events.on(event, listener);
  }

  /**
   * All of what {@link on} reports, from now on and in order, until the model is disposed. Of what is not read, the
   * newest 1000 are kept.
   *
   * @example
   * for await (const event of model.events()) if (event.type === "pressure") console.log(event.action, event.bytes);
   */
  events(): AsyncGenerator<ModelEvent, void, undefined> {
    return this.#parts.serving.events.stream();
  }

  /**
   * Gives all memory back; open requests reject with `E_DISPOSED`, later ones too. Resolves when every byte is back.
   * May be called at any time and more than once.
   */
  async dispose(): Promise<void> {
    const { client, serving, second } = this.#parts;
    await Promise.all([client.dispose(), second?.owned ? second.model.dispose() : undefined]);
    serving.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #throwIfClosed(): void {
    const { closed } = this.#parts.client;
    if (closed) throw closed;
  }

  /** Checks everything that can be checked without encoding the prompt. */
  #generation(prompt: CheckedPrompt, options: RequestOptions | undefined): PartSource {
    const checked = checkRequestOptions(options);
    const { seed = drawSeed(), n = 1, signal, timeoutMs } = checked;
    const request = this.#request(checked, seed);
    const prepare = (during: AbortSignal | undefined) => this.#plan(prompt, checked, request, during);
    const generation = new Generation(this.#parts.client, { n, seed, signal, timeoutMs }, prepare);
    const { second, serving } = this.#parts;
    if (!second || (speaksInIds(prompt, checked) && !second.sameIds)) return generation;
    const name = second.model.info.modelPath;
    return new FallbackSource(generation, { name, ask: () => second.model.#generation(prompt, options) }, (error) =>
      serving.warn({ code: "timeout-fallback", message: `${error.message} ${name} answers instead.` }),
    );
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
      gated: sampler !== undefined,
      score: false,
      ...turn(checked),
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
    const maxNewTokens = checked.maxNewTokens ?? Math.min(room, MAX_NEW_TOKENS);
    return {
      request: { ...request, prompt: ids, maxNewTokens },
      port: this.#parts.serving.port(request, checked.seed !== undefined, {
        stop,
        reasoning,
      }),
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

/** When a request has its turn, and what it shares. */
function turn({ priority = DEFAULT_PRIORITY, queueTimeoutMs = 0, salt = "", cache = true }: RunOptions) {
  return { priority, queueTimeoutMs, salt, cache, session: 0 };
}

function checkSecondModel(given: DeepSeekR1 | LoadOptions | undefined): void {
  if (given && "chat" in given && !(given instanceof DeepSeekR1))
    throw wrongType("onTimeout", "a loaded DeepSeekR1 or load options", given);
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
