// Rotary embedding, the KV cache and attention over it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"

namespace r1::cpu {
namespace {

// (row, query head) pairs: of a task, which share the packing of keys; and of a block, whose scores and probabilities
// stay in the first-level cache. Long tasks pack less, many tasks keep the threads equally busy.
constexpr int kLeastTaskMembers = 96, kMostTaskMembers = 384;
constexpr int kTasksPerThread = 6;
constexpr int kBlockMembers = kSoftmaxRows;

/** Scratch memory of one attention task. A "member" is a (row, query head) pair, rows ascending. */
struct AttentionScratch {
  int64_t query_stride, out_stride;  // bytes, floats
  char* query;                       // [members] staged queries
  char* keys;                        // 2 panels of 32 keys
  char* values;                      // panels of 32 dimensions
  float* scores;                     // [kBlockMembers][64]; then staged probabilities in their place
  float* out;                        // [members] unnormalised output, dimensions padded to 32
  float* max;                        // [members]
  float* sum;                        // [members][kSumLanes]
};

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/** Lays the scratch out from `base`; returns the bytes it takes. */
int64_t lay_out(int members, int head_dim, int64_t staged_size, char* base, AttentionScratch* s) {
  const int64_t padded = round_up(head_dim, kPanel);
  s->query_stride = round_up(head_dim * staged_size, 64) + 64;
  s->out_stride = padded + 16;
  int64_t at = 0;
  const auto take = [&](int64_t bytes) {
    char* p = base + at;
    at += round_up(bytes, 64);
    return p;
  };
  s->query = take(members * s->query_stride);
  s->keys = take(int64_t{kTile} * head_dim * 4);
  s->values = take(int64_t{kTile} * padded * 4);
  s->scores = reinterpret_cast<float*>(take(int64_t{kBlockMembers} * kTile * 4));
  s->out = reinterpret_cast<float*>(take(members * s->out_stride * 4));
  s->max = reinterpret_cast<float*>(take(int64_t{members} * 4));
  s->sum = reinterpret_cast<float*>(take(int64_t{members} * kSumLanes * 4));
  return at;
}

/** Float32 values of a tile as a panel: out[key][32] = in[key][dim], zero past `keys` and `dims`. */
void pack_values_f32(const float* in, int64_t in_stride, int keys, int dims, float* out) {
  for (int key = 0; key < kTile; ++key, out += kPanel) {
    if (key >= keys) {
      std::memset(out, 0, kPanel * sizeof(float));
      continue;
    }
    std::memcpy(out, in + key * in_stride, static_cast<size_t>(dims) * sizeof(float));
    if (dims < kPanel) std::memset(out + dims, 0, static_cast<size_t>(kPanel - dims) * sizeof(float));
  }
}

const char* cache_row(const KvPool& kv, const int32_t* blocks, int64_t plane_offset, int kv_head, int token) {
  const KvLayout& layout = kv.layout;
  return static_cast<const char*>(kv.base) + blocks[token / kKvBlockTokens] * layout.block_bytes() + plane_offset +
         (int64_t{kv_head} * kKvBlockTokens + token % kKvBlockTokens) * layout.head_dim * dtype_size(layout.dtype);
}

/** Values of a tile as one product with probabilities wants them. */
struct ValueTile {
  Format format;
  const char* data;
  int64_t panel_bytes, row_bytes;
};

/** Packs the values of a tile, unless they can be multiplied where they lie in the cache. */
ValueTile prepare_values(const Kernels& kernels, const AttentionParams& p, Format format, const char* v, int keys,
                         char* packed) {
  const int d = p.head_dim;
  const bool f32 = format == Format::kF32xF32;
  // What lies behind the newest token is not zero and must not be read.
  if (f32 && keys == kTile && d % kPanel == 0) return {Format::kF32xRows, v, kPanel * sizeof(float), d * 4};
  const int64_t panel_bytes = kTile / 2 * pair_bytes(format);
  for (int dim = 0; dim < d; dim += kPanel) {
    char* out = packed + dim / kPanel * panel_bytes;
    const int dims = std::min(kPanel, d - dim);
    if (f32) {
      pack_values_f32(reinterpret_cast<const float*>(v) + dim, d, keys, dims, reinterpret_cast<float*>(out));
    } else {
      kernels.pack_values_bf16(reinterpret_cast<const uint16_t*>(v) + dim, d, keys, dims,
                               reinterpret_cast<uint16_t*>(out));
    }
  }
  return {format, packed, panel_bytes, 0};
}

/** Prepares tile `tile` of a sequence of `length` tokens for head `kv_head`. */
ValueTile prepare_tile(const Kernels& kernels, const AttentionParams& p, Format format, const int32_t* blocks,
                       int length, int kv_head, int tile, const AttentionScratch& s) {
  const KvLayout& layout = p.kv->layout;
  const int d = p.head_dim;
  const int64_t row_bytes = d * dtype_size(layout.dtype);
  const int units = static_cast<int>(row_bytes / 4);
  const int keys = std::min(kTile, length - tile * kTile);
  const char* k = cache_row(*p.kv, blocks, layout.k_offset(p.layer), kv_head, tile * kTile);
  const char* v = cache_row(*p.kv, blocks, layout.v_offset(p.layer), kv_head, tile * kTile);
  for (int half = 0; half < 2; ++half) {
    kernels.pack_keys(k + half * kPanel * row_bytes, row_bytes, std::clamp(keys - half * kPanel, 0, kPanel), units,
                      s.keys + int64_t{half} * units * kPanel * 4);
  }
  return prepare_values(kernels, p, format, v, keys, s.values);
}

}  // namespace

void CpuBackend::fill_rope_table(const RopeAppendParams& p) {
  const int half = p.head_dim / 2;
  const RopeKey key{p.inv_freq, p.rope_scale, half};
  if (key == rope_key_) return;
  const int rows = p.step->rows;
  rope_cos_.resize(static_cast<size_t>(rows) * half);
  rope_sin_.resize(static_cast<size_t>(rows) * half);
  pool_.parallel_for(rows, row_grain(16 * half), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const float position = static_cast<float>(p.step->positions[r]);
      for (int i = 0; i < half; ++i) {
        const float angle = position * p.inv_freq[i];
        rope_cos_[r * half + i] = std::cos(angle) * p.rope_scale;
        rope_sin_[r * half + i] = std::sin(angle) * p.rope_scale;
      }
    }
  });
  rope_key_ = key;
}

