/** A model folder in a real model's shape with random weights: what `r1 bench load` reads. Gigabytes, and deleted after use. */
import { rmSync } from "node:fs";
import { type FileHandle, mkdtemp, open, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomCheckpoint, shapes } from "../checkpoint/random";
import { AbortError, R1Error } from "../errors";
import type { NativePart } from "../native";
import { syntheticTokenizer } from "./synthetic-tokenizer";

export interface SyntheticOptions {
  /** The folder to make it in. Default: the system's for temporary files. */
  dir?: string;
  signal?: AbortSignal;
  /** Of a shard, at most. Default 5 GB. */
  shardBytes?: number;
}

const spareBytes = 256 * 2 ** 20;
const poolBytes = 16 * 2 ** 20;
const deadlySignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Writes the folder, calls `use` with its path, and deletes it however that ends, also when the process is told to end.
 *
 * @param shape a name in {@link shapes} or a config.json of one's own
 * @throws R1Error E_FILE where there is too little room; AbortError; what `use` throws
 */
export async function withSyntheticFolder<T>(
  shape: string | (typeof shapes)[string],
  options: SyntheticOptions,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const { dir = tmpdir(), signal, shardBytes = 5e9 } = options;
  const json = typeof shape === "string" ? shapes[shape] : shape;
  const parts = randomCheckpoint(shape).weights.flatMap((weight) => weight.parts);
  await checkRoom(dir, parts.reduce((sum, part) => sum + bytesOf(part), 0) + spareBytes);
  const folder = await mkdtemp(join(dir, "r1-synthetic-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const ended = (name: NodeJS.Signals) => {
    remove();
    process.kill(process.pid, name); // `once`: nobody holds it up any more
  };
  // The program `r1` has a listener of its own for Ctrl-C.
  const signals = deadlySignals.filter((name) => process.listenerCount(name) === 0);
  for (const name of signals) process.once(name, ended);
  process.once("exit", remove);
  try {
    await writeFile(join(folder, "config.json"), JSON.stringify(json));
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(syntheticTokenizer(Number(json.vocab_size))));
    await writeShards(folder, inShards(parts, shardBytes), signal);
    return await use(folder);
  } finally {
    remove();
    for (const name of signals) process.off(name, ended);
    process.off("exit", remove);
  }
}

async function checkRoom(dir: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(dir).catch((cause: Error) => {
    throw new R1Error("E_FILE", `${dir} cannot be used (${cause.message}).`, { cause });
  });
  if (bavail * bsize < needed)
    throw new R1Error(
      "E_FILE",
      `${dir} has ${bavail * bsize} bytes free, and ${needed} are needed. Name another folder (--dir), or a smaller ` +
        "shape (--synthetic).",
    );
}

const bytesOf = ({ rows, cols }: NativePart) => rows * cols * 2;

/** In order, about equally large. */
function inShards(parts: NativePart[], most: number): NativePart[][] {
  const total = parts.reduce((sum, part) => sum + bytesOf(part), 0);
  const target = total / Math.ceil(total / most);
  const shards: NativePart[][] = [];
  let end = 0;
  let bytes = 0;
  for (const part of parts) {
    if (shards.length === 0 || bytes + bytesOf(part) > end) {
      shards.push([]);
      end = bytes + Math.max(target, bytesOf(part));
    }
    shards[shards.length - 1].push(part);
    bytes += bytesOf(part);
  }
  return shards;
}

async function writeShards(folder: string, shards: NativePart[][], signal: AbortSignal | undefined): Promise<void> {
  const name = (n: number) => `model-${String(n + 1).padStart(5, "0")}-of-${String(shards.length).padStart(5, "0")}`;
  const file = (n: number) => `${name(n)}.safetensors`;
  const places = shards.flatMap((parts, n) => parts.map((part) => [part.name, file(n)]));
  const index = JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(places) });
  await writeFile(join(folder, "model.safetensors.index.json"), index);
  const pools = new Map<number, Buffer>();
  // All at once: writing is copying into the page cache, which several threads do sooner.
  const stopped = new AbortController();
  const both = signal ? AbortSignal.any([signal, stopped.signal]) : stopped.signal;
  const written = await Promise.allSettled(
    shards.map((parts, n) =>
      writeShard(join(folder, file(n)), parts, pools, both).catch((error) => {
        stopped.abort(error);
        throw error;
      }),
    ),
  );
  if (signal?.aborted) throw new AbortError(signal.reason, undefined);
  for (const one of written) if (one.status === "rejected") throw stopped.signal.reason;
}

async function writeShard(path: string, parts: NativePart[], pools: Map<number, Buffer>, signal: AbortSignal) {
  let offset = 0;
  const entries = parts.map((part) => {
    const begin = offset;
    offset += bytesOf(part);
    const shape = part.cols === 1 ? [part.rows] : [part.rows, part.cols];
    return [part.name, { dtype: "BF16", shape, data_offsets: [begin, offset] }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const handle = await open(path, "wx");
  try {
    await writeAll(handle, Buffer.concat([length, header]));
    for (const part of parts) {
      const scale = part.scale ?? 1;
      const pool = pools.get(scale) ?? randomBf16(scale);
      pools.set(scale, pool);
      for (let left = bytesOf(part); left > 0; left -= Math.min(left, pool.length)) {
        signal.throwIfAborted();
        await writeAll(handle, pool.subarray(0, Math.min(left, pool.length)));
      }
    }
  } catch (cause) {
    if (signal.aborted || cause instanceof R1Error) throw cause;
    throw new R1Error("E_FILE", `${path} cannot be written (${(cause as Error).message}).`, { cause });
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
}

/** Values uniform in ±scale. They repeat every 8 million: making up all of them would take minutes. */
function randomBf16(scale: number): Buffer {
  const values = new Uint16Array(poolBytes / 2);
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  let state = 1;
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator
    float[0] = scale * (state / 2 ** 31 - 1);
    values[i] = bits[0] >>> 16;
  }
  return Buffer.from(values.buffer);
}
