// Weight matrices on the device.
#pragma once
#include "backend/cuda/memory.h"
#include "backend/weights.h"

namespace r1::cuda {

constexpr int64_t kGateUpGroup = 8;  // rows of gate, then as many of up
constexpr int64_t kRowAlign = 8;     // elements that a stored row is a multiple of

constexpr int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/**
 * Row-major [stored_rows][ld] of `dtype`, the columns from `cols` to `ld` zero.
 * kLinear: stored row r is row r. kGateUp with I = rows / 2: groups of 16 stored rows, 8 of gate then the same 8 of up,
 * so that stored row r is gate row (r / 16) * 8 + r % 16 when r % 16 < 8, else up row (r / 16) * 8 + r % 16 - 8; rows
 * that have no such gate or up row (I no multiple of 8) are zero.
 */
class CudaMatrix final : public Matrix {
 public:
  CudaMatrix(int64_t rows_, int64_t cols_, DType dtype_, MatrixRole role_, const std::string& name)
      : ld(stored_cols(cols_)),
        stored_rows(count_stored_rows(rows_, role_)),
        memory(stored_rows * ld * dtype_size(dtype_), name) {
    rows = rows_, cols = cols_, dtype = dtype_, role = role_;
    data = memory.address();
    bytes = memory.bytes();
  }
  static constexpr int64_t stored_cols(int64_t cols) { return round_up(cols, kRowAlign); }
  static constexpr int64_t count_stored_rows(int64_t rows, MatrixRole role) {
    return role == MatrixRole::kGateUp ? 2 * round_up(rows / 2, kGateUpGroup) : rows;
  }

  const int64_t ld, stored_rows;
  const DeviceMemory memory;
  CUdeviceptr data = 0;
};

}  // namespace r1::cuda
