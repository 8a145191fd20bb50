#include "backend/cuda/linear_candidates.h"

#include <algorithm>

#include "backend/cuda/linear_tiles.h"

namespace r1::cuda {
namespace {

constexpr int kMostBlocks = 4;  // that share an SM
constexpr std::array<int, 4> kBands = {1, 2, 4, 16};
constexpr double kWorthTrying = 1.25;  // of the least cost; the model of it is no better than that

void stream_options(const LinearShape& shape, const LinearPlan& plan, int sms, LinearOptions& to) {
  StreamChoice choice{.numeric_class = shape.numeric_class,
                      .sms = sms,
                      .stored_rows = shape.stored_rows,
                      .k = shape.k,
                      .tokens = plan.tile_tokens,
                      .paired = shape.paired,
                      .tile_rows = plan.tile_rows,
                      .stages = plan.stages};
  to.now.stream.push_back(choice);
  for (const StreamTile& tile : kStreamTiles) {
    if (tile.tokens != plan.tile_tokens || !stream_tile_fits(tile, shape.paired)) continue;
    choice.tile_rows = tile.rows;
    choice.stages = 0;
    for (int blocks = 1; blocks <= kMostBlocks; ++blocks) {
      const int stages = StreamMemory(tile, plan.splits).stages(blocks);
      if (stages < kLeastStages || stages == choice.stages) continue;
      choice.stages = stages;
      to.candidates.stream.push_back(choice);
    }
  }
}

void tile_options(const LinearShape& shape, const LinearPlan& plan, int sms, LinearOptions& to) {
  const auto token_tiles = static_cast<int>(ceil_div(shape.rows, kPrefillTokens));
  TileChoice choice{.sms = sms,
                    .stored_rows = shape.stored_rows,
                    .k = shape.k,
                    .rows = token_tiles * kPrefillTokens,
                    .paired = shape.paired,
                    .columns = plan.tile_rows,
                    .band = plan.band};
  to.now.tile.push_back(choice);
  const auto cost = [&](const PrefillTile& tile) { return prefill_cost(tile, shape.rows, shape.stored_rows, sms); };
  double least = cost(kPrefillTiles.front());
  for (const PrefillTile& tile : kPrefillTiles) least = std::min(least, cost(tile));
  for (const PrefillTile& tile : kPrefillTiles) {
    if (cost(tile) > kWorthTrying * least) continue;
    choice.columns = tile.columns;
    for (const int band : kBands) {
      if (band > token_tiles || band % prefill_cluster(shape.rows) != 0) continue;
      choice.band = band;
      to.candidates.tile.push_back(choice);
    }
  }
}

}  // namespace

LinearOptions linear_options(const LinearShape& shape, KernelFamily family, const DeviceProperties& device,
                             const ChoiceTable& choices) {
  const LinearPlan plan = plan_linear(shape, family, device, choices);
  LinearOptions options;
  if (plan.method == LinearMethod::kStream) stream_options(shape, plan, device.sm_count, options);
  if (plan.method == LinearMethod::kTile) tile_options(shape, plan, device.sm_count, options);
  return options;
}

}  // namespace r1::cuda
