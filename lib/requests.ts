/** From checked prompts and options to requests on a loaded model's engine. */
import { checkVocabulary } from "./arguments";
import type { Checkpoint } from "./checkpoint/checkpoint";
import type { EngineClient, RequestPort } from "./engine-client";
import { R1Error } from "./errors";
import { Generation, type GenerationPlan, type PartSource } from "./generation";
import type { ModelDetails } from "./loading";
import type { NativeRequest } from "./native";
import { type CheckedRequest, checkRequestOptions, type LogprobsOptions, type RunOptions } from "./options";
import { type CheckedPrompt, type EncodedPrompt, encodePrompt } from "./prompts";
import type { Logprobs } from "./results";
import { resolveSampling } from "./sampling/options";
import { drawSeed, lowerPlan } from "./sampling/plan";
import { score } from "./scoring";
import type { Serving } from "./serving/serving";
import { FallbackSource, speaksInIds } from "./serving/timeout-fallback";
import { AnswerDecoder } from "./text/answer-decoder";
import type { ChatTemplate } from "./text/chat-template";
import type { Tokenizer } from "./text/tokenizer";

/** What a loaded model is made of. */
export interface ModelParts {
  client: EngineClient;
  tokenizer: Tokenizer;
  template: ChatTemplate;
  checkpoint: Checkpoint;
  info: ModelDetails;
  serving: Serving;
  /** Answers what times out. */
  second?: SecondModel;
}

/** `LoadOptions.onTimeout`, loaded. */
export interface SecondModel {
  requests: Requests;
  /** Its token ids mean the same. */
  sameIds: boolean;
  /** Disposes what was loaded along with the first model. */
  dispose(): Promise<void>;
}

/** What is to be answered, once its turn has come. */
export interface Question {
  /** Makes token ids of it; called once, by the first read of the answer. */
  encode(options: CheckedRequest, signal: AbortSignal | undefined): Promise<EncodedPrompt>;
  /** What a second model is asked when this one times out; undefined where none can be. */
  again(options: CheckedRequest): (() => Question) | undefined;
  /** The engine's session that it continues, and where its request goes. */
  session?: { id: number; port: RequestPort };
}

/** Tokens generated at most where the caller does not say. */
const MAX_NEW_TOKENS = 32768;
const DEFAULT_PRIORITY = 5;
/** For requests that draw nothing themselves. */
const greedy = resolveSampling({ temperature: 0 }, {});

type Unprompted = Omit<NativeRequest, "prompt" | "maxNewTokens">;

export class Requests {
  readonly #parts: ModelParts;

  constructor(parts: ModelParts) {
    this.#parts = parts;
  }

  /** A question of a prompt alone. */
  question(prompt: CheckedPrompt): Question {
    const { tokenizer, template, second } = this.#parts;
    return {
      encode: (options, signal) => encodePrompt(prompt, options, tokenizer, template, signal),
      again: (options) =>
        second && (second.sameIds || !speaksInIds(prompt, options))
          ? () => second.requests.question(prompt)
          : undefined,
    };
  }

  /**
   * The answer to a question. Everything is checked that can be without encoding the prompt.
   *
   * @throws TypeError, RangeError
   */
  answer(question: Question, options: unknown): PartSource {
    const checked = checkRequestOptions(options);
    const { seed = drawSeed(), n = 1, signal, timeoutMs } = checked;
    const request = this.#request(checked, seed, question.session?.id);
    const prepare = (during: AbortSignal | undefined) => this.#plan(question, checked, request, during);
    const { client, serving, second } = this.#parts;
    const generation = new Generation(client, { n, seed, signal, timeoutMs }, prepare);
    const again = question.again(checked);
    if (!second || !again) return generation;
    const name = second.requests.#parts.info.modelPath;
    return new FallbackSource(generation, { name, ask: () => second.requests.answer(again(), options) }, (error) =>
      serving.warn({ code: "timeout-fallback", message: `${error.message} ${name} answers instead.` }),
    );
  }

