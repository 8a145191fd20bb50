/**
 * A real chat model made elsewhere against transformers in float32: prompts, answers, and a text's perplexity.
 * `R1_SMOLLM2=DIR` names its Hugging Face folder; golden values are those of `R1_SMOLLM2_GOLDEN`, DIR/golden.json or
 * test/fixtures/smollm2/golden.json, in this order.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeepSeekR1 } from "../../lib/model";
import type { Precision } from "../../lib/native";
import { argmax, logSoftmax } from "../../lib/sampling/reference";
import { ChatTemplate } from "../../lib/text/chat-template";
import type { Message } from "../../lib/text/messages";
import { devices } from "../support/devices";

interface GoldenChat {
  messages: Message[];
  promptIds: number[];
  answerIds: number[];
  answer: string;
  /** Log-probability of each token of the answer, and its logit minus the runner-up's. */
  logprob: number[];
  margin: number[];
}

interface GoldenFile {
  chats: GoldenChat[];
  text: { text: string; ids: number[]; logprob: number[]; perplexity: number };
}

/** How far log-probabilities may be off, at one token and on average, and from which margin on the best token counts. */
const rules: Partial<Record<Precision, { worst: number; mean: number; margin: number; perplexity: number }>> = {
  f32: { worst: 0.002, mean: 0.002, margin: 0.002, perplexity: 0.002 },
  bf16: { worst: 0.2, mean: 0.03, margin: 0.25, perplexity: 0.01 },
};

const folder = process.env.R1_SMOLLM2;
const timeout = 900_000;

function goldenFile(directory: string): string {
  const given = process.env.R1_SMOLLM2_GOLDEN;
  if (given !== undefined) return given;
  const beside = join(directory, "golden.json");
  return existsSync(beside) ? beside : join(__dirname, "../fixtures/smollm2/golden.json");
}

const report: string[] = [];
const average = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

interface FoundToken {
  logprob: number;
  best: number;
}

/** Compares one answer's log-probabilities and best tokens, and writes the report's line. Returns the errors. */
function compare(run: string, precision: Precision, chat: GoldenChat, found: FoundToken[]): number[] {
  const rule = rules[precision]!;
  expect(found.length, run).toBe(chat.answerIds.length);
  const errors = found.map(({ logprob }, i) => Math.abs(logprob - chat.logprob[i]));
  const clear = found.flatMap(({ best }, i) => (chat.margin[i] > rule.margin ? [[best, chat.answerIds[i]]] : []));
  const equal = clear.filter(([best, expected]) => best === expected).length;
  const worst = Math.max(...errors);
  const mean = average(errors).toExponential(2);
  report.push(`${run}, ${worst.toExponential(2)} (mean ${mean}), ${equal} of ${clear.length} equal`);
  expect(worst, `${run}: log-probability, worst`).toBeLessThanOrEqual(rule.worst);
  expect(equal, `${run}: best tokens`).toBe(clear.length);
  return errors;
}

if (folder === undefined) {
  it.skip("SmolLM2 is not compared: R1_SMOLLM2 names no folder with it", () => {});
} else {
  const golden = JSON.parse(readFileSync(goldenFile(folder), "utf8")) as GoldenFile;
  const chats = golden.chats.map((chat, i) => ({ ...chat, name: `chat ${i + 1}` }));
  const runs = devices.flatMap((device) => (["f32", "bf16"] as const).map((precision) => ({ device, precision })));

  it("there is something to compare", () => expect(chats.length).toBeGreaterThan(0));

  describe.each(runs)("SmolLM2 on $device at $precision", ({ device, precision }) => {
    let model: DeepSeekR1;
    /** Of all answers' tokens, by how they were fed. */
    const errors: Record<"prompt" | "choices", number[]> = { prompt: [], choices: [] };
    beforeAll(async () => {
      model = await DeepSeekR1.load({ modelPath: folder, device, precision, contextLength: 2048 });
    }, timeout);
    afterAll(async () => {
      await model?.dispose();
      console.log(["case, device, precision, error, tokens", ...report.splice(0)].join("\n"));
    });
    const label = (what: string) => `SmolLM2 ${what}, ${device}, ${precision}`;

    it.each(chats)("$name: prompt ids", async ({ messages, promptIds }) => {
      const { ids } = await new ChatTemplate(model.tokenizer).prompt(messages);
      expect(ids).toEqual(promptIds);
    });

    it.each(chats)("$name: the answer as a prompt", { timeout }, async (chat) => {
      const { promptIds, answerIds } = chat;
      const { logprobs, top } = await model.logprobs([...promptIds, ...answerIds], { top: 1 });
      const found = answerIds.map((_, i) => {
        const at = promptIds.length + i;
        return { logprob: logprobs[at], best: top![at][0].token };
      });
      errors.prompt.push(...compare(label(`${chat.name} as a prompt`), precision, chat, found));
    });

    it.each(chats)("$name: the answer as choices", { timeout }, async (chat) => {
      const { answerIds } = chat;
      const found: { logprob: number; best: number }[] = [];
      const { tokens } = await model.chat(chat.messages, {
        maxNewTokens: answerIds.length,
        ignoreEos: true,
        sampler: (logits, { index }) => {
          found.push({ logprob: logSoftmax(logits)[answerIds[index]], best: argmax(logits) });
          return answerIds[index];
        },
      });
      expect(tokens).toEqual(answerIds);
      errors.choices.push(...compare(label(`${chat.name} as choices`), precision, chat, found));
    });

    it.each(["prompt", "choices"] as const)("log-probabilities on average, fed as %s", (how) => {
      expect(errors[how].length).toBe(chats.reduce((sum, chat) => sum + chat.answerIds.length, 0));
      expect(average(errors[how])).toBeLessThanOrEqual(rules[precision]!.mean);
    });

    if (precision === "f32") {
      it.each(chats)("$name: the greedy answer", { timeout }, async (chat) => {
        const { messages, answerIds, answer, margin } = chat;
        const result = await model.chat(messages, { temperature: 0, maxNewTokens: answerIds.length });
        // From a token on that is as good as tied, two right answers may go different ways.
        const tied = margin.findIndex((m) => m <= rules.f32!.margin);
        const same = tied < 0 ? answerIds.length : tied;
        expect(result.tokens.slice(0, same)).toEqual(answerIds.slice(0, same));
        if (tied < 0) expect(result.text).toBe(answer);
      });
    }

    it("the text: ids, log-probabilities and perplexity", { timeout }, async () => {
      const { text, ids, logprob, perplexity } = golden.text;
      const rule = rules[precision]!;
      const result = await model.logprobs(text, { addSpecialTokens: false });
      expect(result.tokens).toEqual(ids);
      const found = result.logprobs.subarray(1);
      const differences = logprob.map((expected, i) => Math.abs(found[i] - expected));
      const own = Math.exp(-found.reduce((a, b) => a + b, 0) / found.length);
      const worst = Math.max(...differences);
      report.push(`${label("text")}, ${worst.toExponential(2)}, perplexity ${own.toFixed(4)} (${perplexity})`);
      expect(worst, "worst log-probability").toBeLessThanOrEqual(rule.worst);
      expect(average(differences), "mean").toBeLessThanOrEqual(rule.mean);
      expect(Math.abs(own / perplexity - 1), "perplexity").toBeLessThanOrEqual(rule.perplexity);
    });
  });
}
