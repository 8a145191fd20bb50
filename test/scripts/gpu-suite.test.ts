/** How the suite is dealt to GPUs: every file and every variant once, and alone what must be. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { alone, familiesOf, jobsOf, parts, testFiles } from "../../scripts/gpu-suite.mjs";

const root = join(__dirname, "../..");

describe("jobs", () => {
  it.each([75, 80, 90, 120])("have each file in them, on a card of capability %i", (capability) => {
    const jobs = jobsOf({ root, capability });
    expect(new Set(jobs.map(({ file }) => file))).toEqual(new Set(testFiles(root)));
    expect(new Set(jobs.map(({ name }) => name)).size).toBe(jobs.length);
    expect(jobs.filter((job) => job.alone).map(({ file }) => file)).toHaveLength(Object.keys(alone).length);
  });

  it.each([75, 80, 90])("of a file have each variant in one of them, on a card of capability %i", (capability) => {
    const families = familiesOf(capability, root);
    const precisions = ["f32", "bf16", "fp16"];
    const names = ["cuda sm90", "cuda sm80", "cuda sm75", "cuda simt", "cuda to come", "cpu avx512bf16", "cpu generic"];
    const labels = names.flatMap((name) => precisions.map((precision) => `${name} ${precision}`));
    for (const byPrecision of [false, true]) {
      const expressions = parts(byPrecision, families).map((part) => new RegExp(part));
      for (const label of labels)
        expect(
          expressions.filter((part) => part.test(label)),
          label,
        ).toHaveLength(1);
      // None is without tests: vitest calls that a failure.
      const there = [...families.map(({ family, precision }) => `cuda ${family} ${precision}`), "cpu generic f32"];
      const found = expressions
        .slice(0, -1)
        .map((part) => [...there, "cpu generic bf16"].some((one) => part.test(one)));
      expect(found).not.toContain(false);
      expect(expressions.at(-1)?.test("cpu generic f32")).toBe(true);
    }
  });

  it("begin with what took longest", () => {
    const seconds = { "test/text/files.test.ts": 90, "test/ops/head.test.ts [^cuda sm80]": 50 };
    const jobs = jobsOf({ root, capability: 90, seconds });
    expect(jobs.slice(0, 2).map(({ name }) => name)).toEqual(Object.keys(seconds));
  });
});

it("files that read the device's memory have a card to themselves", () => {
  // gpu-status compares what is in use with what there is; in monitor the figures are made up.
  const harmless = [
    "test/serving/gpu-status.test.ts",
    "test/serving/monitor.test.ts",
    "test/scripts/gpu-suite.test.ts",
  ];
  const reading = testFiles(root).filter((file) =>
    /nvidia-smi|gpuStatus\(|freeBytes|memoryUsed/.test(readFileSync(join(root, file), "utf8")),
  );
  expect(reading).toContain("test/lifecycle/device-memory.test.ts");
  for (const file of reading) expect([...Object.keys(alone), ...harmless]).toContain(file);
});
