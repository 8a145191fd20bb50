// What the child processes of these tests do. A child is told a stage (how far its model is) and an action (what happens
// to it then); it prints "done" when it has got through, and whoever started it looks at how it ended.
const { readdirSync, readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Worker } = require("node:worker_threads");

const modelPath = join(__dirname, "../fixtures/qwen2-tiny");
const tasks = () => readdirSync("/proc/self/task");

/** How many of the process's threads are engines' or their workers': a GPU's driver keeps threads of its own. */
function engineThreads() {
  return tasks().filter((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, "utf8").startsWith("r1-");
    } catch {
      return false; // it has ended meanwhile
    }
  }).length;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `condition` holds, collecting garbage where that is possible. */
async function until(condition, what) {
  for (let i = 0; i < 1000; i++) {
    globalThis.gc?.();
    if (condition()) return;
    await sleep(10);
  }
  throw new Error(`timed out waiting until ${what}`);
}

const options = (device) => ({ modelPath, device, contextLength: 2048, maxSequences: 4, threads: 2 });
const long = { ignoreEos: true, maxNewTokens: 1500 };

/** Brings a model to a stage and calls `act` there. */
const stages = {
  async loading(api, device, act) {
    const controller = new AbortController();
    let acted;
    const onProgress = () => {
      acted ??= act({ abort: () => controller.abort(), loading: () => loading });
    };
    const loading = api.DeepSeekR1.load({ ...options(device), onProgress, signal: controller.signal });
    await loading.then(
      () => {},
      () => {},
    );
    await acted;
  },
  async idle(api, device, act) {
    await act({ model: await api.DeepSeekR1.load(options(device)) });
  },
  async streaming(api, device, act) {
    const model = await api.DeepSeekR1.load(options(device));
    const stream = model.stream({ text: "The quick brown fox" }, long);
    await stream.next();
    const other = model.generate("The lazy dog", long).catch((error) => error);
    await act({ model, stream, other });
  },
  /** In a session: its second turn, a fork's, and a promise that the engine is to settle. */
  async talking(api, device, act) {
    const model = await api.DeepSeekR1.load(options(device));
    const session = model.createSession({ keepReasoning: true });
    await session.chat("The quick brown fox", { ...long, maxNewTokens: 100 });
    const other = session
      .fork()
      .chat("The lazy dog", long)
      .catch((error) => error);
    const stream = session.stream("jumps over", long);
    await stream.next();
    session.save("/no/such/folder/x").catch(() => {});
    await act({ model, stream, other });
  },
  async disposing(api, device, act) {
    const model = await api.DeepSeekR1.load(options(device));
    const stream = model.stream({ text: "The quick brown fox" }, long);
    await stream.next();
    void model.dispose();
    await act({ model, stream });
  },
};

/** What can happen to a model; each gets what its stage has. */
const actions = {
  return() {},
  exit() {
    process.exit(7);
  },
  throw() {
    setImmediate(() => {
      throw new Error("uncaught on purpose");
    });
  },
  kill() {
    process.kill(process.pid, "SIGKILL");
  },
  async terminate() {
    process.kill(process.pid, "SIGTERM");
    await sleep(10_000);
  },
  async "dispose twice"({ model, abort, loading, other }) {
    if (abort) {
      abort();
      abort();
      const error = await loading().catch((caught) => caught);
      if (error.code !== "E_ABORTED") throw error;
      return;
    }
    await Promise.all([model.dispose(), model.dispose()]);
    await model.dispose();
    const error = await model.generate("a").catch((caught) => caught);
    if (error.code !== "E_DISPOSED") throw error;
    if (other && (await other).code !== "E_DISPOSED") throw await other;
  },
};

