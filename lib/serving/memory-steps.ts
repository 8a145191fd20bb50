/** Loading in less memory: what is tried, in order, when there is not enough (`LoadOptions.onOutOfMemory`). */
import { R1Error } from "../errors";
import type { Warning } from "../load-options";
import type { MemoryStep } from "./options";

/** What the steps change of a load. */
export interface LoadChoice {
  device: "cpu" | "cuda";
  maxSequences: number;
  /** Prompt rows of one step; 0 leaves the choice to the engine. */
  prefillRows: number;
  kvMemory?: number;
  memoryLimit?: number;
}

/** What the engine takes for 0: csrc/engine/loader.cc. */
const defaultPrefillRows = { cpu: 512, cuda: 2048 };
/** As many rows as a decode step may have; fewer would save nothing. */
const fewestRows = 64;

type Taken = { choice: LoadChoice; what: string } | { skipped: string };

/** What each step makes of the choice that failed; `asked` is the caller's own. */
const take: Readonly<Record<MemoryStep, (failed: LoadChoice, asked: LoadChoice) => Taken>> = {
  "int8-kv": () => ({ skipped: "this version has no INT8 KV cache" }),
  int8: () => ({ skipped: "this version cannot quantize weights" }),
  "smaller-batch": smallerBatch,
  cpu: (failed, asked) => {
    if (failed.device === "cpu") return { skipped: "the model was to be loaded on the CPU already" };
    const { memoryLimit: _, ...rest } = asked; // it speaks of the GPU
    return { choice: { ...rest, device: "cpu" }, what: `the CPU, with ${batch(rest)}` };
  },
};

function smallerBatch(failed: LoadChoice): Taken {
  const rows = failed.prefillRows || defaultPrefillRows[failed.device];
  const { maxSequences, kvMemory } = failed;
  if (maxSequences === 1 && rows <= fewestRows)
    return { skipped: `the batch is as small as can be: ${batch({ ...failed, prefillRows: rows })}` };
  const choice = {
    ...failed,
    maxSequences: Math.max(1, Math.floor(maxSequences / 2)),
    prefillRows: Math.max(fewestRows, Math.floor(rows / 2)),
    ...(kvMemory === undefined ? {} : { kvMemory: Math.max(1, Math.floor(kvMemory / 2)) }),
  };
  return { choice, what: batch(choice) };
}

function batch({ maxSequences, prefillRows, kvMemory }: Omit<LoadChoice, "device">): string {
  const parts = [`maxSequences ${maxSequences}`];
  if (prefillRows > 0) parts.push(`${prefillRows} prompt rows a step`);
  if (kvMemory !== undefined) parts.push(`kvMemory ${kvMemory}`);
  return parts.join(", ");
}

/** The figures; what follows is advice to a person. */
const firstSentence = (message: string): string => /^.*?\.(?= [A-Z]|$)/s.exec(message)?.[0] ?? message;

const isOutOfMemory = (error: unknown): error is R1Error =>
  error instanceof R1Error && error.code === "E_OUT_OF_MEMORY";

/**
 * Loads, and where memory does not suffice tries one step after the other; "smaller-batch" again and again while there
 * is something to halve. Every step taken or skipped is a warning with the figures of what did not fit.
 *
 * @throws what the last attempt threw, or anything but E_OUT_OF_MEMORY at once
 */
export async function loadWithinMemory<T>(
  asked: LoadChoice,
  steps: readonly MemoryStep[],
  attempt: (choice: LoadChoice) => Promise<T>,
  warn: (warning: Warning) => void,
): Promise<T> {
  let choice = asked;
  let failure: R1Error;
  const tried = async (next: LoadChoice): Promise<{ loaded: T } | undefined> => {
    choice = next;
    try {
      return { loaded: await attempt(next) };
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      failure = error;
      return undefined;
    }
  };
  let result = await tried(asked);
  for (const step of steps) {
    while (!result) {
      const taken = take[step](choice, asked);
      const before = firstSentence(failure!.message);
      if ("skipped" in taken) {
        warn({
          code: "memory-step-skipped",
          message: `Out of memory: ${before} The step "${step}" is skipped: ${taken.skipped}.`,
        });
        break;
      }
      warn({
        code: "memory-step",
        message: `Out of memory: ${before} The step "${step}" is taken: trying ${taken.what}.`,
      });
      result = await tried(taken.choice);
      if (step !== "smaller-batch") break;
    }
  }
  if (!result) throw failure!;
  return result.loaded;
}
