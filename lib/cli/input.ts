/** What people type: messages at a prompt or through a pipe, and Ctrl-C. */
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Io } from "./terminal";

/** Ctrl-C while an answer is written; the program's own signal counts too. */
export class Interrupt {
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

/** What was typed; undefined at the end of the input. */
export type Line = { text: string } | "interrupted" | undefined;

/** Lines typed at a prompt. An interface lives for one message: between them Ctrl-C is a signal again. */
export class TerminalInput {
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
export class PipedInput {
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
