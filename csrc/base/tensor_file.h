// Where weights come from: tensors stored in a checkpoint's files, and tensors made up on the fly.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "backend/weights.h"

namespace r1 {

/**
 * A file opened once for reading. Data is copied out with pread instead of being mapped: a file that is cut short or
 * whose disk fails while it is read must be an error of this load, and with a mapping it would be a SIGBUS of the whole
 * process.
 */
class TensorFile {
 public:
  /** Throws kNotFound when the file does not exist, kBadCheckpoint when it cannot be read. */
  explicit TensorFile(std::string path);
  ~TensorFile();
  TensorFile(const TensorFile&) = delete;
  TensorFile& operator=(const TensorFile&) = delete;

  /** Copies [offset, offset + bytes) to `out`; throws kBadCheckpoint naming the file and `tensor`. Thread-safe. */
  void read(int64_t offset, int64_t bytes, void* out, const std::string& tensor) const;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }  // when it was opened

 private:
  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

/** Threads to read weights with: `asked`, or where that is 0 as many as are worth having on this machine. */
int reading_threads(int asked);

/** Tells a long load that its result is no longer wanted; reads then throw kDisposed. Null: cannot be cancelled. */
using CancelFlag = std::shared_ptr<const std::atomic<bool>>;

/** A tensor of a file. */
class FileTensor final : public TensorSource {
 public:
  /** Throws kBadCheckpoint when [offset, offset + size of the tensor) is not inside the file. */
  FileTensor(std::string name, DType dtype, int64_t rows, int64_t cols, std::shared_ptr<TensorFile> file,
             int64_t offset, CancelFlag cancelled = nullptr);
  void read(int64_t first, int64_t count, void* out) const override;

 private:
  std::shared_ptr<TensorFile> file_;
  int64_t offset_;
  CancelFlag cancelled_;
};

/** A made-up tensor: element i is random_weight(seed, i, scale) rounded to `dtype`. */
class RandomTensor final : public TensorSource {
 public:
  RandomTensor(std::string name, DType dtype, int64_t rows, int64_t cols, int64_t seed, float scale,
               CancelFlag cancelled = nullptr);
  void read(int64_t first, int64_t count, void* out) const override;
  int64_t random_seed() const override { return seed_; }
  float random_scale() const override { return scale_; }

 private:
  int64_t seed_;
  float scale_;
  CancelFlag cancelled_;
};

}  // namespace r1
