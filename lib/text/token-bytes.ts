/** What each token id stands for in bytes: a token may hold a part of a character only. */
import { R1Error } from "../errors";
import type { AddedTokens } from "./added-tokens";
import type { TokenizerJson } from "./tokenizer-files";

type Config = Record<string, unknown>;

/** How a tokenizer.json's decoder writes bytes as token text. */
export interface ByteRule {
  kind: "byte-level" | "byte-fallback";
  /** Stands for a space in tokens (`▁`); "" when none does. */
  space: string;
  /** Spaces that a decoded text loses at its start. */
  stripStart: number;
}

/**
 * The byte-level alphabet of GPT-2: printable bytes stand for themselves, the others for the characters from U+0100 on.
 * [256] characters by byte.
 */
export const byteAlphabet: readonly string[] = (() => {
  const printable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();

const byteOf = new Map(byteAlphabet.map((character, byte) => [character, byte]));

/** Reads the decoder of tokenizer.json. @throws R1Error E_UNSUPPORTED */
export function byteRule(decoder: object | null): ByteRule {
  const steps = flatten(decoder);
  const types = steps.map((step) => step.type);
  if (types.length === 1 && types[0] === "ByteLevel") return { kind: "byte-level", space: "", stripStart: 0 };
  const rule: ByteRule = { kind: "byte-fallback", space: "", stripStart: 0 };
  for (const step of steps) {
    if (step.type === "ByteFallback" || step.type === "Fuse") continue;
    if (step.type === "Replace" && step.content === " " && typeof (step.pattern as Config)?.String === "string")
      rule.space = (step.pattern as Config).String as string;
    else if (step.type === "Strip" && step.content === " " && (step.stop ?? 0) === 0)
      rule.stripStart = Number(step.start ?? 0);
    else if (step.type === "Metaspace") {
      rule.space = typeof step.replacement === "string" ? step.replacement : "▁";
      rule.stripStart = step.prepend_scheme === "never" || step.add_prefix_space === false ? 0 : 1;
    } else throw unsupported(types);
  }
  if (rule.space === "") throw unsupported(types);
  return rule;
}

const unsupported = (types: unknown[]) =>
  new R1Error(
    "E_UNSUPPORTED",
    `The decoder of tokenizer.json (${types.length ? types.join(", ") : "none"}) is not supported; ` +
      "expected ByteLevel, or Metaspace, or Replace with ByteFallback, Fuse and Strip.",
  );

function flatten(decoder: object | null): Config[] {
  if (decoder === null) return [];
  const config = decoder as Config;
  return config.type === "Sequence" && Array.isArray(config.decoders)
    ? (config.decoders as object[]).flatMap(flatten)
    : [config];
}

const empty = new Uint8Array(0);

/** Bytes by token id; an id without a token has none. */
export class TokenBytes {
  readonly rule: ByteRule;
  readonly #tokens: (string | undefined)[];
  readonly #bytes: (Uint8Array | undefined)[];
  readonly #added: AddedTokens;

  /** `tokens[id]` is the text of a token in the vocabulary, undefined where there is none. */
  constructor(json: TokenizerJson, tokens: (string | undefined)[], added: AddedTokens) {
    this.rule = byteRule(json.decoder);
    this.#tokens = tokens;
    this.#bytes = new Array(tokens.length);
    this.#added = added;
  }

  of(id: number): Uint8Array {
    let bytes = this.#bytes[id];
    if (bytes === undefined) {
      const added = this.#added.byId(id);
      const token = this.#tokens[id];
      if (added) bytes = Buffer.from(added.content, "utf8");
      else if (token === undefined) return empty;
      else bytes = this.rule.kind === "byte-level" ? byteLevel(token) : byteFallback(token, this.rule.space);
      this.#bytes[id] = bytes;
    }
    return bytes;
  }
}

function byteLevel(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = byteOf.get(character);
    // Not written in the alphabet: the token is its own text.
    if (byte === undefined) return Buffer.from(token, "utf8");
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

function byteFallback(token: string, space: string): Uint8Array {
  const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
  return hex ? Uint8Array.of(Number.parseInt(hex[1], 16)) : Buffer.from(token.replaceAll(space, " "), "utf8");
}
