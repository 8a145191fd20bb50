#include "backend/cuda/upload.h"

#include <algorithm>
#include <cmath>

#include "backend/cuda/kernel_params.h"
#include "base/tensor_file.h"

namespace r1::cuda {
namespace {

/** Stages of so many bytes that a thread has: small ones are more, so that as much is on its way. */
constexpr size_t stages_of(int64_t bytes) { return static_cast<size_t>(std::max<int64_t>(2, (4 << 20) / bytes)); }

/** Stages of one thread, of which one is filled while the others are copied. */
class PinnedStages final : public StageWriter {
 public:
  PinnedStages(CUcontext context, CUstream stream, int64_t bytes)
      : stream_(stream), bytes_(bytes), done_(stages_of(bytes)) {
    R1_CUDA(ctx_set_current(context));
    memory_ = PinnedMemory(static_cast<int64_t>(done_.size()) * bytes);  // at once: each call holds the driver up
  }
  ~PinnedStages() override {
    try {
      for (const auto& done : done_) {
        if (done) done->wait();
      }
    } catch (const Error&) {  // a device that fails will say so again, where it can be reported
      return;
    }
  }

  std::byte* next() override {
    current_ = (current_ + 1) % done_.size();
    if (done_[current_]) {
      done_[current_]->wait();
    } else {
      done_[current_] = std::make_unique<Event>();
    }
    return stage();
  }

  void send(uint64_t to, int64_t bytes) override {
    R1_CUDA(memcpy_htod_async(to, stage(), static_cast<size_t>(bytes), stream_));
    done_[current_]->record(stream_);
  }

 private:
  std::byte* stage() const { return memory_.as<std::byte>() + static_cast<int64_t>(current_) * bytes_; }

  const CUstream stream_;
  const int64_t bytes_;  // of a stage
  PinnedMemory memory_;
  std::vector<std::unique_ptr<Event>> done_;  // the last copy of each stage
  size_t current_ = 0;
};

UploadQueue::MakeWriter pinned_stages(CUstream stream, int64_t bytes) {
  CUcontext context = nullptr;
  R1_CUDA(ctx_get_current(&context));
  return [=] { return std::make_unique<PinnedStages>(context, stream, bytes); };
}

}  // namespace

Uploader::Uploader(LaunchContext& context, int threads, const UploadOptions& options)
    : context_(context),
      stage_bytes_(options.stage_bytes),
      queue_(pinned_stages(context.stream(), stage_bytes_), reading_threads(threads), stage_bytes_) {}

void Uploader::bytes(CUdeviceptr to, const void* from, int64_t count) {
  // Out of pageable memory: the driver has its own copy when this returns.
  if (count > 0) R1_CUDA(memcpy_htod_async(to, from, static_cast<size_t>(count), context_.stream()));
}

void Uploader::matrix(const WeightParts& parts, CudaMatrix& matrix) {
  const bool random =
      std::all_of(parts.parts.begin(), parts.parts.end(), [](const auto& part) { return part->random_seed() >= 0; });
  if (!random) return add(parts, matrix.role, matrix.dtype, matrix.ld, matrix.data);
  // Padding is zero; the generating kernel writes the rest.
  R1_CUDA(memset_d8_async(matrix.data, 0, static_cast<size_t>(matrix.bytes), context_.stream()));
  int64_t row = 0;
  for (const auto& part : parts.parts) {
    random_part(*part, matrix, row);
    row += part->rows;
  }
}

void Uploader::vector(const WeightParts& parts, CUdeviceptr to) {
  add(parts, MatrixRole::kLinear, DType::kF32, parts.cols(), to);
}

void Uploader::add(const WeightParts& parts, MatrixRole role, DType dtype, int64_t ld, CUdeviceptr to) {
  try {
    const int64_t row_bytes = ld * dtype_size(dtype);
    const int64_t most_row_bytes = stage_bytes_ / (role == MatrixRole::kGateUp ? 2 * kGateUpGroup : 1);
    R1_CHECK(row_bytes <= most_row_bytes, ErrorCode::kUnsupported,
             "the weight " + parts.name + " has rows of " + std::to_string(row_bytes) + " bytes on a GPU, of at most " +
                 std::to_string(most_row_bytes) + ". Use device \"cpu\" for this model.");
    std::vector<int64_t> part_rows;
    part_rows.reserve(parts.parts.size());
    for (const auto& part : parts.parts) part_rows.push_back(part->rows);
    const auto shared = std::make_shared<const WeightParts>(parts);
    for (UploadPiece& piece : plan_upload(part_rows, role, row_bytes, stage_bytes_)) {
      const int64_t offset = piece.first * row_bytes, bytes = piece.rows * row_bytes;
      queue_.add({.parts = shared,
                  .piece = std::move(piece),
                  .dtype = dtype,
                  .ld = ld,
                  .to = to + static_cast<CUdeviceptr>(offset),
                  .bytes = bytes});
    }
  } catch (...) {
    queue_.abandon();  // the caller frees what was to be filled
    throw;
  }
}

void Uploader::random_part(const TensorSource& part, CudaMatrix& matrix, int64_t first_row) {
  if (part.rows == 0) return;
  R1_CHECK(matrix.dtype != DType::kF16 || std::abs(part.random_scale()) < 65504.0f, ErrorCode::kUnsupported,
           "Tensor " + part.name + " has values that are out of range for fp16.");
  const FillRandomArgs args{.out = matrix.memory.data(),
                            .ld = matrix.ld,
                            .first_row = first_row,
                            .rows = part.rows,
                            .cols = part.cols,
                            .gate_rows = matrix.role == MatrixRole::kGateUp ? matrix.rows / 2 : 0,
                            .seed = static_cast<uint64_t>(part.random_seed()),
                            .scale = part.random_scale(),
                            .stored = static_cast<int32_t>(part.dtype)};
  Kernel& kernel = context_.kernel("fill_random_" + std::string(dtype_name(matrix.dtype)));
  context_.launch(kernel, {.grid_x = static_cast<unsigned>(std::min<int64_t>(part.rows, 65535)), .overlap = false},
                  args);
}

}  // namespace r1::cuda
