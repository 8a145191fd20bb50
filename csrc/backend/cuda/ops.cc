#include "backend/cuda/ops.h"

#include <algorithm>

#include "backend/cuda/linear.h"

namespace r1::cuda {
namespace {

std::string typed(std::string_view op, DType type) { return std::string(op) + "_" + std::string(dtype_name(type)); }

unsigned grid_of(int64_t blocks) { return static_cast<unsigned>(blocks); }

}  // namespace

const CudaMatrix& as_cuda(const Matrix* matrix) {
  const auto* cuda = dynamic_cast<const CudaMatrix*>(matrix);
  R1_CHECK(cuda, ErrorCode::kInternal, "a CUDA op was given a matrix of another backend.");
  return *cuda;
}

KvPlanes planes_of(const KvPool& pool, int layer) {
  return {.base = static_cast<char*>(pool.base),
          .block_bytes = pool.layout.block_bytes(),
          .k_offset = pool.layout.k_offset(layer),
          .v_offset = pool.layout.v_offset(layer)};
}

static_assert(kSquaresOf == kSquaresColumns && squares_pitch(squares_count(200)) == squares_stride(200, 1) &&
              2 * squares_pitch(squares_count(200)) == squares_stride(200, kMaxDecodeRows + 1));

void embed(OpContext& op, const EmbedParams& p) {
  const CudaMatrix& table = as_cuda(p.table);
  const NormForm form = norm_form(op.launch.family(), op.act, p.step->numeric_class, p.step->rows);
  const EmbedArgs args{.step = op.step.arrays(),
                       .table = table.memory.data(),
                       .ld = table.ld,
                       .residual = p.residual,
                       .hidden = static_cast<int32_t>(table.cols),
                       .gain = form == NormForm::kNone ? nullptr : p.next.gain,
                       .scaled = p.next.scaled,
                       .squares = p.next.squares,
                       .halves = form == NormForm::kHalves};
  // It does not wait for what brings the step's arrays, so it may not overlap with that.
  op.launch.launch(op.launch.kernel(typed("embed", table.dtype)),
                   {.grid_x = grid_of(p.step->rows), .block = 256, .overlap = false}, args);
}

Normed rmsnorm(OpContext& op, const float* x, const int32_t* row_of, int32_t rows, int64_t hidden, const float* gain,
               float eps) {
  const int64_t ld = CudaMatrix::stored_cols(hidden);
  void* out = op.launch.workspace(Workspace::kNormed, rows * ld * dtype_size(op.act));
  const RmsNormArgs args{
      .x = x, .row_of = row_of, .gain = gain, .out = out, .ld = ld, .hidden = static_cast<int32_t>(hidden), .eps = eps};
  op.launch.launch(op.launch.kernel(typed("rmsnorm", op.act)), {.grid_x = grid_of(rows), .block = 512}, args);
  return {out, ld};
}

const float* rotations(OpContext& op, const RopeAppendParams& p, int32_t max_rows) {
  R1_CHECK(p.head_dim % 2 == 0 && p.head_dim <= 512, ErrorCode::kUnsupported,
           "head_dim " + std::to_string(p.head_dim) + " is not supported on CUDA: expected an even number up to 512.");
  const int pairs = p.head_dim / 2;
  // Of the largest step, so that graphs stay valid.
  float* table =
      op.launch.workspace_as<float>(Workspace::kRotations, 2 * int64_t{std::max(max_rows, p.step->rows)} * pairs);
  if (op.rotations_of == p.inv_freq) return table;
  op.rotations_of = p.inv_freq;
  const RotationsArgs args{.positions = op.step.arrays().positions,
                           .inv_freq = p.inv_freq,
                           .rotations = table,
                           .pairs = pairs,
                           .scale = p.rope_scale};
  op.launch.launch(op.launch.kernel("rotations"), {.grid_x = grid_of(p.step->rows), .block = 64}, args);
  return table;
}

void rope_append(OpContext& op, const RopeAppendParams& p, const float* rotations) {
  R1_CHECK(p.kv->layout.dtype == op.act && p.kv->layout.head_dim == p.head_dim && p.kv->layout.kv_heads == p.kv_heads,
           ErrorCode::kInternal, "the KV cache's layout does not fit the model.");
  const RopeAppendArgs args{.step = op.step.arrays(),
                            .qkv = p.qkv,
                            .kv = planes_of(*p.kv, p.layer),
                            .q_norm = p.q_norm,
                            .k_norm = p.k_norm,
                            .rotations = rotations,
                            .norm_eps = p.norm_eps,
                            .heads = p.heads,
                            .kv_heads = p.kv_heads,
                            .head_dim = p.head_dim};
  constexpr int kHeadsPerRopeBlock = 8;  // a warp each
  const int heads = p.heads + 2 * p.kv_heads;
  op.launch.launch(op.launch.kernel(typed("rope_append", op.act)),
                   {.grid_x = grid_of(p.step->rows),
                    .grid_y = grid_of((heads + kHeadsPerRopeBlock - 1) / kHeadsPerRopeBlock),
                    .block = 32 * kHeadsPerRopeBlock},
                   args);
}

void swiglu_scale(OpContext& op, const float* x, int64_t ld_x, const float* bias, int32_t rows, int64_t columns,
                  void* out, float* scale) {
  R1_CHECK(scale, ErrorCode::kInternal, "SwiGLU at fp16 needs a place for its row scales.");
  const SwigluScaleArgs args{
      .x = x, .bias = bias, .out = out, .scale = scale, .ld_x = ld_x, .columns = static_cast<int32_t>(columns)};
  op.launch.launch(op.launch.kernel("swiglu_scale_fp16"), {.grid_x = grid_of(rows), .block = 512}, args);
}

}  // namespace r1::cuda
