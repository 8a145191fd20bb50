import { describe, expect, it } from "vitest";
import { testAddon } from "../support/test-addon";

const { dealtPieces, worthDealing, worthStaying } = testAddon();

interface Case {
  name: string;
  /** Key tiles of 128 that each tile of rows sees, most first. */
  tiles: number[];
  columns: number;
  blocks: number;
  /** Key tiles that a block may have above the mean: half a segment, at each end of its part. */
  slack: number;
}

/** Tiles of 128 rows of a step behind `cached` tokens. */
const step = (rows: number, cached: number) => Array.from({ length: rows / 128 }, (_, i) => (cached + rows) / 128 - i);
const cases: Case[] = [
  { name: "7B, 2048 rows after 28672", tiles: step(2048, 28672), columns: 28, blocks: 132, slack: 8 },
  { name: "1.5B, 2048 rows after 28672", tiles: step(2048, 28672), columns: 12, blocks: 132, slack: 8 },
  { name: "7B, the first 2048 rows", tiles: step(2048, 0), columns: 28, blocks: 132, slack: 4 },
  { name: "1.5B, the first 2048 rows", tiles: step(2048, 0), columns: 12, blocks: 132, slack: 4 },
  { name: "many short prompts", tiles: Array<number>(80).fill(1), columns: 28, blocks: 132, slack: 1 },
  { name: "one long and many short", tiles: [512, ...Array<number>(30).fill(2)], columns: 8, blocks: 132, slack: 32 },
  { name: "parts shorter than a segment", tiles: [1000, 999], columns: 4, blocks: 400, slack: 32 },
  { name: "one tile", tiles: [1], columns: 1, blocks: 3, slack: 1 },
];

/** Whether a segment begins at this key tile of a sequence (kernel_params.h). */
const beginsSegment = (tile: number) => tile % (tile < 64 ? 4 : tile < 256 ? 8 : 32) === 0;

describe.each(cases)("tiles dealt to blocks: $name", ({ tiles, columns, blocks, slack }) => {
  const dealt = dealtPieces(Int32Array.from(tiles), columns, blocks);

  it("has every key tile of every item once, cut between segments", () => {
    const items = new Map<string, [number, number][]>();
    for (const pieces of dealt) {
      for (const [column, tile, begin, end] of pieces) {
        const key = `${column} ${tile}`;
        items.set(key, [...(items.get(key) ?? []), [begin, end]]);
        expect(begin).toBeLessThan(end);
        expect(beginsSegment(begin)).toBe(true);
        expect(end === tiles[tile] || beginsSegment(end)).toBe(true);
      }
    }
    expect(items.size).toBe(columns * tiles.length);
    for (const [key, pieces] of items) {
      pieces.sort(([a], [b]) => a - b);
      expect(pieces[0][0]).toBe(0);
      for (let i = 1; i < pieces.length; i++) expect(pieces[i][0]).toBe(pieces[i - 1][1]);
      expect(pieces[pieces.length - 1][1]).toBe(tiles[Number(key.split(" ")[1])]);
    }
  });

  it("lets a block wait only for an earlier one, which takes that piece first", () => {
    dealt.forEach((pieces, block) => {
      pieces.forEach(([column, tile, begin, , before], i) => {
        expect(before >= 0).toBe(begin > 0);
        if (begin === 0) return;
        expect(i).toBe(pieces.length - 1);
        expect(before).toBeLessThan(block);
        const [fromColumn, fromTile, , end] = dealt[before][0];
        expect([fromColumn, fromTile, end]).toEqual([column, tile, begin]);
      });
    });
  });

  it("is even", () => {
    const work = dealt.map((pieces) => pieces.reduce((sum, [, , begin, end]) => sum + end - begin, 0));
    const mean = (columns * tiles.reduce((a, b) => a + b, 0)) / blocks;
    expect(Math.max(...work)).toBeLessThanOrEqual(mean + slack);
  });
});

// Items are tiles times columns; the columns of a KV head are as many as its query heads where tiles are full.
it.each([
  { name: "7B, 2048 rows after 28672", items: 16 * 28, lastSlot: 30_719, dealt: true },
  { name: "1.5B, 2048 rows after 4096", items: 16 * 12, lastSlot: 6143, dealt: true },
  { name: "1.5B, 2048 rows that end before", items: 16 * 12, lastSlot: 6015, dealt: false },
  { name: "7B, the first 2048 rows", items: 16 * 28, lastSlot: 2047, dealt: false },
  { name: "as many items as SMs", items: 132, lastSlot: 100_000, dealt: false },
  { name: "700 rows of 7B at 8900 beside 150 (attention.test.ts)", items: (6 + 2) * 28, lastSlot: 8899, dealt: true },
  { name: "7B, 8192 rows at a prompt's beginning", items: 64 * 28, lastSlot: 8191, dealt: false },
  { name: "eight items an SM", items: 8 * 132, lastSlot: 8191, dealt: true },
  { name: "one more", items: 8 * 132 + 1, lastSlot: 8191, dealt: false },
  { name: "300 rows of 9/3 heads at 9000 and 40 prompts (there)", items: (3 + 40) * 9, lastSlot: 8999, dealt: true },
])("deals to 132 SMs where it pays: $name", ({ items, lastSlot, dealt }) => {
  expect(worthDealing(items, lastSlot, 132)).toBe(dealt);
});

it.each([
  { name: "7B, the first 2048 rows", items: 16 * 28, stays: true },
  { name: "1.5B, the first 2048 rows", items: 16 * 12, stays: false },
  { name: "two items an SM", items: 2 * 132, stays: false },
  { name: "a prompt beside a late chunk and short prompts (attention.test.ts)", items: (5 + 3 + 24) * 9, stays: true },
  { name: "short prompts with a window (there)", items: (4 + 2 + 61) * 4, stays: true },
  { name: "prompts with a window (there)", items: (3 + 3 + 2 + 9) * 16, stays: true },
  { name: "four prompts (there)", items: (4 + 3 + 1 + 2) * 28, stays: true },
])("lets the blocks of 132 SMs stay where an SM has many items: $name", ({ items, stays }) => {
  expect(worthStaying(items, 132)).toBe(stays);
});
