#include "backend/cuda/linear.h"

#include <algorithm>

namespace r1::cuda {
namespace {

constexpr int64_t kAlign = 16;  // bytes: of vector loads and of tensor maps

bool aligned(const void* data, int64_t ld, int64_t element_bytes) {
  return reinterpret_cast<uintptr_t>(data) % kAlign == 0 && ld * element_bytes % kAlign == 0;
}

int64_t y_element_bytes(const LinearCall& call) {
  const bool f32 = call.epilogue == LinearEpilogue::kStoreF32 || call.epilogue == LinearEpilogue::kAddResidual;
  return f32 ? 4 : dtype_size(call.act);
}

/** Columns of y. */
int64_t output_columns(const LinearCall& call) {
  return call.epilogue == LinearEpilogue::kSwiglu ? call.w->rows / 2 : call.w->stored_rows;
}

std::string describe(const LinearCall& call) {
  const CudaMatrix& w = *call.w;
  return std::to_string(call.rows) + " rows of " + std::string(dtype_name(call.x_type)) + " times a " +
         std::string(dtype_name(w.dtype)) + " matrix of " + std::to_string(w.rows) + " x " + std::to_string(w.cols);
}

void check(const LinearCall& call, KernelFamily family) {
  const CudaMatrix& w = *call.w;
  const bool fused = call.prepared.squares || call.next.gain || call.epilogue == LinearEpilogue::kRopeAppend;
  R1_CHECK(!fused || norm_form(family, call.act, call.numeric_class, call.rows) != NormForm::kNone,
           ErrorCode::kInternal, "no kernel fuses a norm with " + describe(call) + ".");
  R1_CHECK(call.epilogue != LinearEpilogue::kRopeAppend ||
               (call.prepared.squares && aligned(call.y, call.ldy, y_element_bytes(call))),
           ErrorCode::kInternal, "RoPE needs a prepared input and aligned rows: " + describe(call) + ".");
  R1_CHECK(!call.next.gain || w.rows % kRowAlign == 0, ErrorCode::kInternal,
           "a norm's input must have a multiple of 8 columns: " + describe(call) + ".");
  R1_CHECK(w.cols % kRowAlign == 0, ErrorCode::kUnsupported,
           "a linear layer's input width must be a multiple of 8 on a GPU, but this is " + describe(call) +
               ". Use device \"cpu\" for this model.");
  R1_CHECK(call.x_type == call.act, ErrorCode::kInternal,
           "x and activations of different types: " + describe(call) + ", " + std::string(dtype_name(call.act)) + ".");
  R1_CHECK(call.rows >= 0 && call.ldx >= w.cols && call.ldy >= output_columns(call), ErrorCode::kInternal,
           "a linear layer's strides are too small: " + describe(call) + ", ldx " + std::to_string(call.ldx) +
               ", ldy " + std::to_string(call.ldy) + ".");
  R1_CHECK(aligned(call.x, call.ldx, dtype_size(call.x_type)), ErrorCode::kInternal,
           "a linear layer's input rows must be aligned to 16 bytes: " + describe(call) + ", ldx " +
               std::to_string(call.ldx) + ".");
  R1_CHECK(call.epilogue != LinearEpilogue::kSwiglu || w.role == MatrixRole::kGateUp, ErrorCode::kInternal,
           "SwiGLU needs a matrix of role kGateUp.");
  R1_CHECK(call.epilogue == LinearEpilogue::kSwiglu || w.role == MatrixRole::kLinear || !call.bias,
           ErrorCode::kInternal, "a bias cannot be added to the stored rows of a matrix of role kGateUp.");
}

LinearOutput output_of(const LinearCall& call) {
  return {.y = call.y,
          .ldy = call.ldy,
          .bias = call.bias,
          .x_scale = call.x_scale,
          .rows = call.rows,
          .columns = static_cast<int32_t>(output_columns(call)),
          .epilogue = call.epilogue,
          .vector = aligned(call.y, call.ldy, y_element_bytes(call)) ? 1 : 0};
}

const void* weights(const CudaMatrix& w) { return w.memory.data(); }

/** The end of a streaming kernel's name. */
const char* stream_end(LinearEpilogue epilogue) {
  switch (epilogue) {
    case LinearEpilogue::kAddResidual:
      return "_residual";
    case LinearEpilogue::kSwiglu:
      return "_swiglu";
    case LinearEpilogue::kRopeAppend:
      return "_rope";
    default:
      return "_store";
  }
}

int32_t k_blocks(const CudaMatrix& w) { return static_cast<int32_t>((w.cols + 63) / 64); }

}  // namespace

NormForm norm_form(KernelFamily family, DType act, NumericClass numeric_class, int32_t rows) {
  if (family < KernelFamily::kSm90 || act != DType::kBF16) return NormForm::kNone;
  if (rows <= kMaxDecodeRows) return NormForm::kGroups;
  return numeric_class == NumericClass::kPrefill ? NormForm::kHalves : NormForm::kNone;
}

void LinearLauncher::run(const LinearCall& call) {
  check(call, context_.family());
  if (call.numeric_class == NumericClass::kPrefill) {
    if (call.rows > 0) run_once(call);
    return;
  }
  // A row's bits do not depend on its neighbours, so a larger decode step is the same in pieces.
  for (int first = 0; first < call.rows; first += kMaxDecodeRows) {
    LinearCall part = call;
    part.rows = std::min(call.rows - first, kMaxDecodeRows);
    part.x = static_cast<const char*>(call.x) + first * call.ldx * dtype_size(call.x_type);
    part.y = static_cast<char*>(call.y) + first * call.ldy * y_element_bytes(call);
    if (call.x_scale) part.x_scale = call.x_scale + first;
    run_once(part);
  }
}

void LinearLauncher::run_once(const LinearCall& call) {
  const LinearShape shape{.numeric_class = call.numeric_class,
                          .rows = call.rows,
                          .stored_rows = call.w->stored_rows,
                          .k = call.w->cols,
                          .act = call.act,
                          .weight = call.w->dtype,
                          .paired = call.epilogue == LinearEpilogue::kRopeAppend};
  if (shapes_ && std::find(shapes_->begin(), shapes_->end(), shape) == shapes_->end()) shapes_->push_back(shape);
  const LinearPlan plan = plan_linear(shape, context_.family(), context_.device(), choices_);
  const LinearOutput out = output_of(call);
  if (call.prepared.squares || call.next.gain) {
    const NormForm form = norm_form(context_.family(), call.act, call.numeric_class, call.rows);
    R1_CHECK(plan.method == (form == NormForm::kHalves ? LinearMethod::kTile : LinearMethod::kStream),
             ErrorCode::kInternal, plan.kernel + " has not the form of its step's norms.");
  }
  switch (plan.method) {
    case LinearMethod::kStream:
      return launch_stream(call, plan, out);
    case LinearMethod::kTile:
      return launch_tile(call, plan, out);
    case LinearMethod::kMma:
      return launch_mma(call, plan, out);
    case LinearMethod::kSimt:
      return launch_simt(call, plan, out);
  }
}

std::vector<LinearOptions> LinearLauncher::options(const std::function<void()>& calls) {
  std::vector<LinearShape> shapes;
  shapes_ = &shapes;
  try {
    calls();
  } catch (...) {
    shapes_ = nullptr;
    throw;
  }
  shapes_ = nullptr;
  std::vector<LinearOptions> found;
  found.reserve(shapes.size());
  for (const LinearShape& shape : shapes) {
    found.push_back(linear_options(shape, context_.family(), context_.device(), choices_));
  }
  return found;
}

namespace {

NormScaling scaling_of(const LinearCall& call) {
  return {.squares = call.prepared.squares,
          .columns = static_cast<int32_t>(call.w->cols),
          .share = 1.0f / static_cast<float>(call.w->cols),
          .eps = call.norm_eps};
}

NormPreparation preparation_of(const LinearCall& call) {
  return {.gain = call.next.gain, .scaled = call.next.scaled, .squares = call.next.squares};
}

}  // namespace

void LinearLauncher::launch_stream(const LinearCall& call, const LinearPlan& plan, const LinearOutput& out) {
  const CudaMatrix& w = *call.w;
  const bool rope = call.epilogue == LinearEpilogue::kRopeAppend;
  const CUtensorMap w_map = rope ? maps_.get_pairs(weights(w), w.rows, w.cols, w.ld, plan.tile_rows, call.rope.head_dim)
                                 : maps_.get(weights(w), w.stored_rows, w.cols, w.ld, plan.tile_rows);
  const CUtensorMap x_map = maps_.get(call.x, call.rows, w.cols, call.ldx, plan.tile_tokens);
  const LinearStreamParams params{.out = out,
                                  .k_blocks = k_blocks(w),
                                  .stages = plan.stages,
                                  .tiles = plan.tiles,
                                  .claims = context_.workspace_as<unsigned>(Workspace::kLinearCounters, kMaxSplitTiles),
                                  .norm = scaling_of(call),
                                  .next = preparation_of(call),
                                  .rope = call.rope};
  context_.launch(context_.kernel(plan.kernel + stream_end(call.epilogue)), plan.launch, w_map, x_map, params);
}

void LinearLauncher::launch_tile(const LinearCall& call, const LinearPlan& plan, const LinearOutput& out) {
  const CudaMatrix& w = *call.w;
  const auto cluster = static_cast<int32_t>(plan.launch.cluster_x);
  const CUtensorMap x_map = maps_.get(call.x, call.rows, w.cols, call.ldx, plan.tile_tokens);
  const int box_rows = plan.tile_rows % 64 == 0 ? 64 : 32;  // of pairs: a head has a whole number of them
  const CUtensorMap w_map = call.epilogue == LinearEpilogue::kRopeAppend
                                ? maps_.get_pairs(weights(w), w.rows, w.cols, w.ld, box_rows, call.rope.head_dim)
                                : maps_.get(weights(w), w.stored_rows, w.cols, w.ld, plan.tile_rows / cluster);
  const CUtensorMap residual_map =
      residual_in_ring(out) ? maps_.get_f32(out.y, out.rows, out.columns, out.ldy, plan.tile_tokens) : x_map;
  const LinearTileParams params{.out = out,
                                .k_blocks = k_blocks(w),
                                .stored_rows = static_cast<int32_t>(w.stored_rows),
                                .band = std::max(1, plan.band / cluster),
                                .cluster = cluster,
                                .norm = scaling_of(call),
                                .next = preparation_of(call),
                                .rope = call.rope};
  context_.launch(context_.kernel(plan.kernel), plan.launch, x_map, w_map, residual_map, params);
}

void LinearLauncher::launch_mma(const LinearCall& call, const LinearPlan& plan, const LinearOutput& out) {
  const CudaMatrix& w = *call.w;
  LinearMmaParams params{.out = out,
                         .x = call.x,
                         .w = weights(w),
                         .ldx = call.ldx,
                         .ldw = w.ld,
                         .stored_rows = static_cast<int32_t>(w.stored_rows),
                         .k = static_cast<int32_t>(w.cols),
                         .stages = plan.stages,
                         .partials = nullptr,
                         .counters = nullptr};
  if (plan.splits > 1) {  // the same sizes for every layer, so that the workspace never grows
    params.partials = context_.workspace_as<float>(Workspace::kLinear, int64_t{kMaxSplitTiles} * kMaxSplitTileSums);
    params.counters = context_.workspace_as<unsigned>(Workspace::kLinearCounters, kMaxSplitTiles);
  }
  context_.launch(context_.kernel(plan.kernel), plan.launch, params);
}

void LinearLauncher::launch_simt(const LinearCall& call, const LinearPlan& plan, const LinearOutput& out) {
  const CudaMatrix& w = *call.w;
  const LinearSimtParams params{.out = out,
                                .x = call.x,
                                .w = weights(w),
                                .ldx = call.ldx,
                                .ldw = w.ld,
                                .stored_rows = static_cast<int32_t>(w.stored_rows),
                                .k = static_cast<int32_t>(w.cols),
                                .k_split = plan.splits};
  context_.launch(context_.kernel(plan.kernel), plan.launch, params);
}

}  // namespace r1::cuda
