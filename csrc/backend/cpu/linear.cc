// Embedding, norms and the linear layers.
#include <algorithm>
#include <cstring>
#include <limits>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"

namespace r1::cpu {
namespace {

// Rows of a tile's chunk: they share one read of the weights from the last-level cache and stay in the second-level
// one.
constexpr int64_t kChunkBytes = 1 << 20;
constexpr int kMaxChunkRows = 420;
// Columns at a time when a chunk has more rows than a register tile: a panel's piece stays in the
// first-level cache while the rows pass by. Sums continue from piece to piece, so the order of additions is the same.
constexpr int64_t kPieceBytes = 32 << 10;
constexpr int kExpandRows =
    36;  // from here on a piece of bfloat16 weights is expanded once instead of per register tile
constexpr int kOnePassRows = 6;
constexpr int kTilePanels = 2;  // panels that are multiplied together
constexpr int kTileColumns = kTilePanels * kPanel;
constexpr int64_t kGrainBytes = 128 << 10;  // of weights: what a thread takes at a time when rows are few

const PackedMatrix& packed(const Matrix* matrix) { return *static_cast<const PackedMatrix*>(matrix); }

/**
 * Rows of a chunk: of equal size but for a register tile's, and so many that threads which take the (chunk, tile) pairs
 * are done together. Expanding a tile's weights costs as much as computing kExpandCost rows of it.
 */
int chunk_rows(int rows, int64_t stride, int64_t tiles, int threads, int row_block) {
  constexpr int kExpandCost = 8, kMostChunks = 16;
  const auto most = static_cast<int>(std::clamp<int64_t>(kChunkBytes / stride, kExpandRows, kMaxChunkRows));
  int best = std::min(rows, most);
  int64_t best_cost = std::numeric_limits<int64_t>::max();
  for (int chunks = (rows + most - 1) / most; chunks <= kMostChunks; ++chunks) {
    const int even = ((rows + chunks - 1) / chunks + row_block - 1) / row_block * row_block;
    if (even > most || (even < kExpandRows && best_cost != std::numeric_limits<int64_t>::max())) continue;
    const int64_t rounds = ((rows + even - 1) / even * tiles + threads - 1) / threads;
    const int64_t cost = rounds * (even + kExpandCost);
    if (cost < best_cost) best = std::min(rows, even), best_cost = cost;
  }
  return best;
}

}  // namespace

int64_t CpuBackend::row_grain(int64_t work_per_row) const {
  constexpr int64_t kWorthwhile = 16 << 10;  // elements: a few microseconds
  return std::max<int64_t>(1, kWorthwhile / std::max<int64_t>(1, work_per_row));
}

Staged CpuBackend::make_staged(int rows, int64_t cols) {
  const int64_t row_bytes = (cols + 1) / 2 * 2 * store_size(staged_store_);
  int64_t lines = (row_bytes + 63) / 64;
  lines += lines % 2 == 0;
  Staged staged{nullptr, lines * 64, rows};
  staged.data = staged_.at_least(staged.stride * rows);
  if (cols % 2 != 0) {  // the padding column meets a zero weight and must not be NaN
    for (int r = 0; r < rows; ++r) {
      std::memset(staged.data + r * staged.stride + cols * store_size(staged_store_), 0,
                  static_cast<size_t>(store_size(staged_store_)));
    }
  }
  return staged;
}

Staged CpuBackend::stage_normed(const float* residual, const int32_t* row_ids, int rows, int64_t cols,
                                const float* gain, float eps) {
  const Staged staged = make_staged(rows, cols);
  pool_.parallel_for(rows, row_grain(cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const float* x = residual + (row_ids ? row_ids[r] : r) * cols;
      kernels_.norm_row({x, gain, eps, static_cast<int>(cols), staged.data + r * staged.stride, staged_store_});
    }
  });
  return staged;
}

Staged CpuBackend::stage_activations(const void* x, int rows, int64_t cols) {
  const int64_t row_bytes = cols * dtype_size(act_);
  if (staged_store_ == act_store_ && cols % 2 == 0) {  // as tiles want them already; they are only read
    return {static_cast<char*>(const_cast<void*>(x)), row_bytes, rows};
  }
  const Staged staged = make_staged(rows, cols);
  pool_.parallel_for(rows, row_grain(cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const char* from = static_cast<const char*>(x) + r * row_bytes;
      char* to = staged.data + r * staged.stride;
      if (staged_store_ == Store::kF32Rounded) {
        kernels_.expand_row(reinterpret_cast<const uint16_t*>(from), static_cast<int>(cols),
                            reinterpret_cast<float*>(to));
      } else {
        std::memcpy(to, from, static_cast<size_t>(row_bytes));
      }
    }
  });
  return staged;
}

