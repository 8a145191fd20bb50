/** Nothing is left behind: by loading again and again, by readers that go away, on the device. */
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { devices } from "../support/devices";
import { ended, run, start } from "./spawn-child";

const CYCLES = 100;
/** The first loads fill caches and the allocator's arenas. */
const WARM = 25;

/**
 * Bytes that a load may leave behind in the mean. One set of the model's weights and workspace is 3 MB; a leak of any of it
 * would show as a multiple of this. On a GPU the driver makes and destroys a context and its modules each time, and the
 * host memory it keeps differs from run to run: two runs on an H200 stayed below 64 KiB, one came to 66.
 */
const bound = { cpu: 64 << 10, cuda: 128 << 10 };

/** Least-squares slope per sample. */
function slope(values: number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const [above, below] = values.reduce(
    ([a, b], value, i) => [a + (i - middle) * (value - mean), b + (i - middle) ** 2],
    [0, 0],
  );
  return above / below;
}

describe.each(devices)("on %s", (device) => {
  it(`${CYCLES} loads leave no memory, file or thread behind`, { timeout: 400_000 }, async () => {
    const result = await run("child.cjs", { name: "cycles", device, count: CYCLES }, ["--expose-gc"], 390_000);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    const samples: { rss: number; files: number; threads: number }[] = JSON.parse(result.stdout.split("\n")[0]);
    expect(samples).toHaveLength(CYCLES);
    const late = samples.slice(WARM);
    expect(slope(late.map(({ rss }) => rss))).toBeLessThan(bound[device]);
    expect(late.at(-1)!.files).toBeLessThanOrEqual(late[0].files);
    expect(late.at(-1)!.threads).toBeLessThanOrEqual(late[0].threads);
  });

  it("readers that go away leave no block behind", async () => {
    const result = await run("child.mjs", { name: "readers", device }, ["--expose-gc"]);
    expect(result).toMatchObject({ code: 0, stdout: "done\n", stderr: "" });
  });
});

/** MiB in use on the first GPU that is visible, by whomever. */
const deviceMemory = () => {
  const id = process.env.CUDA_VISIBLE_DEVICES?.split(",")[0] || "0";
  return Number(execFileSync("nvidia-smi", ["--query-gpu=memory.used", "--format=csv,noheader,nounits", `--id=${id}`]));
};

describe.runIf(devices.includes("cuda"))("device memory, seen from another process", () => {
  it("is all back once the model is disposed, while its process lives on", async () => {
    const before = deviceMemory();
    const child = start("child.mjs", { name: "watched", device: "cuda" });
    const end = ended(child);
    const line = () => new Promise((resolve) => child.stdout!.once("data", (text) => resolve(String(text).trim())));
    expect(await line()).toBe("loaded");
    expect(deviceMemory()).toBeGreaterThan(before);
    const next = line();
    child.stdin!.write("dispose\n");
    expect(await next).toBe("disposed");
    expect(deviceMemory()).toBeLessThanOrEqual(before);
    child.stdin!.write("end\n");
    expect(await end).toMatchObject({ code: 0, stderr: "" });
  });
});
