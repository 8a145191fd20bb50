/** Processes and worker threads that end at any stage, in any way, and never by a crash. */
import { describe, expect, it } from "vitest";
import { devices } from "../support/devices";
import { type Ended, run } from "./spawn-child";

const stages = ["loading", "idle", "streaming", "talking", "disposing"] as const;

/** How a process is to end. */
const ends: Record<string, Partial<Ended>> = {
  return: { code: 0, signal: null },
  exit: { code: 7, signal: null },
  throw: { code: 1, signal: null },
  kill: { code: null, signal: "SIGKILL" },
  terminate: { code: null, signal: "SIGTERM" },
  "dispose twice": { code: 0, signal: null },
};

// Beside each other: a child mostly waits for its start and for the driver's.
describe.concurrent.each(devices)("on %s", (device) => {
  describe.each(["child.cjs", "child.mjs"] as const)("%s", (entry) => {
    it.each(stages.flatMap((stage) => Object.keys(ends).map((action) => ({ stage, action }))))(
      "$action while $stage",
      async ({ stage, action }) => {
        const result = await run(entry, { name: "act", device, stage, action });
        expect(result).toMatchObject(ends[action]);
        if (result.code === 0) expect(result).toMatchObject({ stdout: "done\n", stderr: "" });
        else if (action === "throw") expect(result.stderr).toContain("uncaught on purpose");
        else expect(result.stderr).toBe("");
      },
    );
  });

  it.each(["loading", "idle", "streaming", "talking"] as const)(
    "a model dropped while %s is collected",
    async (stage) => {
      const result = await run("child.cjs", { name: "drop", device, stage }, ["--expose-gc"]);
      expect(result).toMatchObject({ code: 0, stdout: "done\n", stderr: "" });
    },
  );

  it.each(stages.flatMap((stage) => ["return", "exit", "throw", "terminate"].map((action) => ({ stage, action }))))(
    "worker threads: $action while $stage",
    async ({ stage, action }) => {
      const result = await run(action === "return" ? "child.mjs" : "child.cjs", {
        name: "worker",
        device,
        stage,
        action,
      });
      expect(result).toMatchObject({ code: 0, stdout: "done\n", stderr: "" });
    },
  );

  it("a model that is listened to keeps no process alive", async () => {
    const result = await run("child.cjs", { name: "listen", device });
    expect(result).toMatchObject({ code: 0, stdout: "done\n", stderr: "" });
  });

  it("worker threads work beside each other", async () => {
    const result = await run("child.mjs", { name: "workers", device });
    expect(result).toMatchObject({ code: 0, stdout: "done\n", stderr: "" });
  });
});
