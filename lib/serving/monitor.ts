/** Looks at a model's measurements from time to time and reports when one enters another state. */
import type { Limits } from "./options";
import { assess, type Measure, type Measurements, type ThresholdChange, type ThresholdState } from "./thresholds";

export interface Look {
  values: Measurements;
  /** Whether requests run or wait. */
  open: boolean;
}

export class Monitor {
  readonly #look: () => Look;
  readonly #limits: Limits;
  readonly #report: (change: ThresholdChange) => void;
  #states: Record<Measure, ThresholdState> = { memory: "ok", latency: "ok", gpuUse: "ok" };
  #timer: NodeJS.Timeout | undefined;

  constructor(look: () => Look, limits: Limits, report: (change: ThresholdChange) => void) {
    this.#look = look;
    this.#limits = limits;
    this.#report = report;
  }

  /** The first look comes soon, from "ok". The timer keeps no process alive. */
  start(): void {
    this.stop();
    this.#states = { memory: "ok", latency: "ok", gpuUse: "ok" };
    const timer = setInterval(() => this.#check(), this.#limits.intervalMs).unref();
    this.#timer = timer;
    queueMicrotask(() => this.#timer === timer && this.#check());
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #check(): void {
    const { values, open } = this.#look();
    const states = assess(values, open, this.#limits);
    const before = this.#states;
    this.#states = states;
    for (const measure of Object.keys(states) as Measure[]) {
      const state = states[measure];
      const previous = before[measure];
      if (state !== previous) this.#report({ measure, state, previous, value: values[measure] });
    }
  }
}
