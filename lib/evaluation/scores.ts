/** Figures of an evaluation: shares of right answers, and how sure they are. */
import type { Answer } from "./evaluate";
import type { QuestionPrompt } from "./tasks";

export interface Score {
  /** Questions. */
  n: number;
  correct: number;
  /** correct / n. */
  accuracy: number;
  /** The 95 % confidence interval of the accuracy, {@link wilsonInterval}. */
  interval: [low: number, high: number];
  /** Generated tokens of an answer, its reasoning and stop id included. */
  meanTokens: number;
  /** Answers that reached the most tokens they may have. */
  cut: number;
}

export interface WrongAnswer {
  task: string;
  language: string;
  index: number;
  question: QuestionPrompt;
  expected: string;
  found: string;
  cut: boolean;
}

export interface Summary {
  overall: Score;
  tasks: Record<string, Score>;
  languages: Record<string, Score>;
  wrong: WrongAnswer[];
}

export function summarize(answers: readonly Answer[]): Summary {
  return {
    overall: score(answers),
    tasks: scoresBy("task", answers),
    languages: scoresBy("language", answers),
    wrong: answers
      .filter(({ correct }) => !correct)
      .map(({ question: { task, language, index, prompt, answer }, found, cut }) => ({
        ...{ task, language, index, question: prompt, expected: answer.trim(), found, cut },
      })),
  };
}

function scoresBy(key: "task" | "language", answers: readonly Answer[]): Record<string, Score> {
  const groups = new Map<string, Answer[]>();
  for (const answer of answers) {
    const name = answer.question[key];
    const group = groups.get(name);
    if (group) group.push(answer);
    else groups.set(name, [answer]);
  }
  return Object.fromEntries([...groups].map(([name, group]) => [name, score(group)]));
}

/** Of at least one answer. */
function score(answers: readonly Answer[]): Score {
  const n = answers.length;
  const count = (counted: (answer: Answer) => boolean) => answers.filter(counted).length;
  const correct = count((answer) => answer.correct);
  return {
    n,
    correct,
    accuracy: correct / n,
    interval: wilsonInterval(correct, n),
    meanTokens: answers.reduce((sum, { tokens }) => sum + tokens.length, 0) / n,
    cut: count((answer) => answer.cut),
  };
}

/** The standard normal distribution has 95 % of its weight within ± this. */
const z95 = 1.959963984540054;

/**
 * The score interval of a share: the probabilities under which `correct` of `n` lies within z standard errors, which keeps
 * its 95 % near 0 and 1 too. E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
 * Journal of the American Statistical Association 22 (1927), 209–212.
 */
export function wilsonInterval(correct: number, n: number, z: number = z95): [low: number, high: number] {
  const share = correct / n;
  const scale = 1 + z ** 2 / n;
  const centre = (share + z ** 2 / (2 * n)) / scale;
  const half = (z / scale) * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2));
  return [correct === 0 ? 0 : centre - half, correct === n ? 1 : centre + half];
}
