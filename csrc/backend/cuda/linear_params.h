// What the linear kernels are given. Read by the launcher and by device code, so plain C++17 and fixed layouts.
#pragma once
#include <cstdint>

#include "backend/cuda/kernel_params.h"

namespace r1::cuda {

/** What becomes of the sums x · W^T (times x_scale, plus bias). */
enum class LinearEpilogue : int32_t {
  kStore,        // y[T][N] act
  kStoreF32,     // y[T][N] f32
  kAddResidual,  // y[T][N] f32 +=
  kSwiglu,       // y[T][I] act = silu(gate) · up; the weights' role is kGateUp
  kRopeAppend,   // y[T][heads · head_dim] act = rotated Q, K and V to the cache; linear_sm90_* alone
};

struct LinearOutput {
  void* y;               // [rows][ldy] act or f32
  int64_t ldy;           // elements
  const float* bias;     // [N] in the order of the ops (gate, then up), or null
  const float* x_scale;  // [rows] or null
  int32_t rows;          // T
  int32_t columns;       // of y: N, or I for kSwiglu
  LinearEpilogue epilogue;
  int32_t vector;  // rows of y start at multiples of 16 bytes
};

/**
 * Whether linear_sm90_prefill_* has the residual stream brought by a tensor map, which needs rows that start at
 * multiples of 16 bytes; others are read where they are.
 */
R1_HOST_DEVICE constexpr bool residual_in_ring(const LinearOutput& out) {
  return out.epilogue == LinearEpilogue::kAddResidual && out.vector;
}

/** Of a NormInput (backend.h). */
struct NormScaling {
  const float* squares;  // as the same method leaves them (NormPreparation), or null: x is not to be normed
  int32_t columns;       // of the norm: K
  float share, eps;      // 1 / columns
};

/** What kAddResidual leaves for the next norm, or gain null. */
struct NormPreparation {
  const float* gain;  // [columns]
  void* scaled;       // [rows][columns] act
  float* squares;     // [rows][squares_stride(columns, rows)]: linear_sm90_prefill_* leaves halves
};

/** kRopeAppend; the stored rows come in pairs (tensor_map.h). */
struct RopeAppend {
  StepArrays step;
  KvPlanes kv;
  const float* rotations;  // [rows][head_dim / 2] of cosine and sine, times the scale
  int32_t heads, kv_heads, head_dim;
};

/** linear_sm90_stream_*; the operands come through tensor maps. */
struct LinearStreamParams {
  LinearOutput out;
  int32_t k_blocks;  // ceil(K / 64)
  int32_t stages;    // of the ring
  int32_t tiles;     // of weight rows
  unsigned* claims;  // [2] zero between launches: tiles taken beyond each block's first, and blocks that are done
  NormScaling norm;
  NormPreparation next;
  RopeAppend rope;
};

/** linear_sm90_prefill_*; the operands come through tensor maps. */
struct LinearTileParams {
  LinearOutput out;
  int32_t k_blocks;     // ceil(K / 64)
  int32_t stored_rows;  // of the weights
  int32_t band;         // groups of token tiles that share a weight tile while it is in the cache
  int32_t cluster;      // token tiles of a group: blocks, 1 or 2, of a cluster, which loads a weight tile once
  NormScaling norm;     // always of kRopeAppend
  NormPreparation next;
  RopeAppend rope;
};

/** linear_sm80_* and linear_sm75_*. */
struct LinearMmaParams {
  LinearOutput out;
  const void* x;        // [rows][ldx] 16-bit, rows 16-byte aligned
  const void* w;        // [stored_rows][ldw] 16-bit, rows 16-byte aligned
  int64_t ldx, ldw;     // elements
  int32_t stored_rows;  // of the weights
  int32_t k;            // a multiple of 8
  int32_t stages;       // of the ring (sm_80)
  float* partials;      // [weight tile][split][fragment of a thread][thread][4] when K is split
  unsigned* counters;   // [weight tile], zero between launches, when K is split
};

/** linear_simt_*. */
struct LinearSimtParams {
  LinearOutput out;
  const void* x;        // [rows][ldx], rows 16-byte aligned
  const void* w;        // [stored_rows][ldw], rows 16-byte aligned
  int64_t ldx, ldw;     // elements
  int32_t stored_rows;  // of the weights
  int32_t k;            // a multiple of 8
  int32_t k_split;      // decode: warps of a block that share a dot product: 1, 2, 4 or 8
};

}  // namespace r1::cuda
