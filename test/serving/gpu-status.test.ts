/** What the driver's management library says of a GPU, with a library made for the test. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { binding } from "../../lib/native";
import { devices } from "../support/devices";
import { testAddon } from "../support/test-addon";

const compiler = ["cc", "gcc", "clang"].find((name) => spawnSync(name, ["--version"]).status === 0);
const folder = mkdtempSync(join(tmpdir(), "r1-nvml-"));
afterAll(() => rmSync(folder, { recursive: true }));

// A machine without a compiler got its addon from elsewhere.
describe.skipIf(!compiler)("a management library", () => {
  const library = (name: string, ...defines: string[]) => {
    const path = join(folder, `${name}.so`);
    const source = join(__dirname, "../support/fake-nvml.c");
    execFileSync(compiler as string, ["-shared", "-fPIC", "-Wall", "-Werror", ...defines, "-o", path, source]);
    return path;
  };
  const status = (path: string, pciBusId: string, index = 0) => testAddon().nvmlStatus(path, pciBusId, index);
  const figures = (i: number) => ({
    ...{ utilization: 50 + i, memoryUsed: 6e9, memoryTotal: 8e10 + i, temperature: 40 + i, power: 123.5 + i },
  });
  let two: string;
  let one: string;

  beforeAll(() => {
    two = library("two");
    one = library("one", "-DCOUNT=1");
    vi.stubEnv("CUDA_VISIBLE_DEVICES", undefined);
    vi.stubEnv("CUDA_DEVICE_ORDER", undefined);
  });
  afterEach(() => {
    vi.stubEnv("CUDA_VISIBLE_DEVICES", undefined);
    vi.stubEnv("CUDA_DEVICE_ORDER", undefined);
  });
  afterAll(() => vi.unstubAllEnvs());

  it("finds a device by its bus id, whatever is visible", () => {
    vi.stubEnv("CUDA_VISIBLE_DEVICES", "0");
    expect(status(two, "00000000:00:00.0")).toEqual(figures(0));
    expect(status(two, "00000000:01:00.0")).toEqual(figures(1));
    expect(status(two, "00000000:02:00.0")).toBeNull();
  });

  it("finds it by number only where CUDA and NVML number alike", () => {
    expect(status(one, "", 0)).toEqual(figures(0));
    expect(status(one, "", 1)).toBeNull();
    expect(status(two, "", 0)).toBeNull();
    vi.stubEnv("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
    expect(status(two, "", 1)).toEqual(figures(1));
  });

  it("follows CUDA_VISIBLE_DEVICES", () => {
    vi.stubEnv("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
    vi.stubEnv("CUDA_VISIBLE_DEVICES", "1,0");
    expect(status(two, "", 0)).toEqual(figures(1));
    expect(status(two, "", 1)).toEqual(figures(0));
    expect(status(two, "", 2)).toBeNull();
    vi.stubEnv("CUDA_VISIBLE_DEVICES", "GPU-1");
    expect(status(two, "", 0)).toEqual(figures(1));
    for (const nothing of ["", "MIG-3", "1x", "-1"]) {
      vi.stubEnv("CUDA_VISIBLE_DEVICES", nothing);
      expect(status(two, "", 0)).toBeNull();
    }
  });

  it("leaves out what it does not say", () => {
    const partial = library("partial", "-DPARTIAL");
    const nothing = { utilization: null, temperature: null, power: null };
    expect(status(partial, "00000000:01:00.0")).toEqual({ ...figures(1), ...nothing });
  });

  it("that is absent or does not start says nothing", () => {
    expect(status(join(folder, "absent.so"), "00000000:00:00.0")).toBeNull();
    expect(status(library("broken", "-DBROKEN"), "00000000:00:00.0")).toBeNull();
  });
});

describe("the addon", () => {
  it("has the figures of the GPUs that are there", () => {
    const found = binding().gpuStatus(0);
    if (devices.includes("cuda")) {
      expect(found?.memoryTotal).toBeGreaterThan(1e9);
      expect(found?.memoryUsed).toBeLessThanOrEqual(found?.memoryTotal as number);
    } else expect(found).toBeNull();
    expect(binding().gpuStatus(1000)).toBeNull();
  });

  it("refuses what is no index", () => {
    for (const bad of [-1, Number.NaN, "0", undefined])
      expect(() => binding().gpuStatus(bad as number)).toThrow(/deviceIndex must be an integer/);
  });
});
