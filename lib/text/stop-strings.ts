/** Finds stop strings in text that arrives in pieces. */

/** One string and how much of it the text read so far ends with: Knuth, Morris and Pratt's automaton (1977). */
class Matcher {
  readonly length: number;
  /** UTF-16 units of the string that the text ends with. */
  matched = 0;
  readonly #text: string;
  /** [n]: the longest proper prefix that is also a suffix of the first n units. */
  readonly #border: number[];

  constructor(text: string) {
    this.#text = text;
    this.length = text.length;
    this.#border = [0, 0];
    for (let n = 1, k = 0; n < text.length; n++) {
      while (k > 0 && text[n] !== text[k]) k = this.#border[k];
      if (text[n] === text[k]) k++;
      this.#border.push(k);
    }
  }

  /** Reads one unit; true when it completes the string. */
  read(unit: string): boolean {
    if (this.matched === this.length) this.matched = this.#border[this.matched];
    while (this.matched > 0 && unit !== this.#text[this.matched]) this.matched = this.#border[this.matched];
    if (unit === this.#text[this.matched]) this.matched++;
    return this.matched === this.length;
  }
}

/**
 * Passes text on until one of the strings is complete, and holds back only what may become one. What is found does not
 * depend on how the text is cut into pieces: the string that is complete first, the longest where several are.
 * Work is linear in the text.
 *
 * @example
 * const stop = new StopStrings(["\n\n", "END"]);
 * stop.push("one E");   // "one "
 * stop.push("ND two");  // "", and stop.stopped is true
 */
export class StopStrings {
  /** A string was found; nothing more comes out. */
  stopped = false;
  readonly #matchers: Matcher[];
  #held = "";

  /** @throws RangeError for an empty string */
  constructor(strings: readonly string[]) {
    if (strings.includes("")) throw new RangeError("A stop string must have at least one character.");
    this.#matchers = strings.map((text) => new Matcher(text));
  }

  /** The text that is certain to come before any stop string. */
  push(text: string): string {
    if (this.stopped) return "";
    if (this.#matchers.length === 0) return text;
    const pending = this.#held + text;
    for (let i = this.#held.length; i < pending.length; i++) {
      const complete = this.#matchers.filter((matcher) => matcher.read(pending[i]));
      if (complete.length === 0) continue;
      this.stopped = true;
      this.#held = "";
      return pending.slice(0, i + 1 - Math.max(...complete.map((matcher) => matcher.length)));
    }
    const hold = Math.max(...this.#matchers.map((matcher) => matcher.matched));
    this.#held = pending.slice(pending.length - hold);
    return pending.slice(0, pending.length - hold);
  }

  /** What was held back, at the end of the text. */
  flush(): string {
    const text = this.#held;
    this.#held = "";
    for (const matcher of this.#matchers) matcher.matched = 0;
    return text;
  }
}
