#include "backend/cuda/upload_plan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "backend/cuda/matrix.h"
#include "base/error.h"

namespace r1::cuda {
namespace {

/** Adds rows [first, first + count) of all parts taken together, the first at row `at` of the piece. */
void add_runs(const std::vector<int64_t>& part_rows, int64_t first, int64_t count, int64_t at, UploadPiece& piece) {
  int64_t begin = 0;
  for (size_t part = 0; part < part_rows.size(); ++part) {
    const int64_t from = std::max(first, begin);
    const int64_t to = std::min(first + count, begin + part_rows[part]);
    if (from < to) {
      piece.runs.push_back(
          {.part = static_cast<int32_t>(part), .first = from - begin, .rows = to - from, .at = at + from - first});
    }
    begin += part_rows[part];
  }
}

// ---- conversion

template <DType stored>
float load_value(const std::byte* from, int64_t i) {
  if constexpr (stored == DType::kF32) {
    float v = 0;
    std::memcpy(&v, from + i * 4, 4);
    return v;
  } else {
    uint16_t v = 0;
    std::memcpy(&v, from + i * 2, 2);
    return stored == DType::kBF16 ? bf16_to_f32(v) : f16_to_f32(v);
  }
}

/** False when a finite value becomes infinite. */
template <DType stored, DType to>
bool convert_values(const std::byte* from, int64_t count, void* out) {
  bool fits = true;
  for (int64_t i = 0; i < count; ++i) {
    const float v = load_value<stored>(from, i);
    if constexpr (to == DType::kF32) {
      static_cast<float*>(out)[i] = v;
    } else {
      constexpr uint16_t kInfinity = to == DType::kBF16 ? 0x7f80 : 0x7c00;
      const uint16_t rounded = to == DType::kBF16 ? f32_to_bf16(v) : f32_to_f16(v);
      fits = fits && ((rounded & 0x7fffu) != kInfinity || std::isinf(v));
      static_cast<uint16_t*>(out)[i] = rounded;
    }
  }
  return fits;
}

using Conversion = bool (*)(const std::byte* from, int64_t count, void* out);

struct ConversionRow {
  DType stored, to;
  Conversion convert;
};

template <DType stored, DType to>
constexpr ConversionRow row() {
  return {stored, to, convert_values<stored, to>};
}

constexpr DType F32 = DType::kF32, BF16 = DType::kBF16, F16 = DType::kF16;
constexpr ConversionRow kConversions[] = {row<F32, BF16>(), row<F32, F16>(),  row<F16, F32>(),
                                          row<F16, BF16>(), row<BF16, F32>(), row<BF16, F16>()};

Conversion conversion(DType stored, DType to) {
  for (const ConversionRow& one : kConversions) {
    if (one.stored == stored && one.to == to) return one.convert;
  }
  R1_THROW(ErrorCode::kInternal, "there is no conversion from " + std::string(dtype_name(stored)) + " to " +
                                     std::string(dtype_name(to)) + ".");
}

/** Rows [first, first + count) of the part at out[i * ld]. */
void fill_rows(const TensorSource& part, int64_t first, int64_t count, DType to, int64_t ld, std::byte* out,
               std::vector<std::byte>& raw) {
  if (part.dtype == to && ld == part.cols) return part.read(first, count, out);
  const int64_t stored_bytes = part.cols * dtype_size(part.dtype), row_bytes = ld * dtype_size(to);
  const int64_t used_bytes = part.cols * dtype_size(to);
  const Conversion convert = part.dtype == to ? nullptr : conversion(part.dtype, to);
  raw.resize(std::max(raw.size(), static_cast<size_t>(count * stored_bytes)));
  part.read(first, count, raw.data());
  // In one piece where nothing is padded; row by row it is said which one does not fit.
  if (convert && ld == part.cols && convert(raw.data(), count * ld, out)) return;
  for (int64_t r = 0; r < count; ++r) {
    std::byte* row = out + r * row_bytes;
    const std::byte* from = raw.data() + r * stored_bytes;
    if (!convert) {
      std::memcpy(row, from, static_cast<size_t>(used_bytes));
    } else {
      R1_CHECK(convert(from, part.cols, row), ErrorCode::kUnsupported,
               "Tensor " + part.name + " has a value in row " + std::to_string(first + r) +
                   " that is out of range for " + std::string(dtype_name(to)) + ". Load with another precision.");
    }
    std::memset(row + used_bytes, 0, static_cast<size_t>(row_bytes - used_bytes));
  }
}

}  // namespace

std::vector<UploadPiece> plan_upload(const std::vector<int64_t>& part_rows, MatrixRole role, int64_t row_bytes,
                                     int64_t piece_bytes) {
  int64_t rows = 0;
  for (const int64_t count : part_rows) rows += count;
  const bool interleaved = role == MatrixRole::kGateUp;
  const int64_t unit = interleaved ? 2 * kGateUpGroup : 1;  // rows that stay together
  R1_CHECK(row_bytes > 0 && row_bytes * unit <= piece_bytes, ErrorCode::kInternal, "rows do not fit a piece.");
  const int64_t rows_at_once = piece_bytes / (row_bytes * unit) * unit;
  const int64_t stored_rows = CudaMatrix::count_stored_rows(rows, role);
  const int64_t half = rows / 2;
  std::vector<UploadPiece> pieces;
  for (int64_t first = 0; first < stored_rows; first += rows_at_once) {
    UploadPiece piece{.first = first, .rows = std::min(rows_at_once, stored_rows - first), .runs = {}};
    if (!interleaved) add_runs(part_rows, first, piece.rows, 0, piece);
    for (int64_t at = 0; interleaved && at < piece.rows; at += unit) {
      const int64_t row = (first + at) / 2;  // of gate, and of up
      const int64_t count = std::min(kGateUpGroup, half - row);
      add_runs(part_rows, row, count, at, piece);
      add_runs(part_rows, half + row, count, at + kGateUpGroup, piece);
    }
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

void fill_piece(const WeightParts& parts, const UploadPiece& piece, DType dtype, int64_t ld, std::byte* out,
                std::vector<std::byte>& raw) {
  const int64_t row_bytes = ld * dtype_size(dtype);
  int64_t written = 0;
  for (const RowRun& run : piece.runs) written += run.rows;
  if (written < piece.rows) std::memset(out, 0, static_cast<size_t>(piece.rows * row_bytes));
  for (const RowRun& run : piece.runs) {
    fill_rows(*parts.parts[static_cast<size_t>(run.part)], run.first, run.rows, dtype, ld, out + run.at * row_bytes,
              raw);
  }
}

}  // namespace r1::cuda
