/** `r1 chat`: a conversation. */
import { AbortError, R1Error } from "../errors";
import type { RequestOptions } from "../options";
import type { SessionOptions } from "../session/options";
import type { Session } from "../session/session";
import type { Message } from "../text/messages";
import { describeFinish, type WrittenAnswer, writeAnswer } from "./answer";
import { type Command, exitCodes } from "./command";
import { describeError } from "./failure";
import { UsageError } from "./flags";
import { Interrupt, PipedInput, TerminalInput } from "./input";
import { loadFlags, loadModel, loadOptions } from "./load";
import { asUsageError, requestFlags, requestOptions } from "./request-flags";
import type { Io } from "./terminal";

const { n: _n, logprobs: _logprobs, "no-special-tokens": _bos, "parse-special": _parse, ...chatFlags } = requestFlags;

const help = `/save [FILE]   keep the conversation in a file (the last one); --session FILE goes on with it
/reset         forget the conversation
/help          this list
/exit          leave (also Ctrl-D, or Ctrl-C twice)
Ctrl-C stops an answer; what was written of it stays in the conversation. A line that ends with \\ goes on in the next.`;

export const chat: Command = {
  summary: "hold a conversation",
  usage: "chat [flags]",
  details: help,
  flags: {
    ...loadFlags,
    system: { value: "TEXT", help: "a system message at the start (R1 models do best without)" },
    session: { value: "FILE", help: "goes on with a conversation that /save has written" },
    "keep-reasoning": { help: "keeps what was thought in the conversation, not the answers alone" },
    "show-reasoning": { help: "writes the reasoning too" },
    ...chatFlags,
  },
  maxPositionals: 0,
  async run({ values }, io) {
    const load = loadOptions(values);
    const options = requestOptions(values);
    const { session: file, system, "keep-reasoning": keepReasoning } = values as ChatValues;
    const own = system !== undefined ? "--system" : keepReasoning ? "--keep-reasoning" : undefined;
    if (file !== undefined && own !== undefined)
      throw new UsageError(`${own} cannot be given with --session: the saved conversation has its own.`);
    const model = await loadModel(load, io);
    try {
      const session =
        file === undefined ? model.createSession({ system, keepReasoning }) : await model.restoreSession(file);
      const conversation = new Conversation(model, session, options, values, io);
      return await conversation.hold();
    } catch (error) {
      // Token ids can be compared with the vocabulary only now.
      throw asUsageError(error, chatFlags);
    } finally {
      await model.dispose();
    }
  },
};

interface ChatValues {
  session?: string;
  system?: string;
  "keep-reasoning"?: boolean;
}

/** What a conversation needs of a session, and of a model. @internal */
export type ChatSession = Pick<Session, "messages" | "system" | "keepReasoning" | "stream" | "save" | "dispose">;
interface ChatModel {
  createSession(options: SessionOptions): ChatSession;
}

/** @internal */
export class Conversation {
  readonly #model: ChatModel;
  readonly #options: RequestOptions;
  readonly #io: Io;
  readonly #showReasoning: boolean;
  #session: ChatSession;
  /** Where it is saved unless another file is named. */
  #file: string | undefined;

  constructor(
    model: ChatModel,
    session: ChatSession,
    options: RequestOptions,
    values: Readonly<Record<string, unknown>>,
    io: Io,
  ) {
    this.#model = model;
    this.#session = session;
    this.#options = options;
    this.#io = io;
    this.#showReasoning = values["show-reasoning"] === true;
    this.#file = (values as ChatValues).session;
  }

