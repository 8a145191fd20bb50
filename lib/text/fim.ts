/** Fill-in-the-middle prompts from a tokenizer's own tokens. */
import { R1Error } from "../errors";
import type { Tokenizer } from "./tokenizer";

/** The tokens before the prefix, before the suffix and before the middle, of the families that have them. */
const layouts: readonly (readonly [string, string, string])[] = [
  ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"], // DeepSeek
  ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"], // Qwen 2.5 Coder
  ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"], // StarCoder
];

/**
 * The ids of `prefix` and `suffix` around a hole that the model is to fill. The texts are plain text: control tokens in
 * them do not count.
 * @throws R1Error E_UNSUPPORTED for a tokenizer without such tokens; TypeError
 */
export async function fillInTheMiddle(
  tokenizer: Tokenizer,
  prefix: string,
  suffix: string,
  options: { addSpecialTokens?: boolean; parseSpecial?: boolean } = {},
): Promise<number[]> {
  for (const [name, text] of Object.entries({ prefix, suffix }))
    if (typeof text !== "string") throw new TypeError(`${name} must be a string, found ${typeof text}.`);
  const layout = layouts.find((tokens) => tokens.every((token) => tokenizer.idOf(token) !== undefined));
  if (!layout)
    throw new R1Error(
      "E_UNSUPPORTED",
      `This model's tokenizer has no tokens for filling in the middle (expected ${layouts.map(([first]) => first).join(", ")} ` +
        "and those that belong to it). Use a code model, or generate() on the prefix.",
    );
  const [before, hole, end] = layout.map((token) => tokenizer.idOf(token) as number);
  const plain = { addSpecialTokens: false, parseSpecial: options.parseSpecial };
  const bos = options.addSpecialTokens === false ? [] : tokenizer.leadingTokens;
  const first = await tokenizer.encodeAsync(prefix, plain);
  const second = await tokenizer.encodeAsync(suffix, plain);
  return [...bos, before, ...first, hole, ...second, end];
}
