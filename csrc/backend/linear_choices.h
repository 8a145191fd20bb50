// How linear layers of given shapes are to be computed where measurements know better than the rules of a backend:
// plain rows, one to one with lib/linear-choices.ts, which reads them from lib/linear-choices.json (built in) and from
// the file that R1_LINEAR_CHOICES names. They come from there because C++ has no need of a JSON reader otherwise, and
// every spec is made there: engines, benches and tests have the same table.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace r1 {

enum class NumericClass : uint8_t;

/** Of linear_sm90_stream_*. All but the last two are the key. */
struct StreamChoice {
  NumericClass numeric_class;
  int32_t sms;             // multiprocessors of the device
  int64_t stored_rows, k;  // of the weights
  int32_t tokens;          // of a block's tile: 8, 16, 32 or 64, the least that holds the step's rows
  bool paired;             // with RoPE and the append to the KV cache
  int32_t tile_rows;       // weight rows of a block's tile
  int32_t stages;          // of the ring
};

/** Of linear_sm90_prefill_*. All but the last two are the key. */
struct TileChoice {
  int32_t sms;
  int64_t stored_rows, k;
  int32_t rows;  // a multiple of 128: a step of so many, or up to 127 fewer
  bool paired;
  int32_t columns;  // weight rows of a block's tile
  int32_t band;     // token tiles that share a weight tile in the cache
};

/** Of the decode class. Bits depend on it, so neither rows nor the device are in its key (DESIGN.md 6). */
struct SplitsChoice {
  std::string family;  // of the kernels: "sm75", "sm80", "sm90"
  int64_t stored_rows, k;
  int32_t splits;
};

/** No two rows of a list have the same key. What has no row is left to the rules. */
struct LinearChoices {
  std::vector<StreamChoice> stream;
  std::vector<TileChoice> tile;
  std::vector<SplitsChoice> splits;
};

/** What a linear layer is computed by, one row, and what it could be: rows of the same key in the same list. */
struct LinearOptions {
  LinearChoices now, candidates;
};

}  // namespace r1
