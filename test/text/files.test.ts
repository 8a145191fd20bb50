import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { R1Error } from "../../lib/errors";
import { fillInTheMiddle } from "../../lib/text/fim";
import { Tokenizer } from "../../lib/text/tokenizer";
import { random } from "./corpus";
import { deepseekV3, type Json, ours, small, withTokens } from "./vocabularies";

const folder = mkdtempSync(join(tmpdir(), "r1-text-"));
afterAll(() => rmSync(folder, { recursive: true }));

const write = (name: string, content: unknown) =>
  writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
const change = (changes: Json) => ({ ...small, ...changes });

describe("a folder's tokenizer", () => {
  it("is read with its config", async () => {
    write("tokenizer.json", small);
    write("tokenizer_config.json", deepseekV3.config);
    const tokenizer = await Tokenizer.load(folder);
    expect(tokenizer.encode("x")).toEqual([0, ...tokenizer.encode("x", { addSpecialTokens: false })]);
    expect(tokenizer.namedToken("eos_token")).toBe("<｜end▁of▁sentence｜>");
  });

  it("is E_NOT_FOUND without tokenizer.json", async () => {
    await expect(Tokenizer.load(join(folder, "nowhere"))).rejects.toMatchObject({
      code: "E_NOT_FOUND",
      message: expect.stringContaining("tokenizer.json"),
    });
  });

  const broken: Record<string, [unknown, string]> = {
    "no JSON": ["{", "E_BAD_CHECKPOINT"],
    "no object": ["[]", "E_BAD_CHECKPOINT"],
    "no model": [change({ model: undefined }), "E_BAD_CHECKPOINT"],
    "another kind of model": [change({ model: { type: "Unigram", vocab: [["a", 0]] } }), "E_UNSUPPORTED"],
    "a vocabulary that is a list": [change({ model: { ...small.model, vocab: ["a"] } }), "E_BAD_CHECKPOINT"],
    "an id that is no number": [change({ model: { ...small.model, vocab: { a: "0" } } }), "E_BAD_CHECKPOINT"],
    "a gigantic id": [change({ model: { ...small.model, vocab: { a: 1e9 } } }), "E_BAD_CHECKPOINT"],
    "merges that are none": [change({ model: { ...small.model, merges: {} } }), "E_BAD_CHECKPOINT"],
    "a merge of one part": [change({ model: { ...small.model, merges: ["ab"] } }), "E_BAD_CHECKPOINT"],
    "an added token without id": [change({ added_tokens: [{ content: "<x>" }] }), "E_BAD_CHECKPOINT"],
    "added tokens that are none": [change({ added_tokens: {} }), "E_BAD_CHECKPOINT"],
    "an unknown pre-tokenizer": [change({ pre_tokenizer: { type: "UnicodeScripts" } }), "E_UNSUPPORTED"],
    "a Split of another behavior": [
      change({ pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "MergedWithNext" } }),
      "E_UNSUPPORTED",
    ],
    "an unknown normalizer": [change({ normalizer: { type: "Nmt" } }), "E_UNSUPPORTED"],
    "an unknown decoder": [change({ decoder: { type: "CTC" } }), "E_UNSUPPORTED"],
    "no decoder": [change({ decoder: null }), "E_UNSUPPORTED"],
    "a decoder that is text": [change({ decoder: "ByteLevel" }), "E_BAD_CHECKPOINT"],
    "a template processor without pieces": [
      change({ post_processor: { type: "TemplateProcessing", single: [null] } }),
      "E_BAD_CHECKPOINT",
    ],
  };
  for (const [name, [content, code]] of Object.entries(broken))
    it(`is ${code} with ${name}`, async () => {
      write("tokenizer.json", content);
      await expect(Tokenizer.load(folder)).rejects.toMatchObject({ name: "R1Error", code });
    });

  it("is E_BAD_CHECKPOINT with a malformed config, or one whose BOS the vocabulary lacks", async () => {
    write("tokenizer.json", small);
    for (const config of ["{", "7", { add_bos_token: true, bos_token: "<nowhere>" }]) {
      write("tokenizer_config.json", config);
      await expect(Tokenizer.load(folder)).rejects.toMatchObject({ code: "E_BAD_CHECKPOINT" });
    }
  });
});

describe("special tokens around a text", () => {
  const bos = "<｜begin▁of▁sentence｜>";
  const eos = "<｜end▁of▁sentence｜>";
  const names = { bos_token: bos, eos_token: { content: eos } };
  const template = {
    type: "Sequence",
    processors: [
      { type: "ByteLevel" },
      {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
        pair: [],
        special_tokens: { [bos]: { id: bos, ids: [0], tokens: [bos] } },
      },
    ],
  };
  const cases: [string, Json, Json, [number[], number[]]][] = [
    ["are what tokenizer_config.json says", small, { ...names, add_bos_token: true, add_eos_token: true }, [[0], [1]]],
    [
      "are none where it says so, whatever tokenizer.json has",
      change({ post_processor: template }),
      { ...names, add_bos_token: false },
      [[], []],
    ],
    ["are those of tokenizer.json where it says nothing", change({ post_processor: template }), names, [[0], []]],
    ["are Llama's by the class alone", small, { ...names, tokenizer_class: "LlamaTokenizerFast" }, [[0], []]],
    ["are none for other classes", small, { ...names, tokenizer_class: "GPT2Tokenizer" }, [[], []]],
  ];
  for (const [name, json, config, [before, after]] of cases)
    it(name, () => {
      const tokenizer = ours(json, config);
      const plain = tokenizer.encode("x", { addSpecialTokens: false });
      expect(tokenizer.encode("x")).toEqual([...before, ...plain, ...after]);
      expect(tokenizer.leadingTokens).toEqual(before);
    });
});

