/** Asks a model questions, many at once, and compares what it says with what is right. */
import { setMaxListeners } from "node:events";
import { R1Error } from "../errors";
import type { DeepSeekR1 } from "../model";
import { type CheckedPrompt, encodePrompt } from "../prompts";
import { ChatTemplate } from "../text/chat-template";
import type { Question } from "./tasks";

export interface EvaluateOptions {
  /** Whether chat questions are thought about. It concerns no holes. */
  reasoning: boolean;
  /** Tokens of an answer at most, its reasoning included. */
  maxNewTokens: number;
  /** Questions that are open at once. */
  concurrency: number;
  signal?: AbortSignal;
  /** Told of every answer as it comes, in no certain order. */
  onAnswer: (answer: Answer) => void;
}

export interface Answer {
  question: Question;
  /** What the model answered, without its reasoning and the white space around it. */
  found: string;
  /** It is the answer that was expected, letter by letter. */
  correct: boolean;
  /** It reached maxNewTokens. */
  cut: boolean;
  promptIds: number[];
  /** Every generated id, reasoning and stop id included. */
  tokens: number[];
}

/** What a model must have to be asked. */
export type Examinee = Pick<DeepSeekR1, "tokenizer" | "chat" | "generate">;

/**
 * Answers are greedy, so that a question has one answer, whatever is asked beside it.
 *
 * @throws AbortError; R1Error as `chat` does, naming the question's file and line. No question is open any more then.
 */
export async function evaluate(
  model: Examinee,
  questions: readonly Question[],
  options: EvaluateOptions,
): Promise<void> {
  const template = new ChatTemplate(model.tokenizer);
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])]);
  setMaxListeners(0, signal); // every open question listens, and Node takes more than ten for a leak
  const queue = questions.values();
  const errors: unknown[] = [];
  const work = async () => {
    try {
      for (const question of queue) options.onAnswer(await ask(model, template, question, { ...options, signal }));
    } catch (error) {
      errors.push(error);
      failed.abort(error);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, work));
  if (errors.length > 0) throw errors[0];
}

async function ask(
  model: Examinee,
  template: ChatTemplate,
  question: Question,
  { reasoning, maxNewTokens, signal }: EvaluateOptions,
): Promise<Answer> {
  try {
    const { ids } = await encodePrompt(checkedPrompt(question), { reasoning }, model.tokenizer, template, signal);
    const options = { temperature: 0, maxNewTokens, signal };
    const { text, tokens, finishReason } = await ("messages" in question.prompt
      ? model.chat(ids, options)
      : model.generate(ids, options));
    const found = text.trim();
    const correct = found === question.answer.trim();
    return { question, found, correct, cut: finishReason === "length", promptIds: [...ids], tokens };
  } catch (error) {
    if (!(error instanceof R1Error) || error.code === "E_ABORTED") throw error;
    throw new R1Error(error.code, `${question.where}: ${error.message}`, { cause: error });
  }
}

function checkedPrompt({ prompt }: Question): CheckedPrompt {
  return "messages" in prompt ? { kind: "messages", ...prompt } : { kind: "hole", ...prompt };
}
