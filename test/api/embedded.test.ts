/** The model that is used where none is named, in a package laid out as npm installs it. */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { embeddedModelPath, embeddedTasks } from "../../lib/embedded";
import packageJson from "../../package.json";
import { tinyFolder } from "../support/tiny";

const root = join(__dirname, "../..");
const project = mkdtempSync(join(tmpdir(), "r1-project-"));
const installed = join(project, "node_modules/r1-native");
const model = join(installed, "models/r1-nano");
const notice = "given: using the embedded r1-nano, a small demonstration model.";

beforeAll(() => {
  const link = (path: string) => {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    symlinkSync(join(root, path), join(project, path));
  };
  for (const name of Object.keys(packageJson.dependencies)) link(join("node_modules", name));
  for (const path of ["dist", "package.json", "build/Release"])
    cpSync(join(root, path), join(installed, path), { recursive: true });
  cpSync(tinyFolder, model, { recursive: true });
});
afterAll(() => rmSync(project, { recursive: true }));

interface Ended {
  code: number | string | null;
  stdout: string;
  stderr: string;
}

const node = (argv: string[]) =>
  new Promise<Ended>((resolve) => {
    const child = execFile(process.execPath, argv, { cwd: project }, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? null) : 0, stdout, stderr }),
    );
    child.stdin?.end("Hello\n");
  });
const r1 = (...argv: string[]) => node([join(installed, "dist/cli/main.js"), ...argv]);

describe("the embedded model", () => {
  it("lies in the package, or is missing with advice", async () => {
    expect(await embeddedModelPath(installed)).toBe(model);
    await expect(embeddedModelPath(project)).rejects.toMatchObject({
      code: "E_NOT_FOUND",
      message: expect.stringMatching(/r1-nano.*not found in .*Install it again, or name a model folder/),
    });
  });

  it("is packed, and so are its sibling and the tasks", () => {
    const folders = ["models/r1-nano", "models/r1-nano-xs", relative(root, embeddedTasks)];
    expect(packageJson.files).toEqual(expect.arrayContaining(folders));
  });

  const body = `
    const warnings = [];
    const model = await DeepSeekR1.load({ device: "cpu", onWarning: (warning) => warnings.push(warning) });
    const later = await new Promise((resolve) => model.on("warning", resolve));
    console.log(JSON.stringify({ info: model.info, warnings, later }));
    await model.dispose();
    const silent = await DeepSeekR1.load();
    await silent.dispose();`;
  it.each([
    ["an ES module", "main.mjs", `import { DeepSeekR1 } from "r1-native";${body}`],
    ["CommonJS", "main.cjs", `const { DeepSeekR1 } = require("r1-native");(async () => {${body}})();`],
  ])("is loaded by %s that names none, with a warning", async (_, file, text) => {
    writeFileSync(join(project, file), text);
    const { code, stdout, stderr } = await node([join(project, file)]);
    expect([code, stderr]).toEqual([0, ""]);
    const { info, warnings, later } = JSON.parse(stdout);
    expect(info).toMatchObject({ modelPath: model, embedded: true, family: "qwen2" });
    expect(warnings).toEqual([{ code: "default-model", message: `No modelPath ${notice}` }]);
    expect(later).toEqual(warnings[0]);
  });

  it.each([
    ["generate", "--device", "cpu", "--raw", "--max-new-tokens", "4", "--json"],
    ["chat", "--device", "cpu", "--max-new-tokens", "4"],
    ["perplexity", "--device", "cpu", "--json"],
    ["info", "--json"],
  ])("is used by r1 %s, which says so on standard error alone", async (...argv) => {
    const { code, stdout, stderr } = await r1(...argv);
    expect([code, stderr]).toEqual([0, `r1: No --model ${notice}\n`]);
    expect(stdout).not.toBe("");
    expect(stdout).not.toContain("r1-nano, a small");
    if (argv.includes("--json")) JSON.parse(stdout);
  });

  it("is what a bench measures unless told otherwise", async () => {
    const bench = join(installed, "dist/cli/bench-engine.js");
    const script = `require(${JSON.stringify(bench)}).benchCheckpoint().then(({ files }) => console.log(files[0]))`;
    expect(await node(["-e", script])).toEqual({ code: 0, stdout: `${model}/model.safetensors\n`, stderr: "" });
  });

  it("is asked for again where the package lacks it", async () => {
    rmSync(model, { recursive: true });
    for (const command of ["generate", "info"]) {
      const { code, stdout, stderr } = await r1(command);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/^r1: The embedded model r1-nano, [^\n]*--model DIR\)\.\n$/);
    }
  });
});
