/** Running the program inside the test, with streams of its own. */
import { PassThrough, type Writable } from "node:stream";
import { main } from "../../lib/cli/main";
import { type Io, Output } from "../../lib/cli/terminal";

export interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  stdin?: string;
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

/** A stream that keeps what is written; as a terminal if asked. */
export function sink(terminal = false): PassThrough & { text: () => string } {
  const stream = new PassThrough({ highWaterMark: 1 << 26 });
  const chunks: Buffer[] = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  return Object.assign(stream, { text: () => Buffer.concat(chunks).toString("utf8"), isTTY: terminal, columns: 100 });
}

/** `r1 ...argv`; standard input is a terminal that nobody types at, unless there is text for it. */
export async function r1(argv: readonly string[], { stdin, env = {}, signal }: RunOptions = {}): Promise<Run> {
  const input: PassThrough & { isTTY?: boolean } = new PassThrough();
  if (stdin === undefined) input.isTTY = true;
  else input.end(stdin);
  const [stdout, stderr] = [sink(), sink()];
  const code = await main(argv, { stdin: input, stdout, stderr, env, signal });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

export interface TestIo extends Io {
  stdin: PassThrough & { isTTY?: boolean };
  stdout: () => string;
  stderr: () => string;
}

/** Streams for a part of a command; `terminal` makes all of them terminals. */
export function testIo(terminal = false, signal: AbortSignal = new AbortController().signal): TestIo {
  const [out, err] = [sink(terminal), sink(terminal)];
  const stdin = Object.assign(new PassThrough(), { isTTY: terminal, setRawMode: () => stdin });
  const env = { NO_COLOR: "1" };
  return {
    stdin,
    out: new Output(out as Writable, env),
    err: new Output(err as Writable, env),
    signal,
    stdout: out.text,
    stderr: err.text,
  };
}
