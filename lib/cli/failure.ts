/** Errors as one line with a hint, and the exit code that goes with them. */
import { AbortError, R1Error, type R1ErrorCode } from "../errors";
import { exitCodes } from "./command";
import { UsageError } from "./flags";
import type { Output } from "./terminal";

/** What helps on the command line, beside what the message says. */
const hints: Partial<Record<R1ErrorCode, string>> = {
  E_DEVICE_UNAVAILABLE: "Use --device cpu to run on the CPU.",
  E_OUT_OF_MEMORY:
    "On the command line: --context-length, --kv-memory, --memory-limit, --precision, --on-out-of-memory.",
  E_CONTEXT_OVERFLOW: "On the command line: --max-new-tokens, --context-length.",
  E_INTERNAL: "Please report it with the command that was run.",
};

/** "r1: what happened. What to do." in one line. */
export function describeError(error: unknown, err: Output, command?: string): string {
  const message = error instanceof Error && error.message !== "" ? error.message : String(error);
  let hint = error instanceof R1Error ? (hints[error.code] ?? "") : "";
  if (error instanceof UsageError) hint = `See r1 ${command ? `${command} ` : ""}--help.`;
  const line = message.replace(/\s*\n\s*/g, " ").trim();
  return `${err.style("red", "r1:")} ${line}${/[.!?]$/.test(line) ? "" : "."}${hint === "" ? "" : ` ${hint}`}`;
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return exitCodes.usage;
  return error instanceof AbortError ? exitCodes.interrupted : exitCodes.error;
}
