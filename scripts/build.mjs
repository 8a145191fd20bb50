#!/usr/bin/env node
// Builds the addons and, where wanted, the kernels with CMake into build/ (the CMake tree itself is .build/).
// Incremental: with nothing changed it takes a moment, so everything that needs a fresh binary simply calls it.
//   R1_CUDA_ARCHS   all | a list such as "80;90a" | none   (default: the cards found here, none without a driver)
//   R1_BUILD_JOBS   parallel compile jobs (default: the number of cores)
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const tree = join(root, ".build");

function tryRun(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8" });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

function fail(message) {
  console.error(`r1-native: ${message}`);
  process.exit(1);
}

/** The architectures to compile kernels for, and one line that says why. */
export function cudaArchs() {
  const wanted = process.env.R1_CUDA_ARCHS;
  if (wanted === "none") return { archs: "", why: "no GPU kernels: R1_CUDA_ARCHS=none" };
  const nvcc = tryRun("nvcc", ["--version"]) ?? tryRun("/usr/local/cuda/bin/nvcc", ["--version"]);
  if (wanted) {
    if (!nvcc) fail(`R1_CUDA_ARCHS=${wanted} needs nvcc on the PATH or in /usr/local/cuda/bin, and there is none`);
    return { archs: wanted.replaceAll(",", ";"), why: `GPU kernels for ${wanted}` };
  }
  if (!nvcc) return { archs: "", why: "no GPU kernels: nvcc was not found (CPU backend only)" };
  const caps = tryRun("nvidia-smi", ["--query-gpu=compute_cap", "--format=csv,noheader"]);
  if (!caps) return { archs: "", why: "no GPU kernels: no NVIDIA driver here (R1_CUDA_ARCHS=all builds them anyway)" };
  const archs = [...new Set(caps.split("\n").map((c) => c.trim().replace(".", "")))];
  // sm_90 code that uses wgmma and TMA exists for the architecture-specific target only.
  return { archs: archs.map((a) => (a === "90" ? "90a" : a)).join(";"), why: `GPU kernels for ${archs.join(", ")}` };
}

export function build() {
  const version = tryRun("cmake", ["--version"])?.match(/(\d+)\.(\d+)/);
  if (!version) fail("CMake 3.25 or newer is needed to build from source, and cmake was not found");
  if (Number(version[1]) < 3 || (Number(version[1]) === 3 && Number(version[2]) < 25))
    fail(`CMake 3.25 or newer is needed to build from source, found ${version[0]}`);
  const { archs, why } = cudaArchs();
  console.log(`r1-native: ${why}`);
  const testing = existsSync(join(root, "csrc/testing")) ? "ON" : "OFF";
  // A published package is built in the user's node_modules, where the headers may be hoisted.
  const headers = ["node-addon-api", "node-api-headers"].map((name) =>
    dirname(fileURLToPath(import.meta.resolve(`${name}/package.json`))),
  );
  const includes = [headers[0], join(headers[1], "include")].join(";");
  // Both go, so that a later build with kernels makes and copies the file again.
  if (!archs)
    for (const folder of ["Release", "kernels"]) rmSync(join(root, "build", folder, "kernels.fatbin"), { force: true });
  const options = { stdio: "inherit", cwd: root };
  const quiet = ["-Wno-dev", "--log-level=WARNING"];
  execFileSync(
    "cmake",
    [
      ...quiet,
      "-S",
      root,
      "-B",
      tree,
      "-DCMAKE_BUILD_TYPE=Release",
      `-DR1_CUDA_ARCHS=${archs}`,
      `-DR1_TESTING=${testing}`,
      `-DNODE_INCLUDE_DIRS=${includes}`,
      `-DR1_OUTPUT_DIR=${join(root, "build")}`,
      `-DR1_WERROR=${process.env.CI ? "ON" : "OFF"}`,
    ],
    options,
  );
  const jobs = process.env.R1_BUILD_JOBS ?? String(availableParallelism());
  execFileSync("cmake", ["--build", tree, "--parallel", jobs], options);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    build();
  } catch (error) {
    fail(`the native build failed: ${error.message.split("\n")[0]}`);
  }
}
