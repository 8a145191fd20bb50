/** A loaded model: what users hold. */
import { wrongType } from "./arguments";
import { openCheckpoint } from "./checkpoint/checkpoint";
import { AbortError } from "./errors";
import { PartStream } from "./generation";
import { checkLoadOptions, type LoadOptions, type Warning } from "./load-options";
import { details, loadParts, locateModel, type ModelDetails } from "./loading";
import { checkLogprobsOptions, type LogprobsOptions, type RequestOptions } from "./options";
import {
  type ChatPrompt,
  type CheckedPrompt,
  checkChatPrompt,
  checkHolePrompt,
  checkStreamPrompt,
  checkTextPrompt,
  type HolePrompt,
  type StreamPrompt,
  type TokenIds,
} from "./prompts";
import { type ModelParts, Requests, type SecondModel } from "./requests";
import type { Logprobs, Part, Result } from "./results";
import type { EventName, Listener, ModelEvent } from "./serving/events";
import { Serving } from "./serving/serving";
import type { ModelStats } from "./serving/stats";
import { sameTokenizer } from "./serving/timeout-fallback";
import { checkSessionOptions, type SessionOptions } from "./session/options";
import { restoreSession } from "./session/restore";
import { Session, type SessionModel } from "./session/session";
import type { Tokenizer } from "./text/tokenizer";

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
  readonly #parts: ModelParts;
  readonly #requests: Requests;

  private constructor(parts: ModelParts) {
    this.#parts = parts;
    this.#requests = new Requests(parts);
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
    const { loaded, tokenizer, template } = await loadParts(checkpoint, located, warn);
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
      const sameIds = await sameTokenizer(first.modelPath, model.info.modelPath);
      return { requests: model.#requests, sameIds, dispose: async () => (owned ? model.dispose() : undefined) };
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
    return new PartStream(this.#answer(checkStreamPrompt(prompt, this.info.vocabulary), options));
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
    return this.#answer(checkChatPrompt(prompt, this.info.vocabulary), options).result();
  }

  /**
   * Continues a text, or token ids, without a chat template. Reasoning is not split off.
   *
   * @throws as {@link chat}; TypeError for messages
   * @example
   * const { text } = await model.generate("def fibonacci(n):", { temperature: 0, maxNewTokens: 100 });
   */
  async generate(prompt: string | TokenIds, options?: RequestOptions): Promise<Result> {
    return this.#answer(checkTextPrompt(prompt, this.info.vocabulary), options).result();
  }

  /**
   * Fills in what belongs between `prefix` and `suffix`, with the model's own tokens for that.
   *
   * @throws as {@link chat}; R1Error E_UNSUPPORTED for a model without such tokens
   * @example
   * const { text } = await model.complete({ prefix: "def add(a, b):\n", suffix: "\n\nprint(add(1, 2))" });
   */
  async complete(prompt: HolePrompt, options?: RequestOptions): Promise<Result> {
    return this.#answer(checkHolePrompt(prompt), options).result();
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
    return this.#requests.logprobs(checkTextPrompt(prompt, this.info.vocabulary), checked);
  }

  /**
   * A conversation that keeps its keys and values between turns.
   *
   * @throws TypeError, RangeError; R1Error E_DISPOSED, E_DEVICE_LOST
   * @example
   * const session = model.createSession();
   * await session.chat("What is 347 + 589?");
   * const { text, usage } = await session.chat("And times two?"); // usage.cachedTokens: what the session had
   */
  createSession(options?: SessionOptions): Session {
    const checked = checkSessionOptions(options);
    return new Session(this.#sessionModel, this.#parts.client.createSession(), checked);
  }

  /**
   * The session that `session.save` wrote to a file, ready for its next turn, which yields what it would have yielded
   * there. The model must be the same one (config and weights), loaded in the same precision.
   *
   * @throws TypeError, RangeError; R1Error E_NOT_FOUND, E_SESSION_MISMATCH for another model, precision or version of the
   *   format, E_BAD_INPUT for a file that is damaged or no session, E_CONTEXT_OVERFLOW, E_OUT_OF_MEMORY, E_FILE,
   *   E_DISPOSED, E_DEVICE_LOST
   * @example
   * const session = await model.restoreSession("sums.r1session");
   */
  async restoreSession(path: string): Promise<Session> {
    return restoreSession(this.#sessionModel, path);
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
   * Gives all memory back; open requests and sessions reject with `E_DISPOSED`, later ones too. Resolves when every
   * byte is back. May be called at any time and more than once.
   */
  async dispose(): Promise<void> {
    const { client, serving, second } = this.#parts;
    await Promise.all([client.dispose(), second?.dispose()]);
    serving.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  get #sessionModel(): SessionModel {
    return { ...this.#parts, requests: this.#requests };
  }

  #answer(prompt: CheckedPrompt, options: RequestOptions | undefined) {
    return this.#requests.answer(this.#requests.question(prompt), options);
  }
}

function checkSecondModel(given: DeepSeekR1 | LoadOptions | undefined): void {
  if (given && "chat" in given && !(given instanceof DeepSeekR1))
    throw wrongType("onTimeout", "a loaded DeepSeekR1 or load options", given);
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError(signal.reason, undefined);
}