void CpuBackend::multiply_chunk(const Staged& x, int first_row, int rows, const PackedMatrix& weight, int64_t panel,
                                const TileOutput& output, float* tile) const {
  const int panels = static_cast<int>(std::min<int64_t>(kTilePanels, weight.panels - panel));
  const int64_t activation_pair = 2 * store_size(staged_store_);
  const bool expand = weight.format == Format::kF32xBF16 && rows >= kExpandRows;
  const Format format = expand ? Format::kF32xF32 : weight.format;
  const auto multiply_tile = kernels_.tile[static_cast<int>(format)];
  const int longest = static_cast<int>(kPieceBytes / (panels * pair_bytes(format)));
  const int pieces = rows <= kOnePassRows ? 1 : (weight.pairs + longest - 1) / longest;
  const int piece = (weight.pairs + pieces - 1) / pieces;
  float* expanded = tile + int64_t{kMaxChunkRows} * kTileColumns;
  const char* a = x.data + first_row * x.stride;
  const int64_t column = panel * output.panel_columns;
  char* out = static_cast<char*>(output.out) + first_row * output.stride + column * store_size(output.store);
  for (int k = 0; k < weight.pairs; k += piece) {
    const int pairs = std::min(piece, weight.pairs - k);
    const char* const source = weight.panel(panel) + k * pair_bytes(weight.format);
    const char* b = source;
    int64_t panel_bytes = weight.panel_bytes();
    if (expand) {
      panel_bytes = pairs * pair_bytes(format);
      for (int i = 0; i < panels; ++i) {
        kernels_.expand_panel(b + i * weight.panel_bytes(), pairs, expanded + i * panel_bytes / 4);
      }
      b = reinterpret_cast<const char*>(expanded);
    }
    Ahead weights{}, outputs{};
    if (rows > kOnePassRows) {  // the next piece, or the first one of the next panels
      const int64_t bytes = piece * pair_bytes(weight.format);
      weights = {k + piece < weight.pairs ? source + bytes : weight.panel(panel + panels), weight.panel_bytes(), bytes,
                 panels};
      if (k == 0) outputs = {out, output.stride, panels * output.panel_columns * store_size(output.store), rows};
    }
    multiply_tile({a + k * activation_pair, x.stride, rows, b, panel_bytes, panels, pairs, tile, kTileColumns, k > 0,
                   weights, outputs});
  }
  for (int i = 0; i < panels; ++i) {
    const int64_t first = column + i * output.panel_columns;
    output.store_tile({tile + i * kPanel, kTileColumns, rows, output.bias ? output.bias + first : nullptr,
                       output.bias2 ? output.bias2 + first : nullptr,
                       static_cast<int>(std::min<int64_t>(output.panel_columns, output.columns - first)),
                       out + i * output.panel_columns * store_size(output.store), output.stride, output.store});
  }
}

void CpuBackend::multiply(const Staged& x, const PackedMatrix& weight, const TileOutput& output) {
  const int64_t tiles = (weight.panels + kTilePanels - 1) / kTilePanels;
  const int chunk = chunk_rows(x.rows, x.stride, tiles, pool_.threads(), kernels_.row_block);
  const int64_t chunks = (x.rows + chunk - 1) / chunk;
  const int64_t by_bytes = std::max<int64_t>(1, kGrainBytes / (kTilePanels * weight.panel_bytes()));
  const int64_t by_count = std::max<int64_t>(1, tiles / (4 * pool_.threads()));
  const int64_t grain = x.rows > kOnePassRows ? 1 : std::min(by_bytes, by_count);
  pool_.parallel_for(chunks * tiles, grain, [&](int64_t begin, int64_t end, int thread) {
    float* tile = reinterpret_cast<float*>(
        thread_scratch_[static_cast<size_t>(thread)].at_least(int64_t{kMaxChunkRows} * kTileColumns * 4 + kPieceBytes));
    for (int64_t i = begin; i < end; ++i) {
      const int first = static_cast<int>(i / tiles) * chunk;
      multiply_chunk(x, first, std::min(chunk, x.rows - first), weight, i % tiles * kTilePanels, output, tile);
    }
  });
}

void CpuBackend::embed(const EmbedParams& p) {
  const PackedMatrix& table = packed(p.table);
  pool_.parallel_for(p.step->rows, row_grain(16 * table.cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) table.read_row(p.step->tokens[r], p.residual + r * table.cols);
  });
}

void CpuBackend::norm_linear(const NormLinearParams& p) {
  const PackedMatrix& weight = packed(p.weight);
  const Staged x = stage_normed(p.residual, nullptr, p.step->rows, weight.cols, p.gain, p.eps);
  multiply(
      x, weight,
      {kernels_.store_tile, p.out, weight.rows * dtype_size(act_), act_store_, weight.rows, kPanel, p.bias, nullptr});
}

void CpuBackend::linear_residual(const LinearResidualParams& p) {
  R1_CHECK(!p.x_scale, ErrorCode::kInvalidArgument, "row scales belong to fp16, which the CPU does not have");
  const PackedMatrix& weight = packed(p.weight);
  const Staged x = stage_activations(p.x, p.step->rows, weight.cols);
  multiply(x, weight,
           {kernels_.add_tile, p.residual, weight.rows * 4, Store::kF32, weight.rows, kPanel, p.bias, nullptr});
}

void CpuBackend::norm_swiglu(const NormSwigluParams& p) {
  const PackedMatrix& weight = packed(p.weight);
  const int64_t inner = weight.rows / 2;
  const Staged x = stage_normed(p.residual, nullptr, p.step->rows, weight.cols, p.gain, p.eps);
  multiply(x, weight,
           {kernels_.swiglu_tile, p.out, inner * dtype_size(act_), act_store_, inner, kPanel / 2, p.bias,
            p.bias ? p.bias + inner : nullptr});
}

void CpuBackend::head(const HeadParams& p) {
  const PackedMatrix& weight = packed(p.weight);
  const Staged x = stage_normed(p.residual, p.step->logit_rows + p.first, p.count, weight.cols, p.gain, p.eps);
  multiply(x, weight,
           {kernels_.store_tile, p.logits, weight.rows * 4, Store::kF32, weight.rows, kPanel, nullptr, nullptr});
}

}  // namespace r1::cpu
