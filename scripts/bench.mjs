// Runs a suite of bench/suites.json, prints its tables and which floors were reached, and records a whole suite in
// OUT/DEVICE-SUITE.json. Builds first, so that no figure is of a stale binary. Exits with 1 when a floor was missed.
//   node scripts/bench.mjs [cpu|cuda|decode|kernels|serve|invariance] [--kind decode] [--model 7b] [--dir /tmp]
//                         [--out bench/results]
//   R1_COMMIT   what to record as the commit where there is no git checkout
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { buildDist } from "./build-dist.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const suites = JSON.parse(readFileSync(join(root, "bench/suites.json"), "utf8"));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kind: { type: "string" },
    model: { type: "string" },
    dir: { type: "string" },
    out: { type: "string", default: join(root, "bench/results") },
  },
});

const suite = positionals[0] ?? "cpu";
if (!Object.hasOwn(suites, suite)) {
  console.error(`bench: there is no suite "${suite}"; expected one of ${Object.keys(suites).join(", ")}`);
  process.exit(2);
}

/** Whether a floor was reached, as one line. A share of a rate that the device does not have is not measured. */
function judge(floor, rows) {
  const row = rows.find(
    ({ sequences, load }) => (floor.sequences ?? sequences) === sequences && (floor.load ?? load) === load,
  );
  const value = row?.[floor.column];
  if (typeof value !== "number") return { reached: true, text: `not measured  ${floor.column}` };
  const reached = value >= (floor.min ?? -Infinity) && value <= (floor.max ?? Infinity);
  const bound = floor.min === undefined ? `at most ${floor.max}` : `at least ${floor.min}`;
  const where = floor.load
    ? ` at ${floor.load}`
    : floor.sequences === undefined
      ? ""
      : ` of ${floor.sequences} sequences`;
  return {
    reached,
    text: `${reached ? "reached" : "MISSED "}  ${floor.column}${where}: ${value.toFixed(3)}, ${bound}`,
  };
}

build();
buildDist();
const { runBench, formatReport } = createRequire(import.meta.url)(join(root, "dist/cli/bench.js"));
const reports = [];
let missed = 0;
for (const { kind, options, floors = [] } of suites[suite]) {
  if ((values.kind && values.kind !== kind) || (values.model && values.model !== (options.model ?? options.synthetic)))
    continue;
  const report = await runBench(kind, kind === "load" ? { ...options, dir: values.dir } : options);
  const verdicts = floors.map((floor) => judge(floor, report.rows));
  console.log(`\n${formatReport(report)}\n${verdicts.map(({ text }) => text).join("\n")}`);
  missed += verdicts.filter(({ reached }) => !reached).length;
  reports.push({ ...report, options, floors: verdicts.map(({ text }) => text) });
}
if (!values.kind && !values.model) {
  const device = reports[0].device.name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
  const file = join(values.out, `${device}-${suite}.json`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(reports, null, 2)}\n`);
  console.log(`\nrecorded in ${file}`);
}
process.exit(missed > 0 ? 1 : 0);
