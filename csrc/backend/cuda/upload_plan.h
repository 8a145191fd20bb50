// A weight matrix cut into pieces that each fit a stage of pinned memory, and how a piece is filled. No device is
// touched here, so that the tests can look at every byte.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/weights.h"

namespace r1::cuda {

/** Rows that follow each other both in a part and in a piece. */
struct RowRun {
  int32_t part;   // index into WeightParts::parts
  int64_t first;  // row of the part
  int64_t rows;
  int64_t at;  // row of the piece that the first goes to
};

/** Stored rows [first, first + rows) of a matrix, in the order of matrix.h; those that no run writes are zero. */
struct UploadPiece {
  int64_t first = 0, rows = 0;
  std::vector<RowRun> runs;  // disjoint
};

/**
 * The pieces of a matrix whose parts have `part_rows` rows, at most `piece_bytes` each at `row_bytes` per stored row.
 * They cover every stored row once, in order. At least one group of gate and up rows must fit.
 */
std::vector<UploadPiece> plan_upload(const std::vector<int64_t>& part_rows, MatrixRole role, int64_t row_bytes,
                                     int64_t piece_bytes);

/**
 * Writes a piece as [piece.rows][ld] of `dtype` to `out`; columns from the matrix's to `ld` are zero. `raw` is scratch
 * memory for rows that have to be converted. Throws kUnsupported where a value is out of range for `dtype`.
 */
void fill_piece(const WeightParts& parts, const UploadPiece& piece, DType dtype, int64_t ld, std::byte* out,
                std::vector<std::byte>& raw);

}  // namespace r1::cuda
