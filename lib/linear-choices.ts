/**
 * How linear layers of given shapes are computed on given GPUs, where `r1 bench tune` found something faster than the
 * rules of the launcher (csrc/backend/cuda/linear_plan.cc). The built-in table is linear-choices.json, beside this file;
 * a file of the same form that R1_LINEAR_CHOICES names goes over it, row by row. Choices change times, and never results,
 * but for `splits`: the bits of results follow from it, for all rows and devices alike.
 *
 * Names, types and double rows are checked here, where the file is known. Whether there is such a kernel, and whether its
 * ring fits into shared memory, the backend knows (csrc/backend/cuda/linear_choices.cc).
 */
import { readFileSync } from "node:fs";
import { checkBoolean, checkInteger, checkWord, found } from "./arguments";
import { R1Error } from "./errors";
import builtIn from "./linear-choices.json";
import type { NativeLinearChoices } from "./native";

/** A file of choices: the rows, and where they are from, a line for each model that was tuned. */
export interface ChoiceFile extends NativeLinearChoices {
  about: string[];
}

type List = keyof NativeLinearChoices;
type Row<L extends List> = NativeLinearChoices[L][number];
type FieldCheck = (name: string, value: unknown) => unknown;

const lists: readonly List[] = ["stream", "tile", "splits"];
const most = 2 ** 31 - 1;
const count: FieldCheck = (name, value) => checkInteger(name, value, 1, most);
const classes = ["prefill", "decode"] as const;
const families = ["sm75", "sm80", "sm90"] as const;

/** In the order in which they are written. `key`: what the row is for, `value`: what is chosen. */
const fields: { [L in List]: { key: Record<string, FieldCheck>; value: Record<string, FieldCheck> } } = {
  stream: {
    key: {
      ...{ numericClass: (name, value) => checkWord(name, value, classes), sms: count, storedRows: count, k: count },
      ...{ tokens: count, paired: checkBoolean },
    },
    value: { tileRows: count, stages: (name, value) => checkInteger(name, value, 2, 16) },
  },
  tile: {
    key: { sms: count, storedRows: count, k: count, rows: count, paired: checkBoolean },
    value: { columns: count, band: (name, value) => checkInteger(name, value, 1, 64) },
  },
  splits: {
    key: { family: (name, value) => checkWord(name, value, families), storedRows: count, k: count },
    value: { splits: (name, value) => checkInteger(name, value, 1, 8) },
  },
};

export const noChoices: NativeLinearChoices = { stream: [], tile: [], splits: [] };

/** The built-in table, with the rows of R1_LINEAR_CHOICES in place of its own. @throws R1Error E_BAD_INPUT, E_NOT_FOUND, E_FILE */
export function linearChoices(env: NodeJS.ProcessEnv = process.env): NativeLinearChoices {
  const { about: _, ...rows } = parseChoices(builtIn, "lib/linear-choices.json");
  const path = env.R1_LINEAR_CHOICES;
  return path ? mergeChoices(rows, readChoices(path, "R1_LINEAR_CHOICES: ")) : rows;
}

/**
 * @param role what the path is for, to begin messages with
 * @throws R1Error E_NOT_FOUND, E_FILE, E_BAD_INPUT
 */
export function readChoices(path: string, role = ""): ChoiceFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "E_NOT_FOUND" : "E_FILE";
    throw new R1Error(code, `${role}${path} cannot be read (${(cause as Error).message}).`, { cause });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new R1Error("E_BAD_INPUT", `${role}${path} is no JSON (${(cause as Error).message}). ${remedy}`, { cause });
  }
  return parseChoices(json, `${role}${path}`);
}

const remedy = "Correct the file, or let `r1 bench tune --out` write one.";

/**
 * Checks what a file of choices says. A list may be absent.
 *
 * @param source what messages call it
 * @throws R1Error E_BAD_INPUT naming the row and the field
 */
