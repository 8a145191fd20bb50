/** Writing and reading files piece by piece, with a SHA-256 over all that has gone by. */
import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { openFile } from "../checkpoint/files";
import { R1Error } from "../errors";
import { checksumBytes, damaged } from "./header";

/** Bytes at a time: what is held in memory, and how long an engine is kept from its steps. */
export const pieceBytes = 4 * 2 ** 20;

/** What the operating system said, as an error that says what to do; errors of our own as they are. */
function refused(error: unknown, doing: string, path: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof R1Error || typeof code !== "string" || typeof syscall !== "string") return error;
  if (code === "ENOENT" && doing === "written")
    return new R1Error(
      "E_NOT_FOUND",
      `${path} cannot be written: the folder ${dirname(path)} does not exist. Create it.`,
      {
        cause: error,
      },
    );
  const advice = code === "ENOSPC" ? "Make room on the disk." : "Check the path and its permissions.";
  return new R1Error("E_FILE", `${path} cannot be ${doing} (${code}). ${advice}`, { cause: error });
}

/** A conversation is nobody else's business. */
const ownerOnly = 0o600;

/**
 * Makes a file of what `write` hands over, and its checksum behind it. It comes to be under a name of its own and takes
 * the place of `path` once it is whole and on the disk; otherwise nothing is left of it.
 *
 * @throws R1Error E_NOT_FOUND, E_FILE; what `write` throws
 */
export async function writeWhole(
  path: string,
  write: (put: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(6).toString("hex")}.tmp`;
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, "wx", ownerOnly);
    const hash = createHash("sha256");
    const file = handle;
    await write(async (bytes) => {
      hash.update(bytes);
      await writeAll(file, bytes);
    });
    await writeAll(file, hash.digest());
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await handle?.close().catch(() => {});
    if (handle) await unlink(temporary).catch(() => {});
    throw refused(error, "written", path);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done, bytes.length - done)).bytesWritten;
}

/** Reads a file that ends with the checksum of all before it. */
export class CheckedReader {
  readonly path: string;
  /** Of the file, checksum included. */
  readonly bytes: number;
  readonly #handle: FileHandle;
  #hash = createHash("sha256");
  #at = 0;

  private constructor(path: string, handle: FileHandle, bytes: number) {
    this.path = path;
    this.#handle = handle;
    this.bytes = bytes;
  }

  /** @throws R1Error E_NOT_FOUND */
  static async open(path: string): Promise<CheckedReader> {
    const { handle, bytes } = await openFile(path, "Check the path; session.save() writes such files.");
    return new CheckedReader(path, handle, bytes);
  }

  /** The next bytes. @throws R1Error E_BAD_INPUT where the file ends before, E_FILE */
  async next(count: number): Promise<Uint8Array> {
    const bytes = await this.#read(count);
    this.#hash.update(bytes);
    return bytes;
  }

  /** Goes over all that has not been read and compares the checksum. @throws R1Error E_BAD_INPUT, E_FILE */
  async verify(): Promise<void> {
    const end = this.bytes - checksumBytes;
    if (end < 0) throw damaged(this.path, `it has ${this.bytes} bytes`);
    while (this.#at < end) await this.next(Math.min(pieceBytes, end - this.#at));
    const expected = this.#hash.digest();
    this.#hash = createHash("sha256");
    if (!expected.equals(await this.#read(checksumBytes)))
      throw damaged(this.path, "its checksum (SHA-256) is not that of its content");
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #read(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    for (let done = 0; done < count; ) {
      const { bytesRead } = await this.#handle
        .read(bytes, done, count - done, this.#at + done)
        .catch((error) => Promise.reject(refused(error, "read", this.path)));
      if (bytesRead === 0) throw damaged(this.path, `it ends at byte ${this.#at + done}`);
      done += bytesRead;
    }
    this.#at += count;
    return bytes;
  }
}
