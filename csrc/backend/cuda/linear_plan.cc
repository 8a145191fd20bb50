#include "backend/cuda/linear_plan.h"

#include <algorithm>
#include <array>

#include "backend/cuda/linear_tiles.h"

namespace r1::cuda {
namespace {

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

// Clusters of that many blocks that an H100 or H200 holds at a time with two blocks on an SM (measured; the SMs of its
// GPCs decide). A layer is split such that all its clusters are resident: a second round would cost as much as the
// first.
struct ClusterRow {
  int splits, resident;
};
constexpr std::array<ClusterRow, 6> kClusters = {{{8, 30}, {6, 39}, {5, 47}, {4, 62}, {3, 79}, {2, 132}}};

/** Of a layer's decode class: a function of its shape and the kernels' family alone. */
int splits_of(const LinearShape& shape, KernelFamily kernels, const ChoiceTable& choices) {
  if (shape.numeric_class != NumericClass::kDecode) return 1;
  const int chosen = choices.splits(kernels, shape.stored_rows, shape.k);
  return chosen > 0 ? chosen : decode_splits(shape.stored_rows, shape.k);
}

/**
 * Blocks of the streaming kernel on an SM. Three where that is enough for all tiles: those of the next kernel find room
 * as they end. One that takes tile after tile, with all the loads in flight that fit, where tiles are more, and where
 * they are so few that each has an SM.
 */
int stream_blocks_per_sm(int splits, int64_t tiles, int sm_count) {
  if (splits > 1) return 2;
  return tiles > sm_count && tiles <= int64_t{3} * sm_count ? 3 : 1;
}

LinearPlan plan_stream(const LinearShape& shape, const DeviceProperties& device, const ChoiceTable& choices,
                       LinearPlan plan) {
  const int tokens = decode_tokens(shape.rows), sms = device.sm_count;
  plan.splits = splits_of(shape, KernelFamily::kSm90, choices);
  plan.tile_tokens = tokens;
  const StreamChoice* chosen =
      choices.stream(shape.numeric_class, sms, shape.stored_rows, shape.k, tokens, shape.paired);
  plan.tile_rows = chosen ? chosen->tile_rows : kDecodeTileRows;
  const int64_t tiles = ceil_div(shape.stored_rows, plan.tile_rows);
  const StreamMemory memory({tokens, plan.tile_rows}, plan.splits);
  const int by_rule = std::max(memory.stages(stream_blocks_per_sm(plan.splits, tiles, sms)), kLeastStages);
  plan.stages = chosen ? chosen->stages : by_rule;
  plan.kernel += "_t" + std::to_string(tokens) + "_m" + std::to_string(plan.tile_rows);
  plan.tiles = static_cast<int>(tiles);
  const int64_t places = plan.splits > 1 || shape.paired ? tiles : int64_t{memory.blocks(plan.stages)} * sms;
  plan.launch.grid_x = static_cast<unsigned>(std::min(tiles, places));
  plan.launch.grid_y = static_cast<unsigned>(ceil_div(shape.rows, tokens));
  plan.launch.grid_z = plan.launch.cluster_z = static_cast<unsigned>(plan.splits);
  plan.launch.block = static_cast<unsigned>(plan.tile_rows * 2 + 64);
  plan.launch.shared_bytes = static_cast<unsigned>(memory.dynamic(plan.stages));
  return plan;
}

// ---- prefill on sm_90

const PrefillTile& prefill_tile(const LinearShape& shape, int sm_count, const TileChoice* chosen) {
  if (chosen) {
    return *std::find_if(kPrefillTiles.begin(), kPrefillTiles.end(),
                         [&](const PrefillTile& tile) { return tile.columns == chosen->columns; });
  }
  const auto cost = [&](const PrefillTile& tile) {
    return prefill_cost(tile, shape.rows, shape.stored_rows, sm_count);
  };
  return *std::min_element(kPrefillTiles.begin(), kPrefillTiles.end(),
                           [&](const PrefillTile& a, const PrefillTile& b) { return cost(a) < cost(b); });
}

LinearPlan plan_tile(const LinearShape& shape, const DeviceProperties& device, const ChoiceTable& choices,
                     LinearPlan plan) {
  // Token tiles that weights are read from memory once for, while those tiles' x stays in the cache. Without a cluster
  // it is fewer, and more of them pay only for layers of so many weight rows (bench/NOTES.md).
  constexpr int kBand = 16, kLoneBand = 4;
  constexpr int64_t kWide = 8192;
  const TileChoice* chosen = choices.tile(device.sm_count, shape.stored_rows, shape.k, shape.rows, shape.paired);
  const PrefillTile& tile = prefill_tile(shape, device.sm_count, chosen);
  const int64_t tiles = prefill_token_tiles(shape.rows) * ceil_div(shape.stored_rows, tile.columns);
  const int cluster = prefill_cluster(shape.rows);
  const int staged = tile.columns % 64 == 0 ? 64 : 32;
  plan.tile_rows = tile.columns;
  plan.tile_tokens = kPrefillTokens;
  plan.stages = tile.stages;
  plan.band = chosen ? chosen->band : cluster > 1 ? kBand : shape.stored_rows >= kWide ? kLoneBand : 1;
  plan.kernel += "_n" + std::to_string(tile.columns);
  plan.launch.grid_x = static_cast<unsigned>(std::min<int64_t>(tiles, device.sm_count / cluster * cluster));
  plan.launch.cluster_x = static_cast<unsigned>(cluster);
  plan.launch.block = 384;
  plan.launch.shared_bytes =
      static_cast<unsigned>(1024 + tile.stages * (kPrefillTokens + tile.columns) * 128 + 8 * 16 * (staged * 2 + 16));
  return plan;
}

// ---- mma.sync

LinearPlan plan_mma(const LinearShape& shape, KernelFamily least, const DeviceProperties& device,
                    const ChoiceTable& choices, LinearPlan plan) {
  const bool decode = shape.numeric_class == NumericClass::kDecode;
  plan.tile_rows = decode ? kDecodeTileRows : 128;
  plan.tile_tokens = decode ? decode_tokens(shape.rows) : 128;
  plan.splits = splits_of(shape, least, choices);
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
  constexpr int64_t kLeastUnits = 3;  // of a split, so that its ring gets going
  for (const ClusterRow& row : kClusters) {
    if (tiles <= row.resident && row.splits * kLeastUnits <= ceil_div(k, kSplitUnit)) return row.splits;
  }
  return 1;
}

LinearPlan plan_linear(const LinearShape& shape, KernelFamily family, const DeviceProperties& device,
                       const ChoiceTable& choices) {
  const MethodRow* row = find_method(shape, family);
  LinearPlan plan;
  if (!row) return plan_simt(shape, plan);
  plan.method = row->method;
  plan.kernel = row->kernels;
  switch (row->method) {
    case LinearMethod::kStream:
      return plan_stream(shape, device, choices, plan);
    case LinearMethod::kTile:
      return plan_tile(shape, device, choices, plan);
    default:
      return plan_mma(shape, row->family, device, choices, plan);
  }
}

}  // namespace r1::cuda
