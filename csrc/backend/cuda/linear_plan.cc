#include "backend/cuda/linear_plan.h"

#include <algorithm>
#include <array>

namespace r1::cuda {
namespace {

constexpr int64_t ceil_div(int64_t n, int64_t d) { return (n + d - 1) / d; }

// ---- the method: the first row that fits

constexpr int kAnyRows = 1 << 30;

struct MethodRow {
  KernelFamily family;  // at least
  DType type;           // of activations and weights
  NumericClass numeric_class;
  int rows;  // at most
  LinearMethod method;
  const char* kernels;  // prefix of their names
};

constexpr std::array<MethodRow, 9> kMethods = {{
    {KernelFamily::kSm90, DType::kBF16, NumericClass::kDecode, kAnyRows, LinearMethod::kStream, "linear_sm90_stream"},
    {KernelFamily::kSm90, DType::kBF16, NumericClass::kPrefill, 64, LinearMethod::kStream, "linear_sm90_stream"},
    {KernelFamily::kSm90, DType::kBF16, NumericClass::kPrefill, kAnyRows, LinearMethod::kTile, "linear_sm90_prefill"},
    {KernelFamily::kSm80, DType::kBF16, NumericClass::kDecode, kAnyRows, LinearMethod::kMma, "linear_sm80_decode_bf16"},
    {KernelFamily::kSm80, DType::kBF16, NumericClass::kPrefill, kAnyRows, LinearMethod::kMma,
     "linear_sm80_prefill_bf16"},
    {KernelFamily::kSm80, DType::kF16, NumericClass::kDecode, kAnyRows, LinearMethod::kMma, "linear_sm80_decode_fp16"},
    {KernelFamily::kSm80, DType::kF16, NumericClass::kPrefill, kAnyRows, LinearMethod::kMma,
     "linear_sm80_prefill_fp16"},
    {KernelFamily::kSm75, DType::kF16, NumericClass::kDecode, kAnyRows, LinearMethod::kMma, "linear_sm75_decode_fp16"},
    {KernelFamily::kSm75, DType::kF16, NumericClass::kPrefill, kAnyRows, LinearMethod::kMma,
     "linear_sm75_prefill_fp16"},
}};

const MethodRow* find_method(const LinearShape& shape, KernelFamily family) {
  for (const MethodRow& row : kMethods) {
    if (family >= row.family && shape.act == row.type && shape.weight == row.type &&
        shape.numeric_class == row.numeric_class && shape.rows <= row.rows) {
      return &row;
    }
  }
  return nullptr;
}

// ---- few rows on tensor cores

constexpr int kDecodeTileRows = 64;

// Clusters of that many blocks that an H100 or H200 holds at a time with two blocks on an SM (measured; the SMs of its
// GPCs decide). A layer is split such that all its clusters are resident: a second round would cost as much as the
// first.
struct ClusterRow {
  int splits, resident;
};
constexpr std::array<ClusterRow, 6> kClusters = {{{8, 30}, {6, 39}, {5, 47}, {4, 62}, {3, 79}, {2, 132}}};

/** The smallest tile of tokens, of 8, 16, 32 and 64. */
int decode_tokens(int rows) { return rows <= 8 ? 8 : rows <= 16 ? 16 : rows <= 32 ? 32 : 64; }

// Shared memory of a block when so many share an SM of 228 KB, of which 1 KB a block is the system's.
constexpr int blocks_per_sm(int blocks) { return 228 * 1024 / blocks - 1024; }

/**
 * Blocks of the streaming kernel on an SM. Three where that is enough for all tiles: those of the next kernel find room
 * as they end. One that takes tile after tile, with all the loads in flight that fit, where tiles are more, and where
 * they are so few that each has an SM.
 */
int stream_blocks_per_sm(int splits, int64_t tiles, int sm_count) {
  if (splits > 1) return 2;
  return tiles > sm_count && tiles <= int64_t{3} * sm_count ? 3 : 1;
}

LinearPlan plan_stream(const LinearShape& shape, const DeviceProperties& device, LinearPlan plan) {
  const int tokens = decode_tokens(shape.rows);
  const bool decode = shape.numeric_class == NumericClass::kDecode;
  plan.splits = decode ? decode_splits(shape.stored_rows, shape.k) : 1;
  plan.tile_rows = kDecodeTileRows;
  const bool tall = plan.tile_rows > kDecodeTileRows;
  plan.tile_tokens = tokens;
  const int stage_blocks = tokens == 64 || tall ? 1 : 2;  // of 64 values of K
  const int threads = plan.tile_rows * 2;
  const int stage_bytes = (plan.tile_rows + tokens) * 128 * stage_blocks;
  const int groups = tokens / 8;
  const int inbox_bytes =
      plan.splits > 1 ? plan.splits * static_cast<int>(ceil_div(groups, plan.splits)) * threads * 16 : 0;
  const int64_t tiles = ceil_div(shape.stored_rows, plan.tile_rows);
  // Barriers, and what the epilogue's threads tell each other: of each token a root, a row and sums of each warp.
  const int static_bytes = 328 + tokens * (4 + 12 * (plan.tile_rows / 64) + plan.tile_rows / 4);
  const int per_sm = stream_blocks_per_sm(plan.splits, tiles, device.sm_count);
  const int budget = blocks_per_sm(per_sm) - static_bytes;
  constexpr int kAlign = 1024;
  plan.stages = std::clamp((budget - kAlign - inbox_bytes) / stage_bytes, 2, 16);
  plan.kernel += "_t" + std::to_string(tokens) + "_m" + std::to_string(plan.tile_rows);
  const int64_t places = plan.splits > 1 || shape.paired ? tiles : int64_t{per_sm} * device.sm_count;
  plan.launch.grid_x = static_cast<unsigned>(std::min(tiles, places));
  plan.launch.grid_y = static_cast<unsigned>(ceil_div(shape.rows, tokens));
  plan.launch.grid_z = plan.launch.cluster_z = static_cast<unsigned>(plan.splits);
  plan.launch.block = static_cast<unsigned>(threads + 64);
  plan.launch.shared_bytes = static_cast<unsigned>(kAlign + plan.stages * stage_bytes + inbox_bytes);
  return plan;
}

// ---- prefill on sm_90

// Widths of the persistent kernel's tiles; `efficiency` is the share of the widest tile's rate that a full wave
// reaches. In order of preference at equal cost.
struct PrefillTileRow {
  int columns, stages;
  double efficiency;
};
constexpr std::array<PrefillTileRow, 6> kPrefillTiles = {
    {{192, 5, 1.0}, {256, 4, 1.0}, {224, 4, 1.0}, {128, 6, 0.95}, {96, 7, 0.9}, {64, 8, 0.8}}};
constexpr int kPrefillTokens = 128;

LinearPlan plan_tile(const LinearShape& shape, const DeviceProperties& device, LinearPlan plan) {
  const int64_t token_tiles = ceil_div(shape.rows, kPrefillTokens);
  const auto tiles = [&](const PrefillTileRow& row) { return token_tiles * ceil_div(shape.stored_rows, row.columns); };
  const auto cost = [&](const PrefillTileRow& row) {
    return static_cast<double>(ceil_div(tiles(row), device.sm_count) * row.columns) / row.efficiency;
  };
  const PrefillTileRow& best =
      *std::min_element(kPrefillTiles.begin(), kPrefillTiles.end(),
                        [&](const PrefillTileRow& a, const PrefillTileRow& b) { return cost(a) < cost(b); });
  constexpr int64_t kWide = 8192;  // weight rows from which on two token tiles should share a weight tile
  const int staged = best.columns % 64 == 0 ? 64 : 32;
  plan.tile_rows = best.columns;
  plan.tile_tokens = kPrefillTokens;
  plan.stages = best.stages;
  plan.band = shape.stored_rows >= kWide ? 2 : 1;
  plan.kernel += "_n" + std::to_string(best.columns);
  plan.launch.grid_x = static_cast<unsigned>(std::min<int64_t>(tiles(best), device.sm_count));
  plan.launch.block = 384;
  plan.launch.shared_bytes =
      static_cast<unsigned>(1024 + best.stages * (kPrefillTokens + best.columns) * 128 + 8 * 16 * (staged * 2 + 16));
  return plan;
}

// ---- mma.sync

LinearPlan plan_mma(const LinearShape& shape, KernelFamily least, const DeviceProperties& device, LinearPlan plan) {
  const bool decode = shape.numeric_class == NumericClass::kDecode;
  plan.tile_rows = decode ? kDecodeTileRows : 128;
  plan.tile_tokens = decode ? decode_tokens(shape.rows) : 128;
  plan.splits = decode ? decode_splits(shape.stored_rows, shape.k) : 1;
  const int stage_bytes = (plan.tile_rows + plan.tile_tokens) * 128;
  if (least == KernelFamily::kSm75) {
    plan.stages = 2;
  } else if (!decode) {
    plan.stages = 3;  // 96 KB: what fits in a block on compute capability 8.6
  } else {
    const int budget = device.max_shared_bytes >= 160 * 1024 ? 72 * 1024 : 48 * 1024;  // two blocks to an SM
    plan.stages = std::clamp(budget / stage_bytes, 2, 6);
  }
  if (decode) plan.kernel += "_t" + std::to_string(plan.tile_tokens);
  plan.launch.grid_x = static_cast<unsigned>(ceil_div(shape.rows, plan.tile_tokens));
  plan.launch.grid_y = static_cast<unsigned>(ceil_div(shape.stored_rows, plan.tile_rows));
  plan.launch.grid_z = static_cast<unsigned>(plan.splits);
  plan.launch.block = decode ? 128 : 256;
  plan.launch.shared_bytes = static_cast<unsigned>(plan.stages * stage_bytes);
  return plan;
}

// ---- plain arithmetic

LinearPlan plan_simt(const LinearShape& shape, LinearPlan plan) {
  const bool decode = shape.numeric_class == NumericClass::kDecode;
  plan.method = LinearMethod::kSimt;
  plan.kernel = std::string("linear_simt_") + (decode ? "decode_" : "prefill_") + std::string(dtype_name(shape.act)) +
                "_" + std::string(dtype_name(shape.weight));
  plan.launch.block = 256;
  if (!decode) {
    plan.tile_rows = plan.tile_tokens = 64;
    plan.launch.grid_x = static_cast<unsigned>(ceil_div(shape.rows, 64));
    plan.launch.grid_y = static_cast<unsigned>(ceil_div(shape.stored_rows, 64));
    return plan;
  }
  // A block's 8 warps take 16 rows, or fewer rows in several ranges of K: enough blocks for a large card, from the
  // shape alone. A warp takes 256 values of K in a step and should have two steps.
  const int64_t groups = ceil_div(shape.stored_rows, 16);
  const int64_t steps = ceil_div(shape.k, 256);
  constexpr int64_t kBlocks = 528;
  while (plan.splits < 8 && groups * plan.splits < kBlocks && steps >= 4 * plan.splits) plan.splits *= 2;
  plan.tile_rows = 16 / plan.splits;
  plan.tile_tokens = 8;
  plan.launch.grid_x = static_cast<unsigned>(groups * plan.splits);
  plan.launch.grid_y = static_cast<unsigned>(ceil_div(shape.rows, 8));
  return plan;
}

}  // namespace

int decode_splits(int64_t stored_rows, int64_t k) {
  const int64_t tiles = ceil_div(stored_rows, kDecodeTileRows);
  constexpr int64_t kUnit = 128;      // values of K that a split is a multiple of
  constexpr int64_t kLeastUnits = 3;  // of a split, so that its ring gets going
  for (const ClusterRow& row : kClusters) {
    if (tiles <= row.resident && row.splits * kLeastUnits <= ceil_div(k, kUnit)) return row.splits;
  }
  return 1;
}

LinearPlan plan_linear(const LinearShape& shape, KernelFamily family, const DeviceProperties& device) {
  const MethodRow* row = find_method(shape, family);
  LinearPlan plan;
  if (!row) return plan_simt(shape, plan);
  plan.method = row->method;
  plan.kernel = row->kernels;
  switch (row->method) {
    case LinearMethod::kStream:
      return plan_stream(shape, device, plan);
    case LinearMethod::kTile:
      return plan_tile(shape, device, plan);
    default:
      return plan_mma(shape, row->family, device, plan);
  }
}

}  // namespace r1::cuda
