// Many clients on one model for minutes: answers stay what they are alone, memory stays what it was, and nothing is left
// at the end. Prints what happened; exits with 1 when something was wrong.
//   node test/soak/soak.mjs [--seconds 300] [--clients 64] [--threads 1] [--device cpu] [--model DIR] [--seed 1]
import { parseArgs } from "node:util";
import { DeepSeekR1 } from "r1-native";
import { answeredCases, wrong } from "./cases.mjs";
import { runClient } from "./clients.mjs";
import { growth, handles, mebibytes, sample } from "./memory.mjs";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "300" },
    clients: { type: "string", default: "64" },
    threads: { type: "string", default: "1" },
    device: { type: "string", default: "cpu" },
    model: { type: "string" },
    seed: { type: "string", default: "1" },
  },
});
const [seconds, clients, threads, seed] = ["seconds", "clients", "threads", "seed"].map((name) => Number(values[name]));
/** From here on the bounds of memory are tight, and everything that can happen has to have happened. */
const long = seconds >= 120;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const loadOptions = {
  ...{ modelPath: values.model, device: values.device, precision: "f32", threads, contextLength: 1024 },
  onWarning: () => {},
};
/** 20 blocks of 64 tokens of r1-nano's KV cache at f32: requests that write long answers have to make room. */
const kvMemory = 20 << 19;

const problems = [];
const problem = (text) => {
  problems.push(text);
  console.log(`PROBLEM: ${text}`);
};

/** Samples memory while `open()`, and says now and then how far it is. */
async function watch(model, counts, open) {
  const samples = [];
  const started = performance.now();
  // Those that were refused never reached the engine: they would hide what the others leave behind.
  const total = () => Object.entries(counts).reduce((sum, [how, n]) => (how === "refused" ? sum : sum + n), 0);
  let said = 0;
  while (open()) {
    await sleep(Math.min(1000, (seconds * 1000) / 60));
    samples.push(sample(total()));
    const minute = Math.floor((performance.now() - started) / 60_000);
    if (minute === said) continue;
    said = minute;
    const { running, waiting, preemptions } = model.stats();
    const { requests, heap, resident } = samples.at(-1);
    const memory = `heap ${mebibytes(heap)}, resident ${mebibytes(resident)}`;
    console.log(
      `${minute} min: ${requests} requests, ${running} run, ${waiting} wait, ${preemptions} preempted, ${memory}`,
    );
  }
  return samples;
}

/** Waits for the clients to be answered. @returns whether all were */
async function drained(all) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(false), 120_000);
  });
  const done = await Promise.race([Promise.allSettled(all).then(() => true), late]);
  clearTimeout(timer);
  return done;
}

async function checkNothingLeft(model) {
  for (let i = 0; i < 100; i++) {
    sample(0); // collects streams that were dropped
    const { running, waiting, kvBlocksUsed } = model.stats();
    if (running + waiting + kvBlocksUsed === 0) break;
    await sleep(50);
  }
  const { running, waiting, preempted, swapped, kvBlocks, kvBlocksUsed, kvBlocksCached, kvBlocksFree } = model.stats();
  if (running + waiting + preempted + swapped > 0)
    problem(`${running} requests run, ${waiting} wait (${preempted} preempted, ${swapped} swapped) after the end`);
  if (kvBlocksUsed > 0) problem(`${kvBlocksUsed} KV blocks are used after the end`);
  if (kvBlocksUsed + kvBlocksCached + kvBlocksFree !== kvBlocks)
    problem(`${kvBlocksUsed} used, ${kvBlocksCached} cached and ${kvBlocksFree} free KV blocks are not ${kvBlocks}`);
}

function checkMemory(samples) {
  // A short run has too few requests to tell a small leak from an allocator that settles.
  const bounds = long ? { perRequest: 4 << 10, slack: 6 << 20 } : { perRequest: 0, slack: 16 << 20 };
  for (const measure of ["heap", "resident"]) {
    const { from, bytes, requests, allowed, flat } = growth(samples, measure, bounds);
    const text = `${measure}: ${mebibytes(from)}, then ${mebibytes(bytes)} more over ${requests} requests`;
    console.log(`${text} (allowed: ${mebibytes(allowed)})`);
    if (!flat) problem(`memory grows: ${text}`);
  }
}

/** A soak in which nothing happens proves nothing. */
function checkHappened(counts, { preemptions, cachedTokens, resultCache }) {
  const happened = { ...counts, preemptions, cachedTokens, "result cache": resultCache.hits };
  const wanted = ["finished", "aborted", "left", "timed out", "cachedTokens"];
  if (long) wanted.push("dropped", "refused", "preemptions", "result cache");
  for (const name of wanted) if (!(happened[name] > 0)) problem(`it never happened: ${name}`);
}

const load = (more) => DeepSeekR1.load({ ...loadOptions, ...more });
const cases = await answeredCases(() => load({ prefixCache: false }), long ? 80 : 20, seed);
console.log(`${cases.length} cases computed alone after ${(performance.now() / 1000).toFixed(1)} s`);
// What the process's first model leaves open is the driver's; from then on nothing may be left.
const first = await load();
await first.dispose();
await sleep(100);
const before = handles();

const model = await load({
  ...{ kvMemory, maxSequences: 24, maxQueue: 50 },
  resultCache: { maxEntries: 16, ttlMs: 500 },
});
const pressure = {};
model.on("pressure", ({ action }) => {
  pressure[action] = (pressure[action] ?? 0) + 1;
});
const counts = {};
const until = performance.now() + seconds * 1000;
const open = () => performance.now() < until && problems.length === 0;
const all = Array.from({ length: clients }, (_, i) =>
  runClient(model, cases, { seed: seed * 1000 + i, open, counts }).catch((error) => problem(error.message)),
);
const samples = await watch(model, counts, open);
if (!(await drained(all))) problem("clients were not answered within two minutes of the end");
await checkNothingLeft(model);
if (problems.length === 0) {
  checkMemory(samples);
  checkHappened(counts, model.stats());
}
if (long && problems.length === 0) {
  for (const one of cases) {
    const difference = wrong(one, await one.run(model, {}));
    if (difference) problem(`alone after the end: ${one.name}: ${difference}`);
  }
}
const { promptTokens, generatedTokens, preemptions, cacheHitRate, resultCache } = model.stats();
console.log(
  JSON.stringify({ counts, promptTokens, generatedTokens, cacheHitRate, preemptions, pressure, resultCache }),
);
await model.dispose();
await sleep(100);
const after = handles();
if (after.files > before.files || after.threads > before.threads)
  problem(`before loading ${JSON.stringify(before)}, after disposing ${JSON.stringify(after)}`);
console.log(problems.length === 0 ? "soak: done" : `soak: ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
