/** Each allocation of a load fails in turn: the load fails with that error, and nothing stays behind. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { loadSpec } from "../../lib/load-spec";
import { kernelFile } from "../../lib/native";
import { devices } from "../support/devices";
import { type TestBackend, testAddon } from "../support/test-addon";

describe.each([...devices])("loading on %s", (device) => {
  // Holds the device's context: making one for each of a hundred loads takes the driver a quarter second.
  let holder: TestBackend | undefined;
  beforeAll(() => {
    if (device === "cuda") {
      holder = new (testAddon().TestBackend)({ device, kernelFile: kernelFile(), precision: "f32", maxRows: 64 });
    }
  });
  afterAll(() => holder?.dispose());

  it.each(["f32", "bf16"] as const)("at %s fails cleanly at every allocation", async (precision) => {
    const checkpoint = await openCheckpoint(join(__dirname, "../fixtures/qwen3-tiny"));
    const spec = loadSpec(checkpoint, { device, precision, contextLength: 256 });
    const { loadWithFailure } = testAddon();
    const whole = loadWithFailure(spec, 0);
    expect(whole.failed).toBeNull();
    expect(whole.alive).toBe(0);
    // A matrix or vector per weight, the KV pool, and the activations.
    expect(whole.allocations).toBeGreaterThan(checkpoint.weights.length + 4);
    for (let n = 1; n <= whole.allocations; n++) {
      const { failed, allocations, alive } = loadWithFailure(spec, n);
      expect(failed?.code, `allocation ${n}`).toBe("E_OUT_OF_MEMORY");
      expect(failed?.message).toContain(`allocation ${n} was made to fail`);
      expect({ allocations, alive }).toEqual({ allocations: n, alive: 0 });
    }
  });
});
