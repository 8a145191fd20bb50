/** Nothing is left behind: by loading again and again, by readers that go away. */
import { describe, expect, it } from "vitest";
import { devices } from "../support/devices";
import { run } from "./spawn-child";

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
