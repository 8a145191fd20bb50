/** The backends that can be tested on this machine: each device, precision and forced kernel family there is. */
import { cudaDevices } from "../../lib/device";
import { kernelFile, type Precision } from "../../lib/native";
import { devices, type TestDevice } from "./devices";
import { type TestBackendOptions, testAddon } from "./test-addon";

export interface Variant {
  /** "cpu avx2 bf16". */
  label: string;
  device: TestDevice;
  family: string;
  precision: Precision;
  /** Whether the library would choose this family on this machine; only those see the large shapes. */
  chosen: boolean;
  options: TestBackendOptions;
}

/** From the most specific to the plainest, so that the first that runs is the one a load would choose. */
const families = {
  cpu: ["avx512bf16", "avx512", "avx2", "neon", "generic"],
  cuda: ["sm90", "sm80", "sm75", "simt"],
} as const;

const precisions = { cpu: ["f32", "bf16"], cuda: ["f32", "bf16", "fp16"] } as const;

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Whether this machine can run it; any failure but that it cannot is thrown. */
function runs(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (codeOf(error) === "E_UNSUPPORTED" || codeOf(error) === "E_DEVICE_UNAVAILABLE") return false;
    throw error;
  }
}

/** What runs here, on the CPU by trying; on a GPU by its capability, as a context takes the driver a quarter second. */
const usable = {
  cpu: (options: TestBackendOptions) =>
    runs(() => new (testAddon().TestBackend)({ ...options, maxRows: 64, maxBlocksPerSequence: 4 }).dispose()),
  cuda: ({ precision, family = "" }: TestBackendOptions) =>
    runs(() => testAddon().chooseFamily(cudaDevices().devices[0].capability, precision, family)),
};

/** `R1_TEST_VARIANTS` is a regular expression over the labels: for parts of a file, and what a sanitizer has time for. */
const wanted = process.env.R1_TEST_VARIANTS ? new RegExp(process.env.R1_TEST_VARIANTS) : undefined;

function variantsOf(device: TestDevice): Variant[] {
  const found: Variant[] = [];
  for (const precision of precisions[device]) {
    for (const family of families[device]) {
      const label = `${device} ${family} ${precision}`;
      const options = { device, kernelFile: device === "cuda" ? kernelFile() : "", precision, family };
      if (!usable[device](options)) continue;
      const chosen = !found.some((v) => v.precision === precision);
      found.push({ label, device, family, precision, chosen, options });
    }
  }
  return found;
}

let known: Variant[] | undefined;

/** All of them; `R1_TEST_DEVICE=cpu` leaves the GPU out, `R1_TEST_DEVICE=cuda` insists on one (devices.ts). */
export function variants(): Variant[] {
  if (known) return known;
  known = devices.flatMap((device) => {
    const found = variantsOf(device);
    if (found.length === 0) throw new Error(`no backend can be created on ${device}`);
    return found.filter(({ label }) => wanted?.test(label) ?? true);
  });
  return known;
}
