// Weights on their way to the device: read from their source into pinned memory, converted, copied while the next are
// read.
#pragma once
#include <array>

#include "backend/cuda/launch.h"
#include "backend/cuda/matrix.h"

namespace r1::cuda {

class Uploader {
 public:
  explicit Uploader(LaunchContext& context) : context_(context) {}
  /** Fills `matrix`, whose type decides what the values become. Throws kBadCheckpoint where a value does not fit fp16.
   */
  void matrix(const WeightParts& parts, CudaMatrix& matrix);
  /** float32 [rows * cols] at `to`. */
  void vector(const WeightParts& parts, CUdeviceptr to);
  /** Any bytes; they are copied before this returns. */
  void bytes(CUdeviceptr to, const void* from, int64_t count);
  /** Gives the pinned buffers back; loading is over. */
  void release();

 private:
  struct Stage {
    PinnedMemory memory;
    std::unique_ptr<Event> done;  // its last copy to the device
  };
  /** A stage whose last copy is over. */
  Stage& next_stage();
  void send(Stage& stage, CUdeviceptr to, int64_t count);
  void linear_part(const TensorSource& part, CudaMatrix& matrix, int64_t first_row);
  void gate_up(const WeightParts& parts, CudaMatrix& matrix);
  void random_part(const TensorSource& part, CudaMatrix& matrix, int64_t first_row);
  /** Rows [first, first + count) of the part, converted to `to`, at out[i * ld]; columns up to ld are zeroed. */
  void convert_rows(const TensorSource& part, int64_t first, int64_t count, DType to, void* out, int64_t ld);

  LaunchContext& context_;
  std::array<Stage, 2> stages_;
  size_t next_ = 0;
  std::vector<std::byte> raw_;  // rows as stored, when they have to be converted
};

}  // namespace r1::cuda
