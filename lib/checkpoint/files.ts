/** Reading a checkpoint's files, with the operating system's refusals turned into errors that say what to do. */
import { type FileHandle, open, stat } from "node:fs/promises";
import { R1Error } from "../errors";

/** config.json and the like are kilobytes; the index of the largest public checkpoint has 10 MB. */
const maxJsonBytes = 100_000_000;

export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}

/** @throws R1Error E_NOT_FOUND */
export async function requireFolder(path: string): Promise<void> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new R1Error(
      "E_NOT_FOUND",
      `The model folder ${path} was not found (${reason(cause)}). Check the path; a model must be downloaded first.`,
      { cause },
    );
  });
  if (!info.isDirectory())
    throw new R1Error(
      "E_NOT_FOUND",
      `${path} is a file; expected a model folder with config.json, tokenizer.json and *.safetensors.`,
    );
}

/** Opens a regular file (never a pipe, which could block) for reading. @throws R1Error E_NOT_FOUND */
export async function openFile(path: string, hint: string): Promise<{ handle: FileHandle; bytes: number }> {
  const missing = (why: string, cause?: unknown) =>
    new R1Error("E_NOT_FOUND", `${path} ${why}. ${hint}`, cause === undefined ? {} : { cause });
  let handle: FileHandle | undefined;
  try {
    const info = await stat(path);
    if (!info.isFile()) throw missing("is not a regular file");
    handle = await open(path, "r");
    return { handle, bytes: (await handle.stat()).size };
  } catch (cause) {
    await handle?.close();
    if (cause instanceof R1Error) throw cause;
    throw missing(`could not be opened (${reason(cause)})`, cause);
  }
}

/** Reads exactly `length` bytes at `position`, less only where the file ends earlier. */
export async function readAt(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

/** A whole JSON file. @throws R1Error E_NOT_FOUND, E_BAD_CHECKPOINT when it is absurdly large */
export async function readSmallFile(path: string, hint: string): Promise<Uint8Array> {
  const { handle, bytes } = await openFile(path, hint);
  try {
    if (bytes > maxJsonBytes)
      throw new R1Error("E_BAD_CHECKPOINT", `${path} has ${bytes} bytes; expected at most ${maxJsonBytes}.`);
    return await readAt(handle, 0, bytes);
  } catch (cause) {
    if (cause instanceof R1Error) throw cause;
    throw new R1Error("E_BAD_CHECKPOINT", `${path} could not be read (${reason(cause)}).`, { cause });
  } finally {
    await handle.close();
  }
}

function reason(cause: unknown): string {
  return (cause as NodeJS.ErrnoException).code ?? String(cause);
}
