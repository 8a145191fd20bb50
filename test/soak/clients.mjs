// The clients of the soak: each asks one case after the other, in one of the ways that callers have, and looks whether it
// got what the case yields alone.
import { random, wrong, wrongPart } from "./cases.mjs";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Reads a stream that may end early. */
async function* partsOf(stream, got) {
  for await (const part of stream) {
    if (part.type !== "finish" && !part.index) got.push(...part.tokens);
    yield part;
  }
}

/** An answer read part by part, put together. */
async function read(stream, pause) {
  const tokens = [];
  let finish;
  for await (const part of partsOf(stream, tokens)) {
    if (part.type === "finish" && !part.index) finish = part;
    if (pause > 0) await sleep(pause);
  }
  return { tokens, finish };
}

/**
 * The ways to ask; each returns how it ended, and calls `check` with a result or `checkPart` with a beginning. Errors
 * that belong to the way of asking are caught here; any other one fails the soak.
 */
const ways = {
  async promise({ ask, check }) {
    check(await ask.run());
    return "finished";
  },

  async stream({ ask, checkTokens }, pause = 0) {
    const { tokens, finish } = await read(ask.stream(), pause);
    checkTokens(tokens, finish.tokens);
    return "finished";
  },

  async "slow stream"(request) {
    return ways.stream(request, 1 + request.next(20));
  },

  /** Before it is admitted, in its prompt, or in its answer, as it happens. */
  async abort({ ask, check, checkPart, next }) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), next(2) ? next(400) : next(20));
    try {
      check(await ask.run({ signal: controller.signal }));
      return "finished";
    } catch (error) {
      if (error.code !== "E_ABORTED") throw error;
      checkPart(error.partial?.tokens ?? []);
      return "aborted";
    }
  },

  async leave({ ask, checkPart, next }) {
    const tokens = [];
    let parts = 1 + next(12);
    for await (const _ of partsOf(ask.stream(), tokens)) if (--parts === 0) break;
    checkPart(tokens);
    return "left";
  },

  /** The stream is neither read to its end nor closed: it has to be noticed that nobody refers to it any more. */
  async drop({ ask }) {
    await ask.stream().next();
    return "dropped";
  },

  async "queue timeout"(request) {
    return timeLimited(request, { queueTimeoutMs: 1 + request.next(60) });
  },

  async timeout(request) {
    return timeLimited(request, { timeoutMs: 1 + request.next(300) });
  },
};

async function timeLimited({ ask, check }, limit) {
  try {
    check(await ask.run(limit));
    return "finished";
  } catch (error) {
    if (error.code !== "E_TIMEOUT") throw error;
    return "timed out";
  }
}

/** How often each way is taken, in percent. */
const shares = {
  ...{ promise: 42, stream: 16, "slow stream": 8, abort: 14, leave: 8, drop: 2, "queue timeout": 7, timeout: 3 },
};

function choose(next) {
  let at = next(100);
  return Object.keys(shares).find((way) => {
    at -= shares[way];
    return at < 0;
  });
}

/** @param one a case, asked with options that change when it is answered, not what with */
function request(model, one, next, length) {
  const salts = ["", "", "", "tenant a", "tenant b", `tenant ${next(2 ** 31)}`];
  const common = {
    salt: salts[next(salts.length)],
    cache: next(10) > 0,
    priority: next(3) ? 5 : next(10),
    ...(length < one.full ? { maxNewTokens: length } : {}),
  };
  const fail = (problem) => {
    if (problem) throw new Error(`${one.name}: ${problem}`);
  };
  return {
    next,
    ask: {
      run: (more) => one.run(model, { ...common, ...more }),
      stream: (more) => one.stream(model, { ...common, ...more }),
    },
    check: (result) => fail(wrong(one, result, length)),
    checkPart: (tokens) => fail(wrongPart(one, tokens)),
    /** Of a stream: what its parts had, and what its end says they had. */
    checkTokens(parts, whole) {
      fail(wrongPart(one, whole));
      if (whole.length !== Math.min(length, one.expected.tokens.length)) fail(`it ended after ${whole.length} tokens`);
      if (parts.join() !== whole.join()) fail("the parts of the stream are not its whole");
    },
  };
}

/** Asks while `open()` and counts how requests ended in `counts`. @throws what no caller would expect */
export async function runClient(model, cases, { seed, open, counts }) {
  const next = random(seed);
  while (open()) {
    const one = cases[next(cases.length)];
    const way = one.stream ? choose(next) : "promise";
    const length = one.full && next(3) === 0 ? 1 + next(one.full) : Number.POSITIVE_INFINITY;
    let outcome;
    try {
      outcome = await ways[way](request(model, one, next, length));
    } catch (error) {
      if (error.code !== "E_OVERLOADED") throw new Error(`${way}: ${error.message}`, { cause: error });
      outcome = "refused";
      await sleep(200 + next(800));
    }
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    if (next(4) === 0) await sleep(next(30));
  }
}
