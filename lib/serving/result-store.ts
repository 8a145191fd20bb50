/** Values under keys, bounded by their number, their bytes and their age. */

interface Entry<V> {
  value: V;
  bytes: number;
  /** When it is too old. */
  until: number;
}

export interface StoreLimits {
  maxEntries: number;
  maxBytes: number;
  ttlMs: number;
}

/** A key's own bytes and the book-keeping of an entry, roughly. */
const entryBytes = 400;

export class ResultStore<V> {
  readonly #limits: StoreLimits;
  readonly #now: () => number;
  /** The least recently used first: a Map keeps the order of insertion. */
  readonly #entries = new Map<string, Entry<V>>();
  #bytes = 0;
  /** Entries dropped because there were too many or too large ones, and those that grew too old. */
  evictions = 0;
  expirations = 0;

  /** @param now milliseconds that never go back */
  constructor(limits: StoreLimits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    if (entry.until <= this.#now()) {
      this.#bytes -= entry.bytes;
      this.expirations++;
      return undefined;
    }
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Keeps a value of about so many bytes, unless it alone is too large; others make room for it. */
  set(key: string, value: V, valueBytes: number): void {
    const bytes = valueBytes + entryBytes;
    this.#drop(key);
    if (bytes > this.#limits.maxBytes) return;
    const { maxEntries, maxBytes, ttlMs } = this.#limits;
    while (this.#entries.size >= maxEntries || this.#bytes + bytes > maxBytes) {
      this.#drop(this.#entries.keys().next().value as string);
      this.evictions++;
    }
    this.#entries.set(key, { value, bytes, until: this.#now() + ttlMs });
    this.#bytes += bytes;
  }

  /** Entries and bytes that are kept, the ones too old gone. */
  size(): { entries: number; bytes: number } {
    const now = this.#now();
    for (const [key, { until }] of this.#entries) {
      if (until > now) continue;
      this.#drop(key);
      this.expirations++;
    }
    return { entries: this.#entries.size, bytes: this.#bytes };
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}
