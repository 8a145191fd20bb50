#!/usr/bin/env node
/** The program `r1`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { chat } from "./chat";
import { type Command, exitCodes } from "./command";
import { evaluation } from "./eval";
import { describeError, exitCodeOf } from "./failure";
import { describeFlags, type Flags, parseArguments, UsageError } from "./flags";
import { generate } from "./generate";
import { info } from "./info";
import { perplexity } from "./perplexity";
import { bench } from "./run-bench";
import { columns, type Io, Output } from "./terminal";

const commands: Readonly<Record<string, Command>> = { generate, chat, info, perplexity, eval: evaluation, bench };

const helpFlag: Flags = { help: { short: "h", help: "this text" } };

/** Where the program runs; tests bring their own. */
export interface Streams {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable;
  stderr: Writable;
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

/** Runs the program and resolves with its exit code; never rejects. */
export async function main(argv: readonly string[], streams: Streams): Promise<number> {
  const { stdin, stdout, stderr, env } = streams;
  const out = new Output(stdout, env);
  const err = new Output(stderr, env);
  const gone = new AbortController();
  let failure: NodeJS.ErrnoException | undefined;
  for (const stream of [stdout, stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      failure ??= error;
      gone.abort(error);
    });
  const signal = streams.signal ? AbortSignal.any([streams.signal, gone.signal]) : gone.signal;
  try {
    const code = await dispatch(argv, { stdin, out, err, signal });
    // A stream tells of a failed write in a later turn.
    await new Promise(setImmediate);
    if (failure) throw failure;
    return code;
  } catch (caught) {
    // EPIPE: whoever read the output, such as head, has left. That is no error, but there is nothing more to do.
    if (failure?.code === "EPIPE") return exitCodes.ok;
    const error = failure ? new Error(`The output cannot be written (${failure.message}).`) : caught;
    const code = exitCodeOf(error);
    if (code !== exitCodes.interrupted)
      await err.line(describeError(error, err, Object.hasOwn(commands, argv[0] ?? "") ? argv[0] : undefined));
    if (env.R1_DEBUG && error instanceof Error) await err.line(String(error.stack));
    return code;
  }
}

async function dispatch(argv: readonly string[], io: Io): Promise<number> {
  const { out } = io;
  const [name, ...rest] = argv;
  if (name === "--version" || name === "-V") {
    await out.line(version());
    return exitCodes.ok;
  }
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const command = name === "help" && rest.length > 0 ? rest[0] : undefined;
    await (name === undefined ? io.err : out).write(command ? commandHelp(command) : help());
    return name === undefined ? exitCodes.usage : exitCodes.ok;
  }
  const command = find(name);
  const args = parseArguments({ ...command.flags, ...helpFlag }, rest, command.maxPositionals);
  if (args.values.help) {
    await out.write(commandHelp(name));
    return exitCodes.ok;
  }
  return command.run(args, io);
}

/** @throws UsageError listing the commands */
function find(name: string): Command {
  if (Object.hasOwn(commands, name)) return commands[name];
  throw new UsageError(`Unknown command ${JSON.stringify(name)}; there are ${Object.keys(commands).join(", ")}.`);
}

function version(): string {
  const path = join(__dirname, "../../package.json");
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

function help(): string {
  const list = Object.entries(commands).map(([name, { summary }]): [string, string] => [name, summary]);
  return `Run DeepSeek-R1 family models.

Usage: r1 COMMAND [arguments]

${columns(list, "  ")}

  r1 COMMAND --help   the flags of a command
  r1 --version        the version

Exit codes: 0 done, 1 an error, 2 wrong arguments, 130 interrupted by Ctrl-C.
NO_COLOR turns colours off; R1_DEBUG=1 shows where errors come from.
`;
}

function commandHelp(name: string): string {
  const { usage, summary, details, flags } = find(name);
  const text = `${summary[0].toUpperCase()}${summary.slice(1)}.`;
  return `${text}\n\nUsage: r1 ${usage}\n${details ? `\n${details}\n` : ""}\n${describeFlags({ ...flags, ...helpFlag })}\n`;
}

/** The first Ctrl-C ends what is being done in good order, the second at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  process.on("SIGINT", () => {
    // A conversation has its own use for Ctrl-C while it answers.
    if (process.listenerCount("SIGINT") > 1) return;
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort(new Error("interrupted"));
  });
  return controller.signal;
}

if (require.main === module) {
  const { stdin, stdout, stderr, env } = process;
  void main(process.argv.slice(2), { stdin, stdout, stderr, env, signal: interruption() }).then((code) => {
    process.exitCode = code;
    // A pipe that somebody else holds open must not keep the program alive.
    stdin.destroy();
  });
}
