// The loops that do the arithmetic, once per instruction set (kernels_*.cc), behind one table chosen at run time.
//
// Shapes shared by all of them:
//   panel   32 rows of a weight matrix, packed along k in pairs (Format says how): what one tile of outputs needs.
//   staged  the activations of a linear layer, row-major with a padded stride, columns padded to an even count by
//   zeros;
//           bfloat16 where the CPU has bfloat16 dot products and the precision is bf16, else float32.
// Every output is one accumulator that runs over k in order, so no result depends on the rows or panels beside it.
#pragma once
#include <cstdint>
#include <string_view>

namespace r1::cpu {

constexpr int kPanel = 32;  // rows of a packed weight panel
constexpr int kTile = 64;   // keys of an attention tile = kKvBlockTokens

/** Types of a product: staged activations × packed weights. */
enum class Format : uint8_t {
  kF32xBF16,   // panel [k/2][32][2] bfloat16
  kF32xF32,    // panel [k][32] float32
  kF32xF16,    // panel [k][32] half
  kBF16xBF16,  // panel [k/2][32][2] bfloat16, by dot products of pairs
  kF32xRows,   // 32 columns of float32 rows, TileParams::row_bytes apart: values in the KV cache, read where they lie
};
constexpr int kFormats = 5;

/** Bytes of a panel per pair of columns. */
constexpr int64_t pair_bytes(Format f) { return f == Format::kF32xF32 ? 256 : 128; }

/** Memory that will be needed soon: `runs` times `bytes` bytes, `stride` apart. Null asks for nothing. */
struct Ahead {
  const void* at = nullptr;
  int64_t stride = 0, bytes = 0;
  int runs = 0;
};

/** c[rows][32·panels] (+)= a[rows][2·pairs] · panels^T */
struct TileParams {
  const void* a;
  int64_t a_stride;  // bytes
  int rows;
  const void* panel;
  int64_t panel_bytes;  // from a panel to the next
  int panels;           // 1 or 2
  int pairs;
  float* c;
  int64_t c_stride;  // floats
  bool accumulate;
  Ahead weights{}, outputs{};  // fetched while the tile is computed, a little with every few rows
  int64_t row_bytes = 0;       // kF32xRows only
};

/** How values leave float32. */
enum class Store : uint8_t {
  kF32,
  kBF16,
  kF32Rounded,  // rounded to bfloat16, kept as float32: staged activations without bfloat16 dot products
};
constexpr int64_t store_size(Store s) { return s == Store::kBF16 ? 2 : 4; }

struct NormRowParams {
  const float* x;     // [n]
  const float* gain;  // [n]
  float eps;
  int n;
  void* out;  // [n]
  Store store;
};

/** A panel's part of a tile on its way out: 32 columns, or 16 of the gate and 16 of the up projection. */
struct StoreTileParams {
  const float* c;
  int64_t c_stride;  // floats
  int rows;
  const float* bias;     // [columns] or null; SwiGLU: of the gate
  const float* bias_up;  // [columns] or null
  int columns;           // of the output that are real: <= 32, SwiGLU: <= 16
  void* out;
  int64_t out_stride;  // bytes
  Store store;
};

/** Keys [begin, end) of an attention tile that a row sees; may reach beyond the tile. */
struct KeyRange {
  int begin, end;
};
constexpr int kSoftmaxRows = 24;
constexpr int kSumLanes = 16;  // partial sums of a row, added once all tiles are through

/**
 * Rows of an attention tile: scores in, probabilities relative to 2^max out, where `max` follows the largest score so
 * far loosely. Results of earlier tiles must be multiplied by `factor`, `sum` already is.
 */
struct SoftmaxParams {
  const float* scores;      // [rows][64]
  int rows;                 // <= kSoftmaxRows
  const KeyRange* visible;  // [rows], null when every row sees the whole tile
  float scale;
  float* max;     // [rows] of scores · scale · log2 e, finite
  float* sum;     // [rows][kSumLanes] running sums of 2^(score − max)
  float* factor;  // [rows] out, 1 for most
  void* out;      // [rows][64], 256 bytes from row to row; may be `scores`
  Store store;
};

struct RopeHeadParams {
  const void* in;     // [head_dim]
  const float* gain;  // [head_dim] of the per-head RMSNorm, or null
  float eps;
  const float* cos;  // [head_dim/2], rope_scale included
  const float* sin;
  int head_dim;
  void* out;  // [head_dim], may be `in`
  Store store;
};

struct Kernels {
  std::string_view family;  // "avx2"
  std::string_view detail;  // instruction sets, for people
  bool bf16_dots;           // kBF16xBF16 is there
  int row_block;            // rows of a register tile: multiples of it are computed at full speed

  void (*tile[kFormats])(const TileParams&);
  void (*norm_row)(const NormRowParams&);
  void (*store_tile)(const StoreTileParams&);   // out = c + bias
  void (*add_tile)(const StoreTileParams&);     // out (float32) += c + bias
  void (*swiglu_tile)(const StoreTileParams&);  // out = silu(c[0..16) + bias) · (c[16..32) + bias_up)
  void (*softmax)(const SoftmaxParams&);
  void (*rope_head)(const RopeHeadParams&);
  void (*scale_row)(float* x, float factor, int n);
  void (*convert_row)(const float* x, float factor, int n, void* out, Store store);
  void (*expand_row)(const uint16_t* x, int n, float* out);  // bfloat16 → float32
  /** Keys of a tile as panels: out[unit][32] = in[key][unit] in 32-bit units, zero for keys past `keys` (<= 32). */
  void (*pack_keys)(const void* in, int64_t in_stride, int keys, int units, void* out);
  /** Values of a bfloat16 tile as a panel: out[key/2][32][2] = in[key][dim], zero past `keys` (<= 64) and `dims` (<=
   * 32). */
  void (*pack_values_bf16)(const uint16_t* in, int64_t in_stride, int keys, int dims, uint16_t* out);

  /** A kF32xBF16 panel as a kF32xF32 one: worth it when many rows follow. */
  void (*expand_panel)(const void* panel, int pairs, float* out);

  /** Largest element (NaN ignored) and whether one is NaN or +inf. */
  float (*row_max)(const float* x, int64_t n, bool* bad);
  /** Σ exp(x − max), summed in double. */
  double (*sum_exp)(const float* x, float max, int64_t n);

  /** out[i] = sampling::weight_of(z[i] / temperature, largest / temperature), bit for bit. */
  void (*weigh)(const float* z, float largest, float temperature, int64_t n, uint64_t* out);

  /** For measure_ceilings: a value that depends on every byte; multiply-adds done per call. */
  float (*stream_read)(const void* data, int64_t bytes);
  int64_t (*spin_f32)(int64_t rounds, float* sink);
  int64_t (*spin_bf16)(int64_t rounds, float* sink);  // null without bfloat16 dot products
};

const Kernels* generic_kernels();
const Kernels* avx2_kernels();  // null on other architectures, like the next three
const Kernels* avx512_kernels();
const Kernels* avx512bf16_kernels();
const Kernels* neon_kernels();

/** The best table this machine can run, or the named one. Throws kUnsupported naming what is missing. */
const Kernels& choose_kernels(std::string_view family);
/** A table with bfloat16 dot products if this machine has them, whether or not it is the best: for measure_ceilings. */
const Kernels* bf16_dot_kernels();

}  // namespace r1::cpu
