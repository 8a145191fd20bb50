/**
 * Serving: many requests at once, each a greedy answer of fixed length to a made-up prompt. A closed loop keeps so many
 * open (`concurrency`), an open one lets them come at random, so many per second (`rate`), whatever becomes of them.
 */
import { EngineClient, type RequestEnd } from "../engine-client";
import { R1Error } from "../errors";
import { loadSpec } from "../load-spec";
import { complete } from "../serving/stats";
import { greedy, madeUpPrompt } from "./bench-engine";
import { arrivals, type Served, summarize } from "./bench-load-pattern";
import type { BenchContext, BenchMeasurement, BenchResult, BenchRow } from "./bench-types";

const defaultConcurrency = [1, 8, 32, 64, 128];
/** Of the arrivals: every run offers the same load. */
const arrivalSeed = 1;

/** What every request is. */
interface Shape {
  promptTokens: number;
  newTokens: number;
  /** Tokens that all prompts begin with. */
  sharedTokens: number;
  vocab: number;
  durationMs: number;
}

export async function benchServe({ checkpoint, target, options }: BenchContext): Promise<BenchResult> {
  const { promptTokens = 128, newTokens = 64, sharedTokens = 0, duration = 10, rate = [] } = options;
  const concurrency = options.concurrency ?? (rate.length > 0 ? [] : defaultConcurrency);
  const shape = { promptTokens, newTokens, sharedTokens, vocab: checkpoint.config.vocab, durationMs: duration * 1000 };
  const { maxQueue, targetInterTokenMs, kvMemory, hostKvMemory } = options;
  const client = await EngineClient.load(
    loadSpec(checkpoint, {
      ...target,
      ...{ maxQueue, targetInterTokenMs, kvMemory, hostKvMemory },
      prefixCache: !options.noPrefixCache,
      contextLength: promptTokens + newTokens,
      maxSequences: options.maxSequences ?? Math.max(64, ...concurrency),
    }),
  );
  try {
    const run = new LoadRun(client, shape);
    await run.closed(1, 0); // one request that warms up
    const rows: BenchMeasurement[] = [];
    for (const open of concurrency) rows.push(await measure(run, `${open} open`, () => run.closed(open)));
    for (const perSecond of rate) rows.push(await measure(run, `${perSecond}/s`, () => run.open(perSecond)));
    return { info: client.info, rows };
  } finally {
    await client.dispose();
  }
}

async function measure(run: LoadRun, load: string, offer: () => Promise<Served[]>): Promise<BenchMeasurement> {
  const { preemptions } = run.stats();
  const start = performance.now();
  const served = await offer();
  const { promptTokens, durationMs } = run.shape;
  const columns: BenchRow = { load, ...summarize(served, start, durationMs, promptTokens) };
  const { stepMs, hostMsPerStep, limits, preemptions: after } = run.atEnd;
  if (stepMs > 0) {
    const share = hostMsPerStep / (hostMsPerStep + stepMs);
    Object.assign(columns, { "ms/step": stepMs, "host ms/step": hostMsPerStep, "share host": share });
  }
  if (limits.sequences > 0) columns["limits seq/rows"] = `${limits.sequences}/${limits.stepTokens}`;
  return { columns: { ...columns, preempted: after - preemptions } };
}

/** Offers load to an engine for a while. */
class LoadRun {
  readonly shape: Shape;
  readonly #client: EngineClient;
  readonly #prefix: Int32Array;
  /** Ids of the open requests. */
  readonly #open = new Set<number>();
  /** Every prompt is another. */
  #salt = 1;
  /** When the time of the last load was up. */
  atEnd = complete({});

  constructor(client: EngineClient, shape: Shape) {
    this.#client = client;
    this.shape = shape;
    this.#prefix = madeUpPrompt(shape.sharedTokens, shape.vocab, 0);
  }

  stats() {
    return complete(this.#client.stats());
  }

  /** So many clients, each asking again as soon as it is answered. */
  async closed(clients: number, durationMs = this.shape.durationMs): Promise<Served[]> {
    const end = performance.now() + durationMs;
    const served: Served[] = [];
    const client = async () => {
      do served.push(await this.#request());
      while (performance.now() < end && served.at(-1)?.outcome !== "refused");
    };
    const all = Array.from({ length: clients }, client);
    await this.#finish(durationMs, all);
    return served;
  }

  /** Requests come on their own. */
  async open(perSecond: number): Promise<Served[]> {
    const { durationMs } = this.shape;
    const start = performance.now();
    const served = arrivals(perSecond, durationMs, arrivalSeed).map(async (at) => {
      await sleep(start + at - performance.now());
      return this.#request();
    });
    await this.#finish(durationMs, served);
    return Promise.all(served);
  }

  /** Waits until the time is up, then as long again for what is still open, and cancels the rest. */
  async #finish(durationMs: number, all: Promise<unknown>[]): Promise<void> {
    const done = Promise.all(all);
    const limit = durationMs || Number.POSITIVE_INFINITY;
    await within(limit, done);
    this.atEnd = this.stats();
    await within(limit, done);
    for (const id of this.#open) this.#client.cancel(id);
    await done;
  }

  #request(): Promise<Served> {
    const { promptTokens, newTokens, vocab } = this.shape;
    const prompt = madeUpPrompt(promptTokens, vocab, this.#salt++);
    prompt.set(this.#prefix);
    const served: Served = {
      submitted: performance.now(),
      wakeUps: [],
      ...{ outcome: "open", queueMs: 0, cachedTokens: 0 },
    };
    return new Promise((resolve, reject) => {
      const end = (end: RequestEnd) => {
        this.#open.delete(id);
        if (end.type === "error" && !isOverload(end.error)) return reject(end.error);
        if (end.type === "error") served.outcome = "refused";
        if (end.type === "finish") {
          const { timings, cachedTokens } = end;
          Object.assign(served, { outcome: "finished", queueMs: timings.queue, cachedTokens });
        }
        resolve(served);
      };
      const tokens = (ids: Int32Array) => served.wakeUps.push({ at: performance.now(), tokens: ids.length });
      const id: number = this.#client.submit({ ...greedy(prompt, newTokens), cache: true }, { tokens, end });
      this.#open.add(id);
    });
  }
}

const isOverload = (error: Error): boolean => error instanceof R1Error && error.code === "E_OVERLOADED";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

/** Waits for a promise, but no longer than so many milliseconds. @throws what it rejects with */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  if (ms === Number.POSITIVE_INFINITY) return void (await promise);
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([promise, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}