  /** Log-probabilities of a text or of ids. @throws as `DeepSeekR1.logprobs` */
  logprobs(prompt: CheckedPrompt, checked: LogprobsOptions): Promise<Logprobs> {
    const { client, info, tokenizer, template } = this.#parts;
    return score(client, checked, async (signal) => {
      this.throwIfClosed();
      const { ids } = await encodePrompt(prompt, checked, tokenizer, template, signal);
      if (ids.length > info.contextLength) throw overflow(ids.length, 0, info.contextLength);
      return {
        prompt: ids,
        maxNewTokens: 0,
        stopTokens: new Int32Array(),
        sample: lowerPlan({}, greedy, { vocab: info.vocabulary, seed: 0, logprobs: checked.top ?? 0, minNewTokens: 0 }),
        gated: false,
        score: true,
        ...turn(checked, 0),
      };
    });
  }

  /** @throws R1Error E_DISPOSED, or what put the engine in its failed state */
  throwIfClosed(): void {
    const { closed } = this.#parts.client;
    if (closed) throw closed;
  }

  /** Ids that end an answer. */
  stopTokens({ stopTokens, ignoreEos }: CheckedRequest): ArrayLike<number> {
    return stopTokens ?? (ignoreEos ? [] : this.#parts.checkpoint.generation.stopTokens);
  }

  /** All of the request but its prompt and length. */
  #request(checked: CheckedRequest, seed: number, session = 0): Unprompted {
    const { info, checkpoint } = this.#parts;
    const { logprobs = -1, minNewTokens = 0, sampler } = checked;
    if (checked.stopTokens) checkVocabulary("stopTokens", checked.stopTokens, info.vocabulary);
    const context = { vocab: info.vocabulary, seed, logprobs, minNewTokens };
    const plan = lowerPlan(checked, resolveSampling(checked, checkpoint.generation), context);
    // Who chooses for itself is not to fail because the standard chain could not.
    return {
      stopTokens: Int32Array.from(this.stopTokens(checked)),
      sample: sampler ? lowerPlan({}, greedy, context) : plan,
      gated: sampler !== undefined,
      score: false,
      ...turn(checked, session),
    };
  }

  async #plan(
    question: Question,
    checked: CheckedRequest,
    request: Unprompted,
    signal: AbortSignal | undefined,
  ): Promise<GenerationPlan> {
    this.throwIfClosed();
    const { tokenizer, info, serving } = this.#parts;
    const { ids, reasoning } = await question.encode(checked, signal);
    const room = info.contextLength - ids.length;
    const wanted = Math.max(checked.maxNewTokens ?? 1, checked.minNewTokens ?? 1);
    if (room < wanted) throw overflow(ids.length, wanted, info.contextLength);
    const { stop = [], minNewTokens } = checked;
    const maxNewTokens = checked.maxNewTokens ?? Math.min(room, MAX_NEW_TOKENS);
    return {
      request: { ...request, prompt: ids, maxNewTokens },
      port: question.session?.port ?? serving.port(request, checked.seed !== undefined, { stop, reasoning }),
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
function turn(
  { priority = DEFAULT_PRIORITY, queueTimeoutMs = 0, salt = "", cache = true }: RunOptions,
  session: number,
) {
  return { priority, queueTimeoutMs, salt, cache, session };
}

function overflow(prompt: number, wanted: number, context: number): R1Error {
  const both = wanted > 0 ? ` and ${wanted} more ${wanted === 1 ? "is" : "are"} to be generated` : "";
  return new R1Error(
    "E_CONTEXT_OVERFLOW",
    `The prompt has ${prompt} ${prompt === 1 ? "token" : "tokens"}${both}, but the context holds ${context}. ` +
      "Shorten the prompt, lower maxNewTokens, or load the model with a larger contextLength or kvMemory.",
  );
}
