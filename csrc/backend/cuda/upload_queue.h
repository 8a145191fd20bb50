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

constexpr int64_t kStageBytes = 4 << 20;  // a copy of so many runs at the full rate of PCIe

/** The stages of one thread, and the way from there to the device. Made, used and destroyed on that thread. */
class StageWriter {
 public:
  virtual ~StageWriter() = default;  // waits for its copies
  /** A stage of kStageBytes whose last copy is over. */
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
  /** `make_writer` is called on every new thread, of which there are `max_threads` at most. */
  UploadQueue(MakeWriter make_writer, int max_threads);
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
  std::vector<std::thread> threads_;
  int64_t added_bytes_ = 0;  // since the threads were ended last

  std::mutex mutex_;
  std::condition_variable changed_;  // jobs_ grew or shrank, ending_, error_
  std::deque<UploadJob> jobs_;
  int64_t queued_bytes_ = 0;
  bool ending_ = false;
  std::exception_ptr error_;  // the first
};

}  // namespace r1::cuda
