/** Flags of the commands: one table per command, from which arguments are parsed and the help is written. */
import { parseArgs } from "node:util";
import { columns } from "./terminal";

/** Something about the arguments: exit code 2. */
export class UsageError extends Error {}

export interface Flag {
  /** What the value is called in the help; a flag without one is true or absent. */
  value?: string;
  help: string;
  short?: string;
  /** May be given more than once: the values come as an array. */
  multiple?: boolean;
  /** Turns the text into what the program uses. Default: the text. */
  parse?: (text: string, flag: string) => unknown;
}

export type Flags = Readonly<Record<string, Flag>>;

/** Parsed values by flag, as `parse` gives them. */
export interface Arguments {
  values: Record<string, unknown>;
  positionals: string[];
}

/** @throws UsageError naming the flag */
export function parseArguments(flags: Flags, argv: readonly string[], maxPositionals: number): Arguments {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { value, short, multiple }]) => [
      name,
      {
        type: value ? ("string" as const) : ("boolean" as const),
        multiple: multiple ?? false,
        ...(short ? { short } : {}),
      },
    ]),
  );
  const { values, positionals } = parse(joinNegative(flags, argv), options);
  if (positionals.length > maxPositionals)
    throw new UsageError(
      `Unexpected argument ${JSON.stringify(positionals[maxPositionals])}. Quote a text with spaces.`,
    );
  const parsed = Object.entries(values).map(([name, value]) => {
    const convert = flags[name].parse ?? ((text: string) => text);
    const one = (text: unknown) => (typeof text === "string" ? convert(text, `--${name}`) : text);
    return [name, Array.isArray(value) ? value.map(one) : one(value)];
  });
  return { values: Object.fromEntries(parsed), positionals };
}

function parse(args: string[], options: NonNullable<Parameters<typeof parseArgs>[0]>["options"]) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError((error as Error).message.split(". ")[0].replace(/\.?$/, "."));
  }
}

/** `--bias -1` is `--bias=-1`: a value that begins like a number is no flag. */
function joinNegative(flags: Flags, argv: readonly string[]): string[] {
  const out: string[] = [];
  for (const arg of argv) {
    const before = out.at(-1);
    const takesValue = before?.startsWith("--") && flags[before.slice(2)]?.value !== undefined && !out.includes("--");
    if (takesValue && /^-[\d.I]/.test(arg)) out[out.length - 1] = `${before}=${arg}`;
    else out.push(arg);
  }
  return out;
}

// ---- values

export function number(text: string, flag: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isNaN(value)) throw new UsageError(`${flag} must be a number, found ${JSON.stringify(text)}.`);
  return value;
}

/** "1,2,3"; the empty text is an empty list. */
export function numbers(text: string, flag: string): number[] {
  return text.trim() === "" ? [] : text.split(",").map((item) => number(item, flag));
}

const byteUnits: Record<string, number> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** "1.5G" in bytes. */
export function byteCount(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  if (!match)
    throw new UsageError(`${flag} must be a number of bytes such as 512M or 1.5G, found ${JSON.stringify(text)}.`);
  return Math.floor(Number(match[1]) * byteUnits[match[2].toLowerCase()]);
}

// ---- help

/** The flags as lines of help. */
export function describeFlags(flags: Flags): string {
  const rows = Object.entries(flags).map(([name, { value, short, help }]): [string, string] => [
    `${short ? `-${short}, ` : "    "}--${name}${value ? ` ${value}` : ""}`,
    help,
  ]);
  return columns(rows, "  ");
}
