/**
 * Plain text to ids, no added tokens: normalizer, pre-tokenizer and byte-pair merges by `@huggingface/tokenizers`, whose
 * pre-tokenizers are configured so that they cut where the Rust library cuts.
 */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { R1Error } from "../errors";
import { byteAlphabet } from "./token-bytes";
import type { TokenizerJson } from "./tokenizer-files";
import { hideNewCharacters } from "./unicode";

type Config = Record<string, unknown>;

/** The pre-tokenizers up to the one that writes bytes as characters, which is the last if there is one. */
interface PreTokenization {
  steps: Config[];
  /** Pieces are written in the byte-level alphabet. */
  byteLevel: boolean;
  /** The text (with `byteLevel` and no steps) or each piece gets a space in front when it has none. */
  prefixSpace: "text" | "piece" | undefined;
}

/** GPT-2's pattern, which ByteLevel applies unless `use_regex` is false. */
const gpt2Pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const isolate = (regex: string): Config => ({
  type: "Split",
  pattern: { Regex: regex },
  behavior: "Isolated",
  invert: false,
});

function preTokenization(config: object | null): PreTokenization {
  const out: PreTokenization = { steps: [], byteLevel: false, prefixSpace: undefined };
  for (const step of flatten(config)) {
    if (out.byteLevel) throw unsupported(`${step.type} after ByteLevel`);
    const rule = rules[String(step.type)];
    if (!rule) throw unsupported(String(step.type));
    rule(step, out);
  }
  return out;
}

const flatten = (config: object | null): Config[] => {
  if (config === null) return [];
  const step = config as Config;
  return step.type === "Sequence" && Array.isArray(step.pretokenizers)
    ? (step.pretokenizers as object[]).flatMap(flatten)
    : [step];
};

const unsupported = (what: string) =>
  new R1Error(
    "E_UNSUPPORTED",
    `The pre-tokenizer of tokenizer.json (${what}) is not supported; expected ${Object.keys(rules).join(", ")} or a Sequence of them.`,
  );

/** What each pre-tokenizer of the Rust library becomes here. */
const rules: Record<string, (step: Config, out: PreTokenization) => void> = {
  Split(step, { steps }) {
    const behavior = String(step.behavior).toLowerCase();
    const pattern = step.pattern as Config | undefined;
    if (behavior !== "isolated" && behavior !== "removed") throw unsupported(`Split with behavior ${step.behavior}`);
    if (step.invert === true && behavior === "isolated") throw unsupported("Split with invert and behavior Isolated");
    if (typeof pattern?.Regex === "string") steps.push({ ...step, pattern: { Regex: foldLikeUnicode(pattern.Regex) } });
    else if (typeof pattern?.String === "string") steps.push(step);
    else throw unsupported("Split without a pattern");
  },
  /** The library's own means ASCII digits; the Rust library's means \p{N}. */
  Digits: (step, { steps }) => steps.push(isolate(step.individual_digits === true ? "\\p{N}" : "\\p{N}+")),
  ByteLevel(step, out) {
    const prefixSpace = step.add_prefix_space !== false;
    const regex = step.use_regex !== false;
    if (regex && prefixSpace && out.steps.length > 0)
      throw unsupported("ByteLevel with add_prefix_space after another step");
    // The library's own means JavaScript's \s, which has U+FEFF and lacks U+0085.
    if (regex) out.steps.push(isolate(gpt2Pattern));
    out.byteLevel = true;
    if (prefixSpace) out.prefixSpace = regex ? "text" : "piece";
  },
  Metaspace(step, { steps }) {
    const scheme = step.prepend_scheme ?? (step.add_prefix_space === false ? "never" : "always");
    const replacement = typeof step.replacement === "string" ? step.replacement : "▁";
    steps.push({ ...step, replacement, prepend_scheme: scheme });
    if (step.split !== false) steps.push(isolate(`${replacement}[^${replacement}]*|[^${replacement}]+`));
  },
};

/** (?i:…) of the Rust library folds as Unicode does: s also meets ſ (U+017F), k also the Kelvin sign. */
function foldLikeUnicode(regex: string): string {
  return regex.replace(/\(\?i:[^()[\]\\]*\)/g, (group) =>
    group
      .slice(4)
      .replace(/[sk]/gi, (letter) => (letter.toLowerCase() === "s" ? "[sSſ]" : "[kK\u212a]"))
      .replace(/^/, "(?i:"),
  );
}

