// The GPU's op tests and one whole model under compute-sanitizer, at the smallest shapes that reach each branch.
//   node scripts/sanitize.mjs [memcheck racecheck synccheck]     exits with 1 when a tool finds anything or a test fails
// Needs an NVIDIA GPU and compute-sanitizer (CUDA toolkit).
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const vitest = join(root, "node_modules/vitest/vitest.mjs");

/** Of each op's tests on CUDA, those with small shapes, by their names. */
const small = [
  "(one output|odd sizes|odd vocabulary|k = 8 · 73)", // linear layers: every family, epilogue, tail of rows, columns and K
  "(window 65|window 64|window 1 )[^0-9].*(one row|prompt of 65|chunks|block edges|several rows)", // attention
  "MQA with q/k norms", // rope_append
  "small steps", // sampler
  "embed on",
].join("|");
const model = "qwen2-tiny.*cuda.*(bf16|fp16).*(best tokens|log-prob)"; // graphs and overlapping kernels
const pattern = `cuda .*(${small})|(${small}).*cuda|${model}`;

function check(tool) {
  const logs = mkdtempSync(join(tmpdir(), "r1-sanitize-"));
  const started = Date.now();
  const args = ["--tool", tool, "--target-processes", "all", "--log-file", join(logs, "%p.log")];
  const tests = [
    process.execPath,
    vitest,
    "run",
    "--no-color",
    "--testTimeout=600000",
    "-t",
    pattern,
    "test/ops",
    "test/model/golden",
  ];
  const env = { ...process.env, R1_TEST_DEVICE: "cuda" };
  const run = spawnSync("compute-sanitizer", [...args, ...tests], {
    cwd: root,
    env,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (run.error) throw run.error;
  const findings = readdirSync(logs).map((file) => readFileSync(join(logs, file), "utf8"));
  const summaries = findings.flatMap((text) => text.match(/(ERROR|RACECHECK) SUMMARY:.*/g) ?? []);
  const bad = summaries.filter((line) => !/: 0 (errors|hazards)/.test(line));
  const tally = run.stdout.match(/Tests .*/)?.[0] ?? "no tests ran";
  console.log(
    `${tool}: ${tally}; ${summaries.length} processes watched, ${bad.length} with findings; ${Math.round((Date.now() - started) / 1000)} s`,
  );
  for (const text of findings.filter((text) => bad.some((line) => text.includes(line))))
    console.log(text.slice(0, 6000));
  if (run.status !== 0) console.log(run.stdout.slice(-3000), run.stderr.slice(-2000));
  return run.status === 0 && bad.length === 0 && summaries.length > 0;
}

const tools = process.argv.length > 2 ? process.argv.slice(2) : ["memcheck", "racecheck", "synccheck"];
process.exit(tools.map(check).every(Boolean) ? 0 : 1);
