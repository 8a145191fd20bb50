import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { byteCount, type Flags, number, numbers, parseArguments, UsageError } from "../../lib/cli/flags";
import { requestFlags, requestOptions } from "../../lib/cli/request-flags";
import packageJson from "../../package.json";
import { r1 } from "./run";

const commands = ["generate", "chat", "info", "perplexity", "eval", "bench"];

describe("r1", () => {
  it("lists its commands and exit codes", async () => {
    const { code, stdout } = await r1(["--help"]);
    expect(code).toBe(0);
    for (const command of commands) expect(stdout).toContain(`  ${command}`);
    expect(stdout).toContain("Exit codes: 0 done, 1 an error, 2 wrong arguments, 130 interrupted");
  });

  it("says how to use it when it is given nothing", async () => {
    const { code, stdout, stderr } = await r1([]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("Usage: r1 COMMAND");
  });

  it("tells its version", async () => {
    expect(await r1(["--version"])).toMatchObject({ code: 0, stdout: `${packageJson.version}\n` });
  });

  for (const command of commands)
    it(`describes every flag of ${command}`, async () => {
      const { code, stdout } = await r1([command, "--help"]);
      expect(code).toBe(0);
      expect(stdout).toContain(`Usage: r1 ${command}`);
      expect(stdout).toMatch(/ {6}--device|--json/);
      expect((await r1(["help", command])).stdout).toBe(stdout);
      for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
    });

  const wrong: [string, string[], string][] = [
    ["an unknown command", ["gnerate"], 'Unknown command "gnerate"; there are generate'],
    ["the name of a method", ["toString"], "Unknown command"],
    ["an unknown flag", ["generate", "x", "--bogus"], "--bogus"],
    ["a flag without its value", ["generate", "x", "--seed"], "--seed"],
    ["two prompts", ["generate", "x", "y"], 'Unexpected argument "y"'],
    ["no prompt", ["generate", "--model", "."], "No prompt"],
    ["no text to score", ["perplexity", "--model", "."], "No text"],
    ["a number that is none", ["generate", "x", "--top-p", "much"], '--top-p must be a number, found "much"'],
    [
      "a value out of range",
      ["generate", "x", "--model", ".", "--top-p", "7"],
      "--top-p must be a number from 0 to 1, found 7",
    ],
    ["an unknown preset", ["generate", "x", "--model", ".", "--preset", "fast"], "--preset must be one of"],
    ["an unknown device", ["generate", "x", "--model", ".", "--device", "tpu"], "--device must be"],
    [
      "a system message to continue a text after",
      ["generate", "x", "--model", ".", "--raw", "--system", "s"],
      "--system",
    ],
    ["a bias without a value", ["generate", "x", "--model", ".", "--logit-bias", "7"], "TOKEN=BIAS"],
    [
      "a window of one token",
      ["perplexity", "x", "--model", ".", "--window", "1"],
      "--window must be an integer from 2",
    ],
    ["questions asked twice, but without reasoning", ["eval", "--both", "--no-reasoning"], "--no-reasoning"],
    ["no questions", ["eval", "--limit", "0"], "--limit must be an integer from 1 up, found 0"],
    ["too many open questions", ["eval", "--concurrency", "1025"], "--concurrency must be an integer from 1 to 1024"],
    ["half a token", ["eval", "--max-new-tokens", "0.5"], "--max-new-tokens must be an integer from 1"],
    ["a task as an argument", ["eval", "addition"], 'Unexpected argument "addition"'],
    ["nothing to measure", ["bench", "--model", "0.5b"], "decode, prefill, load"],
    [
      "a step that is none",
      ["generate", "x", "--model", ".", "--on-out-of-memory", "cpu,disk"],
      "--on-out-of-memory[1] must",
    ],
    ["load that is none", ["bench", "serve", "--model", "0.5b", "--rate", "0"], "--rate must be a number from 0.01"],
    ["no time to measure", ["bench", "serve", "--model", "0.5b", "--duration", "0"], "--duration must be"],
    ["no sequences to measure", ["bench", "decode", "--model", "0.5b", "--sequences", ""], "--sequences"],
  ];
  for (const [name, argv, message] of wrong)
    it(`exits with 2, one line and a hint for ${name}`, async () => {
      const { code, stdout, stderr } = await r1(argv);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(/^r1: [^\n]* See r1 ([a-z]+ )?--help\.\n$/);
      expect(stderr).toContain(message);
    });

  it("exits with 2 for an empty prompt from a pipe", async () => {
    expect(await r1(["generate", "--model", "."], { stdin: "\n" })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("empty"),
    });
  });
});

