// What a backend is given to build its weights from, and what it hands back.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace r1 {

/**
 * One tensor of a checkpoint (or a made-up one), row-major [rows][cols] of `dtype`. Rows are read on demand, so a
 * backend can stream and repack without a second copy of the whole tensor. Thread-safe.
 */
class TensorSource {
 public:
  TensorSource(std::string name, DType dtype, int64_t rows, int64_t cols)
      : name(std::move(name)), dtype(dtype), rows(rows), cols(cols) {}
  virtual ~TensorSource() = default;
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;

  /** Copies rows [first, first + count) to `out` (count * cols elements of `dtype`). Throws kBadCheckpoint on a short
   * file. */
  virtual void read(int64_t first, int64_t count, void* out) const = 0;
  /** The seed of a made-up tensor (backend/random_weights.h), so that a device can generate it itself; -1 for a stored
   * one. */
  virtual int64_t random_seed() const { return -1; }
  virtual float random_scale() const { return 0; }

  const std::string name;  // as in the checkpoint, for messages
  const DType dtype;
  const int64_t rows, cols;
};

/** An engine weight: its parts concatenated along the rows. All parts have the same number of columns. */
struct WeightParts {
  std::string name;  // the engine's name: "layers.3.qkv"
  std::vector<std::shared_ptr<TensorSource>> parts;
  int64_t rows() const {
    int64_t n = 0;
    for (const auto& part : parts) n += part->rows;
    return n;
  }
  int64_t cols() const { return parts.front()->cols; }
};

/** How the rows of a matrix will be used, so that a backend may interleave them. The row order that ops speak of never
 * changes. */
enum class MatrixRole : uint8_t {
  kLinear,  // any linear layer, the embedding table and the head
  kGateUp,  // rows [0, n/2) are SwiGLU's gate, rows [n/2, n) its up projection
};

/** A weight matrix W[rows][cols] in a backend's own layout; y = x W^T. Freed by its destructor, before the backend is.
 */
class Matrix {
 public:
  virtual ~Matrix() = default;
  int64_t rows = 0, cols = 0;
  DType dtype = DType::kF32;  // of the stored values
  MatrixRole role = MatrixRole::kLinear;
  int64_t bytes = 0;  // on the device
};

}  // namespace r1
