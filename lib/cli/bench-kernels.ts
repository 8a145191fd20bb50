/** Every op of a step alone, beside what it would take at the ceilings, and what of the step no op explains. */
import type { NativeCeilings } from "../native";
import { loadEngine } from "./bench-engine";
import type { BenchContext, BenchMeasurement, BenchResult, BenchRow } from "./bench-types";
import { type OpTimes, type OpWork, opWork, type StepShape, stepOps, timeOps } from "./step-ops";

/** Shares of a ceiling below this are marked. */
const worthALook = 0.8;

export async function benchKernels(context: BenchContext): Promise<BenchResult> {
  const { checkpoint, target, ceilings, options } = context;
  const { promptRows, sequences = promptRows === undefined ? [1] : [], promptTokens = 128, repeats = 9 } = options;
  const shapes: StepShape[] = sequences.map((count) => ({ sequences: count, length: promptTokens }));
  if (promptRows !== undefined) shapes.push({ promptRows });
  const times = await timeOps(checkpoint, target, shapes, repeats);
  // The device as an engine describes it.
  const client = await loadEngine(checkpoint, target, 1, 64);
  try {
    const rows = shapes.flatMap((shape, i) =>
      rowsOf(shape, times[i], opWork(checkpoint, target.precision, shape), macsCeiling(context), ceilings),
    );
    return { info: client.info, rows };
  } finally {
    await client.dispose();
  }
}

/** What products are computed in: tensor cores or BF16 dot products where the device has them. */
function macsCeiling({ target, ceilings }: BenchContext): "f32MacsPerS" | "bf16MacsPerS" {
  return target.precision === "f32" || ceilings.bf16MacsPerS === 0 ? "f32MacsPerS" : "bf16MacsPerS";
}

/** A row for each op of a step, and three for the step: all ops, the step itself, and the difference. */
export function rowsOf(
  shape: StepShape,
  { step, ops }: OpTimes,
  work: Record<(typeof stepOps)[number], OpWork>,
  macs: "f32MacsPerS" | "bf16MacsPerS",
  ceilings: NativeCeilings,
): BenchMeasurement[] {
  const name = "promptRows" in shape ? `${shape.promptRows} prompt rows` : `${shape.sequences} × ${shape.length}`;
  const floor = ({ bytes, macs: products }: OpWork) =>
    Math.max(bytes / ceilings.readBytesPerS, products / ceilings[macs]);
  const rows = stepOps.map((op): BenchMeasurement => {
    const { calls, bytes, macs: products } = work[op];
    const columns: BenchRow = {
      ...{ step: name, op, calls, "µs/call": (ops[op] / calls) * 1000, "µs/step": ops[op] * 1000 },
      ...{ "MB/step": bytes / 1e6, "GMAC/step": products / 1e9 },
    };
    const byBytes = bytes / ceilings.readBytesPerS >= products / ceilings[macs];
    const share = byBytes
      ? { rate: (bytes / ops[op]) * 1000, of: "readBytesPerS" as const }
      : { rate: (products / ops[op]) * 1000, of: macs };
    return { columns, share: { ...share, least: worthALook } };
  });
  const sum = stepOps.reduce((total, op) => total + ops[op], 0);
  const floors = stepOps.reduce((total, op) => total + floor(work[op]) * 1000, 0);
  return [
    ...rows,
    { columns: { step: name, op: "all ops", "µs/step": sum * 1000, "share of floors": floors / sum } },
    { columns: { step: name, op: "whole step", "µs/step": step * 1000, "share of floors": floors / step } },
    { columns: { step: name, op: "step − ops", "µs/step": (step - sum) * 1000 } },
  ];
}
