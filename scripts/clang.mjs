// clang-format over all C++ and CUDA (--write rewrites, the default checks), or clang-tidy over csrc/ with --tidy.
import { execFileSync, spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

function tool(name) {
  for (const candidate of [`${name}-19`, name])
    if (spawnSync(candidate, ["--version"]).status === 0) return candidate;
  console.error(`${name} 19 was not found: apt-get install ${name}-19`);
  process.exit(1);
}

const list = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "csrc", "cuda"], { cwd: root, encoding: "utf8" });
const files = list.split("\n").filter((file) => /\.(cc|h|cu|cuh)$/.test(file));
const mode = process.argv[2];
let status = 0;
if (mode === "--tidy") {
  const sources = files.filter((file) => file.endsWith(".cc"));
  status = spawnSync(tool("clang-tidy"), ["-p", join(root, ".build"), "--quiet", ...sources], { cwd: root, stdio: ["ignore", "inherit", "ignore"] }).status ?? 1;
} else if (files.length > 0) {
  const args = mode === "--write" ? ["-i"] : ["--dry-run", "--Werror"];
  status = spawnSync(tool("clang-format"), [...args, ...files], { cwd: root, stdio: "inherit" }).status ?? 1;
}
process.exit(status);
