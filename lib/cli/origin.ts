/** Where recorded figures come from. */
import { execFileSync } from "node:child_process";
import { arch, cpus, platform, release } from "node:os";
import { join } from "node:path";

export interface Origin {
  /** Of the working tree the figures are from, or R1_COMMIT; "" where neither is known. "+" marks uncommitted changes. */
  commit: string;
  date: string;
  host: string;
}

export function origin(): Origin {
  return {
    commit: commit(),
    date: new Date().toISOString(),
    host: `${platform()} ${release()} ${arch()}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}`,
  };
}

function commit(): string {
  if (process.env.R1_COMMIT) return process.env.R1_COMMIT;
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: join(__dirname, "../.."), encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  try {
    return git("rev-parse", "--short=12", "HEAD").trim() + (git("status", "--porcelain", "-uno").trim() ? "+" : "");
  } catch {
    return "";
  }
}
