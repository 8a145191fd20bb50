// Reads what ptxas reported while the kernels were built, prints the registers of each kernel, and fails when one spills
// registers to memory, or has its wgmma instructions serialised.
//   node scripts/spills.mjs [--kernels .build/kernels]
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
    const spilled = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (spilled && current) {
      current.stores += Number(spilled[1]);
      current.loads += Number(spilled[2]);
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

const spills = ({ stores, loads }) => stores + loads > 0;

/** What is wrong, a line each. */
export function findings(kernels) {
  const problems = [];
  for (const one of kernels) {
    const name = `${one.file}: ${one.kernel} (${one.arch})`;
    // Loads without stores are of values that were never lost, but cost the same.
    if (spills(one)) problems.push(`${name} spills ${one.stores} bytes of registers (reads ${one.loads})`);
    if (one.serialised) problems.push(`${name}: ${one.serialised}`);
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
      return one ? `${one.registers}${spills(one) ? `+${one.stores}` : ""}` : "";
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
    options: { kernels: { type: "string", default: join(root, ".build/kernels") } },
  });
  const kernels = readReports(values.kernels);
  const problems = findings(kernels);
  console.log(`Registers of a thread, +bytes that it spills:\n${table(kernels).join("\n")}`);
  console.log(`${kernels.length} kernels, ${kernels.filter(spills).length} spill, ${problems.length} problems`);
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
