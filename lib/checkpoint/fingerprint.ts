/** What tells one model from another, without reading all of its weights. */
import { createHash } from "node:crypto";
import { R1Error } from "../errors";
import type { NativePart } from "../native";
import type { Checkpoint } from "./checkpoint";
import { openFile, readAt } from "./files";

/** Read of each tensor at either end: cheap for any model, and no fine-tune leaves all of these bytes as they were. */
const sampleBytes = 4096;
const bytesOf = { F32: 4, BF16: 2, F16: 2 } as const;

type Sampled = Pick<Checkpoint, "config" | "files" | "weights">;

const known = new WeakMap<Sampled, Promise<string>>();

/**
 * A SHA-256 in hexadecimal over the config as the engine is given it (`ropeScaling` included), and of every tensor the
 * name, type, shape, and its first and last 4 KiB. The same weights in other files, or in another order of shards, have
 * the same hash. Read on the first call.
 *
 * @throws R1Error E_NOT_FOUND, E_BAD_CHECKPOINT when the files have changed since they were opened
 */
export function modelHash(checkpoint: Sampled): Promise<string> {
  let hash = known.get(checkpoint);
  if (!hash) {
    hash = hashModel(checkpoint);
    known.set(checkpoint, hash);
    hash.catch(() => known.delete(checkpoint));
  }
  return hash;
}

async function hashModel({ config, files, weights }: Sampled): Promise<string> {
  const hash = createHash("sha256");
  const plain = { ...config, invFreq: Array.from(config.invFreq), windows: Array.from(config.windows) };
  hash.update(JSON.stringify(Object.entries(plain).sort(([a], [b]) => (a < b ? -1 : 1))));
  const parts = weights.flatMap((weight) => weight.parts.map((part) => ({ ...part, weight: weight.name })));
  const handles = await Promise.all(
    files.map((file) => openFile(file, "The model's files must stay while it is used.")),
  );
  try {
    for (const part of parts) {
      const { weight, name, dtype, rows, cols } = part;
      hash.update(JSON.stringify([weight, name, dtype, rows, cols]));
      for (const [offset, bytes] of samples(part)) {
        const { handle } = handles[part.file as number];
        const sample = await readAt(handle, offset, bytes);
        if (sample.length < bytes)
          throw new R1Error(
            "E_BAD_CHECKPOINT",
            `${files[part.file as number]}: tensor ${name} ends early: the file has changed since it was loaded.`,
          );
        hash.update(sample);
      }
    }
  } finally {
    await Promise.all(handles.map(({ handle }) => handle.close()));
  }
  return hash.digest("hex");
}

/** Offsets in the file and lengths; one stretch where the two would meet, none for a made-up tensor. */
function samples({ file, offset = 0, rows, cols, dtype }: NativePart): [number, number][] {
  if (file === undefined) return [];
  const bytes = rows * cols * bytesOf[dtype];
  if (bytes <= 2 * sampleBytes) return [[offset, bytes]];
  return [
    [offset, sampleBytes],
    [offset + bytes - sampleBytes, sampleBytes],
  ];
}
