/** Commands on a small checkpoint, and the program as a process. */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeepSeekR1 } from "../../lib/model";
import { type RunOptions, r1 } from "./run";

const modelPath = join(__dirname, "../fixtures/qwen2-tiny");
const device = ["--model", modelPath, "--device", "cpu", "--context-length", "512"];
let model: DeepSeekR1;
beforeAll(async () => {
  model = await DeepSeekR1.load({ modelPath, device: "cpu", contextLength: 512 });
});
afterAll(() => model.dispose());

const generate = (argv: string[], options?: RunOptions) => r1(["generate", ...device, ...argv], options);

describe("r1 generate", () => {
  it("takes an id outside of the vocabulary for a wrong argument", async () => {
    const { code, stderr } = await generate(["x", "--raw", "--stop-tokens", "512"]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/^r1: --stop-tokens\[0\] must be a token id .* found 512/),
    ]);
  });

  it("continues a text with --raw as the API does", async () => {
    const argv = ["The quick", "--raw", "--seed", "5", "--max-new-tokens", "24", "--temperature", "1"];
    const { text } = await model.generate("The quick", { seed: 5, maxNewTokens: 24, temperature: 1 });
    expect(text.length).toBeGreaterThan(5);
    expect(await generate(argv)).toEqual({ code: 0, stdout: `${text}${text.endsWith("\n") ? "" : "\n"}`, stderr: "" });
  });

  it("reads the prompt from a pipe, less its last newline", async () => {
    const argv = ["--raw", "--temperature", "0", "--max-new-tokens", "12"];
    const fromArgument = await generate(["The quick", ...argv]);
    expect(await generate(argv, { stdin: "The quick\n" })).toEqual(fromArgument);
    expect(await generate(["-", ...argv], { stdin: "The quick" })).toEqual(fromArgument);
  });

  it("answers a message, says when it got no further than its reasoning, and shows that on demand", async () => {
    const argv = [
      "Hello",
      "--seed",
      "5",
      "--max-new-tokens",
      "16",
      "--ignore-eos",
      "--ban-tokens",
      String(model.tokenizer.idOf("</think>")),
    ];
    const { reasoning } = await model.chat("Hello", {
      seed: 5,
      maxNewTokens: 16,
      ignoreEos: true,
      banTokens: [model.tokenizer.idOf("</think>")!],
    });
    expect(reasoning).not.toBe("");
    const hidden = await generate(argv);
    expect([hidden.code, hidden.stdout]).toEqual([0, ""]);
    expect(hidden.stderr).toMatch(
      /^r1: the answer ended within its reasoning, after 16 tokens\..*--show-reasoning\.\n$/,
    );
    expect(await generate([...argv, "--show-reasoning"])).toEqual({
      code: 0,
      stdout: `<think>\n${reasoning}\n</think>\n\n`,
      stderr: "",
    });
  });

  it("writes the result as JSON", async () => {
    const argv = [
      "Hello",
      "--json",
      "-n",
      "2",
      "--seed",
      "5",
      "--max-new-tokens",
      "6",
      "--logprobs",
      "2",
      "--show-reasoning",
    ];
    const { code, stdout } = await generate(argv);
    const { timings: _, choices: mine, ...result } = JSON.parse(stdout);
    const {
      timings: __,
      choices,
      ...expected
    } = await model.chat("Hello", { n: 2, seed: 5, maxNewTokens: 6, logprobs: 2 });
    expect(code).toBe(0);
    expect(result).toEqual(JSON.parse(JSON.stringify(expected)));
    expect(mine.map((choice: { tokens: number[] }) => choice.tokens)).toEqual(choices?.map((choice) => choice.tokens));
  });

  it("writes several answers one after another", async () => {
    const { stdout } = await generate(["The", "--raw", "-n", "2", "--seed", "5", "--max-new-tokens", "6"]);
    const { choices } = await model.generate("The", { n: 2, seed: 5, maxNewTokens: 6 });
    expect(stdout).toBe(choices?.map(({ text }, i) => `--- ${i + 1} ---\n${text}\n`).join(""));
  });

  it("tells tokens, time and seed with --verbose", async () => {
    const { stderr } = await generate([
      "The",
      "--raw",
      "--verbose",
      "--seed",
      "5",
      "--max-new-tokens",
      "6",
      "--ignore-eos",
    ]);
    expect(stderr).toMatch(/^6 tokens in \d+\.\d s, [\d.]+ per second, cut off by its length, seed 5\n$/);
  });

  it("ends with 130 when it is interrupted", async () => {
    expect(await generate(["x"], { signal: AbortSignal.abort() })).toEqual({ code: 130, stdout: "", stderr: "" });
  });

  it("ends with 1 when the context is too small", async () => {
    const { code, stderr } = await generate(["x ".repeat(600), "--raw"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^r1: The prompt has \d+ tokens[^\n]*--context-length\.\n$/);
  });
});

describe("r1 info", () => {
  it("prints what the folder holds", async () => {
    const { code, stdout } = await r1(["info", modelPath]);
    expect(code).toBe(0);
    for (const line of [
      /^architecture +qwen2$/m,
      /^parameters +[\d,]+ \(\d+ K\)$/m,
      /^memory, bf16 +weights .* KV cache .* per token/m,
      /^context +131,072 tokens$/m,
      /^text +404 tokens, BOS <｜begin▁of▁sentence｜>, chat template, reasoning tags$/m,
    ])
      expect(stdout).toMatch(line);
    const json = JSON.parse((await r1(["info", "--model", modelPath, "--json"])).stdout);
    expect(json).toMatchObject({
      family: "qwen2",
      layers: 3,
      contextLength: 131072,
      text: { tokens: 404, chatTemplate: true, reasoning: true },
    });
  });
});

