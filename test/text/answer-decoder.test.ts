import { describe, expect, it } from "vitest";
import { AnswerDecoder, type AnswerOptions } from "../../lib/text/answer-decoder";
import { StopStrings } from "../../lib/text/stop-strings";
import { random } from "./corpus";
import { deepseekV3, ours, small } from "./vocabularies";

const tokenizer = ours(small, deepseekV3.config);
const withoutTags = ours({ ...small, added_tokens: small.added_tokens.slice(0, -2) }, deepseekV3.config);
const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false, parseSpecial: true });

/** What the pieces add up to, and which ids belong to what. */
function answer(ids: readonly number[], options: AnswerOptions, by = tokenizer) {
  const decoder = new AnswerDecoder(by, options);
  const out = { text: "", reasoning: "", types: [] as string[], used: 0, reasoningTokens: 0 };
  for (const id of ids) {
    const { type, pieces } = decoder.push(id);
    out.types.push(type);
    for (const piece of pieces) out[piece.type] += piece.text;
    out.used++;
    if (decoder.stopped) break;
  }
  for (const piece of decoder.flush()) out[piece.type] += piece.text;
  out.reasoningTokens = decoder.reasoningTokens;
  return out;
}

describe("reasoning", () => {
  it("ends at </think> when the prompt opened it", () => {
    const ids = encode("Let me see.\nOK.\n</think>\n\nIt is 2.\n\nDone.\n");
    const out = answer(ids, { reasoning: "inside" });
    expect(out).toMatchObject({ reasoning: "Let me see.\nOK.", text: "It is 2.\n\nDone.\n" });
    expect(out.reasoningTokens).toBe(ids.indexOf(tokenizer.idOf("</think>")!) + 1);
    expect(out.types.filter((type) => type === "reasoning").length).toBe(out.reasoningTokens);
    expect(out.types.length).toBe(ids.length);
  });

  it("begins where <think> is generated", () => {
    const out = answer(encode("Hm. <think>\n\na\n\n</think>b"), { reasoning: "outside" });
    expect(out).toMatchObject({ reasoning: "\na\n", text: "Hm. b" });
    expect(answer(encode("<think>a</think><think>b</think>c"), { reasoning: "outside" })).toMatchObject({
      reasoning: "ab",
      text: "c",
    });
  });

  it("leaves out only the newlines that belong to the tags", () => {
    expect(answer(encode("\na</think>\n\n\nb"), { reasoning: "opened" })).toMatchObject({
      reasoning: "a",
      text: "\nb",
    });
    expect(answer(encode("\na</think>b"), { reasoning: "inside" })).toMatchObject({ reasoning: "\na", text: "b" });
    expect(answer(encode("a\n\n"), { reasoning: "inside" })).toMatchObject({ reasoning: "a\n\n", text: "" });
    expect(answer(encode("\n\na"), { reasoning: "outside" })).toMatchObject({ reasoning: "", text: "\n\na" });
  });

  it("is not split without tags, or when nobody asks", () => {
    const ids = encode("<think>\na</think>\n\nb");
    expect(answer(ids, {})).toMatchObject({ reasoning: "", text: "<think>\na</think>\n\nb", reasoningTokens: 0 });
    const plain = withoutTags.encode("<think>a</think>b", { addSpecialTokens: false, parseSpecial: true });
    expect(answer(plain, { reasoning: "inside" }, withoutTags)).toMatchObject({
      reasoning: "",
      text: "<think>a</think>b",
    });
  });

  it("has </think> as text outside of it", () => {
    expect(answer(encode("a</think>b"), { reasoning: "outside" })).toMatchObject({ reasoning: "", text: "a</think>b" });
  });

  it("ends an incomplete character at a tag", () => {
    const [first] =
      encode("🙂").length > 1 ? encode("🙂") : [tokenizer.encode("\u{1fae0}", { addSpecialTokens: false })[0]];
    const out = answer([first, tokenizer.idOf("</think>")!, ...encode("x")], { reasoning: "inside" });
    expect(out.text).toBe("x");
    expect(out.reasoning.endsWith("\ufffd")).toBe(true);
  });
});

