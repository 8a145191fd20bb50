/** A bar on standard error, and nothing at all where that is no terminal. */
import type { Output } from "./terminal";

const redrawMs = 50;
const barWidth = 24;

export class ProgressBar {
  readonly #out: Output;
  #drawn = false;
  #last = Number.NEGATIVE_INFINITY;

  constructor(out: Output) {
    this.#out = out;
  }

  /** `share` from 0 to 1. */
  show(label: string, share: number, detail = ""): void {
    const now = performance.now();
    if (!this.#out.terminal || (now - this.#last < redrawMs && share < 1)) return;
    this.#last = now;
    const filled = Math.round(Math.min(1, Math.max(0, share)) * barWidth);
    const bar = this.#out.style("cyan", "█".repeat(filled)) + "░".repeat(barWidth - filled);
    const tail = ` ${String(Math.floor(share * 100)).padStart(3)} %  ${detail}`;
    const fits = label.length + 1 + barWidth + tail.length < this.#out.columns;
    void this.#out.write(`\r\x1b[2K${label} ${fits ? bar : ""}${tail.slice(0, this.#out.columns - label.length - 2)}`);
    this.#drawn = true;
  }

  clear(): void {
    if (this.#drawn) void this.#out.write("\r\x1b[2K");
    this.#drawn = false;
  }
}
