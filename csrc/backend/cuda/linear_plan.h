// Which kernel computes a linear layer, and in which configuration. A pure function of shape, device and the table of
// choices, which goes before the rules.
#pragma once
#include "backend/backend.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/linear_choices.h"

namespace r1::cuda {

enum class LinearMethod : uint8_t {
  kStream,  // linear_sm90_stream_*: weights streamed once through TMA and wgmma, K split over a cluster
  kTile,    // linear_sm90_prefill_*: persistent tiles with TMA and wgmma
  kMma,     // linear_sm80_*, linear_sm75_*: mma.sync
  kSimt,    // linear_simt_*
};

struct LinearShape {
  NumericClass numeric_class;
  int rows;             // T, in the decode class at most kMaxDecodeRows
  int64_t stored_rows;  // of the weights
  int64_t k;
  DType act, weight;
  bool paired = false;  // kRopeAppend: the rows of a tile come from one head, or from whole ones

  friend bool operator==(const LinearShape&, const LinearShape&) = default;
};

struct LinearPlan {
  LinearMethod method = LinearMethod::kSimt;
  std::string kernel;
  LaunchShape launch;
  int tile_rows = 0;    // weight rows of a block's tile
  int tile_tokens = 0;  // tokens of a block's tile
  int splits = 1;       // of K: over blocks, for kSimt over the warps of a block
  int stages = 0;       // of the ring
  int tiles = 0;        // kStream: of weight rows; a block may take several
  int band = 1;         // kTile: token tiles that share a weight tile in the cache
};

/** Most (weight tiles x splits) of a plan that splits K over blocks: the size of the workspace for partial sums. */
constexpr int kMaxSplitTiles = 264;
/** Most partial sums of one of them: 64 weight rows x 64 tokens. */
constexpr int kMaxSplitTileSums = 64 * 64;

/**
 * Row invariance (DESIGN.md 6): what decides the order of a row's sums is a function of family, types, numeric class,
 * stored_rows and k; `rows` and the device decide only tiles, stages and grids, and between methods of equal order
 * (kTile, and kStream with one split).
 */
LinearPlan plan_linear(const LinearShape& shape, KernelFamily family, const DeviceProperties& device,
                       const ChoiceTable& choices);

/** Ranges of K that the decode kernels of the tensor-core families add separately, by the rules: 1 to 8. */
int decode_splits(int64_t stored_rows, int64_t k);

}  // namespace r1::cuda
