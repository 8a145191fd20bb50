// clang-format over all C++ and CUDA (--write rewrites, the default checks), or clang-tidy over csrc/ with --tidy.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

function tool(name) {
  for (const candidate of [`${name}-19`, name]) if (spawnSync(candidate, ["--version"]).status === 0) return candidate;
  console.error(`${name} 19 was not found: apt-get install ${name}-19`);
  process.exit(1);
}

const list = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "csrc", "cuda"], {
  cwd: root,
  encoding: "utf8",
});
const files = list.split("\n").filter((file) => /\.(cc|h|cu|cuh)$/.test(file));
const mode = process.argv[2];
let status = 0;
// The command lines are GCC's: some of its warning options are its own, and its library's std::stable_sort calls what the
// library itself calls deprecated.
const lenient = ["--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-deprecated-declarations"];
if (mode === "--tidy") {
  // One process per file, as many at a time as there are cores; findings are printed as each file ends.
  const queue = files.filter((file) => file.endsWith(".cc"));
  const check = async () => {
    for (let file = queue.pop(); file; file = queue.pop()) {
      const child = spawn(tool("clang-tidy"), ["-p", join(root, ".build"), "--quiet", ...lenient, file], { cwd: root });
      let output = "";
      child.stdout.on("data", (data) => {
        output += data;
      });
      const [code] = await once(child, "close");
      if (code !== 0) {
        status = 1;
        console.log(output);
      }
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, check));
} else if (files.length > 0) {
  const args = mode === "--write" ? ["-i"] : ["--dry-run", "--Werror"];
  status = spawnSync(tool("clang-format"), [...args, ...files], { cwd: root, stdio: "inherit" }).status ?? 1;
}
process.exit(status);
