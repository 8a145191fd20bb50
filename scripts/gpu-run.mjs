// The suite on a GPU, and the record of its last run there: test/gpu-run.json.
//   node scripts/gpu-run.mjs [--out FILE] [--log FILE] [test/…] [vitest options]
//       runs it, or the files whose paths begin so; needs an NVIDIA GPU, not git. FILE gets all that vitest prints.
//   node scripts/gpu-run.mjs --check
//       says what has changed since; never fails
// Files run beside each other, on all cards there are (gpu-suite.mjs says which and how); R1_TEST_JOBS at once on a card
// (three for four cores). Those that need a card to themselves follow one by one.
//
// Folders are recorded by git's tree hashes, computed here from the files: that works where there is no git, too, and
// tells apart what is not committed.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";
import { buildDist } from "./build-dist.mjs";
import { cards } from "./cards.mjs";
import { jobsOf } from "./gpu-suite.mjs";

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

/** The commit the tree stands on, where git can tell; R1_COMMIT where it cannot. */
function commit() {
  const head = output("git", ["rev-parse", "HEAD"]);
  if (!head) return process.env.R1_COMMIT ?? "unknown";
  return output("git", ["status", "--porcelain", "--", ...folders]) === "" ? head : `${head} and changes`;
}

/** Runs a job on one card, insisted on. Resolves with its JSON report, null where there is none, and what it printed. */
async function runJob({ file, variants }, gpu, vitestArguments) {
  const folder = mkdtempSync(join(tmpdir(), "r1-gpu-run-"));
  try {
    const reportFile = join(folder, "report.json");
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
    // Beside others a test may take several times as long as alone.
    const options = [...reporters, "--testTimeout=240000", "--maxConcurrency=4"];
    const env = { ...process.env, R1_TEST_DEVICE: "cuda", R1_TEST_BUILT: "1", CUDA_VISIBLE_DEVICES: gpu };
    if (variants) env.R1_TEST_VARIANTS = variants;
    const started = Date.now();
    const child = spawn(process.execPath, [vitest, "run", file, ...options, ...vitestArguments], { cwd: root, env });
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        printed += text;
      });
    }
    const [status] = await once(child, "close");
    const report = existsSync(reportFile) ? JSON.parse(readFileSync(reportFile, "utf8")) : null;
    return { ok: status === 0 && report !== null, report, printed, seconds: (Date.now() - started) / 1000 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs jobs, each on the card that first has a place for it, `places` on a card at once. */
async function runJobs(jobs, gpus, places, { vitestArguments, log }) {
  const queue = [...jobs];
  const results = [];
  const work = async (gpu) => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      const result = await runJob(job, gpu, vitestArguments);
      results.push({ job, ...result });
      const tests = result.report ? `${result.report.numPassedTests} passed` : "no report";
      console.log(`${result.ok ? "ok " : "BAD"} ${result.seconds.toFixed(1).padStart(6)} s  ${job.name}: ${tests}`);
      if (!result.ok) console.log(result.printed);
      if (log) appendFileSync(log, `\n=== ${job.name}, card ${gpu}\n${result.printed}`);
    }
  };
  await Promise.all(gpus.flatMap((gpu) => Array.from({ length: places }, () => work(gpu))));
  return results;
}

/** Takes `name` and its value out of the arguments. */
function option(argv, name) {
  const at = argv.indexOf(name);
  return at >= 0 ? argv.splice(at, 2)[1] : undefined;
}

/** What the last record says of the time each job took. */
const recordedSeconds = () => (existsSync(record) ? JSON.parse(readFileSync(record, "utf8")).jobSeconds : undefined);

function countsOf(results) {
  const reports = results.flatMap(({ report }) => report ?? []);
  const sum = (count) => reports.reduce((total, report) => total + count(report), 0);
  const failed = results.filter(({ ok, report }) => !ok || report.testResults.some((file) => file.status === "failed"));
  return {
    passed: sum((report) => report.numPassedTests),
    failed: sum((report) => report.numFailedTests),
    skipped: sum((report) => report.numPendingTests + report.numTodoTests),
    failedFiles: new Set(failed.map(({ job }) => job.file)).size,
  };
}

async function run(argv) {
  const out = option(argv, "--out") ?? record;
  const log = option(argv, "--log");
  const { device, driver, capability, gpus } = cards();
  // Before the run: what is tested is what lies here now.
  const trees = Object.fromEntries(folders.map((folder) => [folder, treeHash(folder)]));
  if (process.env.R1_TEST_BUILT !== "1") {
    build();
    buildDist();
  }
  const started = Date.now();
  const paths = argv.filter((argument) => argument.startsWith("test/"));
  const vitestArguments = argv.filter((argument) => !paths.includes(argument));
  const all = jobsOf({ root, capability, seconds: recordedSeconds() });
  const jobs = paths.length > 0 ? all.filter(({ file }) => paths.some((path) => file.startsWith(path))) : all;
  const spread = Math.max(1, Math.floor((availableParallelism() * 3) / 4 / gpus.length));
  const places = Number(process.env.R1_TEST_JOBS ?? spread);
  const options = { vitestArguments, log };
  console.log(`${jobs.length} jobs, ${places} at once on each of ${gpus.length} cards`);
  const results = await runJobs(
    jobs.filter((job) => !job.alone),
    gpus,
    places,
    options,
  );
  results.push(
    ...(await runJobs(
      jobs.filter((job) => job.alone),
      gpus,
      1,
      options,
    )),
  );
  const counts = countsOf(results);
  const seconds = Math.round((Date.now() - started) / 1000);
  const slowest = results.sort((a, b) => b.seconds - a.seconds);
  console.log("The slowest jobs, in seconds:");
  for (const { job, seconds } of slowest.slice(0, 10)) console.log(`${seconds.toFixed(1).padStart(6)}  ${job.name}`);
  const total = results.reduce((sum, result) => sum + result.seconds, 0);
  console.log(`All jobs together: ${total.toFixed(0)} s, in ${seconds} s.`);
  // The next run is ordered by these.
  const long = slowest.filter(({ seconds }) => seconds >= 3);
  const jobSeconds = Object.fromEntries(long.map(({ job, seconds }) => [job.name, Math.round(seconds)]));
  const commitId = commit();
  const entry = {
    device,
    driver,
    date: new Date().toISOString(),
    commit: commitId,
    seconds,
    counts,
    trees,
    jobSeconds,
  };
  if (argv.length > 0) entry.arguments = argv;
  writeFileSync(out, `${JSON.stringify(entry, null, 2)}\n`);
  console.log(`${out}: ${device}, driver ${driver}: ${JSON.stringify(counts)}`);
  process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
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
