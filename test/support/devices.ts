/**
 * The devices that whole models are tested on: always the CPU; a GPU where one is found. `R1_TEST_DEVICE=cpu` leaves the
 * GPU out, `R1_TEST_DEVICE=cuda` insists on one.
 */
import { cudaDevices } from "../../lib/device";

export type TestDevice = "cpu" | "cuda";

function find(): TestDevice[] {
  const wanted = process.env.R1_TEST_DEVICE;
  if (wanted !== undefined && wanted !== "cpu" && wanted !== "cuda") {
    throw new Error(`R1_TEST_DEVICE must be "cpu" or "cuda", found "${wanted}"`);
  }
  if (wanted === "cpu") return ["cpu"];
  const { devices, reason } = cudaDevices();
  if (wanted === "cuda" && devices.length === 0) throw new Error(`R1_TEST_DEVICE=cuda, but there is no GPU: ${reason}`);
  return devices.length > 0 ? ["cpu", "cuda"] : ["cpu"];
}

export const devices: readonly TestDevice[] = find();
