import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * Brings the addons, the kernels and dist/ up to date before any test runs, so that no test sees a stale binary.
 * R1_TEST_BUILT=1 says that the caller has just done so (scripts/sanitize.mjs, which would watch the compiler, too).
 */
export default function setup(): void {
  if (process.env.R1_TEST_BUILT === "1") return;
  const root = join(__dirname, "../..");
  const run = (script: string) => execFileSync(process.execPath, [join(root, "scripts", script)], { stdio: "inherit" });
  run("build.mjs");
  if (existsSync(join(root, "node_modules/typescript/bin/tsc"))) run("build-dist.mjs");
}
