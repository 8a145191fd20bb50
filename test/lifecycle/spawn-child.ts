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

export async function ended(child: ChildProcess): Promise<Ended> {
  const out = { stdout: "", stderr: "" };
  child.stdout!.on("data", (text) => {
    out.stdout += text;
  });
  child.stderr!.on("data", (text) => {
    out.stderr += text;
  });
  const limit = setTimeout(() => child.kill("SIGKILL"), 100_000);
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearTimeout(limit);
      resolve({ code, signal, ...out });
    });
  });
}

export function run(entry: Entry, request: object, flags?: string[]): Promise<Ended> {
  return ended(start(entry, request, flags));
}