const scenarios = {
  async act(api, { device, stage, action }) {
    await stages[stage](api, device, actions[action]);
  },

  /** Listeners and a timer that looks at thresholds keep no process alive. */
  async listen(api, { device }) {
    const model = await api.DeepSeekR1.load({ ...options(device), monitor: { intervalMs: 10 } });
    model.on("threshold", () => {});
    void model.events().next();
    await model.generate("The quick brown fox", { maxNewTokens: 5 });
    await sleep(50);
  },

  /** Nothing refers to the model any more: its engine's threads end by themselves. Needs --expose-gc. */
  async drop(api, { device, stage }) {
    await stages[stage](api, device, async () => {
      if (engineThreads() === 0) throw new Error("a model without threads: the test would see nothing");
    });
    await until(() => engineThreads() === 0, "the threads of the dropped model are gone");
  },

  /** A worker thread ends at a stage; then the main thread does the same work undisturbed. */
  async worker(api, { device, stage, action, entry }) {
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(entry, { argv: [JSON.stringify({ name: "inWorker", device, stage, action })] });
      const code = await new Promise((resolve, reject) => {
        worker.on("error", (error) => (action === "throw" ? resolve(1) : reject(error)));
        worker.on("message", () => action === "terminate" && worker.terminate());
        worker.on("exit", resolve);
      });
      const expected = { exit: 7, return: 0, throw: 1, terminate: 1 }[action];
      if (code !== expected) throw new Error(`the worker ended with ${code}, expected ${expected}`);
    }
    const model = await api.DeepSeekR1.load(options(device));
    const { tokens } = await model.generate("The quick brown fox", { maxNewTokens: 5, ignoreEos: true });
    if (tokens.length !== 5) throw new Error(`${tokens.length} tokens`);
    await model.dispose();
    await until(() => engineThreads() === 0, "the threads of the workers are gone");
  },
  async inWorker(api, { device, stage, action }) {
    const { parentPort } = require("node:worker_threads");
    await stages[stage](api, device, async (at) => {
      parentPort.postMessage("there");
      if (action === "terminate") await sleep(10_000);
      else await actions[action](at);
    });
  },

  /** Two workers and the main thread, all at once. */
  async workers(api, { device, entry }) {
    const run = () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(entry, { argv: [JSON.stringify({ name: "inWorkers", device })] });
        worker.on("message", resolve).on("error", reject);
      });
    const generate = async () => {
      const model = await api.DeepSeekR1.load(options(device));
      const { tokens } = await model.generate("The quick brown fox", { temperature: 0, maxNewTokens: 40 });
      await model.dispose();
      return tokens.join();
    };
    const all = await Promise.all([run(), generate(), run()]);
    if (new Set(all).size !== 1) throw new Error(`different answers: ${all.join(" | ")}`);
  },
  async inWorkers(api, { device }) {
    const { parentPort } = require("node:worker_threads");
    const model = await api.DeepSeekR1.load(options(device));
    const { tokens } = await model.generate("The quick brown fox", { temperature: 0, maxNewTokens: 40 });
    await model.dispose();
    parentPort.postMessage(tokens.join());
  },

  /** Loads and disposes over and over, and prints what is left behind each time. Needs --expose-gc. */
  async cycles(api, { device, count }) {
    const samples = [];
    for (let i = 0; i < count; i++) {
      const model = await api.DeepSeekR1.load(options(device));
      const results = await Promise.all([1, 2].map(() => model.generate("The quick brown fox", { maxNewTokens: 4 })));
      if (results.some((result) => result.tokens.length === 0)) throw new Error("no tokens");
      await model.dispose();
      await sleep(0);
      globalThis.gc();
      globalThis.gc();
      const files = readdirSync("/proc/self/fd").length;
      samples.push({ rss: process.memoryUsage.rss(), files, threads: tasks().length });
    }
    console.log(JSON.stringify(samples));
  },

  /** Readers that go away in every way there is; then no block is taken. Needs --expose-gc. */
  async readers(api, { device }) {
    const model = await api.DeepSeekR1.load(options(device));
    const ways = [
      async (stream) => {
        for await (const _ of stream) break;
      },
      async (stream) => {
        await stream.next();
        await stream.return();
      },
      async (stream, controller) => {
        await stream.next();
        controller.abort();
      },
      async (stream, controller) => {
        const next = stream.next().catch(() => {});
        controller.abort();
        await next;
      },
      async (stream) => {
        await stream.next();
        await stream.throw(new Error("mine")).catch(() => {});
      },
      async (stream) => {
        await stream.next(); // and never again: dropped
      },
    ];
    for (let round = 0; round < 6; round++) {
      await Promise.all(
        ways.map(async (leave) => {
          const controller = new AbortController();
          const request = { ...long, n: 1 + (round % 3), signal: controller.signal };
          await leave(model.stream({ text: "The quick brown fox ".repeat(1 + round) }, request), controller);
        }),
      );
      globalThis.gc();
    }
    await until(() => {
      const { running, waiting, kvBlocksUsed } = model.stats();
      return running === 0 && waiting === 0 && kvBlocksUsed === 0;
    }, "all blocks are back");
    const { tokens } = await model.generate("a", { maxNewTokens: 3, ignoreEos: true });
    if (tokens.length !== 3) throw new Error("the model is broken");
    await model.dispose();
  },

  /** Loads, says so, and disposes when told to, for somebody who watches the device's memory. */
  async watched(api, { device }) {
    const model = await api.DeepSeekR1.load(options(device));
    await model.generate("a", { maxNewTokens: 3 });
    console.log("loaded");
    await new Promise((resolve) => process.stdin.once("data", resolve));
    await model.dispose();
    console.log("disposed");
    await new Promise((resolve) => process.stdin.once("data", resolve));
    process.stdin.destroy();
  },
};

exports.run = async (api, request) => {
  await scenarios[request.name](api, request);
  if (!request.name.startsWith("in")) console.log("done");
};
