// How the items of a prefill step (a tile of rows in one column) come to blocks: each has one of its own, or those that
// stay, one to an SM, take one after the other, or they are dealt to these as one line of work, cut into equal parts.
#pragma once
#include "backend/cuda/kernel_params.h"

namespace r1::cuda {

constexpr int kWideKeys = 128;  // of a key tile: two KV blocks

/** Key tiles that a row at `slot` and those before it see. */
R1_HOST_DEVICE constexpr int key_tiles(int slot) { return slot / kWideKeys + 1; }

/**
 * Whether blocks are to stay and take item after item. Where an SM has few, the card fills the places of the first as
 * soon: on an H200 a prompt of 2048 tokens of the 1.5B shape, 1.5 items an SM, took 11.0 instead of 10.7 ms, one of 7B,
 * 3.4 items, 44.1 instead of 44.8.
 */
R1_HOST_DEVICE constexpr bool worth_staying(int64_t items, int sms) {
  constexpr int kFew = 2;  // items of an SM: between those two
  return items > int64_t{kFew} * sms;
}

/**
 * Whether to deal a step of so many items, the longest of which ends with the query at `last_slot`. Whole items leave
 * SMs idle for half of the longest one in the mean; dealing cost each block what some 25 key tiles do. On an H200 a
 * step of 2048 rows of the 7B shape took 150 instead of 99 us a layer at a prompt's beginning, 351 instead of 358
 * behind 4096 keys and 1715 instead of 1853 behind 28 672, where an SM has 3.4 items. With 13.6, a step of 8192 rows at
 * a prompt's beginning, it took 1171 instead of 1087: the more items, the less is idle in the end. That was before
 * pieces were described ahead (attention_wide.cuh), which makes dealing cheaper; the limits were not measured again.
 */
R1_HOST_DEVICE constexpr bool worth_dealing(int64_t items, int last_slot, int sms) {
  constexpr int kMostItems = 8;  // of an SM: between those two
  return items > sms && items <= int64_t{kMostItems} * sms && key_tiles(last_slot) >= 48;
}

/**
 * An item is a tile of query rows in one column (a KV head's part of its members). The line has column after column, in
 * each the items' key tiles one after the other. A block takes what lies between two cuts, the last item first: the
 * beginning of an item that is cut is then done long before the next block, which takes the rest last, needs its
 * result. A block waits for blocks before it alone. Cuts lie between segments, so that the result is the same with any
 * number.
 */
struct TileDeal {
  const PrefillTile* tiles;  // [count], of each the key tiles before it in the line
  int count, total;          // total: key tiles of a column
  int columns, blocks;

  struct Piece {
    int column, tile, begin, end;  // key tiles [begin, end) of the item, of which some columns see one less
  };

  R1_HOST_DEVICE int64_t line() const { return int64_t{columns} * total; }
  /** The item that has position r of a column. */
  R1_HOST_DEVICE int tile_at(int r) const {
    int low = 0, high = count;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      if (tiles[middle].before <= r) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }
  R1_HOST_DEVICE int end_of(int tile) const { return tile + 1 < count ? tiles[tile + 1].before : total; }

  /** Where the part of block b begins: the place between segments next to an equal share. */
  R1_HOST_DEVICE int64_t cut(int b) const {
    const int64_t at = line() * b / blocks;
    const int r = static_cast<int>(at % total);
    const int tile = tile_at(r), begin = tiles[tile].before, place = r - begin, segment = segment_of_tile(2 * place);
    const int low = first_tile_of(segment) / 2, next = first_tile_of(segment + 1) / 2, length = end_of(tile) - begin;
    const int high = next < length ? next : length;
    return at - place + (place - low <= high - place ? low : high);
  }
  /** The piece of block b's part [first, last) that is taken when [first, last) is left. */
  R1_HOST_DEVICE Piece piece(int64_t first, int64_t last) const {
    const int column = static_cast<int>((last - 1) / total);
    const int64_t column_begin = int64_t{column} * total;
    const int tile = tile_at(static_cast<int>(last - 1 - column_begin));
    const int64_t item = column_begin + tiles[tile].before;
    return {column, tile, static_cast<int>((first > item ? first : item) - item), static_cast<int>(last - item)};
  }
  /** The block that has the keys before block b's part, which begins at `begin`, inside of an item. */
  R1_HOST_DEVICE int block_before(int b, int64_t begin) const {
    int before = b - 1;
    while (before > 0 && cut(before) == begin) --before;
    return before;
  }
};

}  // namespace r1::cuda
