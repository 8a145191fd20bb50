/** Starts the child processes of these tests and waits for their end. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

export type Entry = "child.cjs" | "child.mjs";

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export function start(entry: Entry, request: object, flags: string[] = []): ChildProcess {
  const file = join(__dirname, entry);
  return spawn(process.execPath, [...flags, file, JSON.stringify(request)], { stdio: ["pipe", "pipe", "pipe"] });
}

/** @param limit milliseconds, after which the child is killed */
export async function ended(child: ChildProcess, limit = 55_000): Promise<Ended> {
  const out = { stdout: "", stderr: "" };
  child.stdout!.on("data", (text) => {
    out.stdout += text;
  });
  child.stderr!.on("data", (text) => {
    out.stderr += text;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), limit);
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...out });
    });
  });
}

export function run(entry: Entry, request: object, flags?: string[], limit?: number): Promise<Ended> {
  return ended(start(entry, request, flags), limit);
}
