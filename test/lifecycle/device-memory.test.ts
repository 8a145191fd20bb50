/** Nothing is left behind on the device. Nobody else may use it meanwhile: scripts/gpu-suite.mjs runs this file alone. */
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { devices } from "../support/devices";
import { ended, start } from "./spawn-child";

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