/** Pieces whose ids are remembered, at most; natural text repeats its words. */
const cacheEntries = 32_768;
const cachedLength = 64;

/** Encodes text as a tokenizer without added tokens would. */
export class Encoder {
  readonly #library: Library;
  readonly #byteLevel: boolean;
  readonly #prefixSpace: PreTokenization["prefixSpace"];
  readonly #idOf: (token: string) => number | undefined;
  readonly #cache = new Map<string, readonly number[]>();

  constructor(json: TokenizerJson) {
    const { steps, byteLevel, prefixSpace } = preTokenization(json.preTokenizer);
    this.#byteLevel = byteLevel;
    this.#prefixSpace = prefixSpace;
    try {
      this.#library = new Library(
        {
          model: { ...json.model, type: "BPE", vocab: {} },
          added_tokens: [],
          normalizer: json.normalizer,
          pre_tokenizer: { type: "Sequence", pretokenizers: steps },
          post_processor: null,
          decoder: null,
        },
        {},
      );
    } catch (cause) {
      throw new R1Error("E_UNSUPPORTED", `tokenizer.json cannot be used: ${(cause as Error).message}`, { cause });
    }
    // Put in afterwards: the library takes an object, and going through one of this size takes long.
    const model = this.#library.model as NonNullable<Library["model"]>;
    const ids = plainVocabulary(json);
    model.tokens_to_ids = ids;
    const unknown = ids.get(json.model.unk_token ?? "");
    model.unk_token_id = unknown;
    this.#idOf = (token) => ids.get(token) ?? unknown;
  }

  /** The ids of `text`. `atStart`: the text begins the input (Metaspace writes a leading space there only). */
  encode(text: string, atStart = true): number[] {
    const out: number[] = [];
    for (const piece of this.pieces(text, atStart)) for (const id of this.piece(piece)) out.push(id);
    return out;
  }

  /** Normalized and cut into the pieces that byte-pair merges never cross. */
  pieces(text: string, atStart = true): string[] {
    const wellFormed = text.replace(/\p{Surrogate}/gu, "\ufffd");
    let normalized = this.#library.normalizer?.normalize(wellFormed) ?? wellFormed;
    if (normalized === "") return [];
    if (this.#prefixSpace === "text" && !normalized.startsWith(" ")) normalized = ` ${normalized}`;
    const hidden = hideNewCharacters(normalized);
    const options = { section_index: atStart ? 0 : 1 };
    return hidden.restore(this.#library.pre_tokenizer!.pre_tokenize(hidden.text, options));
  }

  /** The ids of one piece. */
  piece(piece: string): readonly number[] {
    const cached = this.#cache.get(piece);
    if (cached) return cached;
    const tokens: string[] = this.#library.model!._call([this.#byteLevel ? this.#asBytes(piece) : piece]);
    const ids: number[] = [];
    for (const token of tokens) {
      const id = this.#idOf(token);
      if (id !== undefined) ids.push(id);
    }
    if (piece.length <= cachedLength) {
      if (this.#cache.size >= cacheEntries) this.#cache.clear();
      this.#cache.set(piece, ids);
    }
    return ids;
  }

  #asBytes(piece: string): string {
    const prefix = this.#prefixSpace === "piece" && !piece.startsWith(" ") ? " " : "";
    let out = "";
    for (const byte of Buffer.from(prefix + piece, "utf8")) out += byteAlphabet[byte];
    return out;
  }
}

/**
 * The vocabulary less the added tokens that no merge makes: with `ignore_merges` a piece is looked up whole, and text must
 * not reach a control token that way.
 */
function plainVocabulary(json: TokenizerJson): Map<string, number> {
  const { vocab, merges, unk_token } = json.model;
  const plain = new Map(vocab);
  if (json.model.ignore_merges !== true) return plain;
  const made = new Set(
    merges.map((merge) => (typeof merge === "string" ? merge.replace(" ", "") : (merge as string[]).join(""))),
  );
  for (const { content } of json.addedTokens)
    if (content !== unk_token && !made.has(content) && [...content].length > 1) plain.delete(content);
  return plain;
}
