// The tiles that the linear kernels of sm_90 are compiled for, and the shared memory that they take.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

namespace r1::cuda {

constexpr int64_t ceil_div(int64_t n, int64_t d) { return (n + d - 1) / d; }

/** The smallest tile of tokens, of 8, 16, 32 and 64. */
constexpr int decode_tokens(int rows) { return rows <= 8 ? 8 : rows <= 16 ? 16 : rows <= 32 ? 32 : 64; }

/** Shared memory of a block when so many share an SM of 228 KB, of which 1 KB a block is the system's. */
constexpr int blocks_per_sm(int blocks) { return 228 * 1024 / blocks - 1024; }

constexpr int kRingAlign = 1024;

// ---- linear_sm90_stream_t<tokens>_m<rows>

constexpr int kDecodeTileRows = 64;  // weight rows of the tile that splits of K are counted for
constexpr int kLeastStages = 2, kMostStages = 16;
constexpr int kSplitUnit = 128;  // values of K that a split is a multiple of
constexpr int kMostSplits = 8;   // blocks of a cluster that every device can hold

struct StreamTile {
  int tokens, rows;
};
constexpr std::array<StreamTile, 8> kStreamTiles = {
    {{8, 64}, {8, 128}, {16, 64}, {16, 128}, {32, 64}, {32, 128}, {64, 64}, {64, 128}}};

/** Paired rows come in the least tiles alone. */
constexpr bool stream_tile_fits(const StreamTile& tile, bool paired) { return !paired || tile.rows == 64; }

/** Bytes of a block. */
struct StreamMemory {
  bool tall;     // more than 64 weight rows
  int stage;     // of the ring
  int inbox;     // partial sums of the other splits
  int barriers;  // static: and what the epilogue's threads tell each other, of each token a root, a row, warps' sums

  constexpr StreamMemory(const StreamTile& tile, int splits)
      : tall(tile.rows > 64),
        stage((tile.rows + tile.tokens) * 128 * (tile.tokens == 64 || tall ? 1 : 2)),
        inbox(splits > 1 ? splits * static_cast<int>(ceil_div(tile.tokens / 8, splits)) * tile.rows * 2 * 16 : 0),
        barriers(328 + tile.tokens * (4 + 12 * (tile.rows / 64) + tile.rows / 4)) {}

  constexpr int dynamic(int stages) const { return kRingAlign + stages * stage + inbox; }
  /** What fits when so many blocks share an SM; less than kLeastStages where they cannot. */
  constexpr int stages(int blocks) const {
    return std::min((blocks_per_sm(blocks) - barriers - kRingAlign - inbox) / stage, kMostStages);
  }
  /** That share an SM, of tiles of 64 rows three and of 128 two at most: their registers. */
  constexpr int blocks(int stage_count) const {
    int count = tall ? 2 : 3;
    while (count > 1 && stages(count) < stage_count) --count;
    return count;
  }
};

// ---- linear_sm90_prefill_n<columns>

// Widths of the persistent kernel's tiles; `efficiency` is the share of the widest tile's rate that a full wave
// reaches. In order of preference at equal cost.
struct PrefillTile {
  int columns, stages;
  double efficiency;
};
constexpr std::array<PrefillTile, 6> kPrefillTiles = {
    {{256, 4, 1.0}, {192, 5, 0.98}, {224, 4, 0.97}, {128, 6, 0.85}, {96, 7, 0.75}, {64, 8, 0.62}}};
constexpr int kPrefillTokens = 128;
constexpr int kMostBand = 64;

/**
 * Blocks of a cluster, which take neighbouring token tiles and load weights once: two, unless one of them had nothing
 * to do and that would cost more than sharing gains, some 8 %.
 */
constexpr int prefill_cluster(int64_t rows) {
  const int64_t token_tiles = ceil_div(rows, kPrefillTokens);
  return token_tiles % 2 == 0 || token_tiles > 12 ? 2 : 1;
}
/** The last block's included, should it have nothing to do. */
constexpr int64_t prefill_token_tiles(int64_t rows) {
  const int cluster = prefill_cluster(rows);
  return ceil_div(rows, cluster * kPrefillTokens) * cluster;
}

/** What a layer takes with such tiles, in columns of the widest tile's rate: waves times their width. */
constexpr double prefill_cost(const PrefillTile& tile, int64_t rows, int64_t stored_rows, int sm_count) {
  const int64_t tiles = prefill_token_tiles(rows) * ceil_div(stored_rows, tile.columns);
  return static_cast<double>(ceil_div(tiles, sm_count) * tile.columns) / tile.efficiency;
}

}  // namespace r1::cuda
