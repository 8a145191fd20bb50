/** The charts of bench/charts: that they are those of the committed records, and what is drawn. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { batchPoints, charts, contextPoints } from "../../scripts/charts.mjs";

const root = join(__dirname, "../..");

describe("the charts", () => {
  const made = charts();
  it.each(readdirSync(join(root, "bench/charts")))("%s is what the records make (node scripts/charts.mjs)", (name) => {
    expect(readFileSync(join(root, "bench/charts", name), "utf8")).toBe(made[name]);
  });
  it("are all there, and shown in the README", () => {
    expect(readdirSync(join(root, "bench/charts"))).toEqual(Object.keys(made));
    const readme = readFileSync(join(root, "README.md"), "utf8");
    for (const name of Object.keys(made)) expect(readme).toContain(`(bench/charts/${name})`);
  });
  it.each(Object.entries(made))("%s says what it shows, in light and in dark", (_, svg) => {
    expect(svg).toMatch(/NVIDIA H\d00, driver [\d.]+; r1-native at [0-9a-f]{7}, \d+ \w+ 20\d\d; bf16/);
    expect(svg).toContain("@media (prefers-color-scheme: dark)");
    for (const axis of [/open sequences|tokens in the context/, /tokens per second|milliseconds per token/])
      expect(svg).toMatch(axis);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });
});

const rows = [
  { sequences: 8, promptTokens: 128, newTokens: 128, "tok/s": 1000, "ms/step": 8, "share of read": 0.5 },
  { sequences: 1, promptTokens: 128, newTokens: 128, "tok/s": 200, "ms/step": 5, "share of read": 0.8 },
  { sequences: 1, promptTokens: 1024, newTokens: 128, "tok/s": 160, "ms/step": 6.25, "share of read": 0.8 },
];
const decode = { kind: "decode", model: "7b", precision: "bf16", rows };
const others = [
  { ...decode, model: "1.5b" },
  { ...decode, kind: "prefill" },
];

describe("points", () => {
  it("of a batch are those of the peers' prompts, and what reads allow", () => {
    expect(batchPoints([...others, decode], "7b")).toEqual({
      ours: [
        { x: 1, y: 200 },
        { x: 8, y: 1000 },
      ],
      limit: [
        { x: 1, y: 250 },
        { x: 8, y: 2000 },
      ],
    });
    expect(batchPoints([{ ...decode, precision: "f32" }], "7b").ours).toEqual([]);
  });
  it("of a context are those of one sequence, by its mean length", () => {
    const single = { sequences: 1, length: 500, "ms/step": 5.5, "share of read": 0.5 };
    const invariance = { kind: "invariance", model: "7b", precision: "bf16", rows: [single] };
    expect(contextPoints([...others, decode, invariance], "7b")).toEqual({
      ours: [
        { x: 192, y: 5 },
        { x: 500, y: 5.5 },
        { x: 1088, y: 6.25 },
      ],
      limit: [
        { x: 192, y: 4 },
        { x: 500, y: 2.75 },
        { x: 1088, y: 5 },
      ],
    });
  });
});

describe("a record of the decode suite", () => {
  const folder = mkdtempSync(join(tmpdir(), "r1-charts-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  it("takes the place of the others", () => {
    cpSync(join(root, "bench/results"), folder, { recursive: true });
    const about = {
      ...{ commit: "0123456789", date: "2030-01-31T23:00:00.000Z" },
      device: { name: "NVIDIA H100", detail: "driver 600.1 (CUDA 14)" },
    };
    const reports = ["1.5b", "7b"].map((model) => ({ ...decode, model, ...about }));
    writeFileSync(join(folder, "nvidia-h200-decode.json"), JSON.stringify(reports));
    for (const svg of Object.values(charts(folder)))
      expect(svg).toContain("NVIDIA H100, driver 600.1; r1-native at 0123456, 31 January 2030; bf16");
    expect(charts(folder)["decode-batch.svg"]).toContain(">1000<");
  });
});
