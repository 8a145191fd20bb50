/** Files that a command writes once its work is done. */
import { access, constants, mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { R1Error } from "../errors";

/** Before an hour is spent on what cannot be kept. Makes the folder. @throws R1Error E_NOT_FOUND */
export async function checkWritable(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    const there = await stat(path).catch(() => undefined);
    if (there?.isDirectory()) throw new Error("it is a folder");
    await access(there ? path : dirname(path), constants.W_OK);
  } catch (cause) {
    throw new R1Error("E_NOT_FOUND", `${path} cannot be written (${(cause as Error).message}). Name another file.`, {
      cause,
    });
  }
}
