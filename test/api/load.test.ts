/** Loading: what may be asked for, what is reported, and what can go wrong. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { DeepSeekR1, type LoadOptions, type LoadProgress, R1Error, type Warning } from "../../lib";
import { cudaDevices } from "../../lib/device";
import { devices } from "../support/devices";
import { loadTiny, tinyFolder } from "../support/tiny";

// biome-ignore lint/suspicious/noExplicitAny: callers in JavaScript can pass anything
const load = (options: any) => DeepSeekR1.load(options);

/** Of this process: engines, and what works for them. */
const engineThreads = () =>
  readdirSync("/proc/self/task").filter((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, "utf8").startsWith("r1-");
    } catch {
      return false; // it has ended meanwhile
    }
  }).length;

const scratch = mkdtempSync(join(tmpdir(), "r1-load-"));
afterAll(() => rmSync(scratch, { recursive: true }));

describe("options", () => {
  it.each([
    [{ modelPath: 5 }, TypeError, /modelPath must be a string, found 5/],
    [{ modelPath: "" }, RangeError, /modelPath/],
    [{ modelPath: tinyFolder, path: "a" }, TypeError, /unknown name "path"; expected one of modelPath, device/],
    [{ modelPath: tinyFolder, device: 0 }, TypeError, /device must be a string/],
    [
      { modelPath: tinyFolder, device: "gpu" },
      RangeError,
      /device must be "auto", "cpu", "cuda" or "cuda:N", found "gpu"/,
    ],
    [{ modelPath: tinyFolder, device: "cpu:1" }, RangeError, /device/],
    [{ modelPath: tinyFolder, device: "cuda:-1" }, RangeError, /device/],
    [{ modelPath: tinyFolder, precision: "int4" }, RangeError, /precision must be one of "f32", "bf16", "fp16"/],
    [{ modelPath: tinyFolder, contextLength: 0 }, RangeError, /contextLength/],
    [{ modelPath: tinyFolder, contextLength: "4k" }, TypeError, /contextLength/],
    [{ modelPath: tinyFolder, kvMemory: -1 }, RangeError, /kvMemory/],
    [{ modelPath: tinyFolder, memoryLimit: 1.5 }, RangeError, /memoryLimit/],
    [{ modelPath: tinyFolder, maxSequences: 0 }, RangeError, /maxSequences must be an integer from 1 to 1024/],
    [{ modelPath: tinyFolder, sessionKvShare: 0.95 }, RangeError, /sessionKvShare must be a number from 0 to 0.9/],
    [{ modelPath: tinyFolder, threads: 0 }, RangeError, /threads/],
    [{ modelPath: tinyFolder, ropeScaling: "yarn" }, TypeError, /ropeScaling/],
    [{ modelPath: tinyFolder, ropeScaling: { factor: 4 } }, TypeError, /ropeScaling.rope_type must be a string/],
    [{ modelPath: tinyFolder, onProgress: true }, TypeError, /onProgress must be a function/],
    [{ modelPath: tinyFolder, onWarning: {} }, TypeError, /onWarning must be a function/],
    [{ modelPath: tinyFolder, signal: "stop" }, TypeError, /signal must be an AbortSignal/],
  ])("%o is refused", async (options, type, message) => {
    const error = await load(options).catch((caught) => caught);
    expect(error).toBeInstanceOf(type);
    expect(error.message).toMatch(message);
  });

  it("quantization is for a later version", async () => {
    const error = await load({ modelPath: tinyFolder, quantization: "int8" }).catch((caught) => caught);
    expect(error).toBeInstanceOf(R1Error);
    expect(error).toMatchObject({ code: "E_UNSUPPORTED", message: expect.stringContaining('"int8"') });
  });
});

