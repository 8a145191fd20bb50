// Reads what ptxas reported while the kernels were built, prints the registers of each kernel, and fails when one spills
// registers to memory, or has its wgmma instructions serialised. scripts/spills.json lists what may spill for now, and
// why; an entry that no longer does is an error too, so that the list can only shrink.
//   node scripts/spills.mjs [--kernels .build/kernels] [--allowed scripts/spills.json]
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/**
 * The kernels of one file's report: { kernel, arch, registers, stores, loads } with bytes spilled in one thread's code,
 * and `serialised`, what ptxas says has made wgmma wait.
 */
export function parseReport(text) {
  const kernels = [];
  const serialised = new Map();
  let current;
  for (const line of text.split("\n")) {
    const entry = /Compiling entry function '([^']+)' for '([^']+)'/.exec(line);
    if (entry) {
      current = { kernel: entry[1], arch: entry[2], registers: 0, stores: 0, loads: 0 };
      kernels.push(current);
    }
    const loss = /Potential Performance Loss: (.*) in (?:the )?function '([^']+)'/.exec(line);
    if (loss) serialised.set(loss[2], loss[1]);
    // Functions that were not inlined have properties of their own: what they spill is their callers'.
    const spills = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (spills && current) {
      current.stores += Number(spills[1]);
      current.loads += Number(spills[2]);
    }
    const used = /Used (\d+) registers/.exec(line);
    if (used && current) current.registers = Number(used[1]);
  }
  // Only the targets with an "a" have wgmma; the others have an empty kernel of the same name.
  return kernels.map((one) => ({
    ...one,
    serialised: one.arch.endsWith("a") ? serialised.get(one.kernel) : undefined,
  }));
}

/** What is wrong, a line each. `allowed`: { kernel, archs, bytes, why } with the most bytes of spill stores. */
export function findings(kernels, allowed) {
  const problems = [];
  const entryOf = ({ kernel, arch }) => allowed.find((one) => one.kernel === kernel && one.archs.includes(arch));
  for (const one of kernels) {
    const name = `${one.file}: ${one.kernel} (${one.arch})`;
    const bytes = entryOf(one)?.bytes ?? 0;
    // Loads without stores are of values that were never lost, but cost the same.
    if (one.stores > bytes || (one.loads > 0 && !entryOf(one)))
      problems.push(
        `${name} spills ${one.stores} bytes of registers (reads ${one.loads}), ${bytes > 0 ? `at most ${bytes} are` : "none is"} allowed`,
      );
    if (one.serialised) problems.push(`${name}: ${one.serialised}`);
  }
  const archs = new Set(kernels.map(({ arch }) => arch));
  for (const { kernel, archs: listed, why } of allowed) {
    if (!why) problems.push(`spills.json does not say why ${kernel} may spill`);
    for (const arch of listed.filter((one) => archs.has(one))) {
      const found = kernels.find((one) => one.kernel === kernel && one.arch === arch);
      if (!found) problems.push(`spills.json allows ${kernel} (${arch}), which does not exist: remove it`);
      else if (found.stores + found.loads === 0)
        problems.push(`spills.json allows ${kernel} (${arch}), which no longer spills: remove it`);
    }
  }
  return problems;
}

/** Registers of each kernel by architecture, "168+92" with 92 bytes of spill stores. */
export function table(kernels) {
  const archs = [...new Set(kernels.map(({ arch }) => arch))].sort();
  const rows = [["file", "kernel", ...archs]];
  for (const name of new Set(kernels.map(({ file, kernel }) => `${file}\0${kernel}`))) {
    const [file, kernel] = name.split("\0");
    const cells = archs.map((arch) => {
      const one = kernels.find((other) => other.file === file && other.kernel === kernel && other.arch === arch);
      return one ? `${one.registers}${one.stores + one.loads > 0 ? `+${one.stores}` : ""}` : "";
    });
    rows.push([file, kernel, ...cells]);
  }
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const pad = (cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]));
  return rows.map((row) => row.map(pad).join("  "));
}

/** The reports of all files of cuda/. @throws Error where one is missing */
function readReports(folder) {
  const sources = readdirSync(join(root, "cuda"), { recursive: true }).filter((name) => name.endsWith(".cu"));
  return sources.sort().flatMap((file) => {
    const log = join(folder, `${file.replaceAll("/", "_")}.fatbin.log`);
    if (!existsSync(log)) throw new Error(`${log} is missing: build with R1_CUDA_ARCHS=all first`);
    return parseReport(readFileSync(log, "utf8")).map((one) => ({ file, ...one }));
  });
}

function main() {
  const { values } = parseArgs({
    options: {
      kernels: { type: "string", default: join(root, ".build/kernels") },
      allowed: { type: "string", default: join(root, "scripts/spills.json") },
    },
  });
  const kernels = readReports(values.kernels);
  const allowed = JSON.parse(readFileSync(values.allowed, "utf8"));
  const problems = findings(kernels, allowed);
  console.log(`Registers of a thread, +bytes that it spills:\n${table(kernels).join("\n")}`);
  const spilling = kernels.filter(({ stores, loads }) => stores + loads > 0).length;
  console.log(`${kernels.length} kernels, ${spilling} spill, ${problems.length} problems`);
  for (const problem of problems) console.error(`spills: ${problem}`);
  return problems.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = main();
  } catch (error) {
    console.error(`spills: ${error.message}`);
    process.exitCode = 1;
  }
}
