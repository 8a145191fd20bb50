/** Offered load: when requests come, and what is made of how they were served. Nothing here measures or waits. */
import { checkBoolean, checkInteger, checkNumber } from "../arguments";
import { philox } from "../sampling/philox";
import { type Percentiles, percentiles } from "../serving/percentiles";
import type { BenchOptions, BenchRow } from "./bench-types";

/** @throws RangeError, TypeError */
export function checkServeOptions(options: BenchOptions): void {
  const { rate, concurrency, duration, promptTokens = 128, sharedTokens } = options;
  for (const perSecond of rate ?? []) checkNumber("rate", perSecond, 0.01, 10_000);
  for (const open of concurrency ?? []) checkInteger("concurrency", open, 1, 10_000);
  if (rate?.length === 0) throw new RangeError("rate must have at least one number.");
  if (concurrency?.length === 0) throw new RangeError("concurrency must have at least one number.");
  if (duration !== undefined) checkNumber("duration", duration, 0.1, 3600);
  if (sharedTokens !== undefined) checkInteger("sharedTokens", sharedTokens, 0, promptTokens - 1);
  if (options.maxSequences !== undefined) checkInteger("maxSequences", options.maxSequences, 1, 1024);
  if (options.maxQueue !== undefined) checkInteger("maxQueue", options.maxQueue, 1, 1_000_000);
  if (options.targetInterTokenMs !== undefined)
    checkNumber("targetInterTokenMs", options.targetInterTokenMs, 0.01, 1e6);
  if (options.kvMemory !== undefined) checkInteger("kvMemory", options.kvMemory, 1);
  if (options.hostKvMemory !== undefined) checkInteger("hostKvMemory", options.hostKvMemory, 0);
  if (options.noPrefixCache !== undefined) checkBoolean("noPrefixCache", options.noPrefixCache);
}

/**
 * A Poisson process: the milliseconds, from 0 and below `durationMs`, at which requests come when so many come per
 * second on average, independently of each other. The same seed gives the same times.
 */
export function arrivals(perSecond: number, durationMs: number, seed: number): number[] {
  const times: number[] = [];
  let at = 0;
  for (let i = 0; ; i++) {
    const [word] = philox([i, 0, 0, 0], [seed, 0]);
    at -= (Math.log((word + 1) / 2 ** 32) / perSecond) * 1000;
    if (at >= durationMs) return times;
    times.push(at);
  }
}

/** How one request was served. Times in milliseconds on one clock. */
export interface Served {
  submitted: number;
  /** When tokens reached JavaScript, and how many at once. */
  wakeUps: { at: number; tokens: number }[];
  /** `open`: it had not ended when the bench did; `refused`: the queue was full. */
  outcome: "finished" | "open" | "refused";
  /** Of the engine, for finished ones. */
  queueMs: number;
  cachedTokens: number;
}

/**
 * Columns of a row. Tokens count in the `durationMs` from `start` on only; times are those of all requests, also of
 * those that went on behind it.
 */
export function summarize(
  served: readonly Served[],
  start: number,
  durationMs: number,
  promptTokens: number,
): BenchRow {
  const finished = served.filter(({ outcome }) => outcome === "finished");
  const count = (outcome: Served["outcome"]) => served.filter((one) => one.outcome === outcome).length;
  const firsts = served.flatMap(({ submitted, wakeUps }) => (wakeUps.length > 0 ? [wakeUps[0].at - submitted] : []));
  const end = start + durationMs;
  let tokens = 0;
  for (const { wakeUps } of served) for (const { at, tokens: n } of wakeUps) if (at < end) tokens += n;
  const cached = finished.reduce((sum, { cachedTokens }) => sum + cachedTokens, 0);
  return {
    ...{ finished: finished.length, open: count("open"), refused: count("refused") },
    "tok/s": (tokens / durationMs) * 1000,
    ...columns("TTFT", firsts),
    ...columns("ITL", served.flatMap(gaps)),
    ...columns(
      "queue",
      finished.map(({ queueMs }) => queueMs),
      ["p50", "p95"],
    ),
    ...(finished.length > 0 ? { "share cached": cached / (finished.length * promptTokens) } : {}),
  };
}

/** Times between the tokens of a stream: what a wake-up brings together came evenly since the one before. */
function gaps({ wakeUps }: Served): number[] {
  return wakeUps.flatMap(({ at, tokens }, i) =>
    i === 0 ? [] : new Array<number>(tokens).fill((at - wakeUps[i - 1].at) / tokens),
  );
}

function columns(name: string, values: number[], of: readonly (keyof Percentiles)[] = ["p50", "p95", "p99"]): BenchRow {
  if (values.length === 0) return {};
  const found = percentiles(values);
  return Object.fromEntries(of.map((percent) => [`${name} ${percent} ms`, found[percent]]));
}
