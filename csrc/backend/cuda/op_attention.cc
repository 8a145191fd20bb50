// Attention: which kernel serves a step's class, type and head size.
#include <algorithm>
#include <limits>

#include "backend/cuda/attention_deal.h"
#include "backend/cuda/ops.h"

namespace r1::cuda {
namespace {

static_assert(kMaxDecodeStepRows == kMaxDecodeRows);

struct PrefillRow {
  KernelFamily least;  // the family from which on the kernel runs
  DType act;
  int head_dim;
  const char* kernel;
  unsigned shared_bytes;
  const char* staying = nullptr;  // the kernel for many items, whose blocks stay
  bool wide = false;              // attention_prefill_sm90.cu: tiles of 128 rows, K and V through a tensor map
};

// Two stages of K and V tiles of 64 tokens on sm_80, one on sm_75.
constexpr unsigned tile_bytes(int head_dim, int stages) {
  return static_cast<unsigned>(2 * stages * 64 * head_dim * 2);
}

// 128 query members, two stages of K and V tiles of 128 tokens, and their alignment to 1024 bytes; sums of 128 members.
constexpr unsigned wide_bytes(int head_dim) {
  return static_cast<unsigned>((128 + 4 * 128) * head_dim * 2 + 1024 + 128 * head_dim * 4);
}

// The best first.
constexpr PrefillRow kPrefillTable[] = {
    {KernelFamily::kSm90, DType::kBF16, 64, "attention_prefill_sm90_bf16_d64", wide_bytes(64),
     "attention_prefill_sm90_staying_bf16_d64", true},
    {KernelFamily::kSm90, DType::kBF16, 128, "attention_prefill_sm90_bf16_d128", wide_bytes(128),
     "attention_prefill_sm90_staying_bf16_d128", true},
    {KernelFamily::kSm80, DType::kBF16, 64, "attention_prefill_sm80_bf16_d64", tile_bytes(64, 2)},
    {KernelFamily::kSm80, DType::kBF16, 128, "attention_prefill_sm80_bf16_d128", tile_bytes(128, 2)},
    {KernelFamily::kSm80, DType::kF16, 64, "attention_prefill_sm80_fp16_d64", tile_bytes(64, 2)},
    {KernelFamily::kSm80, DType::kF16, 128, "attention_prefill_sm80_fp16_d128", tile_bytes(128, 2)},
    {KernelFamily::kSm75, DType::kF16, 64, "attention_prefill_sm75_fp16_d64", tile_bytes(64, 1)},
    {KernelFamily::kSm75, DType::kF16, 128, "attention_prefill_sm75_fp16_d128", tile_bytes(128, 1)},
};

const PrefillRow* find_prefill(KernelFamily family, DType act, int head_dim) {
  for (const PrefillRow& row : kPrefillTable) {
    if (family >= row.least && act == row.act && head_dim == row.head_dim) return &row;
  }
  return nullptr;
}

std::string typed_kernel(const char* op, DType act, int head_dim) {
  return std::string(op) + "_" + std::string(dtype_name(act)) + "_d" + std::to_string(head_dim);
}

int head_chunks(const AttentionParams& p) { return (p.heads / p.kv_heads + kHeadsPerBlock - 1) / kHeadsPerBlock; }

/**
 * Every row's keys are cut into segments, and teams of 128 threads take runs of them. KV blocks that a team keeps on
 * their way: what fits with its 17 (9) KB of static shared memory two (three) times into an SM. Where each row and
 * group of heads can have an SM, its block is two teams, which share a short row; then results of long rows are merged
 * by a kernel of its own, while the blocks of the next one already have the SMs.
 */
void decode(OpContext& op, const AttentionParams& p, AttentionArgs args) {
  const bool products = op.launch.family() >= KernelFamily::kSm80 && op.act != DType::kF32;  // by matrix instructions
  const int sms = op.launch.device().sm_count;
  const bool large = op.launch.device().max_shared_bytes >= 200 * 1024;
  const int64_t groups = int64_t{p.kv_heads} * head_chunks(p), row_groups = args.rows * groups;
  const int teams = products && large && row_groups <= sms ? 2 : 1;
  const int blocks_per_sm = teams == 2 ? 1 : products && p.head_dim == 64 ? 3 : 2;  // which registers allow, too
  const int stages = !large ? 2 : p.head_dim == 128 ? 3 : 4;
  const int64_t partial_floats = row_groups * kMaxSegments * kHeadsPerBlock * decode_partial(p.head_dim);
  R1_CHECK(row_groups * kDecodeCounters <= kAttentionCounters, ErrorCode::kUnsupported,
           std::to_string(p.heads) + " heads over " + std::to_string(p.kv_heads) + " KV heads are too many on CUDA.");
  // Counters first, at a place of their own: the slot's memory is zero when new, and kernels leave the counters zero.
  float* scratch = op.launch.workspace_as<float>(Workspace::kAttention, kAttentionCounters + partial_floats);
  args.arrived = reinterpret_cast<int32_t*>(scratch);
  args.partials = scratch + kAttentionCounters;
  const int64_t resident = std::max<int64_t>(blocks_per_sm * sms, groups);
  const int64_t blocks = std::min<int64_t>(row_groups * kMaxSegments, resident);
  args.runs = op.launch.workspace_as<int32_t>(Workspace::kRuns, kRunsInts);
  args.run_blocks = static_cast<int32_t>(blocks);
  args.run_teams = teams;
  const bool apart = teams == 2 && op.step.last_slot() >= kLongRow;
  args.merge_apart = apart;
  const OpContext::RunsKey key{.blocks = blocks, .groups = groups, .window = args.window, .teams = teams};
  if (op.runs_of != key) {
    op.runs_of = key;
    op.launch.launch(op.launch.kernel("attention_decode_plan"), {.block = 32}, args);
    args.runs_are_new = true;
  }
  const char* kernel = !products    ? "attention_decode"
                       : teams == 2 ? "attention_decode_sm80_pairs"
                                    : "attention_decode_sm80";
  op.launch.launch(op.launch.kernel(typed_kernel(kernel, op.act, p.head_dim)),
                   {.grid_x = static_cast<unsigned>(blocks),
                    .block = static_cast<unsigned>(128 * teams),
                    .shared_bytes = products ? decode_ring_bytes(p.head_dim, teams * stages) : 0},
                   args);
  if (apart) {
    op.launch.launch(op.launch.kernel(typed_kernel("attention_decode_merge", op.act, p.head_dim)),
                     {.grid_x = static_cast<unsigned>(p.heads),
                      .grid_y = static_cast<unsigned>(args.rows),
                      .block = static_cast<unsigned>(decode_merge_threads(p.head_dim))},
                     args);
  }
}

/** Segments of keys that a tile of so many rows sees at most, of a step whose largest slot is `last`. */
int most_segments(int rows, int last, int window) {
  const int all = segment_of_tile(last / kKvBlockTokens) + 1;
  if (window == 0) return all;
  const int keys = rows - 1 + window;  // of neighbouring slots: they touch so many tiles of 64 more than one
  const int tiles = (keys + kKvBlockTokens - 2) / kKvBlockTokens;
  return std::min(all, (tiles + kSegmentTiles - 1) / kSegmentTiles + 1);
}

/** The whole KV cache as rows of one head's K or V of one token. */
const CUtensorMap& map_cache(OpContext& op, const KvPool& kv, int head_dim) {
  const int64_t rows = kv.max_blocks * (kv.layout.block_bytes() / (head_dim * dtype_size(op.act)));
  R1_CHECK(rows <= std::numeric_limits<int32_t>::max(), ErrorCode::kUnsupported,
           "the KV cache has more rows than the copy engine can address. Load the model with less kvMemory.");
  return op.maps.get(kv.base, rows, head_dim, head_dim, kKvBlockTokens);
}

constexpr int64_t kWorkspaceFloats = (int64_t{64} << 20) / sizeof(float);

/** Gives the launch its workspace: counters, zero between launches, then partial results. */
void take_workspace(OpContext& op, AttentionArgs& args, int64_t floats = kWorkspaceFloats) {
  float* scratch = op.launch.workspace_as<float>(Workspace::kAttention, kAttentionCounters + floats);
  args.arrived = reinterpret_cast<int32_t*>(scratch);
  args.partials = scratch + kAttentionCounters;
}

/** The tiles' items are dealt to blocks that stay, of which each SM has one (attention_deal.h). */
bool is_dealt(const OpContext& op, const AttentionParams& p, int64_t items) {
  const int sms = op.launch.device().sm_count, states = sms * (kWidePrefillTileRows / kStateRows);
  return p.mask.window == 0 && states <= kAttentionCounters &&
         states * int64_t{4} * prefill_partial(p.head_dim) <= kWorkspaceFloats &&
         worth_dealing(items, op.step.last_slot(), sms);
}

/** Each SM has one block, which takes one item (a tile in one of so many columns) after the other, or what is dealt. */
void launch_staying(OpContext& op, const AttentionParams& p, const PrefillRow& row, int64_t columns, bool dealt,
                    AttentionArgs args) {
  take_workspace(op, args, dealt ? kWorkspaceFloats : 0);
  args.tiles = op.step.tiles();
  args.deal_count = op.step.tile_count();
  args.deal_total = dealt ? op.step.deal_total() : 0;
  args.deal_columns = static_cast<int32_t>(columns);
  const LaunchShape shape{
      .grid_x = static_cast<unsigned>(op.launch.device().sm_count), .block = 384, .shared_bytes = row.shared_bytes};
  op.launch.launch(op.launch.kernel(row.staying), shape, map_cache(op, *p.kv, p.head_dim), args);
}

/**
 * The partial results of segments go through a workspace of limited size: a step's tiles are launched a part at a time
 * if need be. Each segment gets a block of its own where the card would have room for twice as many blocks or more.
 */
void launch_tiles(OpContext& op, const AttentionParams& p, const PrefillRow& row, AttentionArgs args) {
  const int sms = op.launch.device().sm_count;
  const int blocks_per_sm = row.wide ? 1 : p.head_dim == 128 ? 2 : 3;
  const int tile_rows = row.wide ? kWidePrefillTileRows : kPrefillTileRows;
  const int segments = most_segments(tile_rows, op.step.last_slot(), p.mask.window);
  const int64_t tiles = op.step.tile_count();
  // Blocks of a tile: a head's rows each, or parts of the members (row, head) of a KV head.
  const int64_t members = int64_t{std::min(args.rows, tile_rows)} * (p.heads / p.kv_heads);
  const int64_t blocks = row.wide ? p.kv_heads * ((members + tile_rows - 1) / tile_rows) : p.heads;
  const int64_t states = blocks * (tile_rows / kStateRows);
  const int64_t state_floats = 4 * prefill_partial(p.head_dim);
  const bool dealt = row.staying && is_dealt(op, p, tiles * blocks);
  if (dealt || (row.staying && worth_staying(tiles * blocks, sms))) {
    return launch_staying(op, p, row, blocks, dealt, args);
  }
  const bool split = segments > 1 && 2 * tiles * blocks <= blocks_per_sm * sms &&
                     tiles * states * segments * state_floats <= kWorkspaceFloats &&
                     tiles * states <= kAttentionCounters;
  int64_t at_once = tiles;
  if (split || (segments > 1 && !row.wide)) {
    take_workspace(op, args);
    if (!split) at_once = std::max<int64_t>(1, std::min(tiles, kWorkspaceFloats / (states * state_floats)));
  }
  LaunchShape shape{.grid_x = static_cast<unsigned>(blocks),
                    .grid_z = static_cast<unsigned>(split ? segments : 1),
                    .block = row.wide ? 384u : 128u,
                    .shared_bytes = split ? std::max(row.shared_bytes, 2 * merge_bytes(segments)) : row.shared_bytes};
  for (int64_t first = 0; first < tiles; first += at_once) {
    args.tiles = op.step.tiles() + first;
    shape.grid_y = static_cast<unsigned>(std::min(at_once, tiles - first));
    if (row.wide) {
      op.launch.launch(op.launch.kernel(row.kernel), shape, map_cache(op, *p.kv, p.head_dim), args);
    } else {
      op.launch.launch(op.launch.kernel(row.kernel), shape, args);
    }
  }
}

void prefill(OpContext& op, const AttentionParams& p, const AttentionArgs& args) {
  const PrefillRow* row = find_prefill(op.launch.family(), op.act, p.head_dim);
  if (row) return launch_tiles(op, p, *row, args);
  op.launch.launch(op.launch.kernel(typed_kernel("attention_rows", op.act, p.head_dim)),
                   {.grid_x = static_cast<unsigned>(p.kv_heads * head_chunks(p)),
                    .grid_y = static_cast<unsigned>(args.rows),
                    .block = 128},
                   args);
}

}  // namespace

int prefill_tile_rows(KernelFamily family, DType act) {
  const PrefillRow* row = find_prefill(family, act, 128);  // as with other sizes of heads
  return row && row->wide ? kWidePrefillTileRows : kPrefillTileRows;
}

void attention(OpContext& op, const AttentionParams& p) {
  R1_CHECK(p.head_dim == 64 || p.head_dim == 128, ErrorCode::kUnsupported,
           "head_dim " + std::to_string(p.head_dim) + " is not supported on CUDA: expected 64 or 128.");
  R1_CHECK(p.kv_heads > 0 && p.heads % p.kv_heads == 0, ErrorCode::kUnsupported,
           "attention with " + std::to_string(p.heads) + " heads over " + std::to_string(p.kv_heads) +
               " KV heads: expected a multiple.");
  const AttentionArgs args{.step = op.step.arrays(),
                           .qkv = p.qkv,
                           .out = p.out,
                           .kv = planes_of(*p.kv, p.layer),
                           .partials = nullptr,
                           .arrived = nullptr,
                           .tiles = nullptr,
                           .deal_count = 0,
                           .deal_total = 0,
                           .deal_columns = 0,
                           .rows = p.step->rows,
                           .heads = p.heads,
                           .kv_heads = p.kv_heads,
                           .window = p.mask.window,
                           .scale = p.scale,
                           .runs = nullptr,
                           .run_blocks = 0,
                           .run_teams = 1,
                           .runs_are_new = 0,
                           .merge_apart = 0};
  if (p.step->numeric_class == NumericClass::kDecode) {
    decode(op, p, args);
  } else {
    prefill(op, p, args);
  }
}

}  // namespace r1::cuda
