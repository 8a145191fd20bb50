// The GPU's ops and one whole model under compute-sanitizer, at the smallest shapes that reach each branch.
//   node scripts/sanitize.mjs [memcheck | racecheck | synccheck]…    exits with 1 when a tool finds anything or a test fails
// R1_SANITIZE_JOBS runs go on beside each other (4): a tool's start takes most of the time of a small one.
// racecheck watches every access to shared memory and is slow: it sees one shape of each kernel of a family.
// Needs an NVIDIA GPU and compute-sanitizer (CUDA toolkit).
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const vitest = join(root, "node_modules/vitest/vitest.mjs");

const linear = "one output|odd sizes|odd vocabulary|k = 8 · 73"; // tails of rows, columns and K
const attention =
  "(window 65|window 64|window 1 )[^0-9].*(one row|prompt of 65|chunks|block edges|several rows)|of (64|128 .7B.).*tail";
const attentionParts = "deals tiles to blocks: .?700|several spans: .?a window"; // runs of keys that blocks share
const chain = "2 in flight, run 1 times"; // arrays and results through host memory
const small = `${linear}|${attention}|${attentionParts}|MQA with q/k norms|small steps|embed on|${chain}`;
const model = "qwen2-tiny.*cuda.*(bf16|fp16).*(best tokens|log-prob)"; // graphs and overlapping kernels

/** Runs of a tool: the variants of a backend that are created, the tests by their names, the files. */
const everything = [
  { variants: "cuda", tests: `cuda .*(${small})|(${small}).*cuda|${model}`, files: ["test/ops", "test/model/golden"] },
];
const families = ["sm90 bf16", "sm80 bf16", "sm75 fp16", "simt f32"];
const oddShape = "odd vocabulary|MQA with q/k norms.*(decode rows|two chunks)|embed on";
const oddFiles = ["linear-residual", "norm-linear", "norm-swiglu", "head", "rope-append", "embed"];
const kernels = families.flatMap((variants) => [
  { variants, tests: oddShape, files: oddFiles.map((name) => `test/ops/${name}.test.ts`) },
  {
    variants,
    tests: "MQA 4/1 of 128, window 64.*(prompt of 65|block edges)|GQA (9/3|12).*tail",
    files: ["test/ops/attention.test.ts"],
  },
]);
const sampler = { variants: "cuda sm90 bf16", tests: "small steps", files: ["test/ops/sampler.test.ts"] };
const steps = { variants: "cuda simt f32", tests: chain, files: ["test/ops/step-chain.test.ts"] };
const runs = { memcheck: everything, synccheck: everything, racecheck: [...kernels, sampler, steps] };
// Kernels are looked up by name in one file after another: the driver's "not found" is no fault.
const options = { memcheck: ["--report-api-errors", "no"], synccheck: [], racecheck: [] };

const jobs = Number(process.env.R1_SANITIZE_JOBS ?? 4);

/** @returns {Promise<{ status: number, stdout: string, stderr: string }>} */
function execute(command, args, options) {
  return new Promise((resolve, reject) => {
    execFile(command, args, { ...options, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      if (typeof error?.code === "string") reject(error);
      else resolve({ status: error ? (error.code ?? 1) : 0, stdout, stderr });
    });
  });
}

async function check({ tool, variants, tests, files }) {
  const logs = mkdtempSync(join(tmpdir(), "r1-sanitize-"));
  const started = Date.now();
  const sanitizer = ["--tool", tool, ...options[tool], "--target-processes", "all", "--log-file", join(logs, "%p.log")];
  const command = [process.execPath, vitest, "run", "--no-color", "--testTimeout=600000", "-t", tests, ...files];
  const env = { ...process.env, R1_TEST_DEVICE: "cuda", R1_TEST_VARIANTS: variants, R1_TEST_BUILT: "1" };
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
execFileSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: "inherit" });
const queue = tools.flatMap((tool) => runs[tool].map((run) => ({ tool, ...run })));
const passed = [];
const work = async () => {
  for (let next = queue.shift(); next; next = queue.shift()) passed.push(await check(next));
};
await Promise.all(Array.from({ length: jobs }, work));
process.exit(passed.every(Boolean) ? 0 : 1);
