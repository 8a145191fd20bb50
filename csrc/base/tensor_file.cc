#include "base/tensor_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "backend/random_weights.h"
#include "base/error.h"
#include "base/thread_pool.h"

namespace r1 {
namespace {

constexpr int64_t kReadBytes = int64_t{8} << 20;  // between two looks at the cancel flag

void check_not_cancelled(const CancelFlag& cancelled) {
  if (cancelled && cancelled->load(std::memory_order_relaxed)) {
    R1_THROW(ErrorCode::kDisposed, "The model was disposed while it was loading.");
  }
}

void check_range(const TensorSource& tensor, int64_t first, int64_t count) {
  R1_CHECK(first >= 0 && count >= 0 && first <= tensor.rows - count, ErrorCode::kInternal,
           "tensor '" + tensor.name + "': rows [" + std::to_string(first) + ", +" + std::to_string(count) +
               ") were asked of " + std::to_string(tensor.rows));
}

}  // namespace

int reading_threads(int asked) {
  constexpr int kMost = 64, kWorthHaving = 12;  // a core copies 5 to 10 GB/s out of the page cache, PCIe takes 55
  return asked > 0 ? std::min(asked, kMost) : std::min(available_cores(), kWorthHaving);
}

TensorFile::TensorFile(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) {
    const int error = errno;
    R1_THROW(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kBadCheckpoint,
             "The weight file " + path_ + " cannot be opened: " + std::strerror(error) + ".");
  }
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    R1_THROW(ErrorCode::kBadCheckpoint, "The weight file " + path_ + " is not a regular file.");
  }
  size_ = status.st_size;
}

TensorFile::~TensorFile() { ::close(descriptor_); }

void TensorFile::read(int64_t offset, int64_t bytes, void* out, const std::string& tensor) const {
  auto* to = static_cast<uint8_t*>(out);
  while (bytes > 0) {
    const ssize_t got = ::pread(descriptor_, to, static_cast<size_t>(bytes), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      R1_THROW(ErrorCode::kBadCheckpoint,
               "Reading tensor '" + tensor + "' from " + path_ + " failed: " + std::strerror(errno) + ".");
    }
    if (got == 0) {
      R1_THROW(ErrorCode::kBadCheckpoint, "The weight file " + path_ + " ends at byte " + std::to_string(offset) +
                                              " inside tensor '" + tensor + "', which needs " + std::to_string(bytes) +
                                              " more. It was cut short: fetch it again.");
    }
    to += got;
    offset += got;
    bytes -= got;
  }
}

FileTensor::FileTensor(std::string name, DType dtype, int64_t rows, int64_t cols, std::shared_ptr<TensorFile> file,
                       int64_t offset, CancelFlag cancelled)
    : TensorSource(std::move(name), dtype, rows, cols),
      file_(std::move(file)),
      offset_(offset),
      cancelled_(std::move(cancelled)) {
  int64_t elements = 0;
  const bool overflow = __builtin_mul_overflow(rows, cols, &elements) || elements > INT64_MAX / 8;
  R1_CHECK(rows > 0 && cols > 0 && !overflow, ErrorCode::kBadCheckpoint,
           "Tensor '" + this->name + "' has an impossible shape [" + std::to_string(rows) + ", " +
               std::to_string(cols) + "].");
  const int64_t bytes = elements * dtype_size(dtype);
  if (offset < 0 || bytes > file_->size() || offset > file_->size() - bytes) {
    R1_THROW(ErrorCode::kBadCheckpoint, "Tensor '" + this->name + "' needs bytes [" + std::to_string(offset) + ", " +
                                            std::to_string(offset) + " + " + std::to_string(bytes) + ") of " +
                                            file_->path() + ", which has " + std::to_string(file_->size()) +
                                            ". The file was cut short or its header is wrong: fetch it again.");
  }
}

void FileTensor::read(int64_t first, int64_t count, void* out) const {
  check_range(*this, first, count);
  const int64_t row_bytes = cols * dtype_size(dtype);
  int64_t from = offset_ + first * row_bytes, left = count * row_bytes;
  for (auto* to = static_cast<uint8_t*>(out); left > 0;) {
    check_not_cancelled(cancelled_);
    const int64_t bytes = std::min(left, kReadBytes);
    file_->read(from, bytes, to, name);
    to += bytes;
    from += bytes;
    left -= bytes;
  }
}

RandomTensor::RandomTensor(std::string name, DType dtype, int64_t rows, int64_t cols, int64_t seed, float scale,
                           CancelFlag cancelled)
    : TensorSource(std::move(name), dtype, rows, cols), seed_(seed), scale_(scale), cancelled_(std::move(cancelled)) {
  int64_t elements = 0;
  const bool overflow = __builtin_mul_overflow(rows, cols, &elements) || elements > INT64_MAX / 8;
  R1_CHECK(rows > 0 && cols > 0 && seed >= 0 && !overflow, ErrorCode::kInvalidArgument,
           "The made-up tensor '" + this->name + "' needs a positive shape and a seed from 0.");
}

void RandomTensor::read(int64_t first, int64_t count, void* out) const {
  check_range(*this, first, count);
  for (int64_t row = 0; row < count; ++row) {
    check_not_cancelled(cancelled_);
    const auto seed = static_cast<uint64_t>(seed_);
    const auto begin = static_cast<uint64_t>((first + row) * cols);
    if (dtype == DType::kF32) {
      float* to = static_cast<float*>(out) + row * cols;
      for (int64_t i = 0; i < cols; ++i) to[i] = random_weight(seed, begin + i, scale_);
    } else {
      uint16_t* to = static_cast<uint16_t*>(out) + row * cols;
      const bool bf16 = dtype == DType::kBF16;
      for (int64_t i = 0; i < cols; ++i) {
        const float value = random_weight(seed, begin + i, scale_);
        to[i] = bf16 ? f32_to_bf16(value) : f32_to_f16(value);
      }
    }
  }
}

}  // namespace r1
