/** Steps for op tests: sequences with their blocks scattered over a pool. */
import type { TestSequence, TestStep } from "./test-addon";

export const KV_BLOCK = 64;

export interface SequencePart {
  /** Tokens in the cache after the step, and how many of them are the step's own rows. */
  length: number;
  rows: number;
  blocks?: Int32Array;
}

/** Blocks are taken from `order` (0, 1, 2 … when absent), as many as each length needs. */
export function stepOf(numericClass: TestStep["numericClass"], parts: SequencePart[], order?: Int32Array): TestStep {
  const sequences: TestSequence[] = [];
  let firstRow = 0;
  let block = 0;
  for (const { length, rows, blocks } of parts) {
    const count = Math.ceil(length / KV_BLOCK);
    const own = blocks ?? Int32Array.from({ length: count }, (_, i) => order?.[block + i] ?? block + i);
    block += count;
    sequences.push({ blocks: own, length, firstRow, rows });
    firstRow += rows;
  }
  return { numericClass, rows: firstRow, sequences };
}

/** A step for an op that looks at rows alone: one sequence of all rows, or of one row each. */
export function plainStep(numericClass: TestStep["numericClass"], rows: number): TestStep {
  const parts = numericClass === "prefill" ? [{ length: rows, rows }] : Array(rows).fill({ length: 1, rows: 1 });
  return stepOf(numericClass, parts);
}
