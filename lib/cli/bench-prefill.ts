/** Reading a prompt: the time from submitting it to its first generated token. */
import { existsSync, realpathSync } from "node:fs";
import { basename } from "node:path";
import { layerMacs } from "../checkpoint/memory";
import { loadSpec } from "../load-spec";
import { binding, type NativeTimedStep } from "../native";
import {
  failingAsR1Error,
  larger,
  loadEngine,
  madeUpPrompt,
  measureCeilings,
  median,
  timeTokens,
} from "./bench-engine";
import type { BenchContext, BenchResult, BenchRow } from "./bench-types";

export async function benchPrefill(context: BenchContext): Promise<BenchResult> {
  const { cublas } = context.options;
  const compared = cublas === undefined ? {} : await compareWithCublas(context, cublas);
  const result = await measurePrefill(context);
  Object.assign(result.rows[0].columns, compared);
  return result;
}

const turnMs = 24;
const turns = 3;

/**
 * The linear layers of all blocks for every row of the prompt, ours and cuBLAS's in turns: a card under full load slows
 * down to keep within its power, so that only figures of one process at one time compare. Ours have norms, SwiGLU and the
 * sum with the residual in them.
 */
async function compareWithCublas({ checkpoint, target, options }: BenchContext, library: string): Promise<BenchRow> {
  const { promptTokens = 1024 } = options;
  const spec = loadSpec(checkpoint, {
    ...{ ...target, contextLength: promptTokens, maxSequences: 1, prefillRows: promptTokens },
  });
  const ours: NativeTimedStep = {
    ...{ numericClass: "prefill", sequences: 0, length: 0, promptRows: promptTokens, classes: null },
    ...{ only: "linear", windowMs: turnMs },
  };
  const steps = [ours, { ...ours, cublas: true }];
  const [own, other] = await failingAsR1Error(binding().timeSteps(spec, steps, turns, library));
  return {
    ...{ "ms linear": median(own.ms), "ms cuBLAS": median(other.ms) },
    "× cuBLAS": median(own.ms.map((ms, turn) => ms / other.ms[turn])),
    cuBLAS: existsSync(library) ? basename(realpathSync(library)) : library, // its full name has the version
  };
}

async function measurePrefill({ checkpoint, target, ceilings, options }: BenchContext): Promise<BenchResult> {
  const { promptTokens = 1024, repeats = 3 } = options;
  // Room for two, so that the repeated prompt's last block can be copied beside the cached ones.
  const client = await loadEngine(checkpoint, target, 2, promptTokens + 1);
  try {
    // Multiply-adds of the linear layers of all blocks, for every row of the prompt. Not counted: attention's, and the
    // head's, which is computed for the last row alone.
    const macs = layerMacs(checkpoint.config) * promptTokens;
    // What the products are computed in: tensor cores or BF16 dot products where the device has them.
    const of = target.precision === "f32" || ceilings.bf16MacsPerS === 0 ? "f32MacsPerS" : "bf16MacsPerS";
    const times: number[] = [];
    const shares: number[] = [];
    let before = ceilings;
    for (let salt = 0; salt <= repeats; salt++) {
      const prompt = madeUpPrompt(promptTokens, checkpoint.config.vocab, salt);
      const start = performance.now();
      const [first] = await timeTokens(client, prompt, 1);
      // A CPU's speed changes from second to second with what else the machine does; a card has room for one engine.
      const after = target.device === "cpu" ? await measureCeilings(target) : ceilings;
      if (salt > 0) {
        times.push(first - start); // the first one warms up
        shares.push(((macs / (first - start)) * 1000) / larger(before, after)[of]);
      }
      before = after;
    }
    const ms = median(times);
    const again = madeUpPrompt(promptTokens, checkpoint.config.vocab, repeats + 1);
    await timeTokens(client, again, 1, true); // enters the prefix cache
    const cachedTimes: number[] = [];
    for (let i = 0; i < repeats; i++) {
      const start = performance.now();
      const [first] = await timeTokens(client, again, 1, true);
      cachedTimes.push(first - start);
    }
    return {
      info: client.info,
      rows: [
        {
          columns: {
            ...{ promptTokens, ms, "ms min": Math.min(...times), "ms max": Math.max(...times) },
            ...{ "ms repeated": median(cachedTimes), "× sooner": ms / median(cachedTimes) },
            ...{ "tok/s": (promptTokens / ms) * 1000, "GMAC/token": macs / promptTokens / 1e9 },
            "GMAC/s": macs / ms / 1e6,
          },
          share: target.device === "cpu" ? { value: median(shares), of } : { rate: (macs / ms) * 1000, of },
        },
      ],
    };
  } finally {
    await client.dispose();
  }
}
