/** `r1 generate`: one answer. */
import type { DeepSeekR1 } from "../model";
import type { RequestOptions } from "../options";
import { describeFinish, type WrittenAnswer, writeAnswer } from "./answer";
import { type Command, exitCodes } from "./command";
import { UsageError } from "./flags";
import { loadFlags, loadModel, loadOptions } from "./load";
import { asUsageError, requestFlags, requestOptions } from "./request-flags";
import { type Io, readAll, withoutLastNewline } from "./terminal";

export const generate: Command = {
  summary: "answer a prompt, or continue a text",
  usage: "generate [PROMPT] [flags]",
  details:
    "The prompt is one user message for the model's chat template; with --raw it is a text to continue. Without PROMPT, or\n" +
    'with "-", it is read from standard input, less the newline at its end.',
  flags: {
    ...loadFlags,
    system: { value: "TEXT", help: "a system message before the prompt (R1 models do best without)" },
    raw: { help: "continues the text, without the chat template" },
    "show-reasoning": { help: "writes the reasoning too, between <think> and </think>" },
    json: { help: "writes the whole result as JSON, at the end" },
    verbose: { short: "v", help: "writes tokens, time and seed to standard error at the end" },
    ...requestFlags,
  },
  maxPositionals: 1,
  async run({ values, positionals }, io) {
    if (values.raw && values.system !== undefined)
      throw new UsageError("--system needs the chat template: leave out --raw.");
    const load = loadOptions(values);
    const options = requestOptions(values);
    const prompt = await readPrompt(positionals[0], io);
    const model = await loadModel(load, io);
    try {
      const request = { ...options, signal: io.signal };
      const given = values.raw ? { text: prompt } : messages(prompt, values.system as string | undefined);
      if (values.json || (options.n ?? 1) > 1) await writeResult(model, given, request, values, io);
      else await stream(model, given, request, values, io);
    } catch (error) {
      // Token ids can be compared with the vocabulary only now.
      throw asUsageError(error, requestFlags);
    } finally {
      await model.dispose();
    }
    return exitCodes.ok;
  },
};

type Given = { text: string } | { role: "system" | "user"; content: string }[];

const messages = (prompt: string, system: string | undefined): Given => [
  ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
  { role: "user", content: prompt },
];

async function readPrompt(positional: string | undefined, { stdin }: Io): Promise<string> {
  if (positional !== undefined && positional !== "-") return positional;
  if (positional === undefined && stdin.isTTY)
    throw new UsageError(
      'No prompt: pass it as an argument, as in r1 generate "Why is the sky blue?", or through a pipe.',
    );
  const text = withoutLastNewline(await readAll(stdin));
  if (text === "") throw new UsageError("The prompt from standard input is empty.");
  return text;
}

async function stream(
  model: DeepSeekR1,
  given: Given,
  options: RequestOptions,
  values: Readonly<Record<string, unknown>>,
  io: Io,
): Promise<void> {
  const { out, err } = io;
  const written: WrittenAnswer = { text: "", reasoning: "", finish: undefined };
  try {
    await writeAnswer(model.stream(given, options), io, values["show-reasoning"] === true, written);
  } catch (error) {
    if (out.terminal) await out.line();
    throw error;
  }
  const { text, finish } = written;
  if (!text.endsWith("\n") && (text !== "" || out.terminal)) await out.line();
  const thought = finish?.usage.reasoningTokens ?? 0;
  if (text === "" && finish && thought > 0 && !values["show-reasoning"])
    await err.line(
      `r1: the answer ended within its reasoning, after ${thought} ${thought === 1 ? "token" : "tokens"}. ` +
        `${finish.finishReason === "length" ? "Raise --max-new-tokens, or see it" : "See it"} with --show-reasoning.`,
    );
  if (values.verbose && finish) await err.line(err.style("dim", `${describeFinish(finish)}, seed ${finish.seed}`));
}

async function writeResult(
  model: DeepSeekR1,
  given: Given,
  options: RequestOptions,
  values: Readonly<Record<string, unknown>>,
  { out }: Io,
): Promise<void> {
  const result = Array.isArray(given) ? await model.chat(given, options) : await model.generate(given.text, options);
  if (values.json) return out.line(JSON.stringify(result, null, 2));
  for (const [i, { text, reasoning }] of (result.choices ?? [result]).entries()) {
    await out.line(out.style("bold", `--- ${i + 1} ---`));
    if (values["show-reasoning"] && reasoning !== "")
      await out.line(out.style("dim", `<think>\n${out.printable(reasoning)}\n</think>\n`));
    await out.line(out.printable(text));
  }
}