describe("failures", () => {
  it("name a folder or file that is not there", async () => {
    await expect(load({ modelPath: join(scratch, "nowhere"), device: "cpu" })).rejects.toMatchObject({
      code: "E_NOT_FOUND",
      message: expect.stringContaining("nowhere"),
    });
    const folder = join(scratch, "no-tokenizer");
    cpSync(tinyFolder, folder, { recursive: true });
    rmSync(join(folder, "tokenizer.json"));
    await expect(load({ modelPath: folder, device: "cpu" })).rejects.toMatchObject({
      code: "E_NOT_FOUND",
      message: expect.stringContaining("tokenizer.json"),
    });
  });

  it("of the tokenizer end a load whose weights are read meanwhile", async () => {
    const folder = join(scratch, "bad-tokenizer");
    cpSync(tinyFolder, folder, { recursive: true });
    writeFileSync(join(folder, "tokenizer.json"), '{ "model": ');
    for (let n = 0; n < 20; n++)
      await expect(load({ modelPath: folder, device: "cpu" })).rejects.toMatchObject({
        code: "E_BAD_CHECKPOINT",
        message: expect.stringContaining("tokenizer.json"),
      });
    await expect.poll(engineThreads).toBe(0);
  });

  it("come before anything is allocated where memory does not suffice", async () => {
    const stages: string[] = [];
    const onProgress = ({ stage }: LoadProgress) => stages.push(stage);
    const error = await loadTiny("cpu", { memoryLimit: 100_000, onProgress }).catch((caught) => caught);
    expect(error).toMatchObject({ code: "E_OUT_OF_MEMORY", message: expect.stringMatching(/\d/) });
    expect(stages).not.toContain("allocate");
  });

  it("say what is missing for a GPU that is not there", async () => {
    const index = cudaDevices().devices.length;
    const error = await load({ modelPath: tinyFolder, device: `cuda:${index}` }).catch((caught) => caught);
    expect(error).toBeInstanceOf(R1Error);
    expect(error).toMatchObject({ code: "E_DEVICE_UNAVAILABLE", message: expect.stringMatching(/driver|GPU|device/i) });
  });

  it("are an AbortError when the signal fires, before or during", async () => {
    await expect(loadTiny("cpu", { signal: AbortSignal.abort("no") })).rejects.toMatchObject({
      name: "AbortError",
      code: "E_ABORTED",
      cause: "no",
    });
    const controller = new AbortController();
    const onProgress = () => controller.abort("enough");
    await expect(loadTiny("cpu", { signal: controller.signal, onProgress })).rejects.toMatchObject({
      code: "E_ABORTED",
      cause: "enough",
    });
  });

  it("pass on what listeners throw", async () => {
    const onProgress = () => {
      throw new Error("progress");
    };
    await expect(loadTiny("cpu", { onProgress })).rejects.toThrow("progress");
    const onWarning = () => {
      throw new Error("warning");
    };
    await expect(loadTiny("cpu", { contextLength: 200_000, onWarning })).rejects.toThrow("warning");
  });
});

describe("device auto", () => {
  it("takes a GPU if there is one, else the CPU, and says why", async () => {
    const onWarning = vi.fn();
    const model = await load({ modelPath: tinyFolder, onWarning });
    const { devices: gpus, reason } = cudaDevices();
    const listener = vi.fn();
    model.on("warning", listener);
    if (gpus.length > 0) {
      expect(model.info.device.kind).toBe("cuda");
      expect(onWarning).not.toHaveBeenCalled();
    } else {
      expect(model.info).toMatchObject({ precision: "f32", device: { kind: "cpu" } });
      const warning = { code: "device-fallback", message: expect.stringContaining(reason) };
      expect(onWarning.mock.calls).toEqual([[warning]]);
      await expect.poll(() => listener.mock.calls).toEqual([[warning]]);
    }
    await model.dispose();
  });
});

