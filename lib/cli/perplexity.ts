/** `r1 perplexity`: how well a model predicts a text. */
import { readFile } from "node:fs/promises";
import { R1Error } from "../errors";
import type { DeepSeekR1 } from "../model";
import { type Command, exitCodes } from "./command";
import { number, UsageError } from "./flags";
import { loadFlags, loadModel, loadOptions } from "./load";
import { ProgressBar } from "./progress";
import { type Io, readAll } from "./terminal";

/** Tokens of a window at most, unless the caller says: what long contexts add beyond is little, and costs much. */
const defaultWindow = 4096;

export const perplexity: Command = {
  summary: "measure how well a model predicts a text",
  usage: "perplexity [FILE] [flags]",
  details:
    'Without FILE, or with "-", the text is read from standard input. A text longer than the window is scored in windows\n' +
    "that overlap: each token once, all but those of the first window with at least WINDOW - STRIDE tokens before it.",
  flags: {
    ...loadFlags,
    window: {
      value: "N",
      parse: number,
      help: `tokens scored together (default: the context, up to ${defaultWindow})`,
    },
    stride: { value: "N", parse: number, help: "tokens from one window to the next (default: half a window)" },
    "no-special-tokens": { help: "adds no BOS" },
    json: { help: "writes JSON" },
  },
  maxPositionals: 1,
  async run({ values, positionals }, io) {
    const { window, stride } = values as { window?: number; stride?: number };
    for (const [flag, value, least] of [
      ["--window", window, 2],
      ["--stride", stride, 1],
    ] as const)
      if (value !== undefined && !(Number.isInteger(value) && value >= least))
        throw new UsageError(`${flag} must be an integer from ${least} up, found ${value}.`);
    const load = loadOptions(values);
    const text = await readText(positionals[0], io);
    const model = await loadModel(load, io);
    try {
      const ids = await model.tokenizer.encodeAsync(
        text,
        { addSpecialTokens: !values["no-special-tokens"] },
        io.signal,
      );
      if (ids.length < 2)
        throw new UsageError("The text must have at least two tokens: the first has nothing before it.");
      const size = Math.min(window ?? defaultWindow, model.info.contextLength);
      if (size < 2) throw new UsageError(`The context must hold at least two tokens, found ${size}.`);
      const report = await measure(model, ids, size, Math.min(stride ?? Math.max(1, size >> 1), size - 1), io);
      if (values.json) await io.out.line(JSON.stringify(report, null, 2));
      else await io.out.write(format(report));
    } finally {
      await model.dispose();
    }
    return exitCodes.ok;
  },
};

export interface PerplexityReport {
  perplexity: number;
  /** Tokens of the text, BOS included. */
  tokens: number;
  /** Tokens with a log-probability: all but the first. */
  scored: number;
  /** Natural logarithm. */
  meanLogprob: number;
  window: number;
  stride: number;
}

async function readText(file: string | undefined, { stdin }: Io): Promise<string> {
  if (file === undefined || file === "-") {
    if (file === undefined && stdin.isTTY) throw new UsageError("No text: pass a file, or a text through a pipe.");
    return readAll(stdin);
  }
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new R1Error("E_NOT_FOUND", `${file} cannot be read (${(cause as Error).message}). Check the path.`, {
      cause,
    });
  }
}

/** @internal */
export async function measure(
  model: Pick<DeepSeekR1, "logprobs">,
  ids: readonly number[],
  window: number,
  stride: number,
  { err, signal }: Io,
): Promise<PerplexityReport> {
  const bar = new ProgressBar(err);
  let sum = 0;
  let scored = 0;
  try {
    // `next` is the first token that has no score yet; each window ends `stride` further than the one before.
    for (
      let next = 1, end = Math.min(window, ids.length);
      next < ids.length;
      end = Math.min(end + stride, ids.length)
    ) {
      const start = Math.max(0, end - window);
      const { logprobs } = await model.logprobs(ids.slice(start, end), { signal });
      for (; next < end; next++) {
        sum += logprobs[next - start];
        scored++;
      }
      bar.show("Scoring", next / ids.length, `${next} of ${ids.length} tokens`);
    }
  } finally {
    bar.clear();
  }
  const meanLogprob = sum / scored;
  return { perplexity: Math.exp(-meanLogprob), tokens: ids.length, scored, meanLogprob, window, stride };
}

const format = ({ perplexity, tokens, scored, meanLogprob }: PerplexityReport): string =>
  `perplexity    ${perplexity.toFixed(4)}\ntokens        ${tokens}, ${scored} scored\nmean logprob  ${meanLogprob.toFixed(6)}\n`;
