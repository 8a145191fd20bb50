import { beforeAll, describe, expect, it } from "vitest";
import { StreamDecoder } from "../../lib/text/stream-decoder";
import type { TokenBytes } from "../../lib/text/token-bytes";
import { corpus, random } from "./corpus";
import { deepseekV3, type Json, ours, type RustTokenizer, rustTokenizer, small } from "./vocabularies";

const tokenizer = ours(small, deepseekV3.config);
const streamed = (ids: readonly number[], options = {}): string => {
  const decoder = tokenizer.stream(options);
  return ids.map((id) => decoder.push(id)).join("") + decoder.flush();
};

describe("decoding", () => {
  let rust: RustTokenizer;
  beforeAll(() => {
    rust = rustTokenizer(small);
  });

  it("gives the text back that was encoded", () => {
    for (const text of corpus) {
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      expect(streamed(ids)).toBe(text.replace(/\p{Surrogate}/gu, "\ufffd"));
    }
  });

  it("gives for random ids what the Rust library gives, streamed and at once, with special tokens and without", async () => {
    const next = random(11);
    for (let i = 0; i < 500; i++) {
      const ids = Array.from({ length: 1 + next() * 60 }, () => {
        const at = next();
        return Math.floor(at < 0.5 ? next() * 260 : next() * tokenizer.size);
      });
      for (const skipSpecialTokens of [false, true]) {
        const text = await rust.decode(ids, skipSpecialTokens);
        expect(tokenizer.decode(ids, { skipSpecialTokens })).toBe(text);
        expect(streamed(ids, { skipSpecialTokens })).toBe(text);
      }
    }
  });

  it("holds a character back until its last byte", () => {
    const ids = [...Buffer.from("🙂中")].map(byteId);
    const decoder = tokenizer.stream({});
    expect(ids.map((id) => decoder.push(id))).toEqual(["", "", "", "🙂", "", "", "中"]);
    expect(decoder.push(byteId(0xf0))).toBe("");
    expect(decoder.flush()).toBe("\ufffd");
    expect(decoder.flush()).toBe("");
  });

  it("keeps a byte order mark, also at the start", () => {
    expect(streamed(tokenizer.encode("\ufeffx\ufeff", { addSpecialTokens: false }))).toBe("\ufeffx\ufeff");
  });

  it("gives no text for ids without a token", () => {
    expect(tokenizer.decode([tokenizer.size, 1 << 30])).toBe("");
    expect(tokenizer.stream().push(-1)).toBe("");
    expect(tokenizer.bytes(tokenizer.size + 7).length).toBe(0);
  });

  it("looks at every id once", () => {
    let looks = 0;
    const counted = {
      rule: { kind: "byte-level", space: "", stripStart: 0 },
      of(id: number) {
        looks++;
        return tokenizer.bytes(id);
      },
    } as unknown as TokenBytes;
    const decoder = new StreamDecoder(counted);
    for (let i = 0; i < 10_000; i++) decoder.push(byteId(0x61 + (i % 26)));
    decoder.flush();
    expect(looks).toBe(10_000);
  });
});

/** The token of a single byte. */
function byteId(byte: number): number {
  for (let id = 0; id < 400; id++) {
    const bytes = tokenizer.bytes(id);
    if (bytes.length === 1 && bytes[0] === byte) return id;
  }
  throw new Error(`no token for byte ${byte}`);
}

describe("a vocabulary in SentencePiece's manner", () => {
  const pieces = [
    "<unk>",
    "<s>",
    ...Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`),
  ];
  const words = ["▁", "a", "b", "▁a", "ab", "▁ab"];
  const json: Json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: ["<unk>", "<s>"].map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries([...pieces, ...words].map((piece, id) => [piece, id])),
      merges: ["▁ a", "a b", "▁ ab"],
    },
  };

  it("encodes and decodes as the Rust library does", async () => {
    const mine = ours(json);
    const rust = rustTokenizer(json);
    for (const text of ["ab", " ab  a b", "é🙂", "", "a<s>b ab", "ab\nab"]) {
      const options = { addSpecialTokens: false, parseSpecial: true };
      const ids = mine.encode(text, options);
      expect(ids).toEqual(Array.from((await rust.encode(text, null, { addSpecialTokens: false })).getIds()));
      expect(mine.decode(ids)).toBe(await rust.decode(ids, false));
    }
  });
});
