/**
 * Forward passes, greedy decoding and both numeric classes against transformers in float32.
 * `R1_FIXTURES=DIR` adds every model folder in DIR; one without golden values fails, and so does an empty DIR.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { loadSpec } from "../../lib/load-spec";
import { DeepSeekR1 } from "../../lib/model";
import type { Precision } from "../../lib/native";
import { argmax, logSoftmax } from "../../lib/sampling/reference";
import { rmsnorm } from "../ops/reference";
import { devices, type TestDevice } from "../support/devices";
import { stepOf } from "../support/steps";
import { type TestModel, testAddon } from "../support/test-addon";
import {
  type Golden,
  type GoldenCase,
  type GoldenPrompt,
  goldenCases,
  readGolden,
  readTensors,
  relativeError,
} from "./golden-case";

/** Relative errors of logits and hidden states that the rules of the golden checkpoints allow. */
const bounds: Record<Precision, number> = { f32: 1e-4, bf16: 3e-2, fp16: 3e-2 };
/** Beyond this margin the best token must be the golden one at 16-bit precisions too. */
const clearMargin = 0.25;

const precisions: Record<TestDevice, Precision[]> = { cpu: ["f32", "bf16"], cuda: ["f32", "bf16", "fp16"] };

interface Run {
  name: string;
  device: TestDevice;
  precision: Precision;
}

const report: string[] = [];
afterAll(() => console.log(["case, device, precision, error, tokens", ...report].join("\n")));

/** Residuals and logits of one prefill step. */
function prefill(model: TestModel, tokens: Int32Array, logitRows: number[]) {
  const step = stepOf("prefill", [{ length: tokens.length, rows: tokens.length }]);
  return model.forward({ ...step, tokens, logitRows: Int32Array.from(logitRows) });
}

const lastRows = (count: number, rows: number) => Array.from({ length: count }, (_, i) => rows - count + i);

class Comparison {
  readonly #run: Run;
  readonly #golden: Golden;
  readonly #checkpoint: Checkpoint;
  readonly #taps: TestModel;
  readonly #model: DeepSeekR1;
  /** Worst relative error, and tokens that agreed of those compared. */
  error = 0;
  agreed = 0;
  compared = 0;
  close = 0;

  constructor(run: Run, golden: Golden, checkpoint: Checkpoint, taps: TestModel, model: DeepSeekR1) {
    this.#run = run;
    this.#golden = golden;
    this.#checkpoint = checkpoint;
    this.#taps = taps;
    this.#model = model;
  }

  static async create(run: Run, { folder }: GoldenCase): Promise<Comparison> {
    const golden = await readGolden(folder);
    const checkpoint = await openCheckpoint(folder);
    const { device, precision } = run;
    const spec = loadSpec(checkpoint, { device, precision, prefillRows: 512 });
    const taps = new (testAddon().TestModel)(spec, 16);
    const model = await DeepSeekR1.load({ modelPath: folder, device, precision, contextLength: 1024 });
    return new Comparison(run, golden, checkpoint, taps, model);
  }

  async dispose(): Promise<void> {
    this.#taps.dispose();
    await this.#model.dispose();
  }

