/** A bench report as text. */
import type { BenchReport, BenchRow } from "./bench-types";
import { table } from "./terminal";

export function formatReport(report: BenchReport): string {
  const { kind, model, precision, device, ceilings } = report;
  const rates = [
    `read ${rounded(ceilings.readBytesPerS / 1e9)} GB/s`,
    `copy ${rounded(ceilings.copyBytesPerS / 1e9)} GB/s`,
    `f32 ${rounded(ceilings.f32MacsPerS / 1e9)} GMAC/s`,
    ceilings.bf16MacsPerS > 0 ? `bf16 ${rounded(ceilings.bf16MacsPerS / 1e9)} GMAC/s` : "no bf16",
  ];
  const detail = device.detail ? ` (${device.detail})` : "";
  return [
    `${kind} · ${model} · ${precision} · ${device.name}${detail}`,
    `ceilings of this run: ${rates.join(", ")}`,
    "",
    ...lines(report.rows),
  ].join("\n");
}

function lines(rows: BenchRow[]): string[] {
  const found = new Set(rows.flatMap((row) => Object.keys(row)));
  const keys = found.delete("mark") ? [...found, "mark"] : [...found]; // at the end of the line
  const columns = columnsOf(keys);
  const cells = (row: BenchRow, of: string[]) => of.map((key) => cell(key, row[key])).join(" / ");
  return table([
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ of }) => (of.some((key) => row[key] !== undefined) ? cells(row, of) : ""))),
  ]);
}

interface Column {
  title: string;
  /** The figures it shows. */
  of: string[];
}

/** A column for each key; the percentiles of one measure share theirs, which keeps the table on a screen. */
function columnsOf(keys: string[]): Column[] {
  const columns: (Column & { measure: string })[] = [];
  for (const key of keys) {
    const [, measure, percent, unit] = /^(.+) (p\d\d) (\w+)$/.exec(key) ?? [];
    const last = columns.at(-1);
    if (measure !== undefined && last?.measure === measure) {
      last.title += ` / ${percent}`;
      last.of.push(key);
    } else columns.push({ title: measure ? `${measure} ${unit} ${percent}` : key, of: [key], measure: measure ?? "" });
  }
  return columns;
}

function cell(key: string, value: number | string | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  return key.startsWith("share") ? `${(value * 100).toFixed(1)} %` : rounded(value);
}

/** Integers whole, anything else with three digits or more. */
function rounded(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
