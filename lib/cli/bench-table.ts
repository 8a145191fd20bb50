/** A bench report as text. */
import type { BenchReport, BenchRow } from "./bench";
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
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return table([keys, ...rows.map((row) => keys.map((key) => cell(key, row[key])))]);
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