describe("errors of the work itself", () => {
  const folder = mkdtempSync(join(tmpdir(), "r1-cli-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("exit with 1 and one line", async () => {
    for (const argv of [
      ["generate", "x", "--model", join(folder, "nowhere")],
      ["info", join(folder, "nowhere")],
      ["perplexity", join(folder, "nowhere"), "--model", folder],
    ]) {
      const { code, stdout, stderr } = await r1(argv);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/^r1: [^\n]*nowhere[^\n]*\n$/);
    }
  });

  it("name the architectures there are when a folder has another", async () => {
    writeFileSync(join(folder, "config.json"), JSON.stringify({ model_type: "mamba" }));
    const { code, stderr } = await r1(["info", folder]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/"mamba" is not supported[^\n]*qwen2/);
  });

  it("show where they come from when R1_DEBUG is set", async () => {
    const { stderr } = await r1(["info", join(folder, "nowhere")], { env: { R1_DEBUG: "1" } });
    expect(stderr).toMatch(/\n {4}at /);
  });
});

describe("flags", () => {
  it("are there for every option of a request but functions and signals", () => {
    const options = [
      "maxNewTokens",
      "minNewTokens",
      "temperature",
      "topK",
      "topP",
      "minP",
      "repetitionPenalty",
      "presencePenalty",
      "frequencyPenalty",
      "logitBias",
      "allowTokens",
      "banTokens",
      "seed",
      "n",
      "logprobs",
      "stop",
      "stopTokens",
      "ignoreEos",
      "preset",
      "priority",
      "timeoutMs",
      "parseSpecial",
    ];
    const names = options.map((option) => option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));
    expect(Object.keys(requestFlags).sort()).toEqual([...names, "no-special-tokens", "no-reasoning"].sort());
  });

  it("become the options of the API", () => {
    const argv = [
      "--max-new-tokens",
      "7",
      "--presence-penalty",
      "-1.5",
      "--logit-bias",
      "5=-2,9=-Infinity",
      "--ban-tokens",
      "1,2",
      "--stop",
      "a",
      "--stop",
      "b,c",
      "--stop-tokens",
      "",
      "--ignore-eos",
      "-n",
      "2",
      "--preset",
      "code",
      "--no-special-tokens",
      "--no-reasoning",
      "--seed=9007199254740991",
    ];
    expect(requestOptions(parseArguments(requestFlags, argv, 0).values)).toEqual({
      maxNewTokens: 7,
      presencePenalty: -1.5,
      logitBias: { 5: -2, 9: Number.NEGATIVE_INFINITY },
      banTokens: [1, 2],
      stop: ["a", "b,c"],
      stopTokens: [],
      ignoreEos: true,
      n: 2,
      preset: "code",
      addSpecialTokens: false,
      reasoning: false,
      seed: Number.MAX_SAFE_INTEGER,
    });
    expect(requestOptions({})).toEqual({});
  });

  it("leave what follows -- alone", () => {
    const flags: Flags = { size: { value: "N", help: "", parse: number } };
    expect(parseArguments(flags, ["--size", "-3", "--", "--size", "-4"], 2)).toEqual({
      values: { size: -3 },
      positionals: ["--size", "-4"],
    });
  });

  it("are read strictly", () => {
    expect(numbers("1, 2,-3", "--x")).toEqual([1, 2, -3]);
    expect(["512", "1.5k", "2MiB", "4G", "1 TB"].map((text) => byteCount(text, "--x"))).toEqual([
      512,
      1536,
      2 ** 21,
      2 ** 32,
      2 ** 40,
    ]);
    for (const text of ["", "G", "1X", "-1", "1e3"]) expect(() => byteCount(text, "--x")).toThrow(UsageError);
    for (const text of ["1,,2", "a"]) expect(() => numbers(text, "--x")).toThrow(UsageError);
  });
});
