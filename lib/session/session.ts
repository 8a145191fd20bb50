/** A conversation whose keys and values stay with the engine between its turns. */
import type { EngineClient } from "../engine-client";
import { R1Error } from "../errors";
import { PartStream } from "../generation";
import type { CheckedRequest } from "../options";
import { type EncodedPrompt, encodePrompt } from "../prompts";
import type { ModelParts, Question, Requests } from "../requests";
import type { Part, Result } from "../results";
import type { Message } from "../text/messages";
import { reasoningStart } from "../text/reasoning-splitter";
import { type CheckedSession, checkTurn, type TurnOptions, type TurnPrompt, turnOptions } from "./options";
import { saveSession } from "./save";
import { type Answer, SessionPort, Turn, type TurnOwner } from "./turn";

/** The model that a session belongs to. */
export interface SessionModel extends ModelParts {
  requests: Requests;
}

/** What has been said, and what goes with it. Never changed: each turn makes a new one. */
export interface Conversation extends CheckedSession {
  /**
   * With `keepReasoning`, the ids that the next turn goes on behind: prompt and answer of the last turn, less the stop
   * id. Undefined before the first turn.
   */
  held?: Int32Array;
}

/** Drops the engine's sessions whose handles nobody has any more. */
const forgotten = new FinalizationRegistry<() => void>((drop) => drop());
/** Made out here, where it cannot refer to the session itself. */
const dropping = (client: EngineClient, id: number) => () => client.dropSession(id);

/**
 * A conversation that does not compute again what it has computed: its keys and values stay in the KV cache between
 * turns. Cached prompts of others give way to them; they themselves do when open requests need the room, or when all
 * idle sessions together hold more than `LoadOptions.sessionKvShare`: then the session used least recently computes
 * again on its next turn what it has lost. What it says stays the same. Made by `model.createSession` and
 * `model.restoreSession`.
 *
 * One turn at a time. A turn counts once its answer has been read to the end, by `stop` or by `length`; one that
 * failed, was aborted or was left early leaves the conversation as it was.
 *
 * @example
 * const session = model.createSession({ system: "You are terse." });
 * const { text } = await session.chat("What is 347 + 589?");
 * for await (const part of session.stream("And times two?")) if (part.type === "text") process.stdout.write(part.text);
 * await session.save("sums.r1session");
 * await session.dispose();
 */
export class Session implements AsyncDisposable {
  /** As `"pressure"` events name it. */
  readonly id: number;
  readonly #model: SessionModel;
  readonly #port: SessionPort;
  readonly #owner: TurnOwner;
  #conversation: Conversation;
  #open: Turn | undefined;
  #disposal: Promise<void> | undefined;

  /** @internal */
  constructor(model: SessionModel, id: number, conversation: Conversation) {
    this.id = id;
    this.#model = model;
    this.#conversation = conversation;
    this.#port = new SessionPort(model.serving.engine);
    this.#owner = {
      completed: (turn, answer) => this.#add(turn, answer),
      ended: (turn) => {
        if (this.#open === turn) this.#open = undefined;
      },
    };
    forgotten.register(this, dropping(model.client, id), this);
  }

