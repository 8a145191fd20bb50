import { describe, expect, it } from "vitest";
import { corpus } from "./corpus";
import { deepseekV3, type Json, ours, rustIds, rustTokenizer } from "./vocabularies";

const split = (regex: string) => ({ type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false });
const byteLevel = (use_regex: boolean, add_prefix_space = false) => ({
  type: "ByteLevel",
  add_prefix_space,
  trim_offsets: true,
  use_regex,
});
const sequence = (...pretokenizers: object[]) => ({ type: "Sequence", pretokenizers });
const llama3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const qwen2 = llama3.replace("{1,3}", "");

/** The pre-tokenizers and normalizers of the model families, on DeepSeek's vocabulary. */
const families: Record<string, Json> = {
  "DeepSeek V3": {},
  "Qwen 2 and R1's Qwen distills": {
    normalizer: { type: "NFC" },
    pre_tokenizer: sequence(split(qwen2), byteLevel(false)),
  },
  "Llama 3": {
    pre_tokenizer: sequence(split(llama3), byteLevel(false)),
    model: { ...deepseekV3.json.model, ignore_merges: true },
  },
  "GPT-2": { pre_tokenizer: byteLevel(true, true) },
  SmolLM2: { pre_tokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel(true)) },
};

describe("encode", () => {
  for (const [family, changes] of Object.entries(families)) {
    const json = { ...deepseekV3.json, ...changes };
    const tokenizer = ours(json, deepseekV3.config);

    it(`gives the ids of the Rust library for ${family}: added tokens read as such`, async () => {
      const rust = rustTokenizer(json);
      const different: string[] = [];
      for (const text of corpus) {
        const mine = tokenizer.encode(text, { addSpecialTokens: false, parseSpecial: true });
        if (JSON.stringify(mine) !== JSON.stringify(await rustIds(rust, text))) different.push(text);
      }
      expect(corpus.length).toBeGreaterThan(1200);
      expect(different).toEqual([]);
    });

    it(`gives the ids of the Rust library for ${family}: added tokens read as text`, async () => {
      const rust = rustTokenizer({ ...json, added_tokens: [] });
      const different: string[] = [];
      for (const text of [...corpus, ...json.added_tokens.map((token: Json) => `a ${token.content} b`)])
        if (
          JSON.stringify(tokenizer.encode(text, { addSpecialTokens: false })) !==
          JSON.stringify(await rustIds(rust, text))
        )
          different.push(text);
      expect(different).toEqual([]);
    });
  }
});
