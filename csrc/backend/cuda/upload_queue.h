// Threads that fill pieces of weights and send them on, while the engine's thread goes on to the next matrix.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "backend/cuda/upload_plan.h"

namespace r1::cuda {

/** The stages of one thread, and the way from there to the device. Made, used and destroyed on that thread. */
class StageWriter {
 public:
  virtual ~StageWriter() = default;  // waits for its copies
  /** A stage, as large as the largest piece, whose last copy is over. */
  virtual std::byte* next() = 0;
  /** Begins to copy the stage that next() gave last to device address `to`. */
  virtual void send(uint64_t to, int64_t bytes) = 0;
};

struct UploadJob {
  std::shared_ptr<const WeightParts> parts;
  UploadPiece piece;
  DType dtype = DType::kF32;
  int64_t ld = 0;     // elements
  uint64_t to = 0;    // where the piece's first row goes
  int64_t bytes = 0;  // of the piece
};

/** Used by one thread. Reading is what takes time, so the threads' number grows with the bytes there are. */
class UploadQueue {
 public:
  using MakeWriter = std::function<std::unique_ptr<StageWriter>()>;
  /**
   * `make_writer` is called on every new thread, of which there are `max_threads` at most. Pieces fit `stage_bytes`.
   */
  UploadQueue(MakeWriter make_writer, int max_threads, int64_t stage_bytes);
  ~UploadQueue();
  UploadQueue(const UploadQueue&) = delete;
  UploadQueue& operator=(const UploadQueue&) = delete;

  /** Waits while much is queued. Throws what a thread threw; then nothing is written any more. */
  void add(UploadJob job);
  /** Waits until every copy is over and ends the threads. Throws what one of them threw. */
  void finish();
  /** Drops what is queued, waits for the copies under way, and ends the threads. */
  void abandon() noexcept;

 private:
  void work();
  void work_on_jobs();
  void add_thread();
  std::exception_ptr end_threads() noexcept;

  const MakeWriter make_writer_;
  const int max_threads_;
  // Progress runs ahead of what is on the device by so much, and by what the stages hold.
  const int64_t most_queued_;
  const int64_t bytes_per_thread_;  // a thread more is worth starting for so many
  std::vector<std::thread> threads_;
  int64_t added_bytes_ = 0;  // since the threads were ended last

  std::mutex mutex_;
  std::condition_variable work_;  // for the threads: jobs_ grew, ending_, error_
  std::condition_variable room_;  // for add(): jobs_ shrank, error_
  std::deque<UploadJob> jobs_;
  int64_t queued_bytes_ = 0;
  bool ending_ = false;
  std::exception_ptr error_;  // the first
};

}  // namespace r1::cuda
