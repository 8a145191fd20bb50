/** Loading: from the call until the first request could be served. */
import { open } from "node:fs/promises";
import type { NativeEngineInfo } from "../native";
import type { BenchContext, BenchResult } from "./bench";
import { benchCheckpoint, loadEngine, median } from "./bench-engine";

const contextLength = 2048;

export async function benchLoad({ checkpoint: { files }, target, options }: BenchContext): Promise<BenchResult> {
  const { repeats = 3 } = options;
  // Reading everything once before brings the files into the page cache, so that both sides of the share are warm.
  await readFiles(files);
  const fileRate = files.length > 0 ? await readFiles(files) : undefined;
  const headers: number[] = [];
  const seconds: number[] = [];
  let info: NativeEngineInfo | undefined;
  for (let n = 0; n < repeats; n++) {
    const start = performance.now();
    const checkpoint = await benchCheckpoint(options.model);
    headers.push(performance.now() - start);
    const client = await loadEngine(checkpoint, target, 1, Math.min(contextLength, checkpoint.contextLength));
    seconds.push((performance.now() - start) / 1000);
    info = client.info;
    await client.dispose();
  }
  const loaded = info as NativeEngineInfo;
  const rate = loaded.weightBytes / median(seconds);
  const columns = {
    ...{ weights: files.length > 0 ? "files" : "made up", "GB on device": loaded.weightBytes / 1e9 },
    ...{ s: median(seconds), "ms headers": median(headers), "GB/s": rate / 1e9 },
    ...(fileRate === undefined ? {} : { "files GB/s": fileRate / 1e9, "share of files": rate / fileRate }),
  };
  return { info: loaded, rows: [{ columns }] };
}

/** Bytes per second of reading the files from start to end in pieces of 8 MiB, on one thread. */
async function readFiles(files: string[]): Promise<number> {
  const piece = Buffer.alloc(8 * 2 ** 20);
  const start = performance.now();
  let bytes = 0;
  for (const file of files) {
    const handle = await open(file, "r");
    try {
      for (;;) {
        const { bytesRead } = await handle.read(piece, 0, piece.length);
        if (bytesRead === 0) break;
        bytes += bytesRead;
      }
    } finally {
      await handle.close();
    }
  }
  return (bytes / (performance.now() - start)) * 1000;
}