describe("r1 perplexity", () => {
  it("is what the log-probabilities of the API give", async () => {
    const text = "The quick brown fox jumps over the lazy dog. 347 + 589 = 936.";
    const { tokens, logprobs } = await model.logprobs(text);
    const mean = logprobs.slice(1).reduce((sum, value) => sum + value, 0) / (tokens.length - 1);
    const { code, stdout } = await r1(["perplexity", ...device, "--json"], { stdin: text });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ tokens: tokens.length, scored: tokens.length - 1 });
    expect(JSON.parse(stdout).perplexity).toBeCloseTo(Math.exp(-mean), 3);
    expect((await r1(["perplexity", "-", ...device], { stdin: text })).stdout).toMatch(
      /^perplexity +[\d.]+\ntokens +\d+, \d+ scored\nmean logprob +-[\d.]+\n$/,
    );
  });

  it("scores texts longer than the context", async () => {
    const { code, stdout } = await r1(["perplexity", ...device, "--json"], { stdin: "one two three ".repeat(200) });
    const report = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(report.tokens).toBeGreaterThan(512);
    expect(report).toMatchObject({ scored: report.tokens - 1, window: 512, stride: 256 });
    expect(Number.isFinite(report.perplexity)).toBe(true);
  });

  it("wants two tokens", async () => {
    expect((await r1(["perplexity", ...device], { stdin: "" })).code).toBe(2);
  });

  it("wants a context of two tokens", async () => {
    const { code, stderr } = await r1(["perplexity", ...device, "--context-length", "1"], { stdin: "some text" });
    expect([code, stderr]).toEqual([2, expect.stringMatching(/at least two tokens, found 1/)]);
  });
});

describe("r1 chat", () => {
  it("saves a conversation, and goes on with it in another process as it would have", async () => {
    const folder = mkdtempSync(join(tmpdir(), "r1-chat-"));
    const file = join(folder, "chat.r1session");
    const options = ["--show-reasoning", "--seed", "5", "--max-new-tokens", "8", "--ignore-eos"];
    try {
      for (const own of [[], ["--keep-reasoning"], ["--system", "Be kind."]]) {
        const whole = await r1(["chat", ...device, ...own, ...options], { stdin: "one\ntwo\nthree\n" });
        const first = await r1(["chat", ...device, ...own, ...options], { stdin: `one\ntwo\n/save ${file}\n` });
        expect([first.code, first.stderr]).toEqual([0, ""]);
        const second = await r1(["chat", ...device, ...options, "--session", file], { stdin: "three\n/save\n" });
        expect([second.code, second.stderr]).toEqual([0, ""]);
        const said = first.stdout.replace(`Saved as ${file}.\n`, "") + second.stdout.replace(`Saved as ${file}.\n`, "");
        expect(said).toBe(whole.stdout);
      }
      const missing = await r1(["chat", ...device, "--session", join(folder, "none")], { stdin: "" });
      expect([missing.code, missing.stderr]).toEqual([1, expect.stringMatching(/none could not be opened \(ENOENT\)/)]);
      for (const flag of [["--system", "x"], ["--keep-reasoning"]])
        expect(await r1(["chat", "--session", file, ...flag], { stdin: "" })).toMatchObject({
          code: 2,
          stderr: expect.stringContaining(`${flag[0]} cannot be given with --session`),
        });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("answers what comes through a pipe", async () => {
    const argv = ["chat", ...device, "--show-reasoning", "--seed", "5", "--max-new-tokens", "8", "--ignore-eos"];
    const { code, stdout, stderr } = await r1(argv, { stdin: "Hello\n/exit\n" });
    const { reasoning } = await model.chat("Hello", { seed: 5, maxNewTokens: 8, ignoreEos: true });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout.startsWith(`<think>\n${reasoning}`)).toBe(true);
  });
});

describe("the program", () => {
  const program = join(__dirname, "../../dist/cli/main.js");
  const endless = ["generate", ...device, "x", "--raw", "--ignore-eos", "--max-new-tokens", "400"];

  /** Runs until it ends; `during` may act when the first output has come. */
  function run(
    argv: string[],
    during: (child: ReturnType<typeof spawn>) => void = () => {},
    stdout: "pipe" | number = "pipe",
  ) {
    return new Promise<{ code: number | null; stderr: string }>((resolve, reject) => {
      const child = spawn(process.execPath, [program, ...argv], { stdio: ["ignore", stdout, "pipe"] });
      let stderr = "";
      child.stderr?.on("data", (chunk) => {
        stderr += chunk;
      });
      child.stdout?.once("data", () => during(child));
      child.stdout?.resume();
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, stderr }));
    });
  }

  it("ends quietly when its reader has left", async () => {
    expect(await run(endless, (child) => child.stdout?.destroy())).toEqual({ code: 0, stderr: "" });
  });

  it.each([[["--version"]], [["info", modelPath]]])("says that its output cannot be written: %s", async (argv) => {
    const full = openSync("/dev/full", "w");
    const { code, stderr } = await run(argv, undefined, full);
    closeSync(full);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^r1: .*cannot be written.*ENOSPC.*\n$/);
  });

  it("ends with 130 at Ctrl-C", async () => {
    expect(await run(endless, (child) => child.kill("SIGINT"))).toEqual({ code: 130, stderr: "" });
  });

  it("ends with 0 when it is done", async () => {
    expect(await run(["--version"])).toEqual({ code: 0, stderr: "" });
  });
});
