/**
 * The file of a saved session: what its header says. All numbers are little endian.
 *
 * | bytes | |
 * |---|---|
 * | 8 | "R1SESSN" and a zero |
 * | 4 | version of the format: 1 |
 * | 4 | bytes of the header |
 * | … | the header: JSON in UTF-8, {@link SessionHeader} |
 * | … | keys and values: per layer, per token before `computed`, K and then V, per head, `headDim` values of `kvType` |
 * | 32 | SHA-256 of all bytes before it |
 */
import { R1Error } from "../errors";
import type { NativeEngineInfo, Precision } from "../native";
import { checkMessages, type Message } from "../text/messages";

export const magic = Buffer.from("R1SESSN\0", "latin1");
export const version = 1;
/** Of magic, version and the header's length. */
export const prefixBytes = 16;
export const checksumBytes = 32;
/** A conversation of a million tokens takes a tenth of it. */
export const maxHeaderBytes = 100_000_000;

type KvType = NativeEngineInfo["kvType"];

/** What has to be the same where a session is restored. */
export interface SessionIdentity {
  /** `hash` is lib/checkpoint/fingerprint.ts's; `name` is for people. */
  model: { name: string; hash: string };
  precision: Precision;
  kvType: KvType;
  /** This version has neither. */
  adapter: null;
  mask: null;
  layers: number;
  kvHeads: number;
  headDim: number;
}

export interface SessionHeader extends SessionIdentity {
  /** What the engine's session holds. */
  tokens: number[];
  /** Ascending, disjoint, half-open [begin, end) pairs of token indices: computed by the decode class. */
  decoded: number[];
  /** Tokens whose keys and values are in the file. */
  computed: number;
  /** As many of the tokens are what the next turn goes on behind; null where it renders the conversation anew. */
  held: number | null;
  messages: readonly Message[];
  options: { system: string | null; keepReasoning: boolean; salt: string };
}

export const valueBytes: Readonly<Record<KvType, number>> = { f32: 4, bf16: 2, f16: 2 };

/** Of one token in one layer. */
export const tokenBytes = ({ kvHeads, headDim, kvType }: SessionIdentity): number =>
  2 * kvHeads * headDim * valueBytes[kvType];

/** The file up to the keys and values. @throws R1Error E_UNSUPPORTED */
export function encodeHeader(header: SessionHeader): Buffer {
  const json = Buffer.from(JSON.stringify(header), "utf8");
  if (json.length > maxHeaderBytes)
    throw new R1Error(
      "E_UNSUPPORTED",
      `The session's messages and tokens take ${json.length} bytes; at most ${maxHeaderBytes} can be saved.`,
    );
  const prefix = Buffer.alloc(prefixBytes);
  magic.copy(prefix);
  prefix.writeUInt32LE(version, 8);
  prefix.writeUInt32LE(json.length, 12);
  return Buffer.concat([prefix, json]);
}

/** Version and header length. @throws R1Error E_BAD_INPUT */
export function decodePrefix(bytes: Uint8Array, fileBytes: number, file: string): { version: number; header: number } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (buffer.length < prefixBytes || !buffer.subarray(0, 8).equals(magic))
    throw new R1Error("E_BAD_INPUT", `${file} is not a saved session: it does not begin like one. Check the path.`);
  const header = buffer.readUInt32LE(12);
  if (header > maxHeaderBytes || header > fileBytes - prefixBytes - checksumBytes)
    throw damaged(file, `its header is said to have ${header} bytes and the file has ${fileBytes}`);
  return { version: buffer.readUInt32LE(8), header };
}

export function damaged(file: string, what: string): R1Error {
  return new R1Error("E_BAD_INPUT", `${file} is damaged: ${what}. Copy it again, or begin a new session.`);
}

type Json = Record<string, unknown>;
type Check = (value: unknown) => boolean;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isSize: Check = (value) => isCount(value) && (value as number) > 0;
const isString: Check = (value) => typeof value === "string";
const isOneOf =
  (...words: string[]): Check =>
  (value) =>
    words.includes(value as string);
