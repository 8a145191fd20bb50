/** What `r1 eval` measured, as text. */
import type { Score, Summary, WrongAnswer } from "../evaluation/scores";
import type { QuestionPrompt } from "../evaluation/tasks";
import type { Precision } from "../native";
import type { Origin } from "./origin";
import { table } from "./terminal";

/** The questions asked in one way. */
export interface EvalRun extends Summary {
  /** Whether chat questions were thought about. */
  reasoning: boolean;
  seconds: number;
  /** Generated tokens of all answers by the seconds they took together. */
  tokensPerSecond: number;
}

export interface EvalReport extends Origin {
  /** The folder's name. */
  model: string;
  parameters: number;
  precision: Precision;
  device: { kind: string; name: string; detail: string };
  maxNewTokens: number;
  concurrency: number;
  /** Questions of each run. */
  questions: number;
  /** Every question was asked in every run. */
  complete: boolean;
  /** One, or with `--both` the one with reasoning and the one without. */
  runs: EvalRun[];
}

const runName = ({ reasoning }: EvalRun): string => (reasoning ? "reasoning" : "no reasoning");

export function formatReport(report: EvalReport): string {
  const { model, precision, device, runs, maxNewTokens } = report;
  const times = runs.map(
    (run) => `${runName(run)}: ${run.seconds.toFixed(1)} s, ${run.tokensPerSecond.toFixed(0)} tokens/s`,
  );
  const lines = [
    `eval · ${model} · ${precision} · ${device.name}${device.detail ? ` (${device.detail})` : ""}`,
    ...times,
    "",
    ...scoreTable(runs),
  ];
  for (const run of runs) {
    const { cut } = run.overall;
    if (cut > 0) lines.push("", `${runName(run)}: ${cut} cut off at ${maxNewTokens} tokens (--max-new-tokens)`);
  }
  return lines.join("\n");
}

/** A line for each task, each language and all, with the runs beside each other. */
function scoreTable(runs: EvalRun[]): string[] {
  const columns = (run: EvalRun) => [runName(run), "accuracy", "95 % interval", "tokens"];
  const groups = [(run: EvalRun) => run.tasks, (run: EvalRun) => run.languages, overall];
  const lines = [["task", ...runs.flatMap(columns), ...(runs.length > 1 ? ["gain"] : [])]];
  for (const [i, group] of groups.entries()) {
    if (i > 0) lines.push([]);
    for (const name of new Set(runs.flatMap((run) => Object.keys(group(run)))))
      lines.push(
        row(
          name,
          runs.map((run) => group(run)[name]),
        ),
      );
  }
  return table(lines, 1);
}

const overall = (run: EvalRun): Record<string, Score> => ({ overall: run.overall });

function row(name: string, scores: (Score | undefined)[]): string[] {
  const cells = scores.flatMap((score) => {
    if (!score) return ["", "", "", ""];
    const { n, correct, accuracy, interval, meanTokens } = score;
    const [low, high] = interval.map((bound) => (bound * 100).toFixed(1));
    return [`${correct} of ${n}`, percent(accuracy), `${low} to ${high}`, meanTokens.toFixed(1)];
  });
  const [first, second] = scores;
  return [name, ...cells, ...(first && second ? [points(first.accuracy - second.accuracy)] : [])];
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
/** Of a hundred. */
const points = (difference: number): string => `${difference < 0 ? "" : "+"}${(difference * 100).toFixed(1)}`;

/** The first wrong answers of each run. */
export function formatFailures(runs: EvalRun[], count: number): string {
  return runs.flatMap((run) => run.wrong.slice(0, count).map((wrong) => describeFailure(run, wrong))).join("\n\n");
}

function describeFailure(run: EvalRun, wrong: WrongAnswer): string {
  const { task, language, index, question, expected, found, cut } = wrong;
  const entry = (label: string, text: string) => `  ${label.padEnd(9)} ${text.replaceAll("\n", `\n${" ".repeat(12)}`)}`;
  return [
    `--- ${task} ${index} (${language}, ${runName(run)}) ---`,
    entry("question", questionText(question)),
    entry("expected", expected),
    entry("found", cut ? `${found} [cut off]` : found),
  ].join("\n");
}

function questionText(prompt: QuestionPrompt): string {
  if ("prefix" in prompt) return `${prompt.prefix}[…]${prompt.suffix}`;
  const { messages } = prompt;
  if (messages.length === 1) return String(messages[0].content);
  return messages.map(({ role, content }) => `${role}: ${content}`).join("\n");
}
