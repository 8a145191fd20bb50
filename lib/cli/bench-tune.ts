/** `r1 bench tune`: fills the table of choices (lib/linear-choices.json) with what is faster here than the rules. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { cudaDevices } from "../device";
import { R1Error } from "../errors";
import {
  type ChoiceFile,
  formatChoices,
  linearChoices,
  mergeChoices,
  noChoices,
  readChoices,
  withoutChoices,
} from "../linear-choices";
import { checkDevice } from "../load-options";
import { loadSpec } from "../load-spec";
import { binding } from "../native";
import { failingAsR1Error, loadEngine, median } from "./bench-engine";
import type { BenchContext, BenchMeasurement, BenchOptions, BenchResult } from "./bench-types";
import { checkWritable } from "./output-file";
import { leastPrefillRows, type StepShape } from "./step-ops";
import {
  describe,
  findLayers,
  type Layer,
  stepOfRows,
  type TimeSteps,
  type TunedLayer,
  type Tuning,
  tune,
} from "./tune";

const defaultRows = [1, 8, 16, 32, 64, 2048];
/** Seconds after which no further op is tuned. */
const defaultDuration = 90;

/** Before anything is measured. @throws R1Error E_UNSUPPORTED, E_NOT_FOUND, E_FILE, E_BAD_INPUT */
export async function checkTunable({ device = "auto", out }: BenchOptions): Promise<void> {
  const { kind } = checkDevice(device, "device");
  const { devices, reason } = cudaDevices();
  const nothing = "There is nothing to tune on a CPU: only the linear layers of a GPU have a choice of tiles.";
  if (kind === "cpu") throw new R1Error("E_UNSUPPORTED", `${nothing} Name one with --device cuda.`);
  if (kind === "auto" && devices.length === 0)
    throw new R1Error("E_UNSUPPORTED", `${nothing} There is no GPU here: ${reason}`);
  if (out === undefined) return;
  await checkWritable(out);
  if (existsSync(out)) readChoices(out, "--out: ");
}

export async function benchTune(context: BenchContext): Promise<BenchResult> {
  const { checkpoint, target, options } = context;
  const { rows = defaultRows, promptTokens = 128, duration = defaultDuration, out, dryRun = false } = options;
  const begun = performance.now();
  const shapes = [...new Set(rows)].sort((a, b) => a - b).map((count) => stepOfRows(count, promptTokens));
  const base = { ...noChoices, splits: linearChoices().splits };
  const promptRows = Math.max(...shapes.map((shape) => ("promptRows" in shape ? shape.promptRows : 0)));
  const spec = loadSpec(checkpoint, {
    ...{ ...target, contextLength: Math.max(promptTokens, promptRows), linearChoices: base },
    prefillRows: promptRows > leastPrefillRows ? promptRows : 0,
  });
  const time: TimeSteps = (steps, rounds) => failingAsR1Error(binding().timeSteps(spec, steps, rounds));
  // The device as an engine describes it.
  const client = await loadEngine(checkpoint, target, 1, 64);
  const { info } = client;
  await client.dispose();
  const layers = await findLayers(time, shapes);
  if (layers.length === 0) throw nothingToChoose();
  if (dryRun) return { info, rows: layers.map(candidateRow) };
  const over = () => performance.now() - begun > duration * 1000;
  const tuning = await tune(time, shapes, layers, base, over);
  if (out !== undefined) {
    const about = `${options.model ?? "r1-nano"}: ${info.device.name}, rows ${rows.join(" ")}, ${new Date().toISOString().slice(0, 10)}`;
    await writeFile(out, formatChoices(tunedFile(existsSync(out) ? readChoices(out) : undefined, tuning, about)));
  }
  return { info, rows: [...tuning.layers.map(layerRow), ...tuning.steps.map(stepRow)] };
}

function nothingToChoose(): R1Error {
  return new R1Error(
    "E_UNSUPPORTED",
    "There is nothing to tune: only the bf16 kernels of Hopper GPUs (sm_90) have a choice of tiles. Leave out " +
      "--precision and --family, or name another --device.",
  );
}

/**
 * What a file becomes: rows of what was tried go, rows that were found come, all others stay.
 *
 * @param about "7b: …"; the line of the same model is replaced, unless there was no time to try anything
 */
export function tunedFile(before: ChoiceFile | undefined, tuning: Tuning, about: string): ChoiceFile {
  const { about: lines, ...rows } = before ?? { about: [], ...noChoices };
  const tried = new Set(tuning.layers.filter(({ tried }) => tried).map(({ layer }) => layer.key));
  const model = about.slice(0, about.indexOf(":") + 1);
  return {
    about: tried.size > 0 ? [...lines.filter((line) => !line.startsWith(model)), about] : lines,
    ...mergeChoices(withoutChoices(rows, tried), tuning.choices),
  };
}

const stepName = (shape: StepShape) =>
  "promptRows" in shape ? `${shape.promptRows} prompt rows` : `${shape.sequences} × ${shape.length}`;

const stepNames = ({ steps }: Layer) => steps.map(({ shape }) => stepName(shape)).join(", ");

function candidateRow(layer: Layer): BenchMeasurement {
  const { op, rule, candidates } = layer;
  const tries = candidates.map(describe).join("; ");
  return { columns: { steps: stepNames(layer), op, rule: describe(rule), tries } };
}

function layerRow({ layer, chosen, saved, tried }: TunedLayer): BenchMeasurement {
  const columns = {
    ...{ steps: stepNames(layer), op: layer.op, rule: describe(layer.rule) },
    chosen: !tried ? "no time left" : chosen ? describe(chosen) : "the rule's",
    "µs by rule": layer.steps.map(({ ms }) => (ms * 1000).toFixed(1)).join(", "),
    "share saved": saved,
  };
  return { columns };
}

function stepRow({ shape, rule, tuned }: Tuning["steps"][number]): BenchMeasurement {
  const saved = median(rule.map((ms, i) => 1 - tuned[i] / ms));
  const columns = { steps: stepName(shape), op: "whole step", "ms by rules": median(rule), "ms tuned": median(tuned) };
  return { columns: { ...columns, "share saved": saved } };
}
