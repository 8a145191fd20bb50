// Weights on their way to the device: threads read them into pinned memory, converting where they have to, and each
// piece is copied while the next ones are read.
#pragma once
#include <memory>

#include "backend/cuda/launch.h"
#include "backend/cuda/matrix.h"
#include "backend/cuda/upload_queue.h"

namespace r1::cuda {

class Uploader {
 public:
  /** For the current context; `threads` as reading_threads() takes it. */
  Uploader(LaunchContext& context, int threads, const UploadOptions& options);
  /**
   * Fills `matrix`, whose type decides what the values become. Returns once that is begun: `matrix` must live until
   * finish() or abandon(). Throws what went wrong since the last finish(), and then nothing is written any more.
   */
  void matrix(const WeightParts& parts, CudaMatrix& matrix);
  /** float32 [rows * cols] at `to`, likewise. */
  void vector(const WeightParts& parts, CUdeviceptr to);
  /** Any bytes; they are read before this returns. */
  void bytes(CUdeviceptr to, const void* from, int64_t count);
  /**
   * Waits until all is on the device, and gives the threads and their pinned memory back. Throws kUnsupported where a
   * value did not fit, and what reading threw.
   */
  void finish() { queue_.finish(); }
  /** Does without what is not there yet. */
  void abandon() noexcept { queue_.abandon(); }

 private:
  void add(const WeightParts& parts, MatrixRole role, DType dtype, int64_t ld, CUdeviceptr to);
  void random_part(const TensorSource& part, CudaMatrix& matrix, int64_t first_row);

  LaunchContext& context_;
  const int64_t stage_bytes_;
  UploadQueue queue_;
};

}  // namespace r1::cuda
