// Makes the charts of bench/charts/ from the records of bench/results/: nvidia-h200-decode.json where it exists, else
// what the other suites have of it, and peers.json.
//   node scripts/charts.mjs            writes them
//   node scripts/charts.mjs --check    fails where one is not what the records make
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { lineChart } from "./chart-svg.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const models = ["1.5b", "7b"];
const promptTokens = 128; // of the peers' figures

/** The reports to draw: those of the decode suite, or of older ones that have some of the same. */
function readReports(folder) {
  const read = (suite) => {
    const file = join(folder, `nvidia-h200-${suite}.json`);
    return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  };
  return read("decode") ?? [...(read("cuda") ?? []), ...(read("invariance") ?? [])];
}

/** Tokens per second of all sequences by their number, and what the ceiling of reads would allow. */
export function batchPoints(reports, model) {
  const rows = reports
    .filter((one) => one.kind === "decode" && one.model === model && one.precision === "bf16")
    .flatMap(({ rows }) => rows)
    .filter((row) => row.promptTokens === promptTokens)
    .sort((a, b) => a.sequences - b.sequences);
  return {
    ours: rows.map((row) => ({ x: row.sequences, y: row["tok/s"] })),
    limit: rows.map((row) => ({ x: row.sequences, y: row["tok/s"] / row["share of read"] })),
  };
}

/** Milliseconds of a step of one sequence by the mean length of its context, and what the ceiling of reads would allow. */
export function contextPoints(reports, model) {
  const rows = reports
    .filter((one) => (one.kind === "decode" || one.kind === "invariance") && one.model === model)
    .flatMap(({ rows }) => rows)
    .filter((row) => row.sequences === 1)
    .map((row) => ({
      x: row.length ?? row.promptTokens + row.newTokens / 2,
      y: row["ms/step"],
      limit: row["ms/step"] * row["share of read"],
    }))
    .sort((a, b) => a.x - b.x);
  return { ours: rows.map(({ x, y }) => ({ x, y })), limit: rows.map(({ x, limit }) => ({ x, y: limit })) };
}

const powers = (low, high) => {
  const ticks = [];
  for (let tick = low; tick <= high; tick *= 2) ticks.push(tick);
  return ticks;
};
const thousands = (value) => (value >= 1000 ? `${value / 1000}k` : `${value}`);
const short = (value) =>
  value >= 10_000 ? `${(value / 1000).toFixed(1)}k` : value >= 100 ? value.toFixed(0) : value.toFixed(2);

/** "NVIDIA H200, driver 580.159.04; r1-native at 34b7f2c, 22 November 2026" */
function label(reports) {
  const { device, commit, date } = reports[0];
  const driver = /driver [\d.]+/.exec(device.detail)?.[0];
  const day = new Date(date).toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" });
  return `${device.name}, ${driver}; r1-native at ${commit.slice(0, 7)}, ${day}; bf16, made-up weights`;
}

export function batchChart(reports, peers) {
  const axes = {
    x: { label: "open sequences", low: 1, high: 64, log: true, ticks: powers(1, 64), format: String },
    y: {
      label: "tokens per second, all sequences together",
      ...{ low: 100, high: 100_000, log: true, ticks: [100, 1000, 10_000, 100_000], format: thousands },
    },
  };
  const panels = models.map((model) => {
    const { ours, limit } = batchPoints(reports, model);
    return {
      ...{ title: `DeepSeek-R1-Distill-Qwen ${model.toUpperCase()}`, ...axes },
      series: [
        { name: "what the card's measured read rate allows", kind: "limit", dashed: true, points: limit },
        ...peers.engines.map(({ name, version, card, ...peer }, i) => ({
          ...{ name: `${name} (${version}, ${card})`, kind: `c${i + 1}`, shape: i + 1 },
          points: Object.entries(peer["tok/s"][model]).map(([x, y]) => ({ x: Number(x), y })),
        })),
        { name: "r1-native", kind: "c0", shape: 0, bold: true, points: ours, values: short },
      ],
    };
  });
  return lineChart({
    ...{ title: "Decoding many sequences at once", subtitle: label(reports), panels },
    notes: [
      `Prompts of ${promptTokens} tokens, ${peers.generated} generated (others), medians of steps (r1-native); both axes logarithmic.`,
      `Others: ${peers.source}, ${peers.date}.`,
      `${peers.engines.map(({ name, options }) => `${name} with ${options}`).join("; ")}.`,
    ],
  });
}

export function contextChart(reports) {
  const lines = models.map((model) => ({ model, ...contextPoints(reports, model) }));
  const longest = Math.max(...lines.flatMap(({ ours }) => ours.map(({ x }) => x)));
  const slowest = Math.max(...lines.flatMap(({ ours }) => ours.map(({ y }) => y)));
  const high = Math.ceil(slowest / 2) * 2;
  const last = 2 ** Math.ceil(Math.log2(longest));
  return lineChart({
    ...{ title: "Decoding one sequence over a long context", subtitle: label(reports) },
    panels: [
      {
        title: "DeepSeek-R1-Distill-Qwen",
        x: {
          label: "tokens in the context",
          low: 128,
          high: last,
          log: true,
          ticks: powers(128, last),
          format: String,
        },
        y: {
          ...{ label: "milliseconds per token", low: 0, high, log: false, format: String },
          ticks: Array.from({ length: high / 2 + 1 }, (_, i) => i * 2),
        },
        series: lines.flatMap(({ model, ours, limit }, i) => [
          {
            ...{ name: "what the card's measured read rate allows", kind: "limit", dashed: true, points: limit },
          },
          {
            name: `r1-native, ${model.toUpperCase()}`,
            kind: `c${i}`,
            shape: i,
            bold: true,
            points: ours,
            values: short,
          },
        ]),
      },
    ],
    notes: ["Medians of steps at the mean length of what was measured."],
  });
}

/** The charts by file name. */
export function charts(results = join(root, "bench/results")) {
  const reports = readReports(results);
  const peers = JSON.parse(readFileSync(join(results, "peers.json"), "utf8"));
  return { "decode-batch.svg": batchChart(reports, peers), "decode-context.svg": contextChart(reports) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = join(root, "bench/charts");
  mkdirSync(folder, { recursive: true });
  for (const [name, svg] of Object.entries(charts())) {
    const file = join(folder, name);
    if (!process.argv.includes("--check")) writeFileSync(file, svg);
    else if (!existsSync(file) || readFileSync(file, "utf8") !== svg) {
      console.error(`charts: ${file} is not what the records make; run: node scripts/charts.mjs`);
      process.exitCode = 1;
    }
  }
}
