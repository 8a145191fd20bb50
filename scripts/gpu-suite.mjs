// The suite as jobs of a run on GPUs: a vitest process for each file, several for a file that takes long.
import { existsSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";

/** Files that have a card to themselves, after all others, and why. Any that reads the device's memory is one of them. */
export const alone = {
  "test/lifecycle/device-memory.test.ts": "compares the memory in use on the device before and after a model",
  "test/serving/model.test.ts": "a second model has 800 ms to answer in",
};

/** Ops that take a minute or more in all: each kernel family at each precision is a job. All their tests name a variant. */
const long = ["attention", "linear-residual", "norm-swiglu", "norm-linear", "norm-input"];
/** Those that take half a minute: all precisions of a family together. */
const medium = ["head", "rope-append"];

/** What takes long in one piece, so that it does not begin last where nothing is known of an earlier run. */
const slow = [
  "test/lifecycle/processes.test.ts",
  "test/lifecycle/memory.test.ts",
  "test/model/smollm2.test.ts",
  "test/model/allocation-failure.test.ts",
  "test/ops/sampler.test.ts",
  "test/checkpoint/fuzz.test.ts",
  "test/soak/soak.test.ts",
];

/**
 * R1_TEST_VARIANTS of a file's jobs on a card. Whatever is none of the families known here is in the last, so that each
 * variant is in one of them.
 */
export function parts(byPrecision, families) {
  const labels = families.map(({ family, precision }) => `cuda ${family}${byPrecision ? ` ${precision}` : ""}`);
  const ofCards = [...new Set(labels)];
  const bf16 = byPrecision ? ["cpu .* bf16"] : [];
  return [...ofCards, ...bf16].map((label) => `^${label}`).concat(`^(?!${[...ofCards, ...bf16].join("|")})`);
}

/** The kernel families that a card runs: { family, precision }. */
export function familiesOf(capability, root) {
  const { chooseFamily } = createRequire(import.meta.url)(join(root, "build/test/r1_test.node"));
  return ["sm90", "sm80", "sm75", "simt"].flatMap((family) =>
    ["f32", "bf16", "fp16"]
      .filter((precision) => {
        try {
          return chooseFamily(capability, precision, family) === family;
        } catch {
          return false;
        }
      })
      .map((precision) => ({ family, precision })),
  );
}

export function testFiles(root, folder = join(root, "test")) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return testFiles(root, path);
    return entry.name.endsWith(".test.ts") ? [relative(root, path)] : [];
  });
}

/**
 * Jobs { name, file, variants, alone }, those that take longest first. `seconds` has what jobs took in an earlier run, by
 * name, short ones left out; without it, parts of files and what is known to be slow come first, then large files.
 */
export function jobsOf({ root, capability, seconds }) {
  const files = testFiles(root);
  for (const file of Object.keys(alone)) if (!existsSync(join(root, file))) throw new Error(`there is no ${file}`);
  const families = familiesOf(capability, root);
  const jobs = files.flatMap((file) => {
    const op = file.match(/^test\/ops\/(.*)\.test\.ts$/)?.[1];
    const variants = long.includes(op) ? parts(true, families) : medium.includes(op) ? parts(false, families) : [""];
    return variants.map((part) => {
      const name = part ? `${file} [${part}]` : file;
      return { name, file, variants: part, alone: Object.hasOwn(alone, file), size: statSync(join(root, file)).size };
    });
  });
  const guess = ({ file, variants, size }) => (variants || slow.includes(file) ? size : size * 1e-3);
  const rank = (job) => (seconds ? (seconds[job.name] ?? 0) : guess(job));
  return jobs.sort((a, b) => rank(b) - rank(a) || b.size - a.size);
}
