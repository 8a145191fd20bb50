// npm's install step: a prebuilt binary that loads on this machine is used as it is; otherwise the addon is built here.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

function prebuiltLoads() {
  if (!existsSync(join(root, "prebuilds"))) return false;
  try {
    createRequire(import.meta.url)("node-gyp-build")(root);
    return true;
  } catch {
    return false;
  }
}

if (!prebuiltLoads()) {
  const { status } = spawnSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: "inherit" });
  process.exit(status ?? 1);
}
