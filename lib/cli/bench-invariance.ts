/**
 * What row invariance costs: how much faster a step of generated tokens would be if each op of a layer could be computed
 * by whichever class of kernels is faster for that many rows, and if such a step could be one with a step of prompt rows.
 */
import { loadSpec } from "../load-spec";
import { binding, type NativeOpChoice, type NativeStepTimes, type NativeTimedStep } from "../native";
import { stepBytes } from "./bench-decode";
import { failingAsR1Error, loadEngine, median } from "./bench-engine";
import type { BenchContext, BenchMeasurement, BenchResult, BenchRow } from "./bench-types";

const ops = ["qkv", "attention", "residual", "mlp"] as const;
type Op = (typeof ops)[number];

/** Prompt rows of a step beside which sequences decode, before it follows the load: csrc/engine/loader.cc. */
const promptRows = { cpu: 64, cuda: 512 };
/** An op changes its class when that alone makes the step so much faster in three rounds of four; less may be chance. */
const worthwhile = 0.01;

export async function benchInvariance(context: BenchContext): Promise<BenchResult> {
  const { checkpoint, target, options } = context;
  const { sequences = [1, 8, 32, 64], promptTokens = 1024, repeats = 9 } = options;
  const beside = promptRows[target.device];
  const spec = loadSpec(checkpoint, {
    ...{ ...target, contextLength: Math.max(promptTokens, beside), maxSequences: Math.max(...sequences) + 1 },
  });
  const time = (steps: NativeTimedStep[]) => failingAsR1Error(binding().timeSteps(spec, steps, repeats));
  const stepsOf = sequences.map((count) => new Steps(count, promptTokens, beside));

  // Once to choose, and once more to measure what was chosen: the best of several noisy times is no measurement.
  const trials = await time(stepsOf.flatMap((steps) => steps.trials()));
  const faster = stepsOf.map((_, i) => fasterByPrefill(slice(trials, i, stepsOf.length)));
  const times = await time(stepsOf.flatMap((steps, i) => steps.measured(faster[i])));

  const rows = stepsOf.map((steps, i): BenchMeasurement => {
    const columns = rowOf(steps, faster[i], slice(times, i, stepsOf.length), context);
    const bytes = stepBytes(checkpoint, target.precision, steps.sequences, promptTokens);
    return { columns, share: { rate: (bytes / (columns["ms/step"] as number)) * 1000, of: "readBytesPerS" } };
  });
  // The device as an engine describes it.
  const client = await loadEngine(checkpoint, target, 1, 64);
  try {
    return { info: client.info, rows };
  } finally {
    await client.dispose();
  }
}

/** Part `i` of a list of `parts` equal ones. */
function slice<T>(list: T[], i: number, parts: number): T[] {
  const size = list.length / parts;
  return list.slice(i * size, (i + 1) * size);
}

/** The steps that are compared for one number of sequences. */
class Steps {
  constructor(
    readonly sequences: number,
    readonly length: number,
    readonly promptRows: number,
  ) {}

  /** All ops by the decode class, then each in turn by the prefill class. */
  trials(): NativeTimedStep[] {
    return [this.#mixed([]), ...ops.map((op) => this.#mixed([op]))];
  }

  measured(faster: readonly Op[]): NativeTimedStep[] {
    const { sequences, length, promptRows } = this;
    return [
      { numericClass: "decode", sequences, length, promptRows: 0, classes: null },
      this.#mixed([]),
      this.#mixed(faster),
      this.#mixed([], "attention"),
      { numericClass: "prefill", sequences: 0, length, promptRows, classes: null },
      { numericClass: "prefill", sequences, length, promptRows, classes: null },
    ];
  }

  /** A step of the prefill class has what both classes need, and is never a graph: mixes differ in their kernels alone. */
  #mixed(prefill: readonly Op[], skipped?: Op): NativeTimedStep {
    const choice = (op: Op): NativeOpChoice => (op === skipped ? "skip" : prefill.includes(op) ? "prefill" : "decode");
    const classes = {
      ...{ qkv: choice("qkv"), attention: choice("attention"), residual: choice("residual"), mlp: choice("mlp") },
    };
    return { numericClass: "prefill", sequences: this.sequences, length: this.length, promptRows: 0, classes };
  }
}

/** The part of a time that another one saves, for each round: both were measured in all of them. */
export function saved(from: readonly number[], to: readonly number[]): number[] {
  return from.map((ms, round) => 1 - to[round] / ms);
}

/** The ops of which the times, each alone by the prefill class, are shorter than `decode`, which has none of them so. */
export function fasterByPrefill([decode, ...single]: readonly Pick<NativeStepTimes, "ms">[]): Op[] {
  return ops.filter((_, i) => {
    const rounds = saved(decode.ms, single[i].ms);
    return rounds.filter((part) => part > worthwhile).length >= rounds.length * 0.75;
  });
}

function rowOf(steps: Steps, faster: Op[], times: NativeStepTimes[], { checkpoint, target, ceilings }: BenchContext) {
  const [decode, direct, mixed, withoutAttention, prompt, together] = times;
  const attention = median(direct.ms.map((ms, round) => ms - withoutAttention.ms[round]));
  const { sequences, length } = steps;
  const kvBytes =
    stepBytes(checkpoint, target.precision, sequences, length) - stepBytes(checkpoint, target.precision, sequences, 0);
  const apart = decode.ms.map((ms, round) => ms + prompt.ms[round]);
  const row: BenchRow = {
    ...{ sequences, length, "ms/step": median(decode.ms), "ms unrecorded": median(direct.ms) },
    // Nothing is left of the comparison if the ops chosen one by one did not do what the engine's steps do.
    "same bits": decode.logprob === direct.logprob ? "yes" : "no",
    ...{ "faster by prefill": faster.join("+") || "none", "ms fastest": median(mixed.ms) },
    "share lost to classes": faster.length > 0 ? median(saved(direct.ms, mixed.ms)) : 0,
    ...(attention > 0
      ? { "ms attention": attention, "share of read in attention": kvBytes / attention / 1e-3 / ceilings.readBytesPerS }
      : {}),
    ...{ [`ms ${steps.promptRows} prompt rows`]: median(prompt.ms), "ms together": median(together.ms) },
    "share lost apart": median(saved(apart, together.ms)),
  };
  return row;
}
