/** Loading: from the call until the first request could be served, and in a fresh process until its first token. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Checkpoint, openCheckpoint } from "../checkpoint/checkpoint";
import { AbortError, R1Error } from "../errors";
import { binding, kernelFile, type NativeEngineInfo } from "../native";
import { benchCheckpoint, failingAsR1Error, loadEngine, median } from "./bench-engine";
import type { BenchContext, BenchMeasurement, BenchResult, BenchRow, BenchTarget } from "./bench-types";
import type { FirstToken } from "./first-token";
import { withSyntheticFolder } from "./synthetic-folder";

const contextLength = 2048;
/** Compiled: the child is a plain process, whatever runs the bench. */
const childFile = join(__dirname, "../../dist/cli/first-token.js");

/** What `r1 bench load` makes a folder of when it is given none. */
export const defaultSynthetic = "7b";

export async function benchLoad(context: BenchContext): Promise<BenchResult> {
  const { options, signal } = context;
  if (options.model !== undefined) return measure(context, () => benchCheckpoint(options.model), options.model);
  const made = { dir: options.dir, signal };
  return withSyntheticFolder(options.synthetic ?? defaultSynthetic, made, (folder) =>
    measure(context, () => openCheckpoint(folder), folder),
  );
}

async function measure(context: BenchContext, open: () => Promise<Checkpoint>, model: string): Promise<BenchResult> {
  const { target, options, signal } = context;
  const { files } = await open();
  // Reading everything once before brings the files into the page cache.
  if (files.length > 0) await loadRates(files, target);
  const rates = files.length > 0 ? await loadRates(files, target) : undefined;
  const headers: number[] = [];
  const seconds: number[] = [];
  const engine: NativeEngineInfo["loadMs"][] = [];
  let info: NativeEngineInfo | undefined;
  for (let n = 0; n < (options.repeats ?? 3); n++) {
    const start = performance.now();
    const checkpoint = await open();
    headers.push(performance.now() - start);
    const client = await loadEngine(checkpoint, target, 1, Math.min(contextLength, checkpoint.contextLength), signal);
    seconds.push((performance.now() - start) / 1000);
    info = client.info;
    engine.push(client.info.loadMs);
    await client.dispose();
  }
  const loaded = info as NativeEngineInfo;
  const rate = loaded.weightBytes / (median(engine.map((ms) => ms.weights)) / 1000);
  const share = (name: string, of: number): BenchRow =>
    of > 0 ? { [`${name} GB/s`]: of / 1e9, [`share of ${name}`]: rate / of } : {};
  const columns: BenchRow = {
    ...{ load: files.length > 0 ? "files" : "made up", "GB on device": loaded.weightBytes / 1e9 },
    ...{ s: median(seconds), "ms prepare": median(headers), ...stages(engine) },
    ...{ "GB/s": loaded.weightBytes / median(seconds) / 1e9, "weights GB/s": rate / 1e9 },
    ...(rates ? { ...share("read", rates.readBytesPerS), ...share("upload", rates.uploadBytesPerS) } : {}),
  };
  const rows: BenchMeasurement[] = [{ columns }];
  if (files.length > 0) rows.push({ columns: await firstTokens(model, context) });
  return { info: loaded, rows };
}

/** Medians. */
function stages(engine: NativeEngineInfo["loadMs"][]): BenchRow {
  const of = (stage: keyof NativeEngineInfo["loadMs"]) => median(engine.map((ms) => ms[stage]));
  return { "ms device": of("device"), "ms weights": of("weights"), "ms warm-up": of("warmup") };
}

async function loadRates(files: string[], { device, deviceIndex, threads, family }: BenchTarget) {
  const kernels = device === "cuda" ? kernelFile() : "";
  const spec = { device, deviceIndex, kernelFile: kernels, threads: device === "cuda" ? threads : 0, family, files };
  return failingAsR1Error(binding().measureLoadCeilings(spec));
}

/** A fresh process for each repeat. */
async function firstTokens(modelPath: string, { target, options, signal }: BenchContext): Promise<BenchRow> {
  const { device, deviceIndex, precision, threads } = target;
  const load = {
    ...{ modelPath, precision, contextLength },
    device: device === "cuda" ? `cuda:${deviceIndex}` : device,
    ...(threads > 0 ? { threads } : {}),
  };
  const results: FirstToken[] = [];
  for (let n = 0; n < (options.repeats ?? 3); n++) results.push(await inChild(load, signal));
  const of = (ms: (result: FirstToken) => number) => median(results.map(ms));
  return {
    ...{ load: "first token", s: of(({ total }) => total) / 1000, "ms prepare": of(({ loadMs }) => loadMs.prepare) },
    ...stages(results.map(({ loadMs }) => loadMs)),
    "ms beside": of(({ loadMs: { total, prepare, device: ready, weights, warmup } }) =>
      Math.max(0, total - prepare - ready - weights - warmup),
    ),
    "ms first step": of(({ total, loadMs }) => total - loadMs.total),
  };
}

async function inChild(load: object, signal: AbortSignal | undefined): Promise<FirstToken> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [childFile, JSON.stringify(load)], { signal });
    return JSON.parse(stdout);
  } catch (cause) {
    if (signal?.aborted) throw new AbortError(signal.reason, undefined);
    const { stderr, message } = cause as { stderr?: string; message: string };
    throw new R1Error("E_INTERNAL", `A process could not load the model: ${stderr || message}`, { cause });
  }
}
