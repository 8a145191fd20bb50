/**
 * The options of serving many requests: their checks and defaults. `lib/load-options.ts` documents where they are
 * given.
 */
import { checkNumber, checkOptions, checkWord, integer, outOfRange, wrongType } from "../arguments";

/** What is kept of answered requests: `LoadOptions.resultCache`. */
export interface ResultCacheOptions {
  /** Answers kept at most, from 1; the least recently used goes first. Default 1000. */
  maxEntries?: number;
  /** Bytes of host memory they may take, from 1; an answer larger than that is not kept. Default 64 MiB. */
  maxBytes?: number;
  /** Milliseconds an answer is kept, from 1. Default 3 600 000: an hour. */
  ttlMs?: number;
}

/** What is watched while somebody listens: `LoadOptions.monitor`. Every bound is inclusive. */
export interface MonitorOptions {
  /** Milliseconds between two looks, 10 to 3 600 000. Default 1000. */
  intervalMs?: number;
  /** Percent of the device's memory that is in use, 0 to 100. Default 75 and 85. */
  memory?: { warn?: number; alert?: number };
  /** Milliseconds until the first token, the 95th percentile of the last minute, from 0. Default 500 and 1000. */
  latencyMs?: { warn?: number; alert?: number };
  /**
   * Percent of the time that the GPU is at work, 0 to 100: `low` or less is `"warn"` while requests are open, `high` or
   * more is `"alert"`. Default 30 and 95.
   */
  gpuUse?: { low?: number; high?: number };
}

export interface Limits {
  intervalMs: number;
  memory: { warn: number; alert: number };
  latencyMs: { warn: number; alert: number };
  gpuUse: { low: number; high: number };
}

/** What may be tried when a load runs out of memory: `LoadOptions.onOutOfMemory`. */
export type MemoryStep = "int8-kv" | "smaller-batch" | "int8" | "cpu";

export const memorySteps: readonly MemoryStep[] = ["int8-kv", "smaller-batch", "int8", "cpu"];

type Checks<T> = { [K in keyof T]-?: (value: unknown, name: string) => T[K] };

/** An options object inside of another: names in messages begin with its own. */
function group<T extends object>(name: string, value: unknown, checks: Checks<T>): Partial<T> {
  const named = Object.entries(checks) as [string, (value: unknown, name: string) => unknown][];
  const prefixed = named.map(([key, check]) => [key, (inner: unknown) => check(inner, `${name}.${key}`)]);
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw wrongType(name, "an object", value);
  return checkOptions<T>(name, value, Object.fromEntries(prefixed));
}

const percent = (value: unknown, name: string) => checkNumber(name, value, 0, 100);
const milliseconds = (value: unknown, name: string) => checkNumber(name, value, 0, 1e9);

/** @throws TypeError, RangeError */
export function checkResultCache(value: unknown, name: string): Required<ResultCacheOptions> {
  const given = group<ResultCacheOptions>(name, value, {
    maxEntries: integer(1, 1e9),
    maxBytes: integer(1),
    ttlMs: integer(1),
  });
  return { maxEntries: 1000, maxBytes: 64 * 2 ** 20, ttlMs: 3_600_000, ...given };
}

/** @throws TypeError, RangeError */
export function checkMonitor(value: unknown, name: string): Limits {
  const levels = (check: typeof percent) => (inner: unknown, at: string) =>
    group<{ warn: number; alert: number }>(at, inner, { warn: check, alert: check });
  const given = group<MonitorOptions>(name, value, {
    intervalMs: integer(10, 3_600_000),
    memory: levels(percent),
    latencyMs: levels(milliseconds),
    gpuUse: (inner, at) => group<{ low: number; high: number }>(at, inner, { low: percent, high: percent }),
  });
  const limits: Limits = {
    intervalMs: given.intervalMs ?? 1000,
    memory: { warn: 75, alert: 85, ...given.memory },
    latencyMs: { warn: 500, alert: 1000, ...given.latencyMs },
    gpuUse: { low: 30, high: 95, ...given.gpuUse },
  };
  inOrder(`${name}.memory.warn`, limits.memory.warn, "alert", limits.memory.alert);
  inOrder(`${name}.latencyMs.warn`, limits.latencyMs.warn, "alert", limits.latencyMs.alert);
  inOrder(`${name}.gpuUse.low`, limits.gpuUse.low, "high", limits.gpuUse.high);
  return limits;
}

function inOrder(name: string, low: number, highName: string, high: number): void {
  if (low > high) throw outOfRange(name, `at most ${highName}, which is ${high}`, low);
}

/** @throws TypeError, RangeError */
export function checkMemorySteps(value: unknown, name: string): MemoryStep[] {
  if (!Array.isArray(value)) throw wrongType(name, "an array of steps", value);
  const steps = value.map((step, i) => checkWord(`${name}[${i}]`, step, memorySteps));
  const twice = steps.findIndex((step, i) => steps.indexOf(step) < i);
  if (twice >= 0) throw outOfRange(`${name}[${twice}]`, "named once", steps[twice]);
  return steps;
}
