/** Token ids to text, token by token and in linear time. */
import type { TokenBytes } from "./token-bytes";

/**
 * Decodes ids as they arrive. A character whose bytes are spread over several tokens comes out with the last of them;
 * bytes that are no UTF-8 become U+FFFD. Joined, the pieces are what decoding all ids at once gives.
 *
 * @example
 * const decoder = tokenizer.stream();
 * for (const id of ids) process.stdout.write(decoder.push(id));
 * process.stdout.write(decoder.flush());
 */
export class StreamDecoder {
  readonly #table: TokenBytes;
  readonly #skip: (id: number) => boolean;
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  #strip: number;

  /** Ids for which `skip` holds add no text. */
  constructor(table: TokenBytes, skip: (id: number) => boolean = () => false) {
    this.#table = table;
    this.#skip = skip;
    this.#strip = table.rule.stripStart;
  }

  /** The text that `id` completes; "" while a character is incomplete. */
  push(id: number): string {
    if (this.#skip(id)) return "";
    const bytes = this.#table.of(id);
    return bytes.length === 0 ? "" : this.#stripped(this.#utf8.decode(bytes, { stream: true }));
  }

  /** What is left: U+FFFD for an incomplete character, else "". The decoder starts anew. */
  flush(): string {
    const text = this.#stripped(this.#utf8.decode());
    this.#strip = this.#table.rule.stripStart;
    return text;
  }

  #stripped(text: string): string {
    if (this.#strip === 0 || text === "") return text;
    let start = 0;
    while (start < text.length && start < this.#strip && text[start] === " ") start++;
    this.#strip = start === text.length ? this.#strip - start : 0;
    return text.slice(start);
  }
}
