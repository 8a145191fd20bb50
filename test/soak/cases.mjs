// What the clients of the soak ask, and what the answer has to be: each case computed alone, on an engine without caches
// and with memory enough.
import { isDeepStrictEqual } from "node:util";

/** Reproducible: mulberry32. What it returns gives whole numbers from 0 and below its argument. */
export function random(seed) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return (below) => Math.floor(next() * below);
}

const questions = [
  "How many r's are in strawberry?",
  "Is 9.11 bigger than 9.9?",
  "4827 加 596 等于多少？",
  "Sort these numbers: 5, 3, 9, 1",
  "What is 17 * 24?",
  "What day is it 10 days after Monday?",
  "Write a Python function that returns the square of a number",
  "I have 3 apples, buy 4 more and eat 2. How many are left?",
];

/** Ids of ordinary tokens. */
function ids(next, count) {
  return Array.from({ length: count }, () => 16 + next(4000));
}

const argmax = (logits) => logits.reduce((best, logit, id) => (logit > logits[best] ? id : best), 0);

/**
 * Cases of every kind, each with `stream(model, options)` where it can be streamed, and `run(model, options)`. The
 * options of a call are added to the case's own. `full` is the length that the case's own options allow.
 */
function makeCases(count, seed) {
  const next = random(seed);
  // Prompts have up to four blocks in common with others, from their start.
  const shared = ids(next, 256);
  const prompt = () => [...shared.slice(0, next(3) * next(129)), ...ids(next, 1 + next(next(4) === 0 ? 300 : 60))];
  const question = () => `${questions[next(questions.length)]}${" ".repeat(next(3))}`;
  const seeded = () => ({ temperature: 0.8, topP: 0.9, topK: 50, seed: next(2 ** 31) });
  const greedy = { temperature: 0 };
  const whole = (full) => ({ ignoreEos: true, maxNewTokens: full });

  const chat = (own) => {
    const text = question();
    return {
      run: (model, options) => model.chat(text, { ...own, ...options }),
      stream: (model, options) => model.stream(text, { ...own, ...options }),
      full: own.maxNewTokens,
    };
  };
  const generate = (own) => {
    const tokens = prompt();
    return {
      run: (model, options) => model.generate(tokens, { ...own, ...options }),
      stream: (model, options) => model.stream(tokens, { ...own, ...options }),
      full: own.maxNewTokens,
    };
  };
  const kinds = [
    () => chat({ ...greedy, maxNewTokens: 160 }),
    () => chat({ ...seeded(), maxNewTokens: 120 }),
    () => chat({ ...greedy, maxNewTokens: 120, reasoning: false, stop: ["."] }),
    () => generate({ ...greedy, ...whole(100 + next(300)) }),
    () => generate({ ...greedy, ...whole(60 + next(240)), repetitionPenalty: 1.2, frequencyPenalty: 0.3 }),
    () => generate({ ...greedy, ...whole(10 + next(30)), n: 2, logprobs: 2 }),
    () => generate({ ...seeded(), ...whole(20 + next(160)), logitBias: { 100: 4, 200: 2 } }),
    () => generate({ sampler: argmax, ...whole(5 + next(15)) }),
    () => {
      const tokens = prompt();
      return { run: (model, { maxNewTokens: _, ...options }) => model.logprobs(tokens, { top: 1, ...options }) };
    },
    () => {
      const hole = { prefix: `def f${next(10)}(n):\n    """Return n times 2."""\n    return `, suffix: "\n" };
      const own = { ...greedy, maxNewTokens: 40 };
      return {
        run: (model, options) => model.complete(hole, { ...own, ...options }),
        stream: (model, options) => model.stream(hole, { ...own, ...options }),
        full: own.maxNewTokens,
      };
    },
  ];
  return Array.from({ length: count }, (_, i) => ({ name: `case ${i}`, ...kinds[i % kinds.length]() }));
}

/** What two results of the same request have in common. */
const essence = ({ tokens, text, reasoning, logprobs, top, choices }) => ({
  ...{ tokens, text, reasoning, logprobs, top },
  choices: choices?.map(essence),
});

/** Cases with their answers. `load` gives a model that computes nothing else. */
export async function answeredCases(load, count, seed) {
  const model = await load();
  const cases = makeCases(count, seed);
  try {
    for (const one of cases) one.expected = essence(await one.run(model, {}));
  } finally {
    await model.dispose();
  }
  return cases;
}

const startsWith = (whole, start) => start.every((token, i) => token === whole[i]);

/** Why a result is not what the case yields alone, of at most `length` tokens; undefined when it is. */
export function wrong({ expected }, result, length = Number.POSITIVE_INFINITY) {
  if (length >= expected.tokens.length)
    return isDeepStrictEqual(essence(result), expected) ? undefined : difference(expected.tokens, result.tokens);
  if (result.tokens.length !== length) return `${result.tokens.length} tokens, expected ${length}`;
  return wrongPart({ expected }, result.tokens);
}

/** The same of the beginning of an answer. */
export function wrongPart({ expected }, tokens) {
  return startsWith(expected.tokens, tokens) ? undefined : difference(expected.tokens, tokens);
}

function difference(expected, found) {
  const at = found.findIndex((token, i) => token !== expected[i]);
  if (at < 0) return `the same first ${found.length} of ${expected.length} tokens, but another result`;
  return `token ${at} of ${found.length} is ${found[at]}, alone it is ${expected[at]} of ${expected.length}`;
}