const isCountList: Check = (value) => Array.isArray(value) && value.every(isCount);

/** Every field, what it must be, and the words for that. Adapter and mask may name what this version does not have. */
const fields: Readonly<Record<keyof SessionHeader, [Check, string]>> = {
  model: [(value) => isObject(value) && isString(value.name) && isString(value.hash), "{ name, hash }"],
  precision: [isOneOf("f32", "bf16", "fp16"), "a precision"],
  kvType: [isOneOf(...Object.keys(valueBytes)), "a type"],
  adapter: [(value) => value === null || isString(value), "null or a name"],
  mask: [(value) => value === null || isString(value), "null or a name"],
  layers: [isSize, "a positive integer"],
  kvHeads: [isSize, "a positive integer"],
  headDim: [isSize, "a positive integer"],
  tokens: [isCountList, "a list of token ids"],
  decoded: [isCountList, "a list of indices"],
  computed: [isCount, "an integer from 0"],
  held: [(value) => value === null || isCount(value), "null or an integer from 0"],
  messages: [areMessages, "a list of messages"],
  options: [areOptions, "{ system, keepReasoning, salt }"],
};

function areMessages(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  try {
    if (value.length > 0) checkMessages(value);
    return true;
  } catch {
    return false;
  }
}

function areOptions(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { system, keepReasoning, salt } = value;
  return (system === null || isString(system)) && typeof keepReasoning === "boolean" && isString(salt);
}

/** @throws R1Error E_BAD_INPUT that names what is wrong */
export function decodeHeader(json: Uint8Array, file: string): SessionHeader {
  const header = parse(json, file);
  for (const [name, [check, expected]] of Object.entries(fields))
    if (!check(header[name])) throw damaged(file, `"${name}" in its header is not ${expected}`);
  const { tokens, decoded, computed, held, messages, options } = header as unknown as SessionHeader;
  const ascending = decoded.every(
    (index, i) => i === 0 || index > decoded[i - 1] || (i % 2 === 0 && index === decoded[i - 1]),
  );
  if (decoded.length % 2 !== 0 || !ascending || (decoded.at(-1) ?? 0) > tokens.length)
    throw damaged(file, `"decoded" in its header are not ascending pairs up to ${tokens.length}`);
  if (computed > tokens.length || (held ?? 0) > tokens.length)
    throw damaged(file, `its header counts more than its ${tokens.length} tokens`);
  if (held !== null && !(options.keepReasoning && held > 0 && messages.at(-1)?.role === "assistant"))
    throw damaged(file, "its header says that there is an answer to go on behind, and has none");
  return header as unknown as SessionHeader;
}

function parse(json: Uint8Array, file: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch {
    throw damaged(file, "its header is not JSON in UTF-8");
  }
  if (!isObject(value)) throw damaged(file, "its header is not a JSON object");
  return value;
}

/** What keeps a session from being restored here, and what to do; undefined when nothing does. */
export function mismatch(saved: SessionIdentity, ours: SessionIdentity): string | undefined {
  const { model, precision, kvType, adapter, mask } = saved;
  const named = ({ name, hash }: SessionIdentity["model"]) => `${JSON.stringify(name)} (SHA-256 ${hash.slice(0, 16)}…)`;
  if (model.hash !== ours.model.hash)
    return (
      `the model ${named(model)}, and this one is ${named(ours.model)}. Restore it with the weights, the config ` +
      "and the ropeScaling that it was saved with"
    );
  for (const [what, name] of Object.entries({ adapter, mask }))
    if (name !== null)
      return `the ${what} ${JSON.stringify(name)}, which this version does not have. Begin a new session`;
  if (precision !== ours.precision || kvType !== ours.kvType)
    return (
      `the precision ${precision} (keys and values in ${kvType}), and this model is loaded in ${ours.precision} ` +
      `(${ours.kvType}). Load it with precision: "${precision}"`
    );
  for (const size of ["layers", "kvHeads", "headDim"] as const)
    if (saved[size] !== ours[size])
      return `${size} ${saved[size]}, and this model has ${ours[size]}. Begin a new session`;
  return undefined;
}
