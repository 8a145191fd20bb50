// Weight matrices packed into panels (kernels.h).
#pragma once
#include "backend/cpu/kernels.h"
#include "backend/cpu/memory.h"
#include "backend/weights.h"
#include "base/thread_pool.h"

namespace r1::cpu {

/**
 * Panel p of a kLinear matrix holds its rows [32p, 32p + 32); of a kGateUp matrix gate rows [16p, 16p + 16), then the
 * same up rows, so that a tile of outputs has both factors of SwiGLU. Rows and columns past the end are zero.
 */
class PackedMatrix : public Matrix {
 public:
  Format format = Format::kF32xBF16;
  int64_t panels = 0;
  int pairs = 0;  // of columns, padded

  int64_t panel_bytes() const { return pairs * pair_bytes(format); }
  const char* panel(int64_t p) const { return storage.data() + p * panel_bytes(); }
  /** Row `row` of a kLinear matrix as float32. */
  void read_row(int64_t row, float* out) const;

  Storage storage;
};

/** How weights of a stored type are kept at a precision. */
Format packed_format(DType precision, DType stored, const Kernels& kernels);
int64_t packed_bytes(int64_t rows, int64_t cols, Format format);

std::unique_ptr<PackedMatrix> pack_matrix(const WeightParts& parts, MatrixRole role, DType precision,
                                          const Kernels& kernels, ThreadPool* pool);
/** All elements of all parts, one after the other, as float32. */
std::unique_ptr<Buffer> load_float_vector(const WeightParts& parts);

}  // namespace r1::cpu
