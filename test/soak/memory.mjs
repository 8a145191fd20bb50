// What a process holds, sampled while it works, and whether that is flat.
import { readdirSync, readFileSync } from "node:fs";
import v8 from "node:v8";
import vm from "node:vm";

v8.setFlagsFromString("--expose-gc");
const collect = vm.runInNewContext("gc");

/** After collecting garbage, in bytes: what JavaScript holds, and what the process holds but for mapped files. */
export function sample(requests) {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  const resident = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return { requests, heap: heapUsed + external, resident: Number(resident[1]) * 1024 };
}

/** Open files and threads of this process. */
export const handles = () => ({
  files: readdirSync("/proc/self/fd").length,
  threads: readdirSync("/proc/self/task").length,
});

export const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

/**
 * Compares the last third of the samples with the second; the first is warm-up. The medians do not mind single samples
 * that caught a garbage collector or an allocator at work.
 *
 * @param perRequest bytes that each request between the thirds may leave behind
 * @param slack bytes of growth that are always allowed
 */
export function growth(samples, measure, { perRequest, slack }) {
  const third = Math.floor(samples.length / 3);
  const [before, after] = [samples.slice(third, 2 * third), samples.slice(2 * third)].map((part) => ({
    bytes: median(part.map((one) => one[measure])),
    requests: median(part.map(({ requests }) => requests)),
  }));
  const bytes = after.bytes - before.bytes;
  const requests = after.requests - before.requests;
  const allowed = slack + perRequest * requests;
  return { from: before.bytes, bytes, requests, allowed, flat: bytes <= allowed };
}
