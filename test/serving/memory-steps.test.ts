/** What is tried when a load runs out of memory. */
import { describe, expect, it } from "vitest";
import { DeepSeekR1, type ModelEvent, R1Error, type Warning } from "../../lib";
import { type LoadChoice, loadWithinMemory } from "../../lib/serving/memory-steps";
import type { MemoryStep } from "../../lib/serving/options";
import { devices } from "../support/devices";
import { loadTiny, tinyFolder } from "../support/tiny";

const asked: LoadChoice = { device: "cuda", maxSequences: 64, prefillRows: 0, kvMemory: 1000, memoryLimit: 5000 };

/** Tries until `fits`; the choices and warnings on the way. */
async function tryOut(steps: MemoryStep[], fits: (choice: LoadChoice) => boolean, from = asked) {
  const choices: LoadChoice[] = [];
  const warnings: Warning[] = [];
  const attempt = async (choice: LoadChoice) => {
    choices.push(choice);
    if (fits(choice)) return choice;
    throw new R1Error("E_OUT_OF_MEMORY", `It needs ${choice.maxSequences}.5 GiB. Choose less.`);
  };
  const loaded = await loadWithinMemory(from, steps, attempt, (warning) => warnings.push(warning)).catch((e) => e);
  return { loaded, choices, warnings, codes: warnings.map(({ code }) => code) };
}

describe("steps", () => {
  it("are not taken when memory suffices, nor without being named", async () => {
    const { choices, warnings } = await tryOut(["smaller-batch", "cpu"], () => true);
    expect([choices, warnings]).toEqual([[asked], []]);
    const { loaded } = await tryOut([], () => false);
    expect(loaded).toMatchObject({ code: "E_OUT_OF_MEMORY" });
  });

  it("halve the batch until it fits, with a warning each time", async () => {
    const { loaded, warnings } = await tryOut(["smaller-batch", "cpu"], ({ maxSequences }) => maxSequences <= 16);
    expect(loaded).toEqual({ ...asked, maxSequences: 16, prefillRows: 512, kvMemory: 250 });
    expect(warnings).toEqual([
      {
        code: "memory-step",
        message:
          'Out of memory: It needs 64.5 GiB. The step "smaller-batch" is taken: trying maxSequences 32, 1024 prompt ' +
          "rows a step, kvMemory 500.",
      },
      { code: "memory-step", message: expect.stringContaining("It needs 32.5 GiB.") },
    ]);
  });

  it("go to the CPU with the batch that was asked for, and without the GPU's memoryLimit", async () => {
    const { loaded, choices, codes } = await tryOut(["smaller-batch", "cpu"], ({ device }) => device === "cpu");
    expect(loaded).toEqual({ device: "cpu", maxSequences: 64, prefillRows: 0, kvMemory: 1000 });
    expect(choices.at(-2)).toMatchObject({ device: "cuda", maxSequences: 1, prefillRows: 64 });
    expect(codes.slice(-3)).toEqual(["memory-step", "memory-step-skipped", "memory-step"]);
  });

  it("are taken in the order they are named in", async () => {
    const { choices } = await tryOut(["cpu", "smaller-batch"], ({ maxSequences }) => maxSequences === 32);
    expect(choices.map(({ device, maxSequences }) => [device, maxSequences])).toEqual([
      ["cuda", 64],
      ["cpu", 64],
      ["cpu", 32],
    ]);
  });

  it("are skipped where they are not there or change nothing, and say so", async () => {
    const cpu = { ...asked, device: "cpu" as const, maxSequences: 1, prefillRows: 64 };
    const { loaded, choices, warnings } = await tryOut(["int8-kv", "smaller-batch", "int8", "cpu"], () => false, cpu);
    expect(loaded).toMatchObject({ code: "E_OUT_OF_MEMORY" });
    expect(choices).toHaveLength(1);
    expect(warnings.map(({ code }) => code)).toEqual(new Array(4).fill("memory-step-skipped"));
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('"int8-kv" is skipped: this version has no INT8 KV cache'),
      expect.stringContaining('"smaller-batch" is skipped: the batch is as small as can be: maxSequences 1'),
      expect.stringContaining('"int8" is skipped: this version cannot quantize weights'),
      expect.stringContaining('"cpu" is skipped: the model was to be loaded on the CPU already'),
    ]);
  });

  it("are for memory alone", async () => {
    const error = new R1Error("E_BAD_CHECKPOINT", "broken");
    const attempt = () => Promise.reject(error);
    await expect(loadWithinMemory(asked, ["cpu"], attempt, () => {})).rejects.toBe(error);
  });
});

describe.each(devices)("on %s", (device) => {
  it("a load that needs too much memory takes what fits, and says what it took", async () => {
    const kvMemory = 8 << 20;
    const memoryLimit = 8 << 20; // weights and workspace do not fit beside it
    await expect(loadTiny(device, { kvMemory, memoryLimit })).rejects.toMatchObject({ code: "E_OUT_OF_MEMORY" });
    const warnings: Warning[] = [];
    const onWarning = (warning: Warning) => warnings.push(warning);
    const onOutOfMemory = ["int8-kv", "int8", "smaller-batch"] as const;
    const options = { kvMemory, memoryLimit, contextLength: 1024, onOutOfMemory, onWarning };
    await using model = await loadTiny(device, options);
    expect(warnings.slice(0, 2).map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^Out of memory: The model needs .* The step "int8-kv" is skipped: this version has no INT8/,
      ),
      expect.stringMatching(/^Out of memory: .* The step "int8" is skipped: this version cannot quantize weights\.$/),
    ]);
    const steps = warnings.length - 2;
    expect(steps).toBeGreaterThan(0);
    const codes = [...new Array(2).fill("memory-step-skipped"), ...new Array(steps).fill("memory-step")];
    expect(warnings.map(({ code }) => code)).toEqual(codes);
    // Who listens later hears of them too.
    const events: ModelEvent[] = [];
    for await (const event of model.events()) if (events.push(event) === warnings.length) break;
    expect(events).toEqual(warnings.map((warning) => ({ type: "warning", ...warning })));
    expect(warnings[2].message).toMatch(/The model needs [\d.]+ MiB .* 8\.0 MiB are allowed by memoryLimit\./);
    expect(model.info.maxSequences).toBeLessThan(64);
    expect(model.info.memory.kvMax).toBeLessThanOrEqual(kvMemory / 2);
    const { tokens } = await model.generate("Hello", { temperature: 0, maxNewTokens: 8, ignoreEos: true });
    await using whole = await loadTiny(device);
    const same = await whole.generate("Hello", { temperature: 0, maxNewTokens: 8, ignoreEos: true });
    expect(tokens).toEqual(same.tokens);
  });

  it.runIf(device === "cuda")("a model that the card cannot hold runs on the CPU", async () => {
    const onOutOfMemory = ["cpu"] as const;
    await using model = await DeepSeekR1.load({ modelPath: tinyFolder, device, memoryLimit: 1 << 20, onOutOfMemory });
    expect(model.info.device.kind).toBe("cpu");
  });
});
