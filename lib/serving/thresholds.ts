/** States of what is watched: each follows from the newest value alone, so there is no history to know. */
import type { Limits } from "./options";

export type ThresholdState = "ok" | "warn" | "alert";

/** What is watched. Values are in percent, the latency in milliseconds; null where there is nothing to measure. */
export interface Measurements {
  /**
   * Of the device's memory, in use by anyone, less what the KV cache could give up at once. The CPU's memory is the
   * machine's, or the container's and then in use by this process.
   */
  memory: number | null;
  /**
   * Time to the first token of requests that the engine answers, 95th percentile of the last minute; who still waits
   * counts with the time so far.
   */
  latency: number | null;
  /** Of the last moment, in which the GPU was at work. */
  gpuUse: number | null;
}

export type Measure = keyof Measurements;

/** Something has entered another state. */
export interface ThresholdChange {
  measure: Measure;
  state: ThresholdState;
  previous: ThresholdState;
  /** Percent, or milliseconds of the latency; null when there is nothing to measure any more, which is `"ok"`. */
  value: number | null;
}

const level = (value: number, { warn, alert }: { warn: number; alert: number }): ThresholdState =>
  value >= alert ? "alert" : value >= warn ? "warn" : "ok";

/**
 * | | ok | warn | alert |
 * |---|---|---|---|
 * | memory, latency | below `warn` | from `warn` | from `alert` |
 * | gpuUse | between `low` and `high`, or nothing is open | up to `low` while requests are open | from `high` |
 *
 * @param open whether requests run or wait
 */
export function assess(values: Measurements, open: boolean, limits: Limits): Record<Measure, ThresholdState> {
  const { memory, latency, gpuUse } = values;
  const { low, high } = limits.gpuUse;
  return {
    memory: memory === null ? "ok" : level(memory, limits.memory),
    latency: latency === null ? "ok" : level(latency, limits.latencyMs),
    gpuUse: gpuUse === null ? "ok" : gpuUse >= high ? "alert" : gpuUse <= low && open ? "warn" : "ok",
  };
}
