/** Which device to load on. */
import { binding, type NativeBinding } from "./native";

/** A GPU that the driver shows. */
export interface CudaDevice {
  index: number;
  name: string;
  /** Compute capability: 7.5 is 75. */
  capability: number;
}

/** The GPUs of this machine, or the reason why there is none. */
export function cudaDevices(native: NativeBinding = binding()): { devices: CudaDevice[]; reason: string } {
  const reason = native.describeCuda();
  const devices = [...reason.matchAll(/^cuda:(\d+): (.*), compute capability (\d+)\.(\d)/gm)].map(
    ([, index, name, major, minor]) => ({
      index: Number(index),
      name,
      capability: Number(major) * 10 + Number(minor),
    }),
  );
  return { devices, reason };
}
