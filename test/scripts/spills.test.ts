/** The check of ptxas's reports: scripts/spills.mjs, which `.ci/run` calls after the build. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findings, parseReport, table } from "../../scripts/spills.mjs";

const root = join(__dirname, "../..");
const sample = join(root, "test/fixtures/ptxas");
const report = (name: string) => parseReport(readFileSync(join(sample, name), "utf8"));
const named = (name: string) => report(name).map((one) => ({ file: "attention.cu", ...one }));

describe("a report of ptxas", () => {
  it("is read kernel by kernel and architecture by architecture", () => {
    expect(report("clean.log")).toEqual([
      { kernel: "embed_bf16", arch: "sm_80", registers: 18, stores: 0, loads: 0, serialised: undefined },
      { kernel: "embed_f32", arch: "sm_80", registers: 18, stores: 0, loads: 0, serialised: undefined },
      { kernel: "embed_bf16", arch: "sm_90a", registers: 16, stores: 0, loads: 0, serialised: undefined },
      { kernel: "embed_f32", arch: "sm_90a", registers: 16, stores: 0, loads: 0, serialised: undefined },
    ]);
  });
  it("has what a kernel spills, also in functions that it calls", () => {
    expect(report("spilling.log").map(({ kernel, arch, stores, loads }) => [kernel, arch, stores, loads])).toEqual([
      ["attention_prefill_sm80_fp16_d128", "sm_80", 92, 148],
      ["attention_prefill_sm80_fp16_d64", "sm_80", 0, 0],
      ["calls_another", "sm_80", 8, 16],
      ["waits_too_often", "sm_90a", 0, 0],
    ]);
    expect(report("spilling.log")[3].serialised).toContain("wgmma.mma_async instructions are serialized");
  });
  it("is shown as one line for each kernel", () => {
    expect(table([...named("clean.log"), ...named("spilling.log").slice(0, 1)])).toEqual([
      "file          kernel                             sm_80  sm_90a",
      "attention.cu  embed_bf16                            18      16",
      "attention.cu  embed_f32                             18      16",
      "attention.cu  attention_prefill_sm80_fp16_d128  168+92        ",
    ]);
  });
});

describe("what is wrong with kernels", () => {
  it("is nothing where none spills", () => {
    expect(findings(named("clean.log"))).toEqual([]);
  });
  it("is that it spills, if only what it reads, or has its wgmma serialised", () => {
    expect(findings(named("spilling.log"))).toEqual([
      "attention.cu: attention_prefill_sm80_fp16_d128 (sm_80) spills 92 bytes of registers (reads 148)",
      "attention.cu: calls_another (sm_80) spills 8 bytes of registers (reads 16)",
      expect.stringMatching(/^attention\.cu: waits_too_often \(sm_90a\): wgmma\.mma_async instructions are serialized/),
    ]);
    const [clean] = named("clean.log");
    expect(findings([{ ...clean, loads: 4 }])).toEqual([
      "attention.cu: embed_bf16 (sm_80) spills 0 bytes of registers (reads 4)",
    ]);
  });
});

describe("the command", () => {
  const folder = mkdtempSync(join(tmpdir(), "r1-spills-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  /** Reports of all files of cuda/, all of them clean but for one. */
  const run = (name: string, odd: string) => {
    const kernels = join(folder, name);
    mkdirSync(kernels);
    const files = readdirSync(join(root, "cuda"), { recursive: true, encoding: "utf8" });
    for (const file of files.filter((one) => one.endsWith(".cu")))
      cpSync(
        join(sample, file === "attention_prefill.cu" ? odd : "clean.log"),
        join(kernels, `${file.replaceAll("/", "_")}.fatbin.log`),
      );
    return spawnSync(process.execPath, ["scripts/spills.mjs", `--kernels=${kernels}`], { cwd: root, encoding: "utf8" });
  };
  it("ends well where no kernel spills", () => {
    const { status, stdout } = run("clean", "clean.log");
    expect(stdout).toContain("0 spill, 0 problems");
    expect(status).toBe(0);
  });
  it("fails where one does, and says which", () => {
    const { status, stdout, stderr } = run("spilling", "spilling.log");
    expect(stdout).toMatch(/^attention_prefill\.cu +attention_prefill_sm80_fp16_d128 +168\+92/m);
    expect(stderr).toContain("attention_prefill.cu: attention_prefill_sm80_fp16_d128 (sm_80) spills 92 bytes");
    expect(status).toBe(1);
  });
  it("fails where a report is missing", () => {
    const { status, stderr } = spawnSync(process.execPath, ["scripts/spills.mjs", `--kernels=${folder}`], {
      ...{ cwd: root, encoding: "utf8" },
    });
    expect(stderr).toContain("is missing: build with R1_CUDA_ARCHS=all first");
    expect(status).toBe(1);
  });
});
