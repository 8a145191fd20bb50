#include "backend/cuda/cuda_backend.h"

#include <algorithm>
#include <sstream>

#include "backend/cuda/cublas_backend.h"

namespace r1::cuda {

CudaBackend::CudaBackend(const BackendOptions& options, int device, const std::string& kernel_file)
    : options_(options),
      ordinal_(device),
      context_(device),
      family_(choose_family(context_.properties().cc, options.precision, options.family)),
      modules_(kernel_file),
      launch_(context_.properties(), family_, stream_.get(), modules_),
      step_(launch_, options),
      graphs_(launch_),
      uploader_(launch_, options.threads, options.upload),
      linear_(launch_, maps_, options.linear_choices),
      op_{.launch = launch_,
          .step = step_,
          .maps = maps_,
          .act = options.precision,
          .rotations_of = nullptr,
          .runs_of = {}} {}

CudaBackend::~CudaBackend() {
  // Memory may not go while kernels use it; what the driver answers no longer matters.
  CUcontext current = nullptr;
  driver().ctx_get_current(&current);
  if (!current) {
    try {
      context_.make_current();
    } catch (const Error&) {
      return;
    }
  }
  driver().stream_synchronize(stream_.get());
}

DeviceInfo CudaBackend::info() const {
  const DeviceProperties& device = context_.properties();
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  R1_CUDA(mem_get_info(&free_bytes, &total_bytes));
  // Scratch memory is allocated by the first steps, after the KV cache has taken its share: room is kept for it.
  constexpr int64_t kScratchReserve = int64_t{1} << 30;
  const int64_t reserve = std::min(kScratchReserve, static_cast<int64_t>(total_bytes) / 12);
  const int64_t kept = std::max<int64_t>(0, reserve - launch_.workspace_bytes());
  std::ostringstream detail;
  detail << "driver " << driver_text(device.driver_version) << ", compute capability " << device.cc / 10 << "."
         << device.cc % 10 << ", " << device.sm_count << " SMs, " << family_name(family_) << " kernels";
  return {.kind = "cuda",
          .name = device.name,
          .detail = detail.str(),
          .total_bytes = static_cast<int64_t>(total_bytes),
          .free_bytes = std::max<int64_t>(0, static_cast<int64_t>(free_bytes) - kept)};
}

Ceilings CudaBackend::measure_ceilings() { return cuda::measure_ceilings(launch_); }

// ---- memory

std::unique_ptr<Buffer> CudaBackend::allocate(int64_t bytes) {
  return std::make_unique<CudaBuffer>(bytes, "a buffer of the model");
}

void CudaBackend::upload(void* to, const void* from, int64_t bytes) {
  uploader_.bytes(reinterpret_cast<CUdeviceptr>(to), from, bytes);
}

void CudaBackend::download(void* to, const void* from, int64_t bytes) {
  if (bytes > 0) {
    R1_CUDA(memcpy_dtoh_async(to, reinterpret_cast<CUdeviceptr>(from), static_cast<size_t>(bytes), stream_.get()));
  }
  R1_CUDA(stream_synchronize(stream_.get()));
}

int64_t CudaBackend::matrix_bytes(int64_t rows, int64_t cols, DType stored) const {
  const DType type = options_.precision == DType::kF32 ? stored : options_.precision;
  // Whether gate and up are padded to groups is not known here: 16 rows more at most.
  return rows * CudaMatrix::stored_cols(cols) * dtype_size(type);
}

DType CudaBackend::stored_type(const WeightParts& parts) const {
  if (options_.precision != DType::kF32) return options_.precision;
  const DType first = parts.parts.front()->dtype;
  const bool same =
      std::all_of(parts.parts.begin(), parts.parts.end(), [first](const auto& part) { return part->dtype == first; });
  return same ? first : DType::kF32;
}

std::unique_ptr<Matrix> CudaBackend::load_matrix(const WeightParts& parts, MatrixRole role) {
  auto matrix = std::make_unique<CudaMatrix>(parts.rows(), parts.cols(), stored_type(parts), role, parts.name);
  uploader_.matrix(parts, *matrix);
  return matrix;
}

std::unique_ptr<Buffer> CudaBackend::load_vector(const WeightParts& parts) {
  auto buffer = std::make_unique<CudaBuffer>(parts.rows() * parts.cols() * 4, parts.name);
  uploader_.vector(parts, reinterpret_cast<CUdeviceptr>(buffer->data));
  return buffer;
}

std::unique_ptr<KvPool> CudaBackend::create_kv_pool(const KvLayout& layout, int64_t max_blocks) {
  return std::make_unique<CudaKvPool>(layout, max_blocks, ordinal_, context_.properties().virtual_memory);
}

// ---- a step

const StepView& CudaBackend::begin_step(const Step& step) {
  uploader_.finish();  // where the caller has not
  view_ = &step_.begin(step);
  op_.forget();
  return *view_;
}

void CudaBackend::run(const std::function<void()>& forward) {
  R1_CHECK(view_, ErrorCode::kInternal, "run() before begin_step().");
  op_.forget();
  step_.run();
  if (view_->numeric_class == NumericClass::kDecode) {
    const bool long_rows = step_.last_slot() >= kLongRow;
    graphs_.run({.rows = view_->rows, .logit_count = view_->logit_count, .long_rows = long_rows}, [&] {
      step_.fetch();
      forward();
    });
  } else {
    forward();
  }
}

void CudaBackend::read_results(SampleResult* out) { step_.read_results(out); }

void CudaBackend::set_linear_choices(const LinearChoices& choices) {
  linear_.set_choices(choices);
  launch_.invalidate_graphs();
}

std::vector<LinearOptions> CudaBackend::linear_options(const std::function<void()>& forward) {
  return linear_.options(forward);
}

std::unique_ptr<Backend> CudaBackend::with_cublas(const std::string& library) {
  return create_cublas_backend(*this, stream_.get(), options_, library);
}

// ---- ops

bool CudaBackend::takes_norm_input() const {
  return norm_form(family_, op_.act, NumericClass::kPrefill, options_.max_rows) != NormForm::kNone;
}

void CudaBackend::embed(const EmbedParams& p) { cuda::embed(op_, p); }

NormInput CudaBackend::wanted(const StepView& step, const NormInput& next) const {
  const NormForm form = norm_form(family_, op_.act, step.numeric_class, step.rows);
  return form == NormForm::kNone ? NormInput{} : next;
}

CudaBackend::NormedInput CudaBackend::normed(const StepView& step, const float* residual, const float* gain, float eps,
                                             int64_t hidden, const NormInput& prepared) {
  const NormInput left = wanted(step, prepared);
  if (left.squares) return {left.scaled, hidden, left};
  const Normed x = rmsnorm(op_, residual, nullptr, step.rows, hidden, gain, eps);
  return {x.data, x.ld, {}};
}

void CudaBackend::norm_linear(const NormLinearParams& p) {
  const CudaMatrix& w = as_cuda(p.weight);
  const NormedInput x = normed(*p.step, p.residual, p.gain, p.eps, w.cols, p.prepared);
  linear_.run({.numeric_class = p.step->numeric_class,
               .rows = p.step->rows,
               .x = x.data,
               .x_type = op_.act,
               .ldx = x.ld,
               .prepared = x.prepared,
               .norm_eps = p.eps,
               .w = &w,
               .bias = p.bias,
               .y = p.out,
               .ldy = w.rows,
               .epilogue = LinearEpilogue::kStore,
               .act = op_.act});
}

void CudaBackend::rope_append(const RopeAppendParams& p) {
  cuda::rope_append(op_, p, rotations(op_, p, options_.max_rows));
}

void CudaBackend::norm_qkv(const NormLinearParams& p, const RopeAppendParams& rope) {
  const CudaMatrix& w = as_cuda(p.weight);
  const NormInput prepared = wanted(*p.step, p.prepared);
  if (!prepared.squares || rope.q_norm || rope.k_norm || (rope.head_dim != 64 && rope.head_dim != 128)) {
    return Backend::norm_qkv(p, rope);
  }
  linear_.run({.numeric_class = p.step->numeric_class,
               .rows = p.step->rows,
               .x = prepared.scaled,
               .x_type = op_.act,
               .ldx = w.cols,
               .prepared = prepared,
               .norm_eps = p.eps,
               .w = &w,
               .bias = p.bias,
               .y = rope.qkv,
               .ldy = w.rows,
               .epilogue = LinearEpilogue::kRopeAppend,
               .act = op_.act,
               .rope = {.step = step_.arrays(),
                        .kv = planes_of(*rope.kv, rope.layer),
                        .rotations = rotations(op_, rope, options_.max_rows),
                        .heads = rope.heads,
                        .kv_heads = rope.kv_heads,
                        .head_dim = rope.head_dim}});
}

void CudaBackend::attention(const AttentionParams& p) { cuda::attention(op_, p); }

void CudaBackend::linear_residual(const LinearResidualParams& p) {
  const CudaMatrix& w = as_cuda(p.weight);
  linear_.run({.numeric_class = p.step->numeric_class,
               .rows = p.step->rows,
               .x = p.x,
               .x_type = op_.act,
               .ldx = w.cols,
               .x_scale = p.x_scale,
               .w = &w,
               .bias = p.bias,
               .y = p.residual,
               .ldy = w.rows,
               .epilogue = LinearEpilogue::kAddResidual,
               .act = op_.act,
               .next = wanted(*p.step, p.next)});
}

void CudaBackend::norm_swiglu(const NormSwigluParams& p) {
  const CudaMatrix& w = as_cuda(p.weight);
  const int64_t inner = w.rows / 2;
  const NormedInput x = normed(*p.step, p.residual, p.gain, p.eps, w.cols, p.prepared);
  LinearCall call{.numeric_class = p.step->numeric_class,
                  .rows = p.step->rows,
                  .x = x.data,
                  .x_type = op_.act,
                  .ldx = x.ld,
                  .prepared = x.prepared,
                  .norm_eps = p.eps,
                  .w = &w,
                  .bias = p.bias,
                  .y = p.out,
                  .ldy = inner,
                  .epilogue = LinearEpilogue::kSwiglu,
                  .act = op_.act};
  if (op_.act != DType::kF16) return linear_.run(call);
  // The product may exceed what fp16 holds: it is made from float32 sums, then scaled row by row. The sums come in the
  // order of the stored rows; the bias is added with them put together.
  float* sums = launch_.workspace_as<float>(Workspace::kGateUp, p.step->rows * w.stored_rows);
  call.bias = nullptr;
  call.y = sums;
  call.ldy = w.stored_rows;
  call.epilogue = LinearEpilogue::kStoreF32;
  linear_.run(call);
  swiglu_scale(op_, sums, w.stored_rows, p.bias, p.step->rows, inner, p.out, p.out_scale);
}

void CudaBackend::head(const HeadParams& p) {
  const CudaMatrix& w = as_cuda(p.weight);
  R1_CHECK(p.count >= 0 && p.count <= kMaxLogitRows, ErrorCode::kInvalidArgument, "too many rows of logits at a time.");
  if (p.count == 0) return;
  const Normed x = rmsnorm(op_, p.residual, step_.arrays().logit_rows + p.first, p.count, w.cols, p.gain, p.eps);
  linear_.run({.numeric_class = NumericClass::kDecode,
               .rows = p.count,
               .x = x.data,
               .x_type = op_.act,
               .ldx = x.ld,
               .w = &w,
               .y = p.logits,
               .ldy = w.rows,
               .epilogue = LinearEpilogue::kStoreF32,
               .act = op_.act});
}

void CudaBackend::sample(const SampleParams& p) { cuda::sample(op_, p); }

}  // namespace r1::cuda

namespace r1 {

std::unique_ptr<Backend> create_cuda_backend(const BackendOptions& options, int device,
                                             const std::string& kernel_file) {
  return std::make_unique<cuda::CudaBackend>(options, device, kernel_file);
}

std::string describe_cuda() {
  try {
    int count = 0;
    R1_CUDA(device_count(&count));
    std::string text;
    for (int i = 0; i < count; ++i) {
      cuda::CUdevice device = 0;
      R1_CUDA(device_get(&device, i));
      const cuda::DeviceProperties p = cuda::query_device(device);
      text += (i ? "\n" : "") + ("cuda:" + std::to_string(i)) + ": " + p.name + ", compute capability " +
              std::to_string(p.cc / 10) + "." + std::to_string(p.cc % 10) + ", " + std::to_string(p.total_bytes >> 20) +
              " MiB, driver " + cuda::driver_text(p.driver_version);
    }
    return count ? text : "the NVIDIA driver is installed but shows no GPU.";
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace r1
