/** `r1 eval`: how many questions with one right answer a model gets right. */
import { writeFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { checkInteger } from "../arguments";
import { embeddedTasks } from "../embedded";
import { AbortError } from "../errors";
import { type Answer, evaluate } from "../evaluation/evaluate";
import { summarize } from "../evaluation/scores";
import { type Question, readTasks } from "../evaluation/tasks";
import { DEFAULT_SEQUENCES } from "../load-options";
import type { DeepSeekR1 } from "../model";
import { type Command, exitCodes } from "./command";
import { type EvalReport, type EvalRun, formatFailures, formatReport } from "./eval-report";
import { type Flags, number, UsageError } from "./flags";
import { loadFlags, loadModel, loadOptions } from "./load";
import { origin } from "./origin";
import { checkWritable } from "./output-file";
import { ProgressBar } from "./progress";
import { checked } from "./request-flags";
import type { Io } from "./terminal";

const defaultMaxNewTokens = 1024;
/** Rows that a step of the CPU backend takes gladly; a GPU takes all that may share one. */
const defaultConcurrency: Readonly<Record<string, number>> = { cpu: 32, cuda: DEFAULT_SEQUENCES };

const flags: Flags = {
  ...loadFlags,
  tasks: { value: "DIR", help: "a folder of *.jsonl files (default: the tasks of the embedded model)" },
  task: { value: "NAME", multiple: true, help: "only this task (may be repeated)" },
  limit: { value: "N", parse: number, help: "the first N questions of each task" },
  "no-reasoning": { help: "answers without thinking first" },
  both: { help: "asks twice, with reasoning and without, and shows the gain" },
  "max-new-tokens": {
    value: "N",
    parse: number,
    help: `tokens of an answer at most, reasoning included (default ${defaultMaxNewTokens})`,
  },
  concurrency: {
    value: "N",
    parse: number,
    help: `questions open at once (default: ${defaultConcurrency.cuda} on a GPU, ${defaultConcurrency.cpu} on the CPU)`,
  },
  failures: { value: "N", parse: number, help: "writes the first N wrong answers below the table" },
  json: { help: "writes the report with every wrong answer as JSON, instead of the table" },
  out: { value: "FILE", help: "writes that JSON to a file too" },
  answers: { value: "FILE", help: "writes the token ids of every prompt and answer, as JSON lines" },
};

interface EvalOptions {
  maxNewTokens: number;
  concurrency: number | undefined;
  limit: number | undefined;
  failures: number;
  /** One run for each entry. */
  reasoning: boolean[];
}

export const evaluation: Command = {
  summary: "measure how many questions a model answers right",
  usage: "eval [flags]",
  details:
    "Each line of a task file is a question, as { task, language, messages, answer } or, where code has a hole to be\n" +
    "filled, { task, language, prefix, suffix, answer }. Decoding is greedy; an answer is right when it is the one\n" +
    "expected, letter by letter, but for white space around it. After Ctrl-C the table shows what was measured, and no\n" +
    "file is written.",
  flags,
  maxPositionals: 0,
  async run({ values }, io) {
    const options = checked(() => evalOptions(values), flags);
    const load = loadOptions(values);
    const paths = { out: values.out as string | undefined, answers: values.answers as string | undefined };
    const questions = await readTasks((values.tasks as string | undefined) ?? embeddedTasks, {
      tasks: values.task as string[] | undefined,
      limit: options.limit,
    });
    for (const path of Object.values(paths)) if (path !== undefined) await checkWritable(path);
    const maxSequences = Math.max(DEFAULT_SEQUENCES, options.concurrency ?? 0);
    const model = await loadModel({ ...load, maxSequences }, io);
    try {
      const { report, answers } = await measure(model, questions, options, io);
      if (report.runs.length > 0) await print(report, options, values.json === true, io);
      if (!report.complete) throw new AbortError(io.signal.reason, undefined);
      if (paths.out !== undefined) await writeFile(paths.out, `${JSON.stringify(report, null, 2)}\n`);
      if (paths.answers !== undefined) await writeFile(paths.answers, answers.map(answerLine).join(""));
    } finally {
      await model.dispose();
    }
    return exitCodes.ok;
  },
};

/** @throws UsageError, RangeError */
function evalOptions(values: Readonly<Record<string, unknown>>): EvalOptions {
  const integer = (flag: string, option: string, min: number, max?: number) =>
    values[flag] === undefined ? undefined : checkInteger(option, values[flag], min, max);
  if (values.both && values["no-reasoning"])
    throw new UsageError("--both asks with reasoning too: leave out --no-reasoning.");
  return {
    maxNewTokens: integer("max-new-tokens", "maxNewTokens", 1) ?? defaultMaxNewTokens,
    concurrency: integer("concurrency", "concurrency", 1, 1024),
    limit: integer("limit", "limit", 1),
    failures: integer("failures", "failures", 0) ?? 0,
    reasoning: values.both ? [true, false] : [!values["no-reasoning"]],
  };
}

/** An answer and the way it was asked for. */
type RunAnswer = Answer & { reasoning: boolean };

/** @internal Runs that were interrupted report what they got. */
export async function measure(
  model: Pick<DeepSeekR1, "tokenizer" | "chat" | "generate" | "info">,
  questions: Question[],
  options: EvalOptions,
  io: Io,
): Promise<{ report: EvalReport; answers: RunAnswer[] }> {
  const { info } = model;
  const { maxNewTokens, concurrency = defaultConcurrency[info.device.kind] ?? 1 } = options;
  const { kind, name, detail } = info.device;
  const runs: EvalRun[] = [];
  const all: RunAnswer[] = [];
  for (const reasoning of options.reasoning) {
    const { answers, seconds } = await ask(model, questions, { reasoning, maxNewTokens, concurrency }, io);
    if (answers.length === 0) break;
    const tokens = answers.reduce((sum, answer) => sum + answer.tokens.length, 0);
    runs.push({ reasoning, seconds, tokensPerSecond: tokens / seconds, ...summarize(answers) });
    all.push(...answers.map((answer) => ({ ...answer, reasoning })));
  }
  const report: EvalReport = {
    model: basename(resolve(info.modelPath)),
    parameters: info.parameters,
    precision: info.precision,
    device: { kind, name, detail },
    ...origin(),
    ...{ maxNewTokens, concurrency },
    questions: questions.length,
    complete: all.length === questions.length * options.reasoning.length,
    runs,
  };
  return { report, answers: all };
}

/** The answers in the questions' order: all of them, or those there were when the program was interrupted. */
async function ask(
  model: Parameters<typeof evaluate>[0],
  questions: Question[],
  options: { reasoning: boolean; maxNewTokens: number; concurrency: number },
  { err, signal }: Io,
): Promise<{ answers: Answer[]; seconds: number }> {
  const bar = new ProgressBar(err);
  const answers = new Map<Question, Answer>();
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  let correct = 0;
  let tokens = 0;
  const onAnswer = (answer: Answer) => {
    answers.set(answer.question, answer);
    if (answer.correct) correct++;
    tokens += answer.tokens.length;
    show();
  };
  const show = () => {
    const done = answers.size;
    const right = done > 0 ? `, ${((correct / done) * 100).toFixed(1)} % right` : "";
    const rate = (tokens / seconds()).toFixed(0);
    const label = options.reasoning ? "Reasoning" : "No reasoning";
    bar.show(label, done / questions.length, `${done} of ${questions.length}${right}, ${rate} tokens/s`);
  };
  show();
  try {
    await evaluate(model, questions, { ...options, signal, onAnswer });
  } catch (error) {
    if (!(error instanceof AbortError)) throw error;
  } finally {
    bar.clear();
  }
  return { answers: questions.flatMap((question) => answers.get(question) ?? []), seconds: seconds() };
}

async function print(report: EvalReport, { failures }: EvalOptions, json: boolean, { out, err }: Io): Promise<void> {
  if (json) await out.line(JSON.stringify(report, null, 2));
  else {
    await out.line(formatReport(report));
    const wrong = formatFailures(report.runs, failures);
    if (wrong !== "") await out.line(out.printable(`\n${wrong}`));
  }
  if (!report.complete) {
    const asked = report.runs.reduce((sum, run) => sum + run.overall.n, 0);
    const which = `${asked} ${asked === 1 ? "answer" : "answers"}`;
    await err.line(`r1: interrupted: the figures are of the ${which} that there were, short ones more than long ones.`);
  }
}

function answerLine({ question: { task, index }, reasoning, promptIds, tokens }: RunAnswer): string {
  return `${JSON.stringify({ task, index, reasoning, promptIds, tokens })}\n`;
}
