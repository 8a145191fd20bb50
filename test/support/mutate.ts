/** Changes to valid files that nobody would think of, from a seed. */

/** mulberry32: a seeded generator of numbers in [0, 1). */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const pick = <T>(random: () => number, list: readonly T[]): T => list[Math.floor(random() * list.length)];

const oddValues: readonly unknown[] = [
  ...[
    0,
    1,
    -1,
    7,
    64,
    1.5,
    2 ** 31,
    2 ** 53,
    1e300,
    -1e300,
    1e-300,
    null,
    true,
    false,
    "",
    "x",
    "BF16",
    "F4",
    "__proto__",
  ],
  ...[[], [0], [-1], [2 ** 40, 2 ** 40], [1e300], [0, 0, 0], {}, { type: "yarn" }, { rope_type: "llama3", factor: 8 }],
];
const oddTokens = [
  "0",
  "-1",
  "1e999",
  "99999999999999999999",
  "null",
  "[]",
  "{}",
  '""',
  '"\\u0000"',
  ",",
  "}",
  "[[[[",
  "\\",
  '"',
];

/** Changes a byte, cuts, duplicates or replaces a stretch of the text. */
function mutateText(text: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * text.length);
  const end = Math.min(text.length, at + Math.floor(random() * 40));
  const middle = pick(random, [
    () => Buffer.from([Math.floor(random() * 256)]),
    () => Buffer.alloc(0),
    () => Buffer.concat([text.subarray(at, end), text.subarray(at, end)]),
    () => Buffer.from(pick(random, oddTokens)),
  ])();
  return Buffer.concat([text.subarray(0, at), middle, text.subarray(random() < 0.5 ? end : at + 1)]);
}

/** Replaces, removes, renames or copies a value somewhere in a JSON object, in place. */
function mutateValue(node: Record<string, unknown>, random: () => number): void {
  const key = pick(random, Object.keys(node));
  const value = node[key];
  if (typeof value === "object" && value !== null && Object.keys(value).length > 0 && random() < 0.8) {
    mutateValue(value as Record<string, unknown>, random);
    return;
  }
  const other = pick(random, Object.keys(node));
  const kind = Math.floor(random() * 6);
  if (kind === 0) node[key] = pick(random, oddValues);
  else if (kind === 1) node[key] = node[other];
  else if (kind === 2) [node[key], node[other]] = [node[other], node[key]];
  else if (kind === 3) node[`${key}x`] = value;
  else if (kind === 4 && typeof value === "number") node[key] = value + pick(random, [-1, 1, 2, 64, -value, value]);
  else if (Array.isArray(node)) node.pop();
  else delete node[key];
}

/** A change of the JSON text, or of up to three values in it. */
export function mutateJson(text: Buffer, random: () => number): Buffer {
  if (random() < 0.4) return mutateText(text, random);
  const value = JSON.parse(text.toString()) as Record<string, unknown>;
  for (let n = 1 + Math.floor(random() * 3); n > 0; n--) if (Object.keys(value).length > 0) mutateValue(value, random);
  return Buffer.from(JSON.stringify(value));
}
