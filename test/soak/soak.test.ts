/** Many clients for a few seconds, as .ci/run does for minutes; and that growing memory is told from memory in use. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { growth, type Sample } from "./memory.mjs";

const seconds = 8;

it("clients get the answers that they get alone, and nothing is left", { timeout: 240_000 }, async () => {
  const argv = [join(__dirname, "soak.mjs"), `--seconds=${seconds}`, "--threads=2"];
  const { code, output } = await new Promise<{ code: number | string | null | undefined; output: string }>((resolve) =>
    execFile(process.execPath, argv, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, output: stdout + stderr }),
    ),
  );
  expect(output).toMatch(/soak: done\n$/);
  expect(code).toBe(0);
});

describe("memory", () => {
  const MiB = 2 ** 20;
  const bounds = { perRequest: 4 << 10, slack: 6 * MiB };
  /** Five minutes, 15 requests a second, on an allocator that settles in the first and is never quite still. */
  const samples = (leak: number): Sample[] =>
    Array.from({ length: 300 }, (_, second) => {
      const requests = 15 * second;
      const settling = 20 * MiB * (1 - Math.exp(-second / 20));
      const noise = 2 * MiB * Math.sin(second * 1.7) + (second % 41 === 0 ? 15 * MiB : 0);
      const resident = 60 * MiB + settling + noise + leak * requests;
      return { requests, heap: 10 * MiB, resident };
    });

  it("that settles and wavers is flat", () => {
    expect(growth(samples(0), "resident", bounds)).toMatchObject({ flat: true, requests: 1500 });
    expect(growth(samples(0), "heap", bounds)).toMatchObject({ flat: true, bytes: 0 });
  });

  it("that is lost with every request is not", () => {
    const { flat, bytes } = growth(samples(20 << 10), "resident", bounds);
    expect(flat).toBe(false);
    expect(Math.abs(bytes / (20 << 10) - 1500)).toBeLessThan(100);
    expect(growth(samples(9 << 10), "resident", bounds).flat).toBe(false);
  });
});
