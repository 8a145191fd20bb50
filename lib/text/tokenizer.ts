/** Text to token ids and back, as the Rust library and transformers do it. */
import { boolean, checkOptions, checkString, checkTokenIds } from "../arguments";
import { R1Error } from "../errors";
import { AddedTokens, type Barriers } from "./added-tokens";
import { Encoder } from "./encoder";
import { StreamDecoder } from "./stream-decoder";
import { TokenBytes } from "./token-bytes";
import { type AddedToken, readTokenizerFiles, type TokenizerFiles } from "./tokenizer-files";

/** How text becomes ids. */
export interface EncodeOptions {
  /** Adds the tokens (BOS, for most models) that tokenizer_config.json asks for. Default: true. */
  addSpecialTokens?: boolean;
  /** Reads added tokens such as `<｜User｜>` in the text as the tokens they name. Default: false, they are plain text. */
  parseSpecial?: boolean;
}

/** How ids become text. */
export interface DecodeOptions {
  /** Leaves out special tokens. Default: false. */
  skipSpecialTokens?: boolean;
}

/**
 * The tokenizer of a model folder: `model.tokenizer`.
 *
 * @example
 * const ids = model.tokenizer.encode("解释量子计算的基本原理");
 * const text = model.tokenizer.decode(ids);
 */
export class Tokenizer {
  /** Every added token: control tokens and such as `<think>`. */
  readonly added: AddedTokens;
  /** Ids are below this; the model may have more. */
  readonly size: number;
  /** tokenizer_config.json, for chat templates. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly #files: TokenizerFiles;
  readonly #encoder: Encoder;
  readonly #bytes: TokenBytes;
  /** Ids put before and after text when special tokens are added. */
  readonly #before: readonly number[];
  readonly #after: readonly number[];

  /**
   * Reads tokenizer.json, tokenizer_config.json and chat_template.jinja from a folder.
   * @throws R1Error E_NOT_FOUND without a tokenizer.json, E_BAD_CHECKPOINT when one of them is malformed, E_UNSUPPORTED
   */
  static async load(folder: string): Promise<Tokenizer> {
    return new Tokenizer(await readTokenizerFiles(folder));
  }

