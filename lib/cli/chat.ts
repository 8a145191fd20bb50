/** `r1 chat`: a conversation. */
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { AbortError, R1Error } from "../errors";
import type { DeepSeekR1 } from "../model";
import type { RequestOptions } from "../options";
import type { Message } from "../text/messages";
import { describeFinish, type WrittenAnswer, writeAnswer } from "./answer";
import { type Command, exitCodes } from "./command";
import { describeError } from "./failure";
import { loadFlags, loadModel, loadOptions } from "./load";
import { asUsageError, requestFlags, requestOptions } from "./request-flags";
import type { Io } from "./terminal";

const { n: _n, logprobs: _logprobs, "no-special-tokens": _bos, "parse-special": _parse, ...chatFlags } = requestFlags;

const help = `/reset   forget the conversation
/help    this list
/exit    leave (also Ctrl-D, or Ctrl-C twice)
Ctrl-C stops an answer; what was written of it stays in the conversation. A line that ends with \\ goes on in the next.`;

export const chat: Command = {
  summary: "hold a conversation",
  usage: "chat [flags]",
  details: help,
  flags: {
    ...loadFlags,
    system: { value: "TEXT", help: "a system message at the start (R1 models do best without)" },
    "show-reasoning": { help: "writes the reasoning too" },
    ...chatFlags,
  },
  maxPositionals: 0,
  async run({ values }, io) {
    const load = loadOptions(values);
    const options = requestOptions(values);
    const model = await loadModel(load, io);
    try {
      const conversation = new Conversation(model, options, values, io);
      return await conversation.hold();
    } catch (error) {
      // Token ids can be compared with the vocabulary only now.
      throw asUsageError(error, chatFlags);
    } finally {
      await model.dispose();
    }
  },
};

/** @internal */
export class Conversation {
  readonly #model: Pick<DeepSeekR1, "stream">;
  readonly #options: RequestOptions;
  readonly #io: Io;
  readonly #showReasoning: boolean;
  readonly #system: Message[];
  #messages: Message[] = [];

  constructor(
    model: Pick<DeepSeekR1, "stream">,
    options: RequestOptions,
    values: Readonly<Record<string, unknown>>,
    io: Io,
  ) {
    this.#model = model;
    this.#options = options;
    this.#io = io;
    this.#showReasoning = values["show-reasoning"] === true;
    this.#system = typeof values.system === "string" ? [{ role: "system", content: values.system }] : [];
  }

  /** Resolves with the exit code when the user leaves. */
  async hold(): Promise<number> {
    const { out, stdin, signal } = this.#io;
    const input = stdin.isTTY && out.terminal ? new TerminalInput(this.#io) : new PipedInput(stdin);
    if (input instanceof TerminalInput)
      await out.line(out.style("dim", "/help lists what can be typed beside messages."));
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
    if (text === "/help") return out.line(help);
    if (text !== "/reset") return err.line(`r1: unknown command ${text}; /help lists what there is.`);
    this.#messages = [];
    return out.line(out.style("dim", "The conversation begins anew."));
  }

  async #turn(content: string): Promise<void> {
    const { out, err, signal } = this.#io;
    const messages: Message[] = [...this.#messages, { role: "user", content }];
    const written: WrittenAnswer = { text: "", reasoning: "", finish: undefined };
    const interrupt = new Interrupt(signal);
    try {
      const options = { ...this.#options, signal: interrupt.signal };
      await writeAnswer(
        this.#model.stream([...this.#system, ...messages], options),
        this.#io,
        this.#showReasoning,
        written,
      );
    } catch (error) {
      if (!(error instanceof AbortError)) {
        if (!(error instanceof R1Error) || error.code === "E_DEVICE_LOST" || error.code === "E_DISPOSED") throw error;
        await this.#endLine(written);
        const hint = error.code === "E_CONTEXT_OVERFLOW" ? " /reset begins anew." : "";
        return err.line(`${describeError(error, err)}${hint}`);
      }
      if (error.partial) written.text = error.partial.text;
    } finally {
      interrupt.close();
    }
    // Without a text there is nothing to answer to: the question is forgotten too.
    if (written.text !== "") this.#messages = [...messages, { role: "assistant", content: written.text }];
    await this.#endLine(written);
    if (out.terminal) {
      const cut = written.finish ? describeFinish(written.finish) : "stopped";
      await err.line(err.style("dim", `[${cut}]`));
    }
  }

  async #endLine({ text }: WrittenAnswer): Promise<void> {
    if (!text.endsWith("\n")) await this.#io.out.line();
  }
}

/** Ctrl-C while an answer is written; the program's own signal counts too. */
class Interrupt {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  readonly #abort = () => this.#controller.abort(new Error("interrupted"));

  constructor(outer: AbortSignal) {
    this.#outer = outer;
    process.on("SIGINT", this.#abort);
    outer.addEventListener("abort", this.#abort);
    if (outer.aborted) this.#abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  close(): void {
    process.off("SIGINT", this.#abort);
    this.#outer.removeEventListener("abort", this.#abort);
  }
}

type Line = { text: string } | "interrupted" | undefined;

/** Lines typed at a prompt. An interface lives for one message: between them Ctrl-C is a signal again. */
class TerminalInput {
  readonly #io: Io;
  #history: string[] = [];

  constructor(io: Io) {
    this.#io = io;
  }

  read(): Promise<Line> {
    const { stdin, out } = this.#io;
    const lines = createInterface({
      input: stdin,
      output: out.stream,
      terminal: true,
      history: this.#history,
      historySize: 1000,
      prompt: out.style("bold", "> "),
    });
    lines.on("history", (history) => {
      this.#history = history;
    });
    return new Promise((resolve) => {
      let interrupted = false;
      let text = "";
      const end = (line: Line) => {
        resolve(line);
        lines.close();
      };
      lines.on("line", (line) => {
        interrupted = false;
        if (!line.endsWith("\\")) return end({ text: text + line });
        text += `${line.slice(0, -1)}\n`;
        lines.setPrompt("… ");
        lines.prompt();
      });
      lines.on("SIGINT", () => {
        if (interrupted && lines.line === "" && text === "") {
          void out.line();
          return end("interrupted");
        }
        interrupted = true;
        text = "";
        void out.line(out.style("dim", "\n(Ctrl-C again, or /exit, leaves)"));
        lines.setPrompt(out.style("bold", "> "));
        // Empties the line as a shell does.
        lines.write(null, { ctrl: true, name: "e" });
        lines.write(null, { ctrl: true, name: "u" });
        lines.prompt();
      });
      // Ctrl-D, or the end of the input; what has been resolved already stays so.
      lines.on("close", () => resolve(undefined));
      lines.prompt();
    });
  }
}

/** Lines from a pipe: each is a message. */
class PipedInput {
  readonly #lines: AsyncIterator<string>;

  constructor(stdin: Readable) {
    this.#lines = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  }

  async read(): Promise<Line> {
    let text = "";
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) return text === "" ? undefined : { text };
      if (!value.endsWith("\\")) return { text: text + value };
      text += `${value.slice(0, -1)}\n`;
    }
  }
}
