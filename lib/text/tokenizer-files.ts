/** The tokenizer's files in a Hugging Face folder, read and checked. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { R1Error } from "../errors";

/** One entry of `added_tokens` in tokenizer.json. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Takes the whitespace to its left (right) with it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Matches only where no word character touches it. */
  readonly singleWord: boolean;
  /** Looked for after the tokens that are not. */
  readonly normalized: boolean;
  /** Control tokens: not part of the text that a model writes. `<think>` is an added token, but not special. */
  readonly special: boolean;
}

/** tokenizer.json as far as we look into it. */
export interface TokenizerJson {
  model: {
    type?: string;
    /** Ids by token. A map: objects with so many keys are slow to go through. */
    vocab: ReadonlyMap<string, number>;
    merges: unknown[];
    unk_token?: string | null;
    ignore_merges?: boolean;
  };
  addedTokens: AddedToken[];
  normalizer: object | null;
  preTokenizer: object | null;
  postProcessor: object | null;
  decoder: object | null;
}

/** Everything a folder says about its text. */
export interface TokenizerFiles {
  tokenizer: TokenizerJson;
  /** tokenizer_config.json; empty when the folder has none. */
  config: Record<string, unknown>;
  /** chat_template.jinja, which goes before the config's `chat_template`. */
  chatTemplate: string | undefined;
}

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new R1Error("E_NOT_FOUND", `${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function parseJson(text: string, path: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new R1Error(
      "E_BAD_CHECKPOINT",
      `${path} is not valid JSON (${(cause as Error).message}). Download it again.`,
      {
        cause,
      },
    );
  }
  if (!isObject(value)) throw new R1Error("E_BAD_CHECKPOINT", `${path}: expected a JSON object.`);
  return value;
}

function objectOrNull(json: Json, key: string, path: string): object | null {
  const value = json[key] ?? null;
  if (value !== null && !isObject(value))
    throw new R1Error("E_BAD_CHECKPOINT", `${path}: "${key}" must be an object or null.`);
  return value;
}

/** @internal */
export function parseTokenizerJson(text: string, path = "tokenizer.json"): TokenizerJson {
  const json = parseJson(text, path);
  const bad = (what: string) => new R1Error("E_BAD_CHECKPOINT", `${path}: ${what}`);
  const model = json.model;
  if (!isObject(model)) throw bad('expected an object "model".');
  if (!(model.type === "BPE" || (model.type === undefined && Array.isArray(model.merges))))
    throw new R1Error(
      "E_UNSUPPORTED",
      `${path}: model type ${JSON.stringify(model.type)} is not supported; expected "BPE".`,
    );
  if (!isObject(model.vocab)) throw bad('"model.vocab" must map tokens to ids.');
  const vocab = new Map(Object.entries(model.vocab));
  for (const [token, id] of vocab)
    if (!isTokenId(id))
      throw bad(`token ${JSON.stringify(token)} has the id ${JSON.stringify(id)}; expected an integer ≥ 0.`);
  if (!Array.isArray(model.merges)) throw bad('"model.merges" must be an array.');
  for (const merge of model.merges)
    if (!isMerge(merge)) throw bad(`the merge ${JSON.stringify(merge)} is not a pair of tokens.`);
  const added = json.added_tokens ?? [];
  if (!Array.isArray(added)) throw bad('"added_tokens" must be an array.');
  return {
    model: { ...(model as Omit<TokenizerJson["model"], "vocab">), vocab: vocab as Map<string, number> },
    addedTokens: added.map((entry) => addedToken(entry, path)),
    normalizer: objectOrNull(json, "normalizer", path),
    preTokenizer: objectOrNull(json, "pre_tokenizer", path),
    postProcessor: objectOrNull(json, "post_processor", path),
    decoder: objectOrNull(json, "decoder", path),
  };
}

/** Ids index arrays here: a huge one in a broken file must not become a huge allocation. */
const isTokenId = (id: unknown): id is number =>
  Number.isInteger(id) && (id as number) >= 0 && (id as number) < 1 << 24;

const isMerge = (merge: unknown): boolean =>
  typeof merge === "string"
    ? merge.indexOf(" ") > 0
    : Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === "string" && part !== "");

function addedToken(entry: unknown, path: string): AddedToken {
  if (!isObject(entry) || typeof entry.content !== "string" || entry.content === "" || !isTokenId(entry.id))
    throw new R1Error("E_BAD_CHECKPOINT", `${path}: the added token ${JSON.stringify(entry)} has no content or no id.`);
  const special = entry.special === true;
  return {
    id: entry.id,
    content: entry.content,
    lstrip: entry.lstrip === true,
    rstrip: entry.rstrip === true,
    singleWord: entry.single_word === true,
    normalized: typeof entry.normalized === "boolean" ? entry.normalized : !special,
    special,
  };
}

/**
 * Reads tokenizer.json, tokenizer_config.json and chat_template.jinja; only the first must exist.
 * @throws R1Error E_NOT_FOUND, E_BAD_CHECKPOINT
 */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const path = join(folder, "tokenizer.json");
  const configPath = join(folder, "tokenizer_config.json");
  const [text, config, chatTemplate] = await Promise.all(
    [path, configPath, join(folder, "chat_template.jinja")].map(readText),
  );
  if (text === undefined)
    throw new R1Error(
      "E_NOT_FOUND",
      `${path} does not exist. A model folder needs its tokenizer.json; download it too.`,
    );
  return {
    tokenizer: parseTokenizerJson(text, path),
    config: config === undefined ? {} : parseJson(config, configPath),
    chatTemplate,
  };
}
