/** What a model says of itself at a moment: the engine's figures and the host's. */
import { freemem, totalmem } from "node:os";
import type { NativeGpuStatus, NativeStats } from "../native";
import type { Limits } from "./options";
import { type Percentiles, percentile, percentiles } from "./percentiles";
import type { ResultCacheStats } from "./result-cache";
import { assess, type Measure, type Measurements, type ThresholdState } from "./thresholds";

/**
 * What the engine is doing, and what the machine is. Counts are since loading, times in milliseconds, memory in bytes;
 * a KV block holds 64 tokens.
 */
export interface ModelStats extends NativeStats {
  /** Share of the prompt tokens that the prefix cache had, 0 to 1. */
  cacheHitRate: number;
  /** Since the model was loaded. */
  uptimeMs: number;
  /** Times to the first token of the last minute's requests; null when there were none. */
  firstTokenMs: Percentiles | null;
  /** Null on the CPU, and where the driver's management library (NVML) is absent; so is each figure that it lacks. */
  gpu: NativeGpuStatus | null;
  /** Null unless `LoadOptions.resultCache` turns it on. */
  resultCache: ResultCacheStats | null;
  /** By the bounds of `LoadOptions.monitor`. */
  states: Record<Measure, ThresholdState>;
}

/** Of an engine that is gone. */
const noStats: NativeStats = {
  ...{ running: 0, waiting: 0, preempted: 0, swapped: 0 },
  ...{ kvBlocks: 0, kvBlocksUsed: 0, kvBlocksCached: 0, kvBlocksFree: 0, kvBlocksMax: 0, blockBytes: 0 },
  ...{ sessions: 0, sessionBlocks: 0 },
  ...{ steps: 0, promptTokens: 0, cachedTokens: 0, generatedTokens: 0, preemptions: 0 },
  ...{ stepMs: 0, interTokenMs: 0, hostMsPerStep: 0, tokensPerSecond: 0 },
  limits: { sequences: 0, stepTokens: 0 },
};

/** Figures that an engine does not have are zero. */
export const complete = (native: Partial<NativeStats>): NativeStats => ({ ...noStats, ...native });

/** What the figures are made of. */
export interface StatsSources {
  native: NativeStats;
  gpu: NativeGpuStatus | null;
  /** Milliseconds to the first token of recent requests. */
  firstTokens: number[];
  resultCache: ResultCacheStats | null;
  loadedAt: number;
  cuda: boolean;
  limits: Limits;
}

/** @param sources undefined once the model is disposed: everything is zero or null */
export function modelStats(sources: StatsSources | undefined): ModelStats {
  if (!sources) {
    const states = { memory: "ok", latency: "ok", gpuUse: "ok" } as const;
    return { ...noStats, cacheHitRate: 0, uptimeMs: 0, firstTokenMs: null, gpu: null, resultCache: null, states };
  }
  const { gpu, firstTokens, resultCache, limits } = sources;
  const native = complete(sources.native);
  const prompt = native.promptTokens + native.cachedTokens;
  return {
    ...native,
    cacheHitRate: prompt > 0 ? native.cachedTokens / prompt : 0,
    uptimeMs: performance.now() - sources.loadedAt,
    firstTokenMs: firstTokens.length > 0 ? percentiles(firstTokens) : null,
    gpu,
    resultCache,
    states: assess(measurements(sources), native.running + native.waiting > 0, limits),
  };
}

/** The values that states are made of. */
export function measurements({ native, gpu, firstTokens, cuda }: Omit<StatsSources, "limits">): Measurements {
  const { kvBlocks, kvBlocksUsed, blockBytes } = complete(native);
  const reusable = (kvBlocks - kvBlocksUsed) * blockBytes;
  const memory = cuda ? { used: gpu?.memoryUsed ?? null, total: gpu?.memoryTotal ?? null } : hostMemory();
  const sorted = Float64Array.from(firstTokens).sort();
  return {
    memory: memory.used === null || !memory.total ? null : (Math.max(0, memory.used - reusable) / memory.total) * 100,
    latency: sorted.length > 0 ? percentile(sorted, 95) : null,
    gpuUse: gpu?.utilization ?? null,
  };
}

/** The machine's memory; of a container with a limit of its own, that and what this process takes of it. */
function hostMemory(): { used: number; total: number } {
  const total = totalmem();
  // Node's types of version 20 lack it; libuv gives 0 or something huge where there is no limit.
  const limit = (process as { constrainedMemory?: () => number | undefined }).constrainedMemory?.() ?? 0;
  if (limit > 0 && limit < total) return { used: process.memoryUsage.rss(), total: limit };
  return { used: total - freemem(), total };
}
