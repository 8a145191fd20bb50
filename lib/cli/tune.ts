/**
 * Finding the choices of linear layers that make whole steps faster: csrc/backend/linear_choices.h says what there is to
 * choose. An op alone tells little, as under programmatic dependent launch the shared memory that a kernel leaves free
 * decides what of the next is there already. So ops alone only name finalists, and whole steps decide: coordinate
 * descent over the ops, the largest first, each candidate in turns with what has been chosen so far.
 */
import { keysOf, mergeChoices, noChoices, withoutChoices } from "../linear-choices";
import type { NativeLinearChoices, NativeStepOp, NativeStepTimes, NativeTimedStep } from "../native";
import { median } from "./bench-engine";
import type { StepShape } from "./step-ops";

/** Ops that are linear layers. */
export const linearOps = ["gateUp", "down", "qkv", "output", "head"] as const satisfies readonly NativeStepOp[];
export type LinearOp = (typeof linearOps)[number];

export type TimeSteps = (steps: NativeTimedStep[], rounds: number) => Promise<NativeStepTimes[]>;

/** A layer of one key: steps of 1 and of 8 rows share theirs, and a choice is to serve both. */
export interface Layer {
  op: LinearOp;
  key: string;
  /** What the rules choose, and what they could: one row each. */
  rule: NativeLinearChoices;
  candidates: NativeLinearChoices[];
  steps: { shape: StepShape /** Milliseconds of the op alone in such a step. */; ms: number }[];
}

export interface TunedLayer {
  layer: Layer;
  /** One row; null: the rules' choice stays. */
  chosen: NativeLinearChoices | null;
  /** Of what the op alone takes: median over the rounds, mean over the steps. 0 without a choice. */
  saved: number;
  /** False where time ran out before. */
  tried: boolean;
}

export interface Tuning {
  layers: TunedLayer[];
  /** Milliseconds of whole steps in turns, round by round: by the rules, and by what was chosen. */
  steps: { shape: StepShape; rule: number[]; tuned: number[] }[];
  /** What was chosen, and has held. */
  choices: NativeLinearChoices;
}

/** Of an op's time that a choice must save in whole steps; less is not worth a row. */
const worthARow = 0.01;
/** Candidates of a layer that whole steps are measured with, and by how much longer than the rules' they may take alone. */
const finalists = 3;
const slowerAlone = 1.02;
const rounds = { alone: 5, whole: 13 };
/** Of rounds in turns, so many must agree: 11 of 13 do so by chance once in a hundred times. */
const agreeing = 0.8;
const aloneWindowMs = 4;

/** A decode step of so many sequences, or a step of prompt rows where they are too many for one. */
export function stepOfRows(rows: number, length: number): StepShape {
  return rows <= mostDecodeRows ? { sequences: rows, length } : { promptRows: rows };
}
/** csrc/backend/backend.h */
const mostDecodeRows = 64;

export function timedStep(shape: StepShape): NativeTimedStep {
  return "promptRows" in shape
    ? { numericClass: "prefill", sequences: 0, length: 0, promptRows: shape.promptRows, classes: null }
    : { numericClass: "decode", ...shape, promptRows: 0, classes: null };
}

/** The layers of these steps, each key once, with what the rules take for them alone. */
export async function findLayers(time: TimeSteps, shapes: readonly StepShape[], turns = 1): Promise<Layer[]> {
  const asked = shapes.flatMap((shape) =>
    // The head of prompt rows is one of a single row, in the decode class.
    linearOps.filter((op) => op !== "head" || !("promptRows" in shape)).map((op) => ({ shape, op })),
  );
  const times = await time(
    asked.map(({ shape, op }) => ({ ...timedStep(shape), only: op })),
    turns,
  );
  const layers = new Map<string, Layer>();
  for (const [i, { shape, op }] of asked.entries()) {
    for (const { now, candidates } of times[i].options) {
      const [key] = keysOf(now);
      const layer = layers.get(key) ?? { op, key, rule: now, candidates: others(candidates, now), steps: [] };
      layer.steps.push({ shape, ms: median(times[i].ms) });
      layers.set(key, layer);
    }
  }
  return [...layers.values()];
}

/** Row by row, but for the one that there is. */
function others(candidates: NativeLinearChoices, now: NativeLinearChoices): NativeLinearChoices[] {
  const rows = [
    ...candidates.stream.map((row) => ({ ...noChoices, stream: [row] })),
    ...candidates.tile.map((row) => ({ ...noChoices, tile: [row] })),
  ];
  return rows.filter((row) => describe(row) !== describe(now));
}

/** "128 rows, 6 stages" */
export function describe({ stream: [stream], tile: [tile] }: NativeLinearChoices): string {
  return stream ? `${stream.tileRows} rows, ${stream.stages} stages` : `${tile.columns} columns, band ${tile.band}`;
}

/**
 * @param found of these steps: {@link findLayers}
 * @param base splits, which stay as they are, and nothing else
 * @param over whether there is no time left for another op
 */
