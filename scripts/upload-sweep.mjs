// How fast weights reach a GPU by number of threads and size of a copy: a folder in a model's shape is made, loaded once
// for each combination, and deleted. Needs an NVIDIA GPU and what `node scripts/build.mjs` and
// `node scripts/build-dist.mjs` make.
//   node scripts/upload-sweep.mjs [--shape=7b] [--dir=DIR] [--threads=8,12,16] [--stages=1,2,4] [--repeats=1]
// DIR is /dev/shm, or the folder for temporary files where that is too small. Stages are in MiB.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);
const { withSyntheticFolder } = require(join(root, "dist/cli/synthetic-folder.js"));
const { openCheckpoint } = require(join(root, "dist/checkpoint/checkpoint.js"));
const { loadSpec } = require(join(root, "dist/load-spec.js"));
const { timeLoad } = require(join(root, "build/test/r1_test.node"));

const { values } = parseArgs({
  options: {
    shape: { type: "string", default: "7b" },
    dir: { type: "string" },
    device: { type: "string", default: "cuda" },
    threads: { type: "string", default: "8,12,16" },
    stages: { type: "string", default: "1,2,4" },
    repeats: { type: "string", default: "1" },
  },
});
const numbers = (list) => list.split(",").map(Number);
const rate = (bytes, ms) => Number((bytes / ms / 1e6).toFixed(1));

async function sweep(folder) {
  const checkpoint = await openCheckpoint(folder);
  const load = (threads, upload) => {
    const precision = values.device === "cuda" ? "bf16" : "f32";
    const options = { device: values.device, precision, contextLength: 2048, maxSequences: 1, threads };
    const begun = performance.now();
    const { device, weights, bytes } = timeLoad(loadSpec(checkpoint, options), upload);
    return { device, weights, all: performance.now() - begun, bytes };
  };
  load(12, {}); // the first brings everything into the page cache
  const rows = [];
  for (let n = 0; n < Number(values.repeats); n++) {
    for (const threads of numbers(values.threads)) {
      for (const stage of numbers(values.stages)) {
        const { device, weights, all, bytes } = load(threads, { stageBytes: stage * 2 ** 20 });
        rows.push({
          ...{ threads, "stage, MiB": stage, "ms device": Math.round(device), "ms weights": Math.round(weights) },
          ...{ "weights GB/s": rate(bytes, weights), "GB/s of both": rate(bytes, device + weights) },
          "ms with unloading": Math.round(all),
        });
      }
    }
  }
  rows.sort((a, b) => a["ms weights"] - b["ms weights"]);
  console.table(rows);
}

const folders = values.dir ? [values.dir] : ["/dev/shm", tmpdir()].filter((dir) => existsSync(dir));
for (const [i, dir] of folders.entries()) {
  try {
    console.log(`a folder of the shape ${values.shape} in ${dir}`);
    await withSyntheticFolder(values.shape, { dir }, sweep);
    break;
  } catch (error) {
    if (error.code !== "E_FILE" || i === folders.length - 1) throw error;
    console.log(error.message);
  }
}
