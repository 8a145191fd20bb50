/** The ops that a step is made of: what each must read and compute, and how long it takes alone. */
import type { Checkpoint } from "../checkpoint/checkpoint";
import { activationBytes, weightSize } from "../checkpoint/memory";
import { loadSpec } from "../load-spec";
import { binding, type NativeStepOp, type NativeTimedStep, type Precision } from "../native";
import { failingAsR1Error, median } from "./bench-engine";
import type { BenchTarget } from "./bench-types";

/** In the order of a step. */
export const stepOps = ["embed", "qkv", "attention", "output", "gateUp", "down", "head", "sample"] as const;

/** A step of generated tokens, one for each of `sequences` sequences of `length` tokens, or one of prompt rows alone. */
export type StepShape = { sequences: number; length: number } | { promptRows: number };

export interface OpWork {
  /** In one step. */
  calls: number;
  bytes: number;
  macs: number;
}

/** The weights of an op, by the end of their names. */
const opWeights: Readonly<Partial<Record<NativeStepOp, readonly string[]>>> = {
  qkv: [".attn_norm", ".qkv", ".qkv_bias"],
  output: [".o", ".o_bias"],
  gateUp: [".mlp_norm", ".gate_up", ".gate_up_bias"],
  down: [".down", ".down_bias"],
};

/**
 * What the ops of a step must touch, all layers together: of a linear layer the weights, of attention K and V of the
 * visible tokens, of the others the activations that they read and write. Multiply-adds are those of matrices and of
 * attention's visible (query, key) pairs.
 */
export function opWork(checkpoint: Checkpoint, precision: Precision, shape: StepShape): Record<NativeStepOp, OpWork> {
  const { config, weights, tied } = checkpoint;
  const { layers, hidden, heads, kvHeads, headDim, vocab } = config;
  const act = activationBytes[precision];
  const rows = "promptRows" in shape ? shape.promptRows : shape.sequences;
  const logitRows = "promptRows" in shape ? 1 : shape.sequences;
  const linear = (chosen: Checkpoint["weights"], calls: number, ofRows: number): OpWork => {
    const matrices = chosen.flatMap(({ parts }) => parts).filter(({ cols }) => cols > 1);
    const values = matrices.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
    return { calls, bytes: chosen.reduce((sum, one) => sum + weightSize(one, precision), 0), macs: ofRows * values };
  };
  const layerLinear = (op: NativeStepOp) => {
    const names = opWeights[op] as readonly string[];
    return linear(
      weights.filter(({ name }) => name.startsWith("layers.") && names.some((end) => name.endsWith(end))),
      layers,
      rows,
    );
  };
  const headName = tied ? "embed" : "head";
  const { keys, pairs } = visible(config.windows, shape);
  return {
    embed: { calls: 1, bytes: rows * hidden * (act + 4), macs: 0 },
    qkv: layerLinear("qkv"), // RoPE and the append to the cache included
    attention: {
      ...{ calls: layers, bytes: keys * 2 * kvHeads * headDim * act },
      macs: pairs * 2 * heads * headDim,
    },
    output: layerLinear("output"),
    gateUp: layerLinear("gateUp"),
    down: layerLinear("down"),
    head: linear(
      weights.filter(({ name }) => name === headName || name === "final_norm"),
      1,
      logitRows,
    ),
    sample: { calls: 1, bytes: logitRows * vocab * 4, macs: 0 },
  };
}

/** Keys that a step reads, and pairs of a query and a key that it sees, of all layers and sequences. */
function visible(windows: Int32Array, shape: StepShape) {
  let keys = 0;
  let pairs = 0;
  for (const window of windows) {
    if ("promptRows" in shape) {
      const within = window > 0 ? Math.min(window, shape.promptRows) : shape.promptRows;
      keys += shape.promptRows;
      // Row r sees min(r, within) keys.
      pairs += (within * (within + 1)) / 2 + (shape.promptRows - within) * within;
    } else {
      const seen = shape.sequences * (window > 0 ? Math.min(window, shape.length) : shape.length);
      keys += seen;
      pairs += seen;
    }
  }
  return { keys, pairs };
}

export interface OpTimes {
  /** Milliseconds of a step as the engine takes it. */
  step: number;
  /** Of each op alone: of all its calls in a step. */
  ops: Record<NativeStepOp, number>;
}

/** Loads the model and measures the steps and each of their ops alone: medians of `repeats` rounds. */
export async function timeOps(
  checkpoint: Checkpoint,
  target: BenchTarget,
  shapes: readonly StepShape[],
  repeats: number,
): Promise<OpTimes[]> {
  const most = (of: (shape: StepShape) => number) => Math.max(...shapes.map(of));
  const promptRows = most((shape) => ("promptRows" in shape ? shape.promptRows : 0));
  const length = most((shape) => ("promptRows" in shape ? shape.promptRows : shape.length));
  const spec = loadSpec(checkpoint, {
    ...{ ...target, contextLength: length, prefillRows: promptRows > leastPrefillRows ? promptRows : 0 },
    // With room for copies of keys and values (csrc/engine/step_timer.h): up to 64 of one sequence, fewer of many.
    maxSequences: 2 * most((shape) => ("promptRows" in shape ? 0 : shape.sequences)) + 64,
  });
  const steps = shapes.flatMap((shape): NativeTimedStep[] => {
    const step: NativeTimedStep =
      "promptRows" in shape
        ? { numericClass: "prefill", sequences: 0, length: 0, promptRows: shape.promptRows, classes: null }
        : { numericClass: "decode", ...shape, promptRows: 0, classes: null };
    return [step, ...stepOps.map((only) => ({ ...step, only }))];
  });
  const times = await failingAsR1Error(binding().timeSteps(spec, steps, repeats));
  const medians = times.map(({ ms }) => median(ms));
  const perShape = 1 + stepOps.length;
  return shapes.map((_, i) => {
    const [step, ...ops] = medians.slice(i * perShape, (i + 1) * perShape);
    return { step, ops: Object.fromEntries(stepOps.map((op, n) => [op, ops[n]])) as Record<NativeStepOp, number> };
  });
}

/** Prompt rows that a step has room for on every device: csrc/engine/loader.cc. */
export const leastPrefillRows = 512;