export function parseChoices(json: unknown, source: string): ChoiceFile {
  try {
    const { about = [], ...rest } = fieldsOf("the file", json);
    for (const name of Object.keys(rest))
      if (!lists.includes(name as List)) throw new TypeError(`there is no list ${found(name)}.`);
    if (!Array.isArray(about) || about.some((line) => typeof line !== "string"))
      throw new TypeError(`about must be an array of strings, found ${found(about)}.`);
    const read = <L extends List>(list: L) => parseRows(list, rest[list] ?? []);
    return { about, stream: read("stream"), tile: read("tile"), splits: read("splits") };
  } catch (error) {
    if (!(error instanceof TypeError) && !(error instanceof RangeError)) throw error;
    throw new R1Error("E_BAD_INPUT", `${source}: ${error.message} ${remedy}`, { cause: error });
  }
}

function fieldsOf(name: string, value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new TypeError(`${name} must be an object, found ${found(value)}.`);
  return value as Record<string, unknown>;
}

function parseRows<L extends List>(list: L, rows: unknown): NativeLinearChoices[L] {
  if (!Array.isArray(rows)) throw new TypeError(`${list} must be an array, found ${found(rows)}.`);
  const checks = Object.entries({ ...fields[list].key, ...fields[list].value });
  const known = new Map<string, string>();
  return rows.map((value, i) => {
    const name = `${list}[${i}]`;
    const row = fieldsOf(name, value);
    for (const field of Object.keys(row))
      if (!checks.some(([one]) => one === field)) throw new TypeError(`${name} has no field ${found(field)}.`);
    const checked = Object.fromEntries(checks.map(([field, check]) => [field, check(`${name}.${field}`, row[field])]));
    const key = keyOf(list, checked as unknown as Row<L>);
    const before = known.get(key);
    if (before) throw new RangeError(`${name} is for the same as ${before}: ${key}.`);
    known.set(key, name);
    return checked;
  }) as unknown as NativeLinearChoices[L];
}

/** What a row is for: rows of the same key exclude each other. */
export function keyOf<L extends List>(list: L, row: Row<L>): string {
  const values = row as unknown as Record<string, unknown>;
  const names = Object.keys(fields[list].key);
  return [list, ...names.map((name) => `${name} ${values[name]}`)].join(", ");
}

/** `choices` without the rows of these keys. */
export function withoutChoices(choices: NativeLinearChoices, keys: ReadonlySet<string>): NativeLinearChoices {
  const left = <L extends List>(list: L) =>
    (choices[list] as Row<L>[]).filter((row) => !keys.has(keyOf(list, row))) as NativeLinearChoices[L];
  return { stream: left("stream"), tile: left("tile"), splits: left("splits") };
}

/** All keys of a table. */
export function keysOf(choices: NativeLinearChoices): Set<string> {
  return new Set(lists.flatMap((list) => choices[list].map((row) => keyOf(list, row))));
}

/** Both, those of `over` where a key is in both. */
export function mergeChoices(choices: NativeLinearChoices, over: NativeLinearChoices): NativeLinearChoices {
  const { stream, tile, splits } = withoutChoices(choices, keysOf(over));
  return {
    stream: [...stream, ...over.stream],
    tile: [...tile, ...over.tile],
    splits: [...splits, ...over.splits],
  };
}

/** A file of choices as text: a row to a line, in the order of their keys, so that a change shows as one. */
export function formatChoices({ about, ...choices }: ChoiceFile): string {
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const indented = (lines: string[]) => `[\n    ${lines.join(",\n    ")}\n  ]`;
  const block = (name: string, lines: string[]) =>
    `  ${JSON.stringify(name)}: ${lines.length > 0 ? indented(lines) : "[]"}`;
  const field = ([name, value]: [string, unknown]) => `"${name}": ${JSON.stringify(value)}`;
  const line = (row: object) => `{ ${Object.entries(row).map(field).join(", ")} }`;
  const sorted = <L extends List>(list: L) =>
    [...(choices[list] as Row<L>[])].sort((a, b) => compare(keyOf(list, a), keyOf(list, b))).map((row) => line(row));
  const quoted = about.map((text) => JSON.stringify(text));
  const blocks = [block("about", quoted), ...lists.map((list) => block(list, sorted(list)))];
  return `{\n${blocks.join(",\n")}\n}\n`;
}