describe("arguments", () => {
  const tokenizer = ours(small, deepseekV3.config);
  type Anything = never;
  const wrong: [string, () => unknown, new () => Error, RegExp][] = [
    ["encode(5)", () => tokenizer.encode(5 as Anything), TypeError, /text must be a string, found 5/],
    ["encode with a wrong name", () => tokenizer.encode("x", { bos: true } as Anything), TypeError, /"bos"/],
    ["encode with 1 for true", () => tokenizer.encode("x", { parseSpecial: 1 } as Anything), TypeError, /parseSpecial/],
    ["decode of a text", () => tokenizer.decode("x" as Anything), TypeError, /ids must be an array of token ids/],
    ["decode of -1", () => tokenizer.decode([-1]), RangeError, /ids\[0\]/],
    ["decode with a wrong name", () => tokenizer.decode([0], { skip: true } as Anything), TypeError, /"skip"/],
  ];
  it.each(wrong)("%s is refused", (_, call, error, message) => {
    expect(call).toThrow(error);
    expect(call).toThrow(message);
  });
});

describe("encodeAsync", () => {
  const tokenizer = ours(small, deepseekV3.config);
  const text = "The quick 敏捷的 brown fox <｜User｜> 🙂\n".repeat(3000);

  it("gives the ids of encode and lets the event loop run meanwhile", async () => {
    for (const parseSpecial of [false, true]) {
      let ticks = 0;
      const timer = setInterval(() => ticks++, 0);
      const ids = await tokenizer.encodeAsync(text, { parseSpecial });
      clearInterval(timer);
      expect(ids).toEqual(tokenizer.encode(text, { parseSpecial }));
      expect(ticks).toBeGreaterThan(0);
    }
  });

  it("stops when its signal fires", async () => {
    const reason = new Error("enough");
    await expect(tokenizer.encodeAsync(text, {}, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe("filling in the middle", () => {
  const bos = 0;

  it("uses DeepSeek's tokens, and reads control tokens in the texts as text", async () => {
    const tokenizer = ours(small, deepseekV3.config);
    const plain = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
    const [begin, hole, end] = ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"].map(
      (token) => tokenizer.idOf(token)!,
    );
    const prefix = "def f(<｜fim▁hole｜>):\n";
    expect(await fillInTheMiddle(tokenizer, prefix, "\nf(1)")).toEqual([
      bos,
      begin,
      ...plain(prefix),
      hole,
      ...plain("\nf(1)"),
      end,
    ]);
    expect((await fillInTheMiddle(tokenizer, "", "", { addSpecialTokens: false })).length).toBe(3);
  });

  it("uses Qwen's tokens", async () => {
    const tokens = ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"].map((content) => ({
      content,
      special: true,
    }));
    const tokenizer = ours(withTokens({ ...small, added_tokens: small.added_tokens.slice(0, 3) }, tokens));
    const ids = await fillInTheMiddle(tokenizer, "a", "b");
    expect(tokenizer.decode(ids)).toBe("<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>");
  });

  it("is E_UNSUPPORTED without tokens for it", async () => {
    const tokenizer = ours({ ...small, added_tokens: small.added_tokens.slice(0, 3) });
    await expect(fillInTheMiddle(tokenizer, "a", "b")).rejects.toMatchObject({ code: "E_UNSUPPORTED" });
    await expect(fillInTheMiddle(tokenizer, 7 as never, "b")).rejects.toThrow(TypeError);
  });
});

describe("a damaged tokenizer.json", () => {
  const text = readFileSync(join(__dirname, "../fixtures/qwen2-tiny/tokenizer.json"), "utf8");
  const values = [null, -1, 1e9, 0.5, "", "x", "[", "(?<", [], {}, [null], [[]], { type: "x" }, true];

  /** Replaces or removes one value somewhere in the file. */
  function damage(next: () => number): unknown {
    const json = JSON.parse(text);
    let at = json;
    for (;;) {
      const keys = Object.keys(at);
      const key = keys[Math.floor(next() * keys.length)];
      const inner = at[key];
      if (typeof inner === "object" && inner !== null && Object.keys(inner).length > 0 && next() < 0.85) at = inner;
      else {
        if (next() < 0.2) delete at[key];
        else at[key] = values[Math.floor(next() * values.length)];
        return json;
      }
    }
  }

  it("either works or fails with an R1Error, also when it is used", async () => {
    const next = random(23);
    let failures = 0;
    for (let i = 0; i < 1500; i++) {
      const json = damage(next);
      try {
        const tokenizer = ours(json);
        tokenizer.decode(tokenizer.encode("The quick é🙂 <think>", { parseSpecial: true }));
      } catch (error) {
        if (!(error instanceof R1Error)) throw new Error(`${error}`, { cause: error });
        failures++;
      }
    }
    expect(failures).toBeGreaterThan(300);
  });
});