describe("an answer", () => {
  it("has no text for special tokens", () => {
    expect(answer(encode("a<｜end▁of▁sentence｜>b"), {}).text).toBe("ab");
  });

  it("has no text for the id that ends it", () => {
    const decoder = new AnswerDecoder(tokenizer, {});
    const [a, b] = [encode("a")[0], encode("b")[0]];
    expect(decoder.push(a).pieces).toEqual([{ type: "text", text: "a" }]);
    expect(decoder.push(b, true)).toEqual({ type: "text", pieces: [] });
    expect(decoder.flush()).toEqual([]);
  });

  it("ends before a stop string, and says with which id", () => {
    const ids = encode("one two STOP three");
    const out = answer(ids, { stop: ["STOP"] });
    expect(out.text).toBe("one two ");
    expect(tokenizer.decode(ids.slice(0, out.used))).toContain("STOP");
    expect(tokenizer.decode(ids.slice(0, out.used - 1))).not.toContain("STOP");
  });

  it("does not look for stop strings in the reasoning, nor before minNewTokens", () => {
    const out = answer(encode("a\n\nb</think>c\n\nd"), { reasoning: "inside", stop: ["\n\n"] });
    expect(out).toMatchObject({ reasoning: "a\n\nb", text: "c" });
    const ids = encode("x x x x x x");
    expect(answer(ids, { stop: ["x"] })).toMatchObject({ text: "", used: 1 });
    expect(answer(ids, { stop: ["x"], minNewTokens: 4 }).used).toBe(4);
  });

  it("gives what was held back when it ends", () => {
    expect(answer(encode("abc EN"), { stop: ["END"] }).text).toBe("abc EN");
    expect(answer(encode("EN<think>r</think>D"), { reasoning: "outside", stop: ["END"] })).toMatchObject({
      text: "END",
      reasoning: "r",
    });
  });
});

describe("stop strings", () => {
  /** By definition: the first position where any string is complete; the longest that is. */
  function expected(text: string, strings: readonly string[]): string {
    for (let end = 1; end <= text.length; end++) {
      const found = strings.filter((string) => text.slice(0, end).endsWith(string));
      if (found.length > 0) return text.slice(0, end - Math.max(...found.map((string) => string.length)));
    }
    return text;
  }

  it("are found however the text is cut", () => {
    const next = random(3);
    const letters = (n: number, alphabet: string) =>
      Array.from({ length: n }, () => alphabet[Math.floor(next() * alphabet.length)]).join("");
    let found = 0;
    for (let i = 0; i < 5000; i++) {
      const text = letters(next() * 40, "aab");
      const strings = Array.from({ length: 1 + next() * 3 }, () => letters(1 + next() * 7, "aab"));
      const stop = new StopStrings(strings);
      let out = "";
      for (let at = 0; at < text.length; ) {
        const end = at + 1 + Math.floor(next() * 4);
        out += stop.push(text.slice(at, end));
        // Nothing comes out that may still be part of a stop string, and nothing is held back that cannot be.
        const seen = text.slice(0, end);
        if (!stop.stopped)
          expect(strings.some((s) => s.startsWith(seen.slice(out.length)) || seen.length === out.length)).toBe(true);
        at = end;
      }
      if (stop.stopped) found++;
      out += stop.flush();
      expect(out).toBe(expected(text, strings));
    }
    expect(found).toBeGreaterThan(1000);
  });

  it("are never empty", () => {
    expect(() => new StopStrings(["a", ""])).toThrow(RangeError);
  });

  it("say nothing more once found", () => {
    const stop = new StopStrings(["b"]);
    expect([stop.push("abc"), stop.push("def"), stop.flush(), stop.stopped]).toEqual(["a", "", "", true]);
  });
});
