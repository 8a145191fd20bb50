// Compiles lib/ to dist/ (CommonJS with declarations) and writes the ES module entry beside it. One implementation serves
// both module systems, so `R1Error` is one class whichever way the package is loaded.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);

export function buildDist() {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  if (!existsSync(tsc)) {
    if (existsSync(join(root, "dist/index.js"))) return;
    throw new Error("dist/ is missing and TypeScript is not installed: run npm install with development dependencies");
  }
  execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });
  const names = Object.keys(require(join(root, "dist/index.js")))
    .filter((name) => name !== "default")
    .sort();
  const entry = `import api from "./index.js";\n\nexport const { ${names.join(", ")} } = api;\n`;
  writeFileSync(join(root, "dist/index.mjs"), entry);
  writeFileSync(join(root, "dist/index.d.mts"), 'export * from "./index.js";\n');
  const cli = join(root, "dist/cli/main.js");
  if (existsSync(cli)) chmodSync(cli, 0o755);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildDist();
