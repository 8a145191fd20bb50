/** The streams of the command line: colours, back-pressure, and readers that go away. */
import type { Readable, Writable } from "node:stream";
import { styleText } from "node:util";

export type Style = Parameters<typeof styleText>[0];

/** An output of the program. */
export class Output {
  readonly stream: Writable;
  readonly #colours: boolean;

  constructor(stream: Writable, env: NodeJS.ProcessEnv) {
    this.stream = stream;
    // https://no-color.org: any value but the empty one turns colours off.
    this.#colours = isTerminal(stream) && !env.NO_COLOR && env.TERM !== "dumb";
  }

  get terminal(): boolean {
    return isTerminal(this.stream);
  }

  /** Characters in a line; 80 where it is not known, which some terminals say with 0. */
  get columns(): number {
    return (this.stream as Partial<NodeJS.WriteStream>).columns || 80;
  }

  /** Resolves when there is room for more: a slow reader slows the writer down. */
  async write(text: string): Promise<void> {
    if (text === "" || this.stream.destroyed || this.stream.write(text)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        for (const event of ["drain", "close", "error"]) this.stream.off(event, done);
        resolve();
      };
      for (const event of ["drain", "close", "error"]) this.stream.on(event, done);
    });
  }

  line(text = ""): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** What a model wrote: a terminal would obey control characters in it, so that it gets only tabs and line ends. */
  printable(text: string): string {
    return this.terminal ? text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "") : text;
  }

  style(style: Style, text: string): string {
    // The stream has been looked at already; styleText itself would look at standard output.
    return this.#colours && text !== "" ? styleText(style, text, { validateStream: false }) : text;
  }
}

const isTerminal = (stream: unknown): boolean => (stream as { isTTY?: boolean }).isTTY === true;

/** What a command works with. */
export interface Io {
  stdin: Readable & { isTTY?: boolean };
  out: Output;
  err: Output;
  /** Aborted by the first Ctrl-C, and when nobody reads the output any more. */
  signal: AbortSignal;
}

/** Everything that comes through a pipe, less the newline at its end that `echo` writes. */
export async function readAll(stdin: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

export const withoutLastNewline = (text: string): string => text.replace(/\r?\n$/, "");

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

/** 1536 is "1.50 KiB". */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toPrecision(value >= 1000 ? 4 : 3)} ${units[unit]}`;
}

/** Two columns, the first as wide as its widest entry. */
export function columns(rows: readonly (readonly [string, string])[], indent = ""): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${indent}${left.padEnd(width)}  ${right}`.trimEnd()).join("\n");
}

/** Lines whose cells stand below each other at the right, those of the first `left` columns at the left. */
export function table(lines: readonly (readonly string[])[], left = 0): string[] {
  const widths = Array.from({ length: Math.max(...lines.map((line) => line.length)) }, (_, i) =>
    Math.max(...lines.map((line) => line[i]?.length ?? 0)),
  );
  return lines.map((line) =>
    line
      .map((text, i) => (i < left ? text.padEnd(widths[i]) : text.padStart(widths[i])))
      .join("  ")
      .trimEnd(),
  );
}
