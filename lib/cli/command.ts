/** What a command of the program is. */
import type { Arguments, Flags } from "./flags";
import type { Io } from "./terminal";

export interface Command {
  /** One line for the list of commands. */
  summary: string;
  /** What follows `r1`. */
  usage: string;
  /** Further lines of the help. */
  details?: string;
  flags: Flags;
  maxPositionals: number;
  /** Resolves with the exit code. */
  run(args: Arguments, io: Io): Promise<number>;
}

/** Documented in `r1 --help`. */
export const exitCodes = { ok: 0, error: 1, usage: 2, interrupted: 130 } as const;
