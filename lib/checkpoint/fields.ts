/** Typed reading of a JSON object's fields. null counts as absent, as it does in transformers' config classes. */
import { R1Error } from "../errors";
import { isObject, type JsonObject, kindOf } from "./json";

export class Fields {
  readonly object: JsonObject;
  /** The file, for messages; a nested object adds its key: "config.json: rope_scaling". */
  readonly where: string;

  constructor(object: JsonObject, where: string) {
    this.object = object;
    this.where = where;
  }

  has(key: string): boolean {
    return this.object[key] !== undefined && this.object[key] !== null;
  }

  /** An integer in [min, max]. Without `fallback` it is required. */
  integer(key: string, fallback?: number, min = 1, max = 2 ** 31 - 1): number {
    const value = this.has(key) ? this.object[key] : fallback;
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max)
      this.fail(key, `an integer from ${min} to ${max}`);
    return value;
  }

  /** A finite number in [min, max]. Without `fallback` it is required. */
  number(key: string, fallback?: number, min = 0, max = 1e12): number {
    const value = this.has(key) ? this.object[key] : fallback;
    if (typeof value !== "number" || !Number.isFinite(value) || value < min || value > max)
      this.fail(key, `a number from ${min} to ${max}`);
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.has(key) ? this.object[key] : fallback;
    if (typeof value !== "boolean") this.fail(key, "true or false");
    return value;
  }

  string(key: string, fallback?: string): string {
    const value = this.has(key) ? this.object[key] : fallback;
    if (typeof value !== "string") this.fail(key, "a string");
    return value;
  }

  /** A list of strings, undefined when absent. */
  strings(key: string): string[] | undefined {
    if (!this.has(key)) return undefined;
    const value = this.object[key];
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) this.fail(key, "a list of strings");
    return value as string[];
  }

  /** An integer or a list of integers, [] when absent. */
  integers(key: string): number[] {
    if (!this.has(key)) return [];
    const value = this.object[key];
    const list = Array.isArray(value) ? value : [value];
    if (!list.every((item) => Number.isSafeInteger(item))) this.fail(key, "an integer or a list of integers");
    return list as number[];
  }

  /** A nested object, undefined when absent or empty. */
  nested(key: string): Fields | undefined {
    if (!this.has(key)) return undefined;
    const value = this.object[key];
    if (!isObject(value)) this.fail(key, "an object");
    return Object.keys(value).length > 0 ? new Fields(value, `${this.where}: ${key}`) : undefined;
  }

  fail(key: string, expected: string): never {
    throw this.error(`${this.where}: ${key} must be ${expected}, found ${kindOf(this.object[key])}.`);
  }

  protected error(message: string): Error {
    return new R1Error("E_BAD_CHECKPOINT", message);
  }
}

/** Fields of an object that the caller gave instead of a file. */
export class OptionFields extends Fields {
  protected override error(message: string): Error {
    return new RangeError(message);
  }
}
