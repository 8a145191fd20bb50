import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // Engines use every core: files run one after another so that timings and memory checks are not disturbed.
    fileParallelism: false,
    // Likewise tests that could: scripts/gpu-run.mjs allows several, where there are cores for them.
    maxConcurrency: 1,
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
