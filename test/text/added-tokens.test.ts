import { describe, expect, it } from "vitest";
import { random } from "./corpus";
import { type Json, ours, rustIds, rustTokenizer, small, withTokens } from "./vocabularies";

/** Tokens with every flag, some inside of others. */
const tokens = [
  { content: "<a>" },
  { content: "<a>b" },
  { content: "<left>", lstrip: true },
  { content: "<right>", rstrip: true },
  { content: "<both>", lstrip: true, rstrip: true, special: true },
  { content: "wrdx", single_word: true },
  { content: "two wrdx", single_word: true, normalized: true },
  { content: "※", normalized: true },
  { content: "<norm>", normalized: true },
  { content: "<norm><a>", normalized: true },
  { content: "🙂" },
];

describe("added tokens", () => {
  const variants: Record<string, Json> = {
    "as they are": withTokens(small, tokens),
    "with NFC": withTokens({ ...small, normalizer: { type: "NFC" } }, tokens),
  };
  for (const [name, json] of Object.entries(variants))
    it(`are found where the Rust library finds them, ${name}`, async () => {
      const mine = ours(json);
      const rust = rustTokenizer(json);
      const next = random(7);
      const pieces = [
        ...tokens.map((token) => token.content),
        " ",
        "  ",
        "\n",
        "\t",
        "x",
        "_",
        "é",
        "e\u0301",
        "<",
        ">",
        "b",
        "\u0085",
        "\ufeff",
        "1",
        "。",
        "wrdxs",
      ];
      const different: string[] = [];
      let found = 0;
      for (let i = 0; i < 3000; i++) {
        const text = Array.from({ length: 1 + next() * 8 }, () => pieces[Math.floor(next() * pieces.length)]).join("");
        const ids = mine.encode(text, { addSpecialTokens: false, parseSpecial: true });
        found += ids.filter((id) => mine.added.byId(id)).length;
        if (JSON.stringify(ids) !== JSON.stringify(await rustIds(rust, text))) different.push(text);
      }
      expect(found).toBeGreaterThan(3000);
      expect(different).toEqual([]);
    });
});