export async function tune(
  time: TimeSteps,
  shapes: readonly StepShape[],
  found: Layer[],
  base: NativeLinearChoices,
  over: () => boolean = () => false,
): Promise<Tuning> {
  const layers = await chooseFinalists(time, found, base);
  let choices = base;
  const tuned: TunedLayer[] = [];
  const msOf = (op: LinearOp) =>
    layers
      .filter((layer) => layer.op === op)
      .reduce((sum, { steps }) => sum + steps.reduce((ms, one) => ms + one.ms, 0), 0);
  for (const op of [...linearOps].sort((a, b) => msOf(b) - msOf(a))) {
    const some = layers.filter((layer) => layer.op === op);
    const tried = !over();
    const decided = tried ? await decide(time, some, choices) : some.map(unchanged);
    for (const one of decided) if (one.chosen) choices = mergeChoices(choices, one.chosen);
    tuned.push(...decided.map((one) => ({ ...one, tried })));
  }
  const whole = (linear: NativeLinearChoices) => shapes.map((shape) => ({ ...timedStep(shape), linear }));
  const times = await time(inTurns([whole(base), whole(choices)]), rounds.whole);
  const steps = shapes.map((shape, i) => ({ shape, rule: times[2 * i].ms, tuned: times[2 * i + 1].ms }));
  const lost = new Set(
    steps.flatMap(({ shape, rule, tuned }) =>
      isFaster(tuned, rule)
        ? layers.filter((layer) => layer.steps.some((step) => step.shape === shape)).map(({ key }) => key)
        : [],
    ),
  );
  return {
    layers: tuned.map((one) => (lost.has(one.layer.key) ? { ...one, chosen: null, saved: 0 } : one)),
    steps,
    choices: { ...withoutChoices(choices, lost), splits: [] },
  };
}

const unchanged = (layer: Layer) => ({ layer, chosen: null, saved: 0 });

/** One of each list after the other: what is to be compared is measured close together. */
function inTurns<T>(parts: T[][]): T[] {
  return parts[0].flatMap((_, i) => parts.map((part) => part[i]));
}

/** Milliseconds of all rounds, [layer][step][choice], of each layer's steps by all of its choices. */
async function timesOf(
  time: TimeSteps,
  layers: Layer[],
  choices: (layer: Layer) => NativeLinearChoices[],
  step: (layer: Layer, shape: StepShape, linear: NativeLinearChoices) => NativeTimedStep,
  turns: number,
): Promise<number[][][][]> {
  const asked = layers.flatMap((layer) =>
    layer.steps.flatMap(({ shape }) => choices(layer).map((one) => step(layer, shape, one))),
  );
  const times = asked.length > 0 ? (await time(asked, turns)).map(({ ms }) => ms) : [];
  return layers.map((layer) => layer.steps.map(() => times.splice(0, choices(layer).length)));
}

/** The layers with their times measured anew, and of their candidates those that alone are the fastest. */
async function chooseFinalists(time: TimeSteps, layers: Layer[], base: NativeLinearChoices): Promise<Layer[]> {
  const times = await timesOf(
    time,
    layers,
    ({ rule, candidates }) => [rule, ...candidates],
    ({ op }, shape, one) => {
      return { ...timedStep(shape), only: op, linear: mergeChoices(base, one), windowMs: aloneWindowMs };
    },
    rounds.alone,
  );
  return layers.map((layer, n) => {
    const ms = times[n].map((choices) => choices.map(median));
    const best = layer.candidates
      .map((choice, c) => ({ choice, slowdown: mean(ms.map((ofStep) => ofStep[1 + c] / ofStep[0])) }))
      .filter(({ slowdown }) => slowdown <= slowerAlone)
      .sort((a, b) => a.slowdown - b.slowdown)
      .slice(0, finalists);
    const steps = layer.steps.map((step, i) => ({ ...step, ms: ms[i][0] }));
    return { ...layer, candidates: best.map(({ choice }) => choice), steps };
  });
}

/** The best of each layer's candidates, in whole steps that otherwise have `choices`; none is in two layers' keys. */
async function decide(time: TimeSteps, layers: Layer[], choices: NativeLinearChoices) {
  const times = await timesOf(
    time,
    layers,
    ({ candidates }) => (candidates.length > 0 ? [noChoices, ...candidates] : []),
    (_, shape, one) => ({ ...timedStep(shape), linear: mergeChoices(choices, one) }),
    rounds.whole,
  );
  return layers.map((layer, n) => {
    const gains = layer.candidates.map((_, c) =>
      gain(times[n].map((ms, i) => ({ without: ms[0], with: ms[1 + c], opMs: layer.steps[i].ms }))),
    );
    const saved = Math.max(0, ...gains);
    return saved > 0 ? { layer, chosen: layer.candidates[gains.indexOf(saved)], saved } : unchanged(layer);
  });
}

/**
 * The share of an op's time that a choice saves in whole steps, the mean over the steps; 0 where that is too little, may
 * be chance in all of them, or any of the steps becomes slower.
 */
export function gain(steps: { without: number[]; with: number[]; opMs: number }[]): number {
  const saved = mean(steps.map((step) => median(step.without.map((ms, i) => ms - step.with[i])) / step.opMs));
  const faster = steps.some((step) => isFaster(step.without, step.with));
  const slower = steps.some((step) => isFaster(step.with, step.without));
  return faster && !slower && saved > worthARow ? saved : 0;
}

function isFaster(from: readonly number[], to: readonly number[]): boolean {
  return from.filter((ms, i) => to[i] < ms).length >= from.length * agreeing;
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
