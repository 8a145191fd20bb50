/** `r1 bench load`: its synthetic folder, and what it reports. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { DeepSeekR1 } from "../../lib";
import { openCheckpoint } from "../../lib/checkpoint/checkpoint";
import { randomCheckpoint } from "../../lib/checkpoint/random";
import { runBench } from "../../lib/cli/bench";
import { withSyntheticFolder } from "../../lib/cli/synthetic-folder";
import { Tokenizer } from "../../lib/text/tokenizer";
import { tinyFolder } from "../support/tiny";

const dir = mkdtempSync(join(tmpdir(), "r1-bench-load-"));
afterAll(() => rmSync(dir, { recursive: true }));

const shape = {
  ...{ model_type: "qwen2", hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, vocab_size: 1000 },
  ...{ num_attention_heads: 1, num_key_value_heads: 1, max_position_embeddings: 256, rms_norm_eps: 1e-6 },
};

describe("the synthetic folder", () => {
  it("is a checkpoint of the shape in several shards, which runs, and is gone afterwards", async () => {
    const expected = randomCheckpoint(shape);
    let path = "";
    await withSyntheticFolder(shape, { dir, shardBytes: 200_000 }, async (folder) => {
      path = folder;
      const checkpoint = await openCheckpoint(folder);
      expect(checkpoint.config).toEqual(expected.config);
      expect(checkpoint.parameters).toBe(expected.parameters);
      expect(checkpoint.storedTypes).toEqual(["BF16"]);
      expect(checkpoint.files.length).toBeGreaterThan(1);
      for (const file of checkpoint.files) expect(statSync(file).size).toBeLessThan(220_000);
      const model = await DeepSeekR1.load({ modelPath: folder, device: "cpu" });
      const { tokens } = await model.generate([1, 2, 3], { maxNewTokens: 3, ignoreEos: true, temperature: 0 });
      expect(tokens).toHaveLength(3);
      await model.dispose();
    });
    expect(path).toContain(dir);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("has values of the scale that keeps activations in range", async () => {
    await withSyntheticFolder(shape, { dir }, async (folder) => {
      const { files, weights } = await openCheckpoint(folder);
      const head = weights.find(({ name }) => name === "head")!.parts[0];
      const bytes = readFileSync(files[head.file!]).subarray(head.offset!, head.offset! + head.rows * head.cols * 2);
      const bits = new Uint32Array(head.rows * head.cols);
      for (let i = 0; i < bits.length; i++) bits[i] = bytes.readUInt16LE(2 * i) << 16;
      const values = new Float32Array(bits.buffer);
      const square = values.reduce((sum, v) => sum + v * v, 0) / values.length;
      expect(Math.abs(square * head.cols - 1)).toBeLessThan(0.05);
      expect(new Set(values).size).toBeGreaterThan(500);
    });
  });

  it("is gone as well when its use fails or is aborted, and is not begun where there is no room", async () => {
    await expect(withSyntheticFolder(shape, { dir }, () => Promise.reject(new Error("use")))).rejects.toThrow("use");
    const use = vi.fn();
    const signal = AbortSignal.abort("enough");
    await expect(withSyntheticFolder(shape, { dir, signal }, use)).rejects.toMatchObject({ code: "E_ABORTED" });
    const nowhere = join(dir, "nowhere");
    await expect(withSyntheticFolder(shape, { dir: nowhere }, use)).rejects.toMatchObject({ code: "E_FILE" });
    const huge = {
      ...{ ...shape, hidden_size: 65_536, num_attention_heads: 1024, num_key_value_heads: 1024 },
      ...{ intermediate_size: 2 ** 20, num_hidden_layers: 1000 },
    };
    await expect(withSyntheticFolder(huge, { dir }, use)).rejects.toMatchObject({ code: "E_FILE" });
    expect(use).not.toHaveBeenCalled();
    expect(readdirSync(dir)).toEqual([]);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("is gone when the process gets a %s", async (signal) => {
    const program = `
      const { withSyntheticFolder } = require(${JSON.stringify(join(__dirname, "../../dist/cli/synthetic-folder.js"))});
      void withSyntheticFolder(${JSON.stringify(shape)}, { dir: ${JSON.stringify(dir)} }, (folder) => {
        process.stdout.write(folder);
        return new Promise((resolve) => setTimeout(resolve, 60_000));
      });`;
    const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    const [folder] = await once(child.stdout, "data");
    expect(existsSync(String(folder))).toBe(true);
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([null, signal]);
    expect(existsSync(String(folder))).toBe(false);
  });

  it("listens to the process only while it exists", async () => {
    const before = process.listenerCount("exit");
    await withSyntheticFolder(shape, { dir }, async (folder) => {
      expect(process.listenerCount("exit")).toBe(before + 1);
      expect(existsSync(folder)).toBe(true);
    });
    expect(process.listenerCount("exit")).toBe(before);
  });
});

it("its tokenizer is as large as a real one, and works", async () => {
  await withSyntheticFolder({ ...shape, vocab_size: 5000 }, { dir }, async (folder) => {
    const tokenizer = await Tokenizer.load(folder);
    expect(tokenizer.size).toBe(5000);
    const text = "What is 17 * 24? 解释";
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });
});

it("a folder's report has the load and the first token of a fresh process", async () => {
  const { rows } = await runBench("load", { model: tinyFolder, device: "cpu", repeats: 1 });
  const [files, first] = rows as Record<string, number | string>[];
  expect(files).toMatchObject({ load: "files" });
  for (const key of ["s", "ms prepare", "ms weights", "GB/s", "weights GB/s", "read GB/s", "share of read"])
    expect(files[key], key).toBeGreaterThan(0);
  expect(files).not.toHaveProperty("upload GB/s"); // there is no device to copy to
  expect(first).toMatchObject({ load: "first token" });
  const { s, "ms prepare": prepare, "ms weights": weights, "ms first step": step } = first as Record<string, number>;
  for (const ms of [prepare, weights, step]) expect(ms).toBeGreaterThan(0);
  expect(s * 1000).toBeGreaterThan(prepare + weights + step);
});

it("made-up weights have no files to read", async () => {
  const { rows } = await runBench("load", { model: "smollm2", device: "cpu", repeats: 1 });
  expect(rows).toEqual([expect.objectContaining({ load: "made up" })]);
  expect(rows[0]).not.toHaveProperty("read GB/s");
});