  /** Resolves with the exit code when the user leaves. */
  async hold(): Promise<number> {
    const { out, stdin, signal } = this.#io;
    const input = stdin.isTTY && out.terminal ? new TerminalInput(this.#io) : new PipedInput(stdin);
    if (input instanceof TerminalInput) {
      const { length } = this.#spoken();
      if (length > 0) await out.line(out.style("dim", `Going on behind ${length} messages.`));
      await out.line(out.style("dim", "/help lists what can be typed beside messages."));
    }
    const left = new Promise<undefined>((resolve) => {
      if (signal.aborted) resolve(undefined);
      signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    for (;;) {
      const line = await Promise.race([input.read(), left]);
      if (line === "interrupted") return exitCodes.interrupted;
      if (signal.aborted) throw new AbortError(signal.reason, undefined);
      if (line === undefined) {
        if (out.terminal) await out.line();
        return exitCodes.ok;
      }
      const text = line.text.trim();
      if (text === "/exit" || text === "/quit") return exitCodes.ok;
      if (text.startsWith("/") && !text.includes("\n")) await this.#command(text);
      else if (text !== "") await this.#turn(line.text);
    }
  }

  async #command(text: string): Promise<void> {
    const { out, err } = this.#io;
    const [, name, argument] = /^(\S+)\s*(.*)$/.exec(text) as RegExpExecArray;
    if (name === "/save") return this.#save(argument || this.#file);
    if (argument !== "" || (name !== "/help" && name !== "/reset"))
      return err.line(`r1: unknown command ${text}; /help lists what there is.`);
    if (name === "/help") return out.line(help);
    await this.#goOnBehind([]);
    // What the file has is not to be lost to a mere /save.
    this.#file = undefined;
    return out.line(out.style("dim", "The conversation begins anew."));
  }

  async #save(file: string | undefined): Promise<void> {
    const { out, err } = this.#io;
    if (file === undefined) return err.line("r1: /save needs the name of a file.");
    try {
      await this.#session.save(file);
    } catch (error) {
      if (!isRecoverable(error)) throw error;
      return err.line(describeError(error, err));
    }
    this.#file = file;
    return out.line(out.style("dim", `Saved as ${file}.`));
  }

  async #turn(content: string): Promise<void> {
    const { out, err, signal } = this.#io;
    const before = this.#spoken();
    const written: WrittenAnswer = { text: "", reasoning: "", finish: undefined };
    const interrupt = new Interrupt(signal);
    try {
      const options = { ...this.#options, signal: interrupt.signal };
      await writeAnswer(this.#session.stream(content, options), this.#io, this.#showReasoning, written);
    } catch (error) {
      if (!(error instanceof AbortError)) {
        if (!isRecoverable(error)) throw error;
        await this.#endLine(written);
        const hint = error.code === "E_CONTEXT_OVERFLOW" ? " /reset begins anew." : "";
        return err.line(`${describeError(error, err)}${hint}`);
      }
      if (error.partial) written.text = error.partial.text;
      if (written.text !== "")
        await this.#goOnBehind([...before, { role: "user", content }, { role: "assistant", content: written.text }]);
    } finally {
      interrupt.close();
    }
    // Without a text there is nothing to answer to: the question is forgotten too.
    if (written.finish && written.text === "" && !this.#session.keepReasoning) await this.#goOnBehind(before);
    await this.#endLine(written);
    if (out.terminal) {
      const cut = written.finish ? describeFinish(written.finish) : "stopped";
      await err.line(err.style("dim", `[${cut}]`));
    }
  }

  /** All that was said but the system message. */
  #spoken(): Message[] {
    const { messages, system } = this.#session;
    return system === undefined ? messages : messages.slice(1);
  }

  /** Another session, in which this was said. */
  async #goOnBehind(messages: Message[]): Promise<void> {
    const { system, keepReasoning } = this.#session;
    await this.#session.dispose();
    this.#session = this.#model.createSession({ system, keepReasoning, messages });
  }

  async #endLine({ text }: WrittenAnswer): Promise<void> {
    if (!text.endsWith("\n")) await this.#io.out.line();
  }
}

/** Whether the conversation can go on after it. */
const isRecoverable = (error: unknown): error is R1Error =>
  error instanceof R1Error && error.code !== "E_DEVICE_LOST" && error.code !== "E_DISPOSED";