void CpuBackend::rope_append_row(const RopeAppendParams& p, int row) const {
  const StepView& step = *p.step;
  const int d = p.head_dim;
  const int64_t head_bytes = d * dtype_size(act_);
  char* qkv = static_cast<char*>(p.qkv) + row * (p.heads + 2 * p.kv_heads) * head_bytes;
  const float* cos = rope_cos_.data() + int64_t{row} * (d / 2);
  const float* sin = rope_sin_.data() + int64_t{row} * (d / 2);
  for (int h = 0; h < p.heads; ++h) {
    char* q = qkv + h * head_bytes;
    kernels_.rope_head({q, p.q_norm, p.norm_eps, cos, sin, d, q, act_store_});
  }
  const int32_t sequence = step.row_sequence[row];
  if (sequence < 0) return;
  const int32_t* blocks = step.block_table + int64_t{sequence} * step.block_table_stride;
  const KvLayout& layout = p.kv->layout;
  for (int h = 0; h < p.kv_heads; ++h) {
    const char* k = qkv + (p.heads + h) * head_bytes;
    const char* v = k + p.kv_heads * head_bytes;
    char* k_to = const_cast<char*>(cache_row(*p.kv, blocks, layout.k_offset(p.layer), h, step.slots[row]));
    char* v_to = const_cast<char*>(cache_row(*p.kv, blocks, layout.v_offset(p.layer), h, step.slots[row]));
    kernels_.rope_head({k, p.k_norm, p.norm_eps, cos, sin, d, k_to, act_store_});
    std::memcpy(v_to, v, static_cast<size_t>(head_bytes));
  }
}

void CpuBackend::rope_append(const RopeAppendParams& p) {
  fill_rope_table(p);
  const int64_t work = int64_t{p.heads + 2 * p.kv_heads} * p.head_dim;
  pool_.parallel_for(p.step->rows, row_grain(2 * work), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) rope_append_row(p, static_cast<int>(r));
  });
}

