/**
 * `r1 bench decode|prefill|load|serve|invariance|kernels|tune`: figures of this machine beside the ceilings that simple loops reach
 * on it in the same run. bench/README.md says how each figure is made.
 */
import { embeddedModel } from "../embedded";
import type { NativeCeilings } from "../native";
import { benchDecode } from "./bench-decode";
import { benchCheckpoint, checkBenchOptions, larger, measureCeilings, resolveTarget } from "./bench-engine";
import { benchInvariance } from "./bench-invariance";
import { benchKernels } from "./bench-kernels";
import { benchLoad, defaultSynthetic } from "./bench-load";
import { benchPrefill } from "./bench-prefill";
import { benchServe } from "./bench-serve";
import { benchTune, checkTunable } from "./bench-tune";
import type {
  BenchContext,
  BenchKind,
  BenchMeasurement,
  BenchOptions,
  BenchReport,
  BenchResult,
  BenchRow,
} from "./bench-types";
import { origin } from "./origin";

const shareNames: Readonly<Record<keyof NativeCeilings, string>> = {
  readBytesPerS: "share of read",
  copyBytesPerS: "share of copy",
  f32MacsPerS: "share of f32",
  bf16MacsPerS: "share of bf16",
};

export { formatReport } from "./bench-table";

const benches: Readonly<Record<BenchKind, (context: BenchContext) => Promise<BenchResult>>> = {
  decode: benchDecode,
  prefill: benchPrefill,
  load: benchLoad,
  serve: benchServe,
  invariance: benchInvariance,
  kernels: benchKernels,
  tune: benchTune,
};

export const benchKinds = Object.keys(benches) as BenchKind[];

/**
 * @throws RangeError, TypeError for bad options; R1Error E_NOT_FOUND for a model that is neither a folder nor a shape, and whatever loading throws
 * @example
 * const report = await runBench("decode", { model: "0.5b", device: "cpu", sequences: [1, 8] });
 * console.log(formatReport(report));
 */
export async function runBench(kind: BenchKind, options: BenchOptions, signal?: AbortSignal): Promise<BenchReport> {
  checkBenchOptions(kind, options);
  if (kind === "tune") await checkTunable(options);
  const synthetic =
    kind === "load" && options.model === undefined ? (options.synthetic ?? defaultSynthetic) : undefined;
  const checkpoint = await benchCheckpoint(synthetic ?? options.model);
  const { target, ceilings: before } = await resolveTarget(options);
  const { info, rows } = await benches[kind]({ checkpoint, target, ceilings: before, options, signal });
  const ceilings = larger(before, await measureCeilings(target));
  const { kind: deviceKind, name, detail } = info.device;
  return {
    kind,
    model: synthetic ?? options.model ?? embeddedModel,
    precision: target.precision,
    ...origin(),
    device: { kind: deviceKind, name, detail },
    ceilings,
    rows: rows.map((row) => finishedRow(row, ceilings)),
  };
}

/** The row with its share, and a mark where that is small. */
export function finishedRow({ columns, share }: BenchMeasurement, ceilings: NativeCeilings): BenchRow {
  if (!share) return columns;
  const value = "value" in share ? share.value : share.rate / ceilings[share.of];
  const row: BenchRow = { ...columns, [shareNames[share.of]]: value };
  if (share.least !== undefined && value < share.least) row.mark = `< ${share.least * 100} %`;
  return row;
}
