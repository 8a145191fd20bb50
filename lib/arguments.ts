/**
 * Checks of what callers pass in, before any work starts: a wrong type or name is a `TypeError`, a value outside its
 * range a `RangeError`, and the message names the option, what was expected and what was found.
 */

/** A value for an error message, short. */
export function found(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return `an object (${value.constructor?.name ?? "no prototype"})`;
  return String(value);
}

export function wrongType(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${expected}, found ${found(value)}.`);
}

export function outOfRange(name: string, expected: string, value: unknown): RangeError {
  return new RangeError(`${name} must be ${expected}, found ${found(value)}.`);
}

export function checkNumber(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number") throw wrongType(name, "a number", value);
  if (!(value >= min && value <= max)) throw outOfRange(name, `a number from ${min} to ${max}`, value);
  return value;
}

export function checkInteger(name: string, value: unknown, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== "number") throw wrongType(name, "an integer", value);
  if (!Number.isInteger(value) || value < min || value > max) {
    const range = max === Number.MAX_SAFE_INTEGER ? `${min} up` : `${min} to ${max}`;
    throw outOfRange(name, `an integer from ${range}`, value);
  }
  return value;
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw wrongType(name, "true or false", value);
  return value;
}

export function checkString(name: string, value: unknown): string {
  if (typeof value !== "string") throw wrongType(name, "a string", value);
  return value;
}

export function checkFunction<F>(name: string, value: F): F {
  if (typeof value !== "function") throw wrongType(name, "a function", value);
  return value;
}

export function checkSignal(name: string, value: unknown): AbortSignal {
  if (!(value instanceof AbortSignal)) throw wrongType(name, "an AbortSignal", value);
  return value;
}

/** One of a few words. */
export function checkWord<W extends string>(name: string, value: unknown, words: readonly W[]): W {
  const text = checkString(name, value);
  if (!words.includes(text as W)) throw outOfRange(name, `one of ${words.map((w) => `"${w}"`).join(", ")}`, value);
  return text as W;
}

/** An array or typed array of integers from 0. The vocabulary is known only later: {@link checkVocabulary}. */
export function checkTokenIds(name: string, value: unknown): Int32Array {
  if (!isTokenIds(value)) throw wrongType(name, "an array of token ids", value);
  const ids = new Int32Array(value.length);
  for (let i = 0; i < ids.length; i++) ids[i] = checkInteger(`${name}[${i}]`, value[i], 0, 0x7fffffff);
  return ids;
}

/** Whether a value has the shape of token ids: an array (of anything but objects and strings first) or a typed array. */
export function isTokenIds(value: unknown): value is ArrayLike<number> {
  if (Array.isArray(value)) return value.length === 0 || (typeof value[0] !== "object" && typeof value[0] !== "string");
  return value instanceof Int32Array || value instanceof Uint32Array || value instanceof Uint16Array;
}

/** @throws RangeError naming the first id outside the vocabulary */
export function checkVocabulary(name: string, ids: Int32Array, vocab: number): void {
  const bad = ids.findIndex((id) => id < 0 || id >= vocab);
  if (bad >= 0) throw outOfRange(`${name}[${bad}]`, `a token id from 0 to ${vocab - 1}`, ids[bad]);
}

/**
 * Checks an options object against a table of checks, one per name, and returns the checked values. Names with the value
 * `undefined` count as absent.
 */
export function checkOptions<T extends object>(
  what: string,
  options: unknown,
  checks: { [K in keyof T]-?: (value: unknown, name: string) => T[K] },
): Partial<T> {
  if (options === undefined) return {};
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw wrongType(what, "an object", options);
  }
  const checked: Partial<T> = {};
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name as keyof T] : undefined;
    if (!check)
      throw new TypeError(`${what}: unknown name "${name}"; expected one of ${Object.keys(checks).join(", ")}.`);
    if (value !== undefined) checked[name as keyof T] = check(value, name);
  }
  return checked;
}

/** A check of one option, as {@link checkOptions} takes them. */
export type Check<T> = (value: unknown, name: string) => T;
export const boolean: Check<boolean> = (value, name) => checkBoolean(name, value);
export const integer =
  (min: number, max?: number): Check<number> =>
  (value, name) =>
    checkInteger(name, value, min, max);

/** Token counts are 32-bit integers in the engine. */
export const MAX_TOKENS = 0x7fffffff;
/** setTimeout takes no more. */
export const MAX_MILLISECONDS = 0x7fffffff;