void CpuBackend::attend(const AttentionParams& p, const AttentionTask& task, char* scratch) const {
  const StepView& step = *p.step;
  const int group = p.heads / p.kv_heads, d = p.head_dim;
  const int members = task.rows * group;
  AttentionScratch s{};
  lay_out(members, d, store_size(staged_store_), scratch, &s);
  const int32_t* slots = step.slots + task.first_row;
  const int64_t act_size = dtype_size(act_);
  const int64_t qkv_row = int64_t{p.heads + 2 * p.kv_heads} * d * act_size;

  for (int m = 0; m < members; ++m) {
    const int row = task.first_row + m / group, head = task.kv_head * group + m % group;
    const char* q = static_cast<const char*>(p.qkv) + row * qkv_row + head * d * act_size;
    if (staged_store_ == Store::kF32Rounded) {
      kernels_.expand_row(reinterpret_cast<const uint16_t*>(q), d,
                          reinterpret_cast<float*>(s.query + m * s.query_stride));
    } else {
      std::memcpy(s.query + m * s.query_stride, q, static_cast<size_t>(d * act_size));
    }
    s.max[m] = std::numeric_limits<float>::lowest();
  }
  std::memset(s.sum, 0, static_cast<size_t>(members) * kSumLanes * 4);
  std::memset(s.out, 0, static_cast<size_t>(members * s.out_stride) * 4);

  const Format format = p.kv->layout.dtype == DType::kF32     ? Format::kF32xF32
                        : staged_store_ == Store::kF32Rounded ? Format::kF32xBF16
                                                              : Format::kBF16xBF16;
  const auto multiply_tile = kernels_.tile[static_cast<int>(format)];
  const int window = p.mask.window;
  const auto first_key = [&](int row) { return window > 0 ? std::max(0, slots[row] - window + 1) : 0; };
  const StepSequence& sequence = sequences_[static_cast<size_t>(task.sequence)];
  const int32_t* blocks = step.block_table + int64_t{task.sequence} * step.block_table_stride;

  for (int tile = first_key(0) / kTile; tile <= slots[task.rows - 1] / kTile; ++tile) {
    const int tile_begin = tile * kTile, tile_end = tile_begin + kTile;
    int row_begin = 0, row_end = task.rows;  // rows that see something of this tile
    while (row_begin < row_end && slots[row_begin] < tile_begin) ++row_begin;
    while (row_end > row_begin && first_key(row_end - 1) >= tile_end) --row_end;
    if (row_begin == row_end) continue;
    const ValueTile values = prepare_tile(kernels_, p, format, blocks, sequence.length, task.kv_head, tile, s);
    const auto multiply_values = kernels_.tile[static_cast<int>(values.format)];
    // A block of members at a time, so that its scores and probabilities stay in the first-level cache.
    for (int m0 = row_begin * group; m0 < row_end * group; m0 += kBlockMembers) {
      const int count = std::min(kBlockMembers, row_end * group - m0);
      const bool whole = slots[m0 / group] + 1 >= tile_end && first_key((m0 + count - 1) / group) <= tile_begin;
      KeyRange visible[kBlockMembers];
      int keys = whole ? kTile : 0;  // of the tile, up to the last one that the block sees
      for (int m = 0; m < count && !whole; ++m) {
        const int row = (m0 + m) / group;
        visible[m] = {first_key(row) - tile_begin, slots[row] + 1 - tile_begin};
        keys = std::max(keys, std::min(kTile, visible[m].end));
      }
      multiply_tile({s.query + m0 * s.query_stride, s.query_stride, count, s.keys, d / 2 * pair_bytes(format),
                     (keys + kPanel - 1) / kPanel, d / 2, s.scores, kTile, false});
      float factor[kBlockMembers];
      kernels_.softmax({s.scores, count, whole ? nullptr : visible, p.scale, s.max + m0, s.sum + m0 * kSumLanes, factor,
                        s.scores, staged_store_ == Store::kBF16 ? Store::kBF16 : Store::kF32});
      for (int m = 0; m < count; ++m) {
        if (factor[m] != 1.0f) kernels_.scale_row(s.out + (m0 + m) * s.out_stride, factor[m], d);
      }
      for (int dim = 0; dim < d; dim += 2 * kPanel) {
        TileParams product{s.scores,
                           kTile * sizeof(float),
                           count,
                           values.data + dim / kPanel * values.panel_bytes,
                           values.panel_bytes,
                           d - dim > kPanel ? 2 : 1,
                           (keys + 1) / 2,
                           s.out + m0 * s.out_stride + dim,
                           s.out_stride,
                           true};
        product.row_bytes = values.row_bytes;
        multiply_values(product);
      }
    }
  }
  for (int m = 0; m < members; ++m) {
    const int row = task.first_row + m / group, head = task.kv_head * group + m % group;
    float sum = 0;
    for (int i = 0; i < kSumLanes; ++i) sum += s.sum[m * kSumLanes + i];
    kernels_.convert_row(s.out + m * s.out_stride, 1.0f / sum, d,
                         static_cast<char*>(p.out) + (int64_t{row} * p.heads + head) * d * act_size, act_store_);
  }
}

void CpuBackend::attention(const AttentionParams& p) {
  const int group = p.heads / p.kv_heads;
  const int share = p.step->rows * p.kv_heads / (kTasksPerThread * pool_.threads());
  const int rows_per_task =
      std::clamp(share, std::max(1, kLeastTaskMembers / group), std::max(1, kMostTaskMembers / group));
  attention_tasks_.clear();
  for (int32_t i = 0; i < static_cast<int32_t>(sequences_.size()); ++i) {
    const StepSequence& sequence = sequences_[static_cast<size_t>(i)];
    for (int32_t done = 0; done < sequence.rows; done += rows_per_task) {
      for (int32_t h = 0; h < p.kv_heads; ++h) {
        attention_tasks_.push_back({i, h, sequence.first_row + done, std::min(rows_per_task, sequence.rows - done)});
      }
    }
  }
  std::reverse(attention_tasks_.begin(), attention_tasks_.end());  // later rows see more keys: the long tasks go first
  AttentionScratch s{};
  const int members = std::min(rows_per_task, p.step->rows) * group;
  const int64_t bytes = lay_out(members, p.head_dim, store_size(staged_store_), nullptr, &s);
  pool_.parallel_for(static_cast<int64_t>(attention_tasks_.size()), 1, [&](int64_t begin, int64_t end, int thread) {
    char* scratch = thread_scratch_[static_cast<size_t>(thread)].at_least(bytes);
    for (int64_t i = begin; i < end; ++i) attend(p, attention_tasks_[static_cast<size_t>(i)], scratch);
  });
}

}  // namespace r1::cpu
