/** Generating: how fast tokens come once the prompts have been read, for one open sequence and for several. */
import type { Checkpoint } from "../checkpoint/checkpoint";
import { activationBytes, weightSize } from "../checkpoint/memory";
import type { EngineClient } from "../engine-client";
import type { Precision } from "../native";
import { loadEngine, madeUpPrompt, median, stretch, timeTokens, warmUp } from "./bench-engine";
import type { BenchContext, BenchMeasurement, BenchResult } from "./bench-types";
import { stepOps, timeOps } from "./step-ops";

export async function benchDecode(context: BenchContext): Promise<BenchResult> {
  const { checkpoint, target, options } = context;
  const { sequences = [1], promptTokens = 128, newTokens = 128 } = options;
  const client = await loadEngine(checkpoint, target, Math.max(...sequences), promptTokens + newTokens);
  const rows: BenchMeasurement[] = [];
  const lengths: number[] = [];
  try {
    let single: number | undefined;
    for (const [salt, count] of sequences.entries()) {
      const { stepMs, length } = await measure(client, checkpoint, { count, salt, promptTokens, newTokens });
      lengths.push(length);
      const rate = (count / stepMs) * 1000;
      if (count === 1) single ??= rate;
      const bytes = stepBytes(checkpoint, target.precision, count, length);
      rows.push({
        columns: {
          ...{ sequences: count, promptTokens, newTokens, "tok/s": rate, "ms/step": stepMs },
          ...(single === undefined ? {} : { "× of one": rate / single }),
          "MB/step": bytes / 1e6,
          "GB/s": bytes / stepMs / 1e6,
        },
        share: { rate: (bytes / stepMs) * 1000, of: "readBytesPerS" },
      });
    }
  } finally {
    await client.dispose();
  }
  if (options.breakdown) await addBreakdown(context, rows, sequences, lengths);
  return { info: client.info, rows };
}

/** Adds to each row the microseconds of a step's ops, each measured alone, and what of the row's step is left. */
export async function addBreakdown(
  { checkpoint, target }: BenchContext,
  rows: BenchMeasurement[],
  sequences: readonly number[],
  lengths: readonly number[],
): Promise<void> {
  const shapes = sequences.map((count, i) => ({ sequences: count, length: lengths[i] }));
  const times = await timeOps(checkpoint, target, shapes, 5);
  for (const [i, { columns }] of rows.entries()) {
    const { ops } = times[i];
    for (const op of stepOps) columns[`µs ${op}`] = ops[op] * 1000;
    const sum = stepOps.reduce((total, op) => total + ops[op], 0);
    columns["µs besides"] = ((columns["ms/step"] as number) - sum) * 1000;
  }
}

interface Load {
  count: number;
  salt: number;
  promptTokens: number;
  newTokens: number;
}

/** The median time of a step in which all sequences take part, and the mean length of a sequence meanwhile. */
async function measure(client: EngineClient, checkpoint: Checkpoint, load: Load) {
  const { count, salt, promptTokens, newTokens } = load;
  const times = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      timeTokens(client, madeUpPrompt(promptTokens, checkpoint.config.vocab, salt * 1000 + i), newTokens),
    ),
  );
  // From when the last sequence has warmed up until the first one ends.
  const from = Math.max(...times.map((t) => t[warmUp]));
  const to = Math.min(...times.map((t) => t[newTokens - 1]));
  const steps = stepTimes(times[0], from, to);
  if (steps.length === 0)
    throw new RangeError(
      `${count} sequences were not decoded together long enough to be timed: raise newTokens (${newTokens}), or lower ` +
        `promptTokens (${promptTokens}).`,
    );
  const middle = times[0].filter((time) => time <= (from + to) / 2).length;
  return { stepMs: median(steps), length: promptTokens + middle };
}

/**
 * Milliseconds per step between `from` and `to`. Several tokens may reach JavaScript in one wake-up, so that only the last
 * of each says when it came, and a time is taken over at least `stretch` tokens.
 */
export function stepTimes(times: number[], from: number, to: number): number[] {
  const wakeUps = times.map((time, token) => ({ time, token })).filter(({ time, token }) => time !== times[token + 1]);
  const counted = wakeUps.filter(({ time }) => time >= from && time <= to);
  return counted.flatMap((start) => {
    const end = counted.find(({ token }) => token >= start.token + stretch);
    return end ? [(end.time - start.time) / (end.token - start.token)] : [];
  });
}

/**
 * Bytes that a step must read: every weight once, whatever the number of sequences (of the embedding table only a row is
 * gathered per sequence, which is not counted, unless the table is the head as well), and K and V of each sequence's
 * visible tokens. Activations, the KV written and the logits are not counted.
 */
export function stepBytes(
  { config, weights, tied }: Checkpoint,
  precision: Precision,
  sequences: number,
  length: number,
) {
  let bytes = 0;
  for (const weight of weights) if (tied || weight.name !== "embed") bytes += weightSize(weight, precision);
  const kvOfToken = 2 * config.kvHeads * config.headDim * activationBytes[precision]; // of one layer
  for (const window of config.windows)
    bytes += sequences * kvOfToken * (window > 0 ? Math.min(window, length) : length);
  return bytes;
}