  /** Of files that have been read; {@link Tokenizer.load} reads a folder's. */
  constructor(files: TokenizerFiles) {
    const { tokenizer, config } = files;
    this.#files = files;
    this.config = config;
    this.added = new AddedTokens(tokenizer.addedTokens);
    const tokens: (string | undefined)[] = [];
    for (const [token, id] of tokenizer.model.vocab) tokens[id] = token;
    for (const { content, id } of tokenizer.addedTokens) tokens[id] = content;
    this.size = tokens.length;
    this.#encoder = new Encoder(tokenizer);
    this.#bytes = new TokenBytes(tokenizer, tokens, this.added);
    [this.#before, this.#after] = surroundings(files, this.added, tokenizer.model.vocab);
  }

  /** The chat template file of the folder, if it has one. @internal */
  get chatTemplateFile(): string | undefined {
    return this.#files.chatTemplate;
  }

  /** What is added before a text: BOS, or nothing. */
  get leadingTokens(): readonly number[] {
    return this.#before;
  }

  /** The text of a token that tokenizer_config.json names, such as "bos_token". */
  namedToken(name: string): string | undefined {
    return namedToken(this.config, name);
  }

  /** The id of an added token, by its text. */
  idOf(text: string): number | undefined {
    return this.added.byText(text)?.id;
  }

  /** Whether `id` is a control token, which is no part of the text that a model writes. */
  isSpecial(id: number): boolean {
    return this.added.byId(id)?.special === true;
  }

  /** The bytes that `id` stands for: maybe a part of a character; none for an id without a token. */
  bytes(id: number): Uint8Array {
    return this.#bytes.of(id);
  }

  /**
   * The ids of `text`. Lone surrogates count as U+FFFD.
   * @throws TypeError when `text` is no string or an option is unknown
   */
  encode(text: string, options?: EncodeOptions): number[] {
    checkString("text", text);
    const { addSpecialTokens = true, parseSpecial = false } = checkEncodeOptions(options);
    const ids = parseSpecial ? this.encodeStretches(text) : this.#encoder.encode(text);
    return addSpecialTokens ? [...this.#before, ...ids, ...this.#after] : ids;
  }

  /**
   * As {@link encode}, but lets the event loop breathe: long texts are encoded in slices of a few milliseconds.
   * @throws whatever `signal` carries when it fires
   */
  async encodeAsync(text: string, options?: EncodeOptions, signal?: AbortSignal): Promise<number[]> {
    if (typeof text !== "string" || text.length < longText) return this.encode(text, options);
    const { addSpecialTokens = true, parseSpecial = false } = checkEncodeOptions(options);
    const ids = parseSpecial
      ? await this.encodeStretchesAsync(text, undefined, signal)
      : await this.#encodeInSlices(text, true, new Slices(signal));
    return addSpecialTokens ? [...this.#before, ...ids, ...this.#after] : ids;
  }

  /**
   * Ids of text in which added tokens count as such, but for those that cross a barrier.
   *
   * @param atStart whether the text begins the input, or continues it
   * @internal
   */
  encodeStretches(text: string, barriers?: Barriers, atStart = true): number[] {
    const ids: number[] = [];
    for (const stretch of this.added.split(text, barriers))
      if (stretch.token) ids.push(stretch.token.id);
      else for (const id of this.#encoder.encode(stretch.text, atStart && stretch.start === 0)) ids.push(id);
    return ids;
  }

  /** @internal */
  async encodeStretchesAsync(
    text: string,
    barriers?: Barriers,
    signal?: AbortSignal,
    atStart = true,
  ): Promise<number[]> {
    if (text.length < longText) return this.encodeStretches(text, barriers, atStart);
    const ids: number[] = [];
    const slices = new Slices(signal);
    for (const stretch of this.added.split(text, barriers))
      if (stretch.token) ids.push(stretch.token.id);
      else {
        const first = atStart && stretch.start === 0;
        for (const id of await this.#encodeInSlices(stretch.text, first, slices)) ids.push(id);
      }
    return ids;
  }

  async #encodeInSlices(text: string, atStart: boolean, slices: Slices): Promise<number[]> {
    const ids: number[] = [];
    for (const piece of this.#encoder.pieces(text, atStart)) {
      for (const id of this.#encoder.piece(piece)) ids.push(id);
      if (slices.over) await slices.next();
    }
    return ids;
  }

  /**
   * The text of `ids`; special tokens are written out unless skipped. Bytes that are no UTF-8 become U+FFFD; an id that
   * no token has adds nothing.
   * @throws TypeError, RangeError for what are no ids, and for unknown options
   */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string {
    const decoder = this.stream(checkOptions<DecodeOptions>("options", options, decodeChecks));
    let text = "";
    for (const id of checkTokenIds("ids", ids)) text += decoder.push(id);
    return text + decoder.flush();
  }

  /** A decoder for ids that arrive one after another. */
  stream({ skipSpecialTokens = false }: DecodeOptions = {}): StreamDecoder {
    return new StreamDecoder(this.#bytes, skipSpecialTokens ? (id) => this.isSpecial(id) : undefined);
  }
}

const encodeChecks = { addSpecialTokens: boolean, parseSpecial: boolean };
const decodeChecks = { skipSpecialTokens: boolean };

const checkEncodeOptions = (options: unknown): EncodeOptions =>
  checkOptions<EncodeOptions>("options", options, encodeChecks);

/** UTF-16 units from which encoding gives way to other work, and for how long it runs between. */
const longText = 16_384;
const sliceMs = 5;

/** Long work on the JavaScript thread, with turns of the event loop between its slices. */
class Slices {
  readonly #signal: AbortSignal | undefined;
  #until = performance.now() + sliceMs;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  get over(): boolean {
    return performance.now() >= this.#until;
  }

  /** @throws whatever the signal carries when it has fired */
  async next(): Promise<void> {
    await new Promise(setImmediate);
    this.#signal?.throwIfAborted();
    this.#until = performance.now() + sliceMs;
  }
}

/** tokenizer_config.json has names as strings or as objects with a `content`. */
function namedToken(config: Record<string, unknown>, name: string): string | undefined {
  const value = config[name];
  const text = typeof value === "object" && value !== null ? (value as { content?: unknown }).content : value;
  return typeof text === "string" ? text : undefined;
}

/**
 * What special tokens are added around a text. `add_bos_token` and `add_eos_token` of tokenizer_config.json decide where
 * they are given, then the template of tokenizer.json, then the tokenizer class: Llama's adds BOS.
 */
function surroundings(
  files: TokenizerFiles,
  added: AddedTokens,
  vocab: ReadonlyMap<string, number>,
): [number[], number[]] {
  const { config, tokenizer } = files;
  let [before, after] = templateTokens(tokenizer.postProcessor) ?? [[], []];
  const named = (name: string): number[] => {
    const text = namedToken(config, name);
    if (text === undefined) return [];
    const id = added.byText(text)?.id ?? vocab.get(text);
    if (id === undefined)
      throw new R1Error(
        "E_BAD_CHECKPOINT",
        `tokenizer_config.json: ${name} ${JSON.stringify(text)} is not in tokenizer.json.`,
      );
    return [id];
  };
  const llama = /^Llama/.test(String(config.tokenizer_class)) && templateTokens(tokenizer.postProcessor) === undefined;
  const addBos = typeof config.add_bos_token === "boolean" ? config.add_bos_token : llama || undefined;
  if (addBos !== undefined) before = addBos ? named("bos_token") : [];
  if (typeof config.add_eos_token === "boolean") after = config.add_eos_token ? named("eos_token") : [];
  return [before, after];
}

/** The ids that a TemplateProcessing post-processor writes before and after a single text; undefined without one. */
function templateTokens(postProcessor: object | null): [number[], number[]] | undefined {
  const config = postProcessor as Record<string, unknown> | null;
  if (config?.type === "Sequence" && Array.isArray(config.processors)) {
    for (const step of config.processors as object[]) {
      const tokens = templateTokens(step);
      if (tokens) return tokens;
    }
    return undefined;
  }
  if (config?.type !== "TemplateProcessing" || !Array.isArray(config.single)) return undefined;
  const table = (config.special_tokens ?? {}) as Record<string, { ids?: number[] }>;
  const out: [number[], number[]] = [[], []];
  let side = 0;
  for (const item of config.single as ({ SpecialToken?: { id: string }; Sequence?: object } | null)[])
    if (item?.Sequence) side = 1;
    else if (!item?.SpecialToken)
      throw new R1Error("E_BAD_CHECKPOINT", `tokenizer.json: TemplateProcessing has ${JSON.stringify(item)}.`);
    else out[side].push(...(table[item.SpecialToken.id]?.ids ?? []));
  return out;
}

export type { AddedToken };