  /** What was said so far: copies. An answer is `{ role: "assistant", content, reasoning_content }`. */
  get messages(): Message[] {
    return structuredClone(spoken(this.#conversation)) as Message[];
  }

  /** The system message that it was created with. */
  get system(): string | undefined {
    return this.#conversation.system;
  }

  get keepReasoning(): boolean {
    return this.#conversation.keepReasoning;
  }

  /**
   * Says something and answers, as `model.chat` does; `usage.cachedTokens` counts what the session had.
   *
   * @param message the user's text, a message, or several
   * @throws as `model.chat`; TypeError for `n` and `salt`; R1Error E_BAD_INPUT while another turn is open, E_DISPOSED
   * @example
   * const { text, usage } = await session.chat("What is 347 + 589?", { temperature: 0 });
   */
  async chat(message: TurnPrompt, options?: TurnOptions): Promise<Result> {
    return this.#turn(message, options).result();
  }

  /**
   * As {@link chat}, piece by piece. The turn begins with the first `next()`; leaving the loop gives it up.
   *
   * @throws TypeError, RangeError at once; from `next()` what {@link chat} rejects with
   */
  stream(message: TurnPrompt, options?: TurnOptions): AsyncGenerator<Part, void, undefined> {
    return new PartStream(this.#turn(message, options));
  }

  /**
   * A session that has said the same, up to the last turn that has ended. Both share keys and values as far as they go
   * alike, and go on independently.
   *
   * @throws R1Error E_DISPOSED
   */
  fork(): Session {
    this.#throwIfDisposed();
    const { client } = this.#model;
    return new Session(this.#model, client.forkSession(this.id), this.#conversation);
  }

  /**
   * Writes messages, tokens, keys and values to a file that its owner alone may read, for `model.restoreSession`; it
   * takes about as many bytes as the session's part of the KV cache. Turns may go on meanwhile: the file has what was
   * said up to the last one that had ended. A file of that name is replaced once the new one is complete, and stays as
   * it is where writing fails.
   *
   * @throws TypeError, RangeError; R1Error E_NOT_FOUND for a folder that does not exist, E_FILE, E_UNSUPPORTED for
   *   more than 100 MB of messages and tokens, E_DISPOSED
   */
  async save(path: string): Promise<void> {
    this.#throwIfDisposed();
    await saveSession(this.#model, this.id, this.#conversation, path);
  }

  /**
   * Gives its keys and values back; an open turn rejects with `E_DISPOSED`, as later ones do. May be called more than
   * once, and happens by itself when nobody refers to the session any more.
   */
  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #turn(message: TurnPrompt, options: TurnOptions | undefined): Turn {
    const further = checkTurn(message);
    const source = this.#model.requests.answer(
      {
        encode: (checked, signal) => this.#encode(turn, checked, signal),
        again: (checked) => this.#again(further, checked),
        session: { id: this.id, port: this.#port },
      },
      turnOptions(options, this.#conversation.salt),
    );
    const turn = new Turn(further, source, this.#owner);
    return turn;
  }

  /** Opens the turn and makes its prompt. */
  async #encode(turn: Turn, options: CheckedRequest, signal: AbortSignal | undefined): Promise<EncodedPrompt> {
    this.#throwIfDisposed();
    if (this.#open)
      throw new R1Error(
        "E_BAD_INPUT",
        "A turn of this session is open already; a session takes one at a time. Read it to its end or leave it first, " +
          "or fork the session to ask two things at once.",
      );
    this.#open = turn;
    await this.#port.free;
    const { held } = this.#conversation;
    const prompt = held
      ? await this.#goOn(held, turn.further, options, signal)
      : await this.#anew(turn.further, options, signal);
    turn.asked = { prompt: prompt.ids, stop: new Set(Array.from(this.#model.requests.stopTokens(options))) };
    return prompt;
  }

  /** The whole conversation, by the template. */
  #anew(further: readonly Message[], options: CheckedRequest, signal: AbortSignal | undefined): Promise<EncodedPrompt> {
    const { tokenizer, template } = this.#model;
    const messages = [...spoken(this.#conversation), ...further];
    return encodePrompt({ kind: "messages", messages }, options, tokenizer, template, signal);
  }

  /** The ids there are, and what the template writes behind the last answer. */
  async #goOn(
    held: Int32Array,
    further: readonly Message[],
    { reasoning }: CheckedRequest,
    signal: AbortSignal | undefined,
  ): Promise<EncodedPrompt> {
    const { tokenizer, template } = this.#model;
    const before = spoken(this.#conversation);
    const continuation = await template.continuation(before, further, { reasoning, signal });
    const ids = Int32Array.from([...held, ...continuation.ids]);
    return { ids, reasoning: reasoningStart(tokenizer, ids) };
  }

  /** What a second model answers has no ids to go on behind: with `keepReasoning` it is not asked. */
  #again(further: readonly Message[], options: CheckedRequest): (() => Question) | undefined {
    const { requests } = this.#model;
    const again = () => {
      const messages = [...spoken(this.#conversation), ...further];
      return requests.question({ kind: "messages", messages }).again(options);
    };
    return this.keepReasoning || !again() ? undefined : () => (again() as () => Question)();
  }

  #add({ further, asked }: Turn, { text, reasoning, tokens, finishReason }: Answer): void {
    const answer: Message = {
      role: "assistant",
      content: text,
      ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    };
    const { keepReasoning, messages } = this.#conversation;
    this.#conversation = { ...this.#conversation, messages: [...messages, ...further, answer] };
    if (!keepReasoning || !asked) return;
    // The template writes the answer's end anew, which is the stop id as a rule, and follows where a length ended it.
    const ended = finishReason === "stop" && asked.stop.has(tokens.at(-1) as number);
    const kept = ended ? tokens.slice(0, -1) : tokens;
    this.#conversation.held = Int32Array.from([...asked.prompt, ...kept]);
  }

  async #end(): Promise<void> {
    const { client } = this.#model;
    forgotten.unregister(this);
    this.#open?.fail(disposed());
    client.dropSession(this.id);
    await this.#port.free;
    // The engine knows it no more, or is gone itself: whatever it answers, everything is back by then.
    await client.sessionState(this.id).catch(() => {});
  }

  #throwIfDisposed(): void {
    if (this.#disposal) throw disposed();
    this.#model.requests.throwIfClosed();
  }
}

/** All messages, the system's first. */
function spoken({ system, messages }: CheckedSession): readonly Message[] {
  return system === undefined ? messages : [{ role: "system", content: system }, ...messages];
}

const disposed = () => new R1Error("E_DISPOSED", "The session was disposed. Create another one to go on.");
