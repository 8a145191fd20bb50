/** The GPUs of this machine, and what a device computes in. */
import { binding, type NativeBinding, type Precision } from "./native";

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

/** f32 on the CPU; on a GPU bf16, which needs compute capability 8.0, else fp16. */
export function defaultPrecision(kind: "cpu" | "cuda", index: number): Precision {
  if (kind === "cpu") return "f32";
  const device = cudaDevices().devices.find((one) => one.index === index);
  return device && device.capability < 80 ? "fp16" : "bf16";
}
