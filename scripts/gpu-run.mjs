// The suite on a GPU, and the record of its last run there: test/gpu-run.json.
//   node scripts/gpu-run.mjs [--out FILE] [vitest arguments]   runs it; needs an NVIDIA GPU, not git
//   node scripts/gpu-run.mjs --check                           says what has changed since; never fails
//
// Folders are recorded by git's tree hashes, computed here from the files: that works where there is no git, too, and
// tells apart what is not committed.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";
import { buildDist } from "./build-dist.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const record = join(root, "test/gpu-run.json");
const folders = ["cuda", "csrc", "lib"];

/** Git's id of an object. */
function objectId(type, content) {
  return createHash("sha1").update(`${type} ${content.length}\0`).update(content).digest();
}

/** The id that git would give the tree of a folder, all its files counted: `git rev-parse HEAD:folder` once committed. */
export function treeHash(folder) {
  const treeId = (path) => {
    const entries = readdirSync(path, { withFileTypes: true }).map((entry) => {
      const file = join(path, entry.name);
      if (entry.isDirectory()) return { key: `${entry.name}/`, mode: "40000", name: entry.name, id: treeId(file) };
      const mode = statSync(file).mode & 0o100 ? "100755" : "100644";
      return { key: entry.name, mode, name: entry.name, id: objectId("blob", readFileSync(file)) };
    });
    entries.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
    const parts = entries.flatMap(({ mode, name, id }) => [Buffer.from(`${mode} ${name}\0`), id]);
    return objectId("tree", Buffer.concat(parts));
  };
  return treeId(join(root, folder)).toString("hex");
}

function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

/** "NVIDIA H200" and "580.159.04" of the first card, and which may be used: all, or those of CUDA_VISIBLE_DEVICES. */
function cards() {
  const lines = output("nvidia-smi", ["--query-gpu=name,driver_version", "--format=csv,noheader"])?.split("\n");
  if (!lines?.[0]) throw new Error("nvidia-smi found no GPU here; this script records runs on one");
  const [device, driver] = lines[0].split(",").map((field) => field.trim());
  const allowed = process.env.CUDA_VISIBLE_DEVICES?.split(",").filter(Boolean);
  return { device, driver, gpus: allowed?.length ? allowed : lines.map((_, i) => `${i}`) };
}

/** The commit the tree stands on, where git can tell; R1_COMMIT where it cannot. */
function commit() {
  const head = output("git", ["rev-parse", "HEAD"]);
  if (!head) return process.env.R1_COMMIT ?? "unknown";
  return output("git", ["status", "--porcelain", "--", ...folders]) === "" ? head : `${head} and changes`;
}

/** Runs vitest on one card, insisted on, and resolves with its JSON report. */
async function runSuite(vitestArguments, gpu) {
  const folder = mkdtempSync(join(tmpdir(), "r1-gpu-run-"));
  try {
    const file = join(folder, "report.json");
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    const env = { ...process.env, R1_TEST_DEVICE: "cuda", CUDA_VISIBLE_DEVICES: gpu };
    const child = spawn(process.execPath, [vitest, "run", ...reporters, ...vitestArguments], {
      cwd: root,
      env,
      stdio: "inherit",
    });
    const [status] = await once(child, "exit");
    if (!existsSync(file)) throw new Error(`vitest ended with status ${status} and wrote no report`);
    return { status, report: JSON.parse(readFileSync(file, "utf8")) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The whole suite in two runs: first beside each other the ops' files, whose references in float64 take most of the time,
 * and the processes that end at each stage, most of whose time is the driver's start; then the rest one by one, for some
 * of it reads the device's memory. Where there are several cards, each takes its share of the files.
 */
const phases = [
  ["--fileParallelism", "test/ops", "test/lifecycle/processes"],
  ["--exclude", "test/ops/**", "--exclude", "test/lifecycle/processes.test.ts"],
];

async function runShard(index, gpus, argv) {
  const shard = gpus.length > 1 ? [`--shard=${index + 1}/${gpus.length}`] : [];
  const results = [];
  for (const phase of argv.length > 0 ? [argv] : phases) {
    results.push(await runSuite([...phase, ...shard], gpus[index]));
  }
  return results;
}

async function run(argv) {
  const at = argv.indexOf("--out");
  const [, out] = at >= 0 ? argv.splice(at, 2) : [undefined, record];
  const { device, driver, gpus } = cards();
  // Before the run: what is tested is what lies here now.
  const trees = Object.fromEntries(folders.map((folder) => [folder, treeHash(folder)]));
  const started = Date.now();
  if (gpus.length > 1 && process.env.R1_TEST_BUILT !== "1") {
    build(); // once, not by every card's run
    buildDist();
    process.env.R1_TEST_BUILT = "1";
  }
  const runs = (await Promise.all(gpus.map((_, index) => runShard(index, gpus, argv)))).flat();
  const sum = (count) => runs.reduce((total, { report }) => total + count(report), 0);
  const counts = {
    passed: sum((report) => report.numPassedTests),
    failed: sum((report) => report.numFailedTests),
    skipped: sum((report) => report.numPendingTests + report.numTodoTests),
    failedFiles: sum((report) => report.testResults.filter((file) => file.status === "failed").length),
  };
  const seconds = Math.round((Date.now() - started) / 1000);
  const entry = { device, driver, date: new Date().toISOString(), commit: commit(), seconds, counts, trees };
  if (argv.length > 0) entry.arguments = argv;
  writeFileSync(out, `${JSON.stringify(entry, null, 2)}\n`);
  console.log(`${out}: ${device}, driver ${driver}: ${JSON.stringify(counts)}`);
  process.exitCode = runs.every(({ status }) => status === 0) ? 0 : 1;
}

/** Compares the record with the tree. */
function check() {
  if (!existsSync(record)) {
    console.log("!!! The suite has never been recorded on a GPU: there is no test/gpu-run.json. !!!");
    return;
  }
  const recorded = JSON.parse(readFileSync(record, "utf8"));
  const { device, driver, date, commit: at, counts, trees, arguments: only, notes = [] } = recorded;
  console.log(`Last GPU run: ${device}, driver ${driver}, ${date}, commit ${at}: ${JSON.stringify(counts)}`);
  if (only) console.log(`It ran a part of the suite only: ${only.join(" ")}`);
  if (counts.failed + counts.failedFiles > 0) {
    console.log(`!!! ${counts.failed} tests in ${counts.failedFiles} files FAILED in it. !!!`);
  }
  for (const note of notes) console.log(note); // what somebody added about the run by hand
  const changed = folders.filter((folder) => trees[folder] !== treeHash(folder));
  if (changed.length === 0) console.log(`${folders.join("/, ")}/ are as they were then.`);
  else console.log(`!!! CHANGED since the last GPU run: ${changed.map((f) => `${f}/`).join(", ")} !!!`);
}

try {
  if (process.argv.includes("--check")) check();
  else await run(process.argv.slice(2));
} catch (error) {
  console.error(`gpu-run: ${error.message}`);
  process.exitCode = process.argv.includes("--check") ? 0 : 1;
}
