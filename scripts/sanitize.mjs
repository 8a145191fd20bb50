// The GPU's ops and one whole model under compute-sanitizer, at the smallest shapes that reach each branch.
//   node scripts/sanitize.mjs [memcheck | racecheck | synccheck]…    exits with 1 when a tool finds anything or a test fails
// R1_SANITIZE_JOBS runs go on beside each other on a card (6), on all cards there are or those of CUDA_VISIBLE_DEVICES: a
// tool's start takes most of the time of a small one.
// racecheck watches every access to shared memory and is slow: it sees one shape of each kernel of a family. Of norm-input-tiles
// it reports the roots that some warps hand to others by an mbarrier after __syncwarp, or by bar.arrive, or that a rehearsal reads.
// Needs an NVIDIA GPU and compute-sanitizer (CUDA toolkit).
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cards } from "./cards.mjs";
import { familiesOf } from "./gpu-suite.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const vitest = join(root, "node_modules/vitest/vitest.mjs");

const linear = "one output|odd sizes|odd vocabulary|k = 8 · 73"; // tails of rows, columns and K
const attention =
  "(window 65|window 64|window 1 )[^0-9].*(one row|prompt of 65|chunks|block edges|several rows)|of (64|128 .7B.).*tail";
const attentionParts = "more tiles than SMs: .?(700|four prompts)|many lengths: .?(a window|short rows)"; // runs of keys that teams share
const clusters = "tiles of 64 columns.*(for a product|heads of 64)"; // prompt rows whose blocks share weights
const chain = "2 in flight, run 1 times"; // arrays and results through host memory
const small = `${linear}|${attention}|${attentionParts}|MQA with q/k norms|small steps|embed on|${chain}`;
const model = "qwen2-tiny.*cuda.*(bf16|fp16).*(best tokens|log-prob)"; // graphs and overlapping kernels

const { capability, gpus } = cards();
execFileSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: "inherit" });

const ops = (...names) => names.map((name) => `test/ops/${name}.test.ts`);
const products = ["linear-residual", "norm-linear", "norm-swiglu", "norm-input", "head"];

/** Runs of a tool: the variants of a backend that are created, the tests by their names, the files. */
const everything = [
  ...familiesOf(capability, root).flatMap(({ family, precision }) => {
    const variants = `cuda ${family} ${precision}`;
    return [
      { variants, tests: small, files: ops(...products) },
      { variants, tests: small, files: ops("attention", "rope-append", "embed", "weights") },
    ];
  }),
  // Not of every variant.
  { variants: "cuda sm90 bf16", tests: clusters, files: ops("norm-input-tiles") },
  { variants: "cuda", tests: `cuda .*(${small})|(${small}).*cuda`, files: ops("sampler", "kv-tokens", "step-chain") },
  { variants: "cuda", tests: model, files: ["test/model/golden"] },
];
const families = ["sm90 bf16", "sm80 bf16", "sm75 fp16", "simt f32"].filter((variants) =>
  familiesOf(capability, root).some(({ family, precision }) => variants === `${family} ${precision}`),
);
const oddShape = "odd vocabulary|MQA with q/k norms.*(decode rows|two chunks)|embed on|odd sizes of a product";
const kernels = families.flatMap((variants) => [
  { variants, tests: oddShape, files: ops(...products, "rope-append", "embed") },
  {
    variants,
    tests:
      "MQA 4/1 of 128, window 64.*(prompt of 65|block edges)|GQA (9/3|12).*tail|many lengths: .?short rows|than SMs: .?prompts with",
    files: ops("attention"),
  },
]);
const sampler = { variants: "cuda sm90 bf16", tests: "small steps", files: ops("sampler") };
const steps = { variants: "cuda simt f32", tests: chain, files: ops("step-chain") };
const runs = { memcheck: everything, synccheck: everything, racecheck: [...kernels, sampler, steps] };
// Kernels are looked up by name in one file after another: the driver's "not found" is no fault.
const options = { memcheck: ["--report-api-errors", "no"], synccheck: [], racecheck: [] };

const places = Number(process.env.R1_SANITIZE_JOBS ?? 6);

/** @returns {Promise<{ status: number, stdout: string, stderr: string }>} */
function execute(command, args, options) {
  return new Promise((resolve, reject) => {
    execFile(command, args, { ...options, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      if (typeof error?.code === "string") reject(error);
      else resolve({ status: error ? (error.code ?? 1) : 0, stdout, stderr });
    });
  });
}

async function check({ tool, variants, tests, files }, gpu) {
  const logs = mkdtempSync(join(tmpdir(), "r1-sanitize-"));
  const started = Date.now();
  const sanitizer = ["--tool", tool, ...options[tool], "--target-processes", "all", "--log-file", join(logs, "%p.log")];
  const command = [process.execPath, vitest, "run", "--no-color", "--testTimeout=600000", "-t", tests, ...files];
  const chosen = { R1_TEST_DEVICE: "cuda", R1_TEST_VARIANTS: variants, R1_TEST_BUILT: "1", CUDA_VISIBLE_DEVICES: gpu };
  const env = { ...process.env, ...chosen };
  const run = await execute("compute-sanitizer", [...sanitizer, ...command], { cwd: root, env });
  const texts = readdirSync(logs).map((file) => readFileSync(join(logs, file), "utf8"));
  const watched = texts.filter((text) => /SUMMARY/.test(text));
  const bad = watched.filter((text) => !/SUMMARY: 0 (errors|hazards)/.test(text));
  const tally = run.stdout.match(/Tests .*/)?.[0] ?? "no tests ran";
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(
    `${tool}, ${variants}, ${files.join(" ")}: ${tally}; ${watched.length} processes, ${bad.length} with findings; ${seconds} s`,
  );
  for (const text of bad) console.log(text.slice(0, 6000));
  if (run.status !== 0) console.log(run.stdout.slice(-3000), run.stderr.slice(-2000));
  return run.status === 0 && bad.length === 0 && watched.length > 0 && /passed/.test(tally);
}

const tools = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(runs);
for (const tool of tools)
  if (!Object.hasOwn(runs, tool)) throw new Error(`no tool "${tool}": ${Object.keys(runs).join(", ")}`);
tools.sort((a, b) => Number(b === "racecheck") - Number(a === "racecheck")); // its runs take longest
const queue = tools.flatMap((tool) => runs[tool].map((run) => ({ tool, ...run })));
const passed = [];
const work = async (gpu) => {
  for (let next = queue.shift(); next; next = queue.shift()) passed.push(await check(next, gpu));
};
const started = Date.now();
await Promise.all(gpus.flatMap((gpu) => Array.from({ length: places }, () => work(gpu))));
const bad = passed.filter((one) => !one).length;
console.log(`${passed.length} runs in ${Math.round((Date.now() - started) / 1000)} s, ${bad} of them bad`);
process.exit(bad === 0 ? 0 : 1);
