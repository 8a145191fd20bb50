#include "backend/cpu/matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"

namespace r1::cpu {
namespace {

float element_to_f32(DType type, const void* data, int64_t i) {
  switch (type) {
    case DType::kF32:
      return static_cast<const float*>(data)[i];
    case DType::kBF16:
      return bf16_to_f32(static_cast<const uint16_t*>(data)[i]);
    case DType::kF16:
      return f16_to_f32(static_cast<const uint16_t*>(data)[i]);
  }
  return 0;
}

/** Copies rows [first, first + count) of the concatenated parts to `out`, rows `stride` bytes apart. */
void read_rows(const WeightParts& parts, int64_t first, int64_t count, std::vector<char>* scratch, char* out,
               int64_t stride) {
  for (const auto& part : parts.parts) {
    if (count <= 0) return;
    if (first >= part->rows) {
      first -= part->rows;
      continue;
    }
    const int64_t n = std::min(count, part->rows - first);
    const int64_t row_bytes = part->cols * dtype_size(part->dtype);
    scratch->resize(static_cast<size_t>(n * row_bytes));
    part->read(first, n, scratch->data());
    for (int64_t r = 0; r < n; ++r) {
      std::memcpy(out + r * stride, scratch->data() + r * row_bytes, static_cast<size_t>(row_bytes));
    }
    out += n * stride;
    count -= n;
    first = 0;
  }
}

/** Converts a row in place to bfloat16. */
void row_to_bf16(const WeightParts& parts, DType stored, char* row, int64_t cols) {
  uint16_t* out = reinterpret_cast<uint16_t*>(row);
  for (int64_t i = 0; i < cols; ++i) {  // never writes past what it has read: bfloat16 is not wider
    const float value = element_to_f32(stored, row, i);
    const uint16_t rounded = f32_to_bf16(value);
    if (std::isfinite(value) && (rounded & 0x7f80u) == 0x7f80u) {
      R1_THROW(ErrorCode::kUnsupported, "weight " + parts.name + " (" + parts.parts.front()->name + ", …) holds " +
                                            std::to_string(value) +
                                            ", which bfloat16 cannot represent; load it with precision \"f32\"");
    }
    out[i] = rounded;
  }
}

/** The source rows of a panel's two halves: first row and how many exist. */
struct HalfRows {
  int64_t first, count;
};

HalfRows half_rows(const PackedMatrix& matrix, int64_t panel, int half) {
  const int64_t block = matrix.role == MatrixRole::kGateUp ? matrix.rows / 2 : matrix.rows;
  const int64_t begin = matrix.role == MatrixRole::kGateUp ? panel * 16 : panel * kPanel + half * 16;
  const int64_t count = std::clamp<int64_t>(block - begin, 0, 16);
  return {matrix.role == MatrixRole::kGateUp && half ? block + begin : begin, count};
}

struct PanelScratch {
  std::vector<char> rows, read;
};

void pack_panel(const WeightParts& parts, const Kernels& kernels, const PackedMatrix& matrix, int64_t panel,
                bool to_bf16, PanelScratch* scratch, char* out) {
  const DType stored = parts.parts.front()->dtype;
  const int64_t element = dtype_size(stored);
  const int64_t stride = 2 * matrix.pairs * element;  // source rows, padded to an even number of columns
  scratch->rows.assign(static_cast<size_t>(kPanel * stride), 0);
  char* rows = scratch->rows.data();
  for (int half = 0; half < 2; ++half) {
    const HalfRows source = half_rows(matrix, panel, half);
    char* to = rows + half * 16 * stride;
    read_rows(parts, source.first, source.count, &scratch->read, to, stride);
    if (to_bf16 && stored != DType::kBF16) {
      for (int64_t r = 0; r < source.count; ++r) row_to_bf16(parts, stored, to + r * stride, 2 * matrix.pairs);
    }
  }
  if (matrix.format == Format::kF32xF16) {
    uint16_t* halves = reinterpret_cast<uint16_t*>(out);
    for (int row = 0; row < kPanel; ++row) {
      const uint16_t* from = reinterpret_cast<const uint16_t*>(rows + row * stride);
      for (int k = 0; k < 2 * matrix.pairs; ++k) halves[k * kPanel + row] = from[k];
    }
    return;
  }
  // Pairs of bfloat16, or float32: 32-bit units either way.
  const int units = matrix.format == Format::kF32xF32 ? 2 * matrix.pairs : matrix.pairs;
  kernels.pack_keys(rows, stride, kPanel, units, out);
}

}  // namespace

void PackedMatrix::read_row(int64_t row, float* out) const {
  const char* base = panel(row / kPanel);
  const int64_t lane = row % kPanel;
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(base);
  switch (format) {
    case Format::kF32xBF16:
    case Format::kBF16xBF16:
      for (int64_t k = 0; k < cols; ++k) out[k] = bf16_to_f32(halves[(k / 2) * 2 * kPanel + lane * 2 + (k & 1)]);
      return;
    case Format::kF32xF16:
      for (int64_t k = 0; k < cols; ++k) out[k] = f16_to_f32(halves[k * kPanel + lane]);
      return;
    case Format::kF32xF32:
      for (int64_t k = 0; k < cols; ++k) out[k] = reinterpret_cast<const float*>(base)[k * kPanel + lane];
      return;
    case Format::kF32xRows:
      return;  // never a weight's
  }
}

Format packed_format(DType precision, DType stored, const Kernels& kernels) {
  if (precision == DType::kBF16) return kernels.bf16_dots ? Format::kBF16xBF16 : Format::kF32xBF16;
  return stored == DType::kBF16 ? Format::kF32xBF16 : stored == DType::kF16 ? Format::kF32xF16 : Format::kF32xF32;
}

int64_t packed_bytes(int64_t rows, int64_t cols, Format format) {
  return (rows + kPanel - 1) / kPanel * ((cols + 1) / 2) * pair_bytes(format);
}

std::unique_ptr<PackedMatrix> pack_matrix(const WeightParts& parts, MatrixRole role, DType precision,
                                          const Kernels& kernels, ThreadPool* pool) {
  const DType stored = parts.parts.front()->dtype;
  for (const auto& part : parts.parts) {
    R1_CHECK(part->cols == parts.cols() && part->dtype == stored, ErrorCode::kUnsupported,
             "weight " + parts.name + ": tensor " + part->name + " is " + std::to_string(part->cols) + " columns of " +
                 std::string(dtype_name(part->dtype)) + ", but " + parts.parts.front()->name + " is " +
                 std::to_string(parts.cols()) + " columns of " + std::string(dtype_name(stored)) +
                 "; tensors that form one weight must agree");
  }
  auto matrix = std::make_unique<PackedMatrix>();
  matrix->rows = parts.rows();
  matrix->cols = parts.cols();
  matrix->dtype = stored;
  matrix->role = role;
  matrix->format = packed_format(precision, stored, kernels);
  matrix->panels = (matrix->rows + kPanel - 1) / kPanel;
  matrix->pairs = static_cast<int>((matrix->cols + 1) / 2);
  matrix->bytes = packed_bytes(matrix->rows, matrix->cols, matrix->format);
  require_memory(matrix->bytes, ("weight " + parts.name).c_str());
  matrix->storage = Storage(matrix->bytes);

  std::vector<PanelScratch> scratch(static_cast<size_t>(pool->threads()));
  pool->parallel_for(matrix->panels, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t p = begin; p < end; ++p) {
      pack_panel(parts, kernels, *matrix, p, precision == DType::kBF16, &scratch[static_cast<size_t>(thread)],
                 matrix->storage.data() + p * matrix->panel_bytes());
    }
  });
  return matrix;
}

std::unique_ptr<Buffer> load_float_vector(const WeightParts& parts) {
  int64_t count = 0;
  for (const auto& part : parts.parts) count += part->rows * part->cols;
  auto buffer = allocate_buffer(count * 4);
  float* out = buffer->as<float>();
  std::vector<char> raw;
  for (const auto& part : parts.parts) {
    const int64_t n = part->rows * part->cols;
    raw.resize(static_cast<size_t>(n * dtype_size(part->dtype)));
    part->read(0, part->rows, raw.data());
    for (int64_t i = 0; i < n; ++i) *out++ = element_to_f32(part->dtype, raw.data(), i);
  }
  return buffer;
}

}  // namespace r1::cpu
