// Plain structs that launchers hand to kernels, read by g++ and nvcc alike (C++17). Pointers are device addresses.
#pragma once
#include <cstdint>

#include "backend/sampling.h"

namespace r1::cuda {

/** Where a step's arrays lie in device memory; for a decode step the same at every step, so that graphs stay valid. */
struct StepArrays {
  const int32_t* tokens;          // [rows]
  const int32_t* positions;       // [rows]
  const int32_t* slots;           // [rows]
  const int32_t* row_sequence;    // [rows], -1 for padding
  const int32_t* sequence_begin;  // [sequences] where a sequence's block ids begin in `tail`
  const int32_t* tail;            // block ids of all sequences, then the LogitEdits
  const int32_t* edit_begin;      // [1] where the LogitEdits begin in `tail`
  const int32_t* logit_rows;      // [logit_count]
  const int32_t* logit_limit;     // [1] logit rows that are not padding
  const SampleRow* samples;       // [logit_count]
};

/** Query rows [first_row, first_row + rows) of one sequence: the work of one prefill attention block. */
struct PrefillTile {
  int32_t first_row, rows, sequence, reserved;
};
constexpr int kPrefillTileRows = 64;

/** The KV cache of one layer. */
struct KvPlanes {
  char* base;                  // of the pool
  int64_t block_bytes;         // from block to block
  int64_t k_offset, v_offset;  // of the layer's K and V in a block, each [kv_head][64][head_dim]
};

struct EmbedArgs {
  StepArrays step;
  const void* table;  // [vocab][ld]
  int64_t ld;
  float* residual;  // [rows][hidden]
  int32_t hidden;
};

struct RmsNormArgs {
  const float* x;         // [rows][hidden]
  const int32_t* row_of;  // block b normalises row row_of[b] of x; null for b
  const float* gain;      // [hidden]
  void* out;              // [blocks][ld] act, columns from hidden to ld zero
  int64_t ld;
  int32_t hidden;
  float eps;
};

struct RopeAppendArgs {
  StepArrays step;
  void* qkv;  // [rows][(heads + 2 kv_heads) head_dim]
  KvPlanes kv;
  const float* q_norm;    // [head_dim] or null
  const float* k_norm;    // [head_dim] or null
  const float* inv_freq;  // [head_dim / 2]
  float norm_eps, rope_scale;
  int32_t heads, kv_heads, head_dim;
};

struct AttentionArgs {
  StepArrays step;
  const void* qkv;  // [rows][(heads + 2 kv_heads) head_dim], the Q part is read
  void* out;        // [rows][heads head_dim]
  KvPlanes kv;
  float* partials;           // decode: [rows][kv_heads][head_chunks][kMaxSegments][8 heads](head_dim + 2)
  int32_t* arrived;          // decode: [rows][kv_heads][head_chunks] segments done, zero between launches
  const PrefillTile* tiles;  // prefill: [gridDim.y]
  int32_t rows, heads, kv_heads, window;
  float scale;
};
constexpr int kMaxSegments = 64;   // of a row's keys in decode attention
constexpr int kHeadsPerBlock = 8;  // query heads that share a pass over K and V

struct SwigluScaleArgs {
  const float* x;     // [rows][ld_x] sums of the stored rows of a kGateUp matrix: 8 gate, 8 up, 8 gate, …
  const float* bias;  // [2 columns] gate, then up, or null
  void* out;          // [rows][columns] fp16
  float* scale;       // [rows]
  int64_t ld_x;
  int32_t columns;
};

struct FillRandomArgs {
  void* out;  // the whole matrix, [stored_rows][ld]
  int64_t ld;
  int64_t first_row;   // of the part in the matrix
  int64_t rows, cols;  // of the part
  int64_t gate_rows;   // kGateUp: rows / 2 of the matrix, else 0
  uint64_t seed;
  float scale;
  int32_t stored;  // DType that the value is rounded to before it becomes the matrix's
};

struct SampleArgs {
  StepArrays step;
  const float* logits;    // [count][vocab]
  SampleResult* results;  // [all logit rows]
  void* scratch;          // per row, see cuda/sample.cu
  int32_t vocab, first, count;
};

}  // namespace r1::cuda