  prompts(): [string, GoldenPrompt][] {
    return [
      ["short", this.#golden.short],
      ["long", this.#golden.long],
    ];
  }

  #within(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string) {
    const error = relativeError(actual, expected);
    const bound = bounds[this.#run.precision];
    if (!(error <= bound)) expect.fail(`${what}: relative error ${error} > ${bound}`);
    return error;
  }

  /** The best token of each row against the golden one, where that is clear enough for the precision. */
  #best(rows: Float32Array[], { greedy, margin }: GoldenPrompt, what: string) {
    expect(rows.length, what).toBe(greedy.length);
    for (const [i, logits] of rows.entries()) {
      const clear = this.#run.precision === "f32" || margin[i] > clearMargin;
      const same = argmax(logits) === greedy[i];
      if (clear) {
        this.compared++;
        if (!same) expect.fail(`${what}: token ${i} is ${argmax(logits)}, expected ${greedy[i]} (margin ${margin[i]})`);
        this.agreed++;
      } else if (same) this.close++;
    }
  }

  async hidden(): Promise<void> {
    const { hidden, short } = this.#golden;
    const { residuals } = prefill(this.#taps, short.ids, [0]);
    const state = hidden.rows * hidden.width;
    const weights = this.#checkpoint;
    const norm = weights.weights.find((w) => w.name === "final_norm")!.parts[0];
    const gain = (await readTensors(weights.files[norm.file!])).get(norm.name)!.values as Float32Array;
    for (let layer = 0; layer < hidden.layers; layer++) {
      const at = layer * state;
      const expected = hidden.values.subarray(at, at + state);
      this.#within(residuals.subarray(at, at + state), expected, `residual before layer ${layer}`);
    }
    const last = residuals.subarray(hidden.layers * state);
    const normed = lastNormed(last, hidden, gain, weights.config.normEps);
    this.#within(normed, hidden.values.subarray(hidden.layers * state), "output of the final norm");
  }

  logits(): void {
    for (const [name, { ids, logits, rows }] of this.prompts()) {
      const found = prefill(this.#taps, ids, lastRows(rows, ids.length)).logits;
      this.error = Math.max(this.error, this.#within(found, logits, `${name}.logits`));
    }
  }

  /** Golden tokens fed as a prompt: the prefill class. */
  asPrompt(): void {
    const { vocab } = this.#golden;
    for (const [name, prompt] of this.prompts()) {
      const { ids, greedy } = prompt;
      const tokens = Int32Array.of(...ids, ...greedy.slice(0, -1));
      const { logits } = prefill(this.#taps, tokens, lastRows(greedy.length, tokens.length));
      const rows = greedy.map((_, i) => logits.subarray(i * vocab, (i + 1) * vocab));
      this.#best(rows, prompt, `${name}, as a prompt`);
    }
  }

  /** Golden tokens forced one by one through the gate: the decode class. */
  async throughGate(): Promise<void> {
    for (const [name, prompt] of this.prompts()) {
      const rows: Float32Array[] = [];
      const { tokens } = await this.#model.generate(prompt.ids, {
        maxNewTokens: prompt.greedy.length,
        ignoreEos: true,
        sampler: (logits, { index }) => {
          rows.push(logits.slice());
          return prompt.greedy[index];
        },
      });
      expect(tokens, `${name}: the sampler's tokens`).toEqual(prompt.greedy);
      const first = prompt.logits.subarray(-this.#golden.vocab);
      this.#within(rows[0], first, `${name}: logits of the first choice`);
      this.#best(rows, prompt, `${name}, through the gate`);
    }
  }

  async greedy(): Promise<void> {
    for (const [name, { ids, greedy }] of this.prompts()) {
      const options = { temperature: 0, maxNewTokens: greedy.length, ignoreEos: true };
      const { tokens } = await this.#model.generate(ids, options);
      expect(tokens, `${name}: greedy tokens`).toEqual(greedy);
    }
  }

  /** Log-probabilities of the prompt itself, by the scoring path. */
  async scores(): Promise<void> {
    const { short, vocab } = this.#golden;
    const { tokens, logprobs } = await this.#model.logprobs(short.ids);
    expect(tokens).toEqual([...short.ids]);
    expect(logprobs[0]).toBeNaN();
    const expected = [...short.ids.subarray(1)].map(
      (id, i) => logSoftmax(short.logits.subarray(i * vocab, (i + 1) * vocab))[id],
    );
    this.#within(logprobs.subarray(1), expected, "log-probabilities of the prompt");
  }

  line(): string {
    const { name, device, precision } = this.#run;
    const close = this.close > 0 ? ` (and ${this.close} closer than ${clearMargin})` : "";
    return `${name}, ${device}, ${precision}, ${this.error.toExponential(2)}, ${this.agreed} of ${this.compared} equal${close}`;
  }
}

/** What the final norm makes of the last residual, in float64. */
function lastNormed(
  residual: Float32Array,
  { rows, width }: Golden["hidden"],
  gain: Float32Array,
  eps: number,
): number[] {
  return Array.from({ length: rows }, (_, r) => [
    ...rmsnorm(residual.subarray(r * width, (r + 1) * width), gain, eps),
  ]).flat();
}

describe.each(goldenCases())("$name", (golden) => {
  if (golden.skip) {
    it.skip(`is not compared: ${golden.skip}`, () => {});
    return;
  }
  const runs = devices.flatMap((device) => precisions[device].map((precision) => ({ device, precision })));
  describe.each(runs)("on $device at $precision", ({ device, precision }) => {
    let comparison: Comparison;
    beforeAll(async () => {
      comparison = await Comparison.create({ name: golden.name, device, precision }, golden);
    });
    afterAll(async () => {
      if (!comparison) return report.push(`${golden.name}, ${device}, ${precision}, not loaded`);
      report.push(comparison.line());
      await comparison.dispose();
    });

    it("hidden states before each layer and after the last", () => comparison.hidden());
    it("logits after every position", () => comparison.logits());
    it("best tokens after the golden tokens as a prompt", () => comparison.asPrompt());
    it("best tokens after the golden tokens as choices", () => comparison.throughGate());
    it("log-probabilities of the prompt", () => comparison.scores());
    if (precision === "f32") it("greedy tokens", () => comparison.greedy());
  });
});
