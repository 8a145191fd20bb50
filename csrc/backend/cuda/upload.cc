#include "backend/cuda/upload.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cuda/kernel_params.h"

namespace r1::cuda {
namespace {

constexpr int64_t kStageBytes = 16 << 20;

float load_value(const std::byte* from, DType type, int64_t i) {
  if (type == DType::kF32) {
    float v = 0;
    std::memcpy(&v, from + i * 4, 4);
    return v;
  }
  uint16_t v = 0;
  std::memcpy(&v, from + i * 2, 2);
  return type == DType::kBF16 ? bf16_to_f32(v) : f16_to_f32(v);
}

/** Converts `count` values; false when a finite one becomes infinite. */
bool convert_values(const std::byte* from, DType stored, int64_t count, DType to, void* out) {
  bool fits = true;
  for (int64_t i = 0; i < count; ++i) {
    const float v = load_value(from, stored, i);
    if (to == DType::kF32) {
      static_cast<float*>(out)[i] = v;
    } else if (to == DType::kBF16) {
      const uint16_t rounded = f32_to_bf16(v);
      fits = fits && (std::isinf(v) || (rounded & 0x7fffu) != 0x7f80u);
      static_cast<uint16_t*>(out)[i] = rounded;
    } else {
      const uint16_t rounded = f32_to_f16(v);
      fits = fits && (std::isinf(v) || (rounded & 0x7fffu) != 0x7c00u);
      static_cast<uint16_t*>(out)[i] = rounded;
    }
  }
  return fits;
}

}  // namespace

Uploader::Stage& Uploader::next_stage() {
  Stage& stage = stages_[next_];
  next_ = (next_ + 1) % stages_.size();
  if (!stage.done) {
    stage.memory = PinnedMemory(kStageBytes);
    stage.done = std::make_unique<Event>();
  }
  stage.done->wait();
  return stage;
}

void Uploader::send(Stage& stage, CUdeviceptr to, int64_t count) {
  R1_CUDA(memcpy_htod_async(to, stage.memory.data(), static_cast<size_t>(count), context_.stream()));
  stage.done->record(context_.stream());
}

void Uploader::release() {
  for (Stage& stage : stages_) {
    if (stage.done) stage.done->wait();
    stage = Stage{};
  }
  raw_ = {};
}

void Uploader::bytes(CUdeviceptr to, const void* from, int64_t count) {
  constexpr int64_t kSmall = 1 << 20;
  if (count <= kSmall) {  // out of pageable memory: the driver has its own copy when this returns
    if (count > 0) R1_CUDA(memcpy_htod_async(to, from, static_cast<size_t>(count), context_.stream()));
    return;
  }
  for (int64_t at = 0; at < count; at += kStageBytes) {
    Stage& stage = next_stage();
    const int64_t part = std::min(kStageBytes, count - at);
    std::memcpy(stage.memory.data(), static_cast<const std::byte*>(from) + at, static_cast<size_t>(part));
    send(stage, to + static_cast<CUdeviceptr>(at), part);
  }
}

void Uploader::convert_rows(const TensorSource& part, int64_t first, int64_t count, DType to, void* out, int64_t ld) {
  if (part.dtype == to && ld == part.cols) return part.read(first, count, out);
  const int64_t row_bytes = part.cols * dtype_size(part.dtype);
  raw_.resize(static_cast<size_t>(count * row_bytes));
  part.read(first, count, raw_.data());
  for (int64_t r = 0; r < count; ++r) {
    std::byte* row = static_cast<std::byte*>(out) + r * ld * dtype_size(to);
    const std::byte* from = raw_.data() + r * row_bytes;
    if (part.dtype == to) {
      std::memcpy(row, from, static_cast<size_t>(row_bytes));
    } else {
      R1_CHECK(convert_values(from, part.dtype, part.cols, to, row), ErrorCode::kUnsupported,
               "Tensor " + part.name + " has a value in row " + std::to_string(first + r) +
                   " that is out of range for " + std::string(dtype_name(to)) + ". Load with another precision.");
    }
    std::memset(row + part.cols * dtype_size(to), 0, static_cast<size_t>((ld - part.cols) * dtype_size(to)));
  }
}

void Uploader::matrix(const WeightParts& parts, CudaMatrix& matrix) {
  const bool interleaved = matrix.role == MatrixRole::kGateUp;
  const bool random =
      std::all_of(parts.parts.begin(), parts.parts.end(), [](const auto& part) { return part->random_seed() >= 0; });
  if (random) {
    // Padding is zero; the generating kernel writes the rest.
    R1_CUDA(memset_d8_async(matrix.data, 0, static_cast<size_t>(matrix.bytes), context_.stream()));
    int64_t row = 0;
    for (const auto& part : parts.parts) {
      random_part(*part, matrix, row);
      row += part->rows;
    }
  } else if (interleaved) {
    gate_up(parts, matrix);
  } else {
    int64_t row = 0;
    for (const auto& part : parts.parts) {
      linear_part(*part, matrix, row);
      row += part->rows;
    }
  }
}

void Uploader::linear_part(const TensorSource& part, CudaMatrix& matrix, int64_t first_row) {
  const int64_t row_bytes = matrix.ld * dtype_size(matrix.dtype);
  R1_CHECK(row_bytes <= kStageBytes, ErrorCode::kUnsupported, "tensor " + part.name + " has rows that are too long.");
  const int64_t rows_at_once = kStageBytes / row_bytes;
  for (int64_t r = 0; r < part.rows; r += rows_at_once) {
    const int64_t count = std::min(rows_at_once, part.rows - r);
    Stage& stage = next_stage();
    convert_rows(part, r, count, matrix.dtype, stage.memory.data(), matrix.ld);
    send(stage, matrix.data + static_cast<CUdeviceptr>((first_row + r) * row_bytes), count * row_bytes);
  }
}

void Uploader::gate_up(const WeightParts& parts, CudaMatrix& matrix) {
  const int64_t row_bytes = matrix.ld * dtype_size(matrix.dtype);
  const int64_t group_bytes = 2 * kGateUpGroup * row_bytes;
  const int64_t half = matrix.rows / 2;
  R1_CHECK(group_bytes <= kStageBytes, ErrorCode::kUnsupported, parts.name + " has rows that are too long.");
  // Rows [first, first + count) of all parts taken together, zeros past the end of the gate or up half.
  const auto fetch = [&](int64_t first, int64_t count, std::byte* out) {
    int64_t begin = 0;
    for (const auto& part : parts.parts) {
      const int64_t from = std::max(first, begin);
      const int64_t to = std::min(first + count, begin + part->rows);
      if (from < to) {
        convert_rows(*part, from - begin, to - from, matrix.dtype, out + (from - first) * row_bytes, matrix.ld);
      }
      begin += part->rows;
    }
  };
  const int64_t groups = matrix.stored_rows / (2 * kGateUpGroup);
  const int64_t groups_at_once = kStageBytes / group_bytes;
  for (int64_t g = 0; g < groups; g += groups_at_once) {
    const int64_t count = std::min(groups_at_once, groups - g);
    Stage& stage = next_stage();
    for (int64_t i = 0; i < count; ++i) {
      std::byte* out = stage.memory.as<std::byte>() + i * group_bytes;
      const int64_t row = (g + i) * kGateUpGroup;
      const int64_t rows = std::min(kGateUpGroup, half - row);
      if (rows < kGateUpGroup) std::memset(out, 0, static_cast<size_t>(group_bytes));
      fetch(row, rows, out);
      fetch(half + row, rows, out + kGateUpGroup * row_bytes);
    }
    send(stage, matrix.data + static_cast<CUdeviceptr>(g * group_bytes), count * group_bytes);
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

void Uploader::vector(const WeightParts& parts, CUdeviceptr to) {
  std::vector<float> values;
  for (const auto& part : parts.parts) {
    const int64_t count = part->rows * part->cols;
    const size_t at = values.size();
    values.resize(at + static_cast<size_t>(count));
    raw_.resize(static_cast<size_t>(count * dtype_size(part->dtype)));
    part->read(0, part->rows, raw_.data());
    convert_values(raw_.data(), part->dtype, count, DType::kF32, values.data() + at);
  }
  bytes(to, values.data(), static_cast<int64_t>(values.size() * sizeof(float)));
}

}  // namespace r1::cuda
