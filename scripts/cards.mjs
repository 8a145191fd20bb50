// The GPUs that a script may use.
import { spawnSync } from "node:child_process";

/**
 * "NVIDIA H200", "580.159.04" and 90 of the first card, and which may be used: all, or those of CUDA_VISIBLE_DEVICES.
 */
export function cards() {
  const query = ["--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"];
  const { status, stdout } = spawnSync("nvidia-smi", query, { encoding: "utf8" });
  const lines = status === 0 ? stdout.trim().split("\n") : [];
  if (!lines[0]) throw new Error("nvidia-smi found no GPU here, and this script is for one");
  const [device, driver, capability] = lines[0].split(",").map((field) => field.trim());
  const allowed = process.env.CUDA_VISIBLE_DEVICES?.split(",").filter(Boolean);
  const gpus = allowed?.length ? allowed : lines.map((_, i) => `${i}`);
  return { device, driver, capability: Number(capability.replace(".", "")), gpus };
}