describe.each(devices)("on %s", (device) => {
  const options = { temperature: 0, maxNewTokens: 12, ignoreEos: true } as const;
  const prompt = Array.from({ length: 100 }, (_, i) => 20 + i);

  async function withModel<T>(more: Partial<LoadOptions>, use: (model: DeepSeekR1) => Promise<T> | T): Promise<T> {
    await using model = await loadTiny(device, more);
    return await use(model);
  }
  const tokens = (more: Partial<LoadOptions>) =>
    withModel(more, async (model) => (await model.generate(prompt, options)).tokens);

  it("progress goes from nothing to everything", async () => {
    const seen: LoadProgress[] = [];
    await withModel({ onProgress: (progress) => seen.push(progress) }, (model) => {
      const stages = [...new Set(seen.map((progress) => progress.stage))];
      expect(stages).toEqual(["check", "allocate", "weights", "warmup"]);
      const last = seen.at(-1)!;
      expect(last.tensors).toBe(last.totalTensors);
      expect(last.tensors).toBeGreaterThan(20);
      expect(last.bytes).toBe(last.totalBytes);
      expect(last.bytes).toBe(model.info.memory.weights);
      for (let i = 1; i < seen.length; i++) expect(seen[i].bytes).toBeGreaterThanOrEqual(seen[i - 1].bytes);
    });
  });

  it("info says how long it took", async () => {
    const begin = performance.now();
    await withModel({}, ({ info: { loadMs } }) => {
      expect(loadMs.total).toBeLessThanOrEqual(performance.now() - begin);
      for (const ms of [loadMs.prepare, loadMs.device, loadMs.weights]) expect(ms).toBeGreaterThan(0);
      const { prepare, device, weights, warmup } = loadMs;
      expect(prepare + device + weights + warmup).toBeLessThanOrEqual(loadMs.total);
    });
  });

  it("info says what was loaded", async () => {
    await withModel({ contextLength: 512, maxSequences: 4 }, (model) => {
      expect(model.info).toMatchObject({
        modelPath: tinyFolder,
        embedded: false,
        family: "qwen2",
        parameters: 685696,
        vocabulary: 512,
        contextLength: 512,
        precision: "f32",
        maxSequences: 4,
        device: { kind: device, name: expect.stringMatching(/./) },
        memory: { kvPerToken: 3 * 2 * 64 * 4 },
      });
      expect(model.info.memory.weights).toBeGreaterThan(685696 * 2);
    });
  });

  it("each precision runs", async () => {
    const f32 = await tokens({});
    for (const precision of device === "cpu" ? (["f32", "bf16"] as const) : (["f32", "bf16", "fp16"] as const)) {
      const other = await tokens({ precision });
      expect(other).toHaveLength(12);
      if (precision === "f32") expect(other).toEqual(f32);
    }
  });

  it("ropeScaling replaces the file's", async () => {
    expect(await tokens({ ropeScaling: { rope_type: "linear", factor: 1 } })).toEqual(await tokens({}));
    expect(await tokens({ ropeScaling: { rope_type: "linear", factor: 50 } })).not.toEqual(await tokens({}));
    const error = await tokens({ ropeScaling: { rope_type: "spiral", factor: 2 } }).catch((caught) => caught);
    expect(error.message).toContain("spiral");
  });

  it("more requests than maxSequences wait for their turn", async () => {
    await withModel({ maxSequences: 2, contextLength: 256 }, async (model) => {
      const one = await model.generate(prompt, options);
      const all = await Promise.all(Array.from({ length: 9 }, () => model.generate(prompt, options)));
      expect(all.map((result) => result.tokens)).toEqual(Array(9).fill(one.tokens));
    });
  });

  it("a small kvMemory bounds the context, with a warning, and requests still finish", async () => {
    const warnings: Warning[] = [];
    const kvMemory = 64 * 1536 * 8;
    await withModel({ kvMemory, contextLength: 1024, onWarning: (w) => warnings.push(w) }, async (model) => {
      expect(model.info.contextLength).toBe(512);
      expect(warnings).toEqual([{ code: "short-context", message: expect.stringContaining("512 tokens") }]);
      const long = { temperature: 0, maxNewTokens: 300, ignoreEos: true } as const;
      const one = await model.generate(prompt, long);
      const all = await Promise.all([1, 2, 3, 4].map(() => model.generate(prompt, long)));
      expect(all.map((result) => result.tokens)).toEqual(Array(4).fill(one.tokens));
    });
  });

  it("a context beyond what the model was made for is allowed, with a warning", async () => {
    const warnings: Warning[] = [];
    await withModel({ contextLength: 200_000, onWarning: (warning) => warnings.push(warning) }, (model) => {
      expect(model.info.contextLength).toBe(200_000);
    });
    expect(warnings).toEqual([{ code: "long-context", message: expect.stringContaining("131072") }]);
  });

  it("two models live side by side", async () => {
    await withModel({}, (a) =>
      withModel({}, async (b) => {
        const [one, other] = await Promise.all([a.generate(prompt, options), b.generate(prompt, options)]);
        expect(one.tokens).toEqual(other.tokens);
        await a.dispose();
        expect((await b.generate(prompt, options)).tokens).toEqual(one.tokens);
      }),
    );
  });

  it("dispose rejects what is open and what comes later, and may be called again", async () => {
    const model = await loadTiny(device);
    const disposed = vi.fn();
    model.on("disposed", disposed);
    const open = model.generate(prompt, { ignoreEos: true });
    const stream = model.stream({ text: "a" }, { ignoreEos: true });
    await stream.next();
    const scoring = model.logprobs(prompt.concat(prompt));
    const outcomes = Promise.allSettled([open, scoring]);
    await Promise.all([model.dispose(), model.dispose()]);
    await model.dispose();
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: { code: "E_DISPOSED" } });
    await expect(stream.next()).rejects.toMatchObject({ code: "E_DISPOSED" });
    await expect(model.chat("a")).rejects.toMatchObject({ code: "E_DISPOSED" });
    await expect(model.logprobs("a")).rejects.toMatchObject({ code: "E_DISPOSED" });
    await expect(model.stream("a").next()).rejects.toMatchObject({ code: "E_DISPOSED" });
    expect(disposed).toHaveBeenCalledTimes(1);
    expect(model.stats()).toMatchObject({ running: 0, kvBlocks: 0 });
    expect(model.tokenizer.decode([20])).not.toBe("");
  });
});
