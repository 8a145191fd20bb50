#include "backend/cuda/upload_queue.h"

#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace r1::cuda {
UploadQueue::UploadQueue(MakeWriter make_writer, int max_threads, int64_t stage_bytes)
    : make_writer_(std::move(make_writer)),
      max_threads_(std::max(1, max_threads)),
      most_queued_(std::max(16, 2 * max_threads) * stage_bytes),
      bytes_per_thread_(2 * stage_bytes) {}

UploadQueue::~UploadQueue() { abandon(); }

void UploadQueue::add(UploadJob job) {
  const int64_t bytes = job.bytes;
  bool failed = false;
  {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return error_ || queued_bytes_ == 0 || queued_bytes_ + bytes <= most_queued_; });
    failed = error_ != nullptr;
    if (!failed) {
      jobs_.push_back(std::move(job));
      queued_bytes_ += bytes;
    }
  }
  if (failed) return finish();
  work_.notify_one();
  added_bytes_ += bytes;
  const auto count = static_cast<int64_t>(threads_.size());
  if (count == 0 || (count < max_threads_ && added_bytes_ > count * bytes_per_thread_)) add_thread();
}

void UploadQueue::add_thread() {
  try {
    threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    if (threads_.empty()) throw;  // else those that run do the work
  }
}

void UploadQueue::finish() {
  if (threads_.empty()) return;
  const std::exception_ptr error = end_threads();
  if (error) std::rethrow_exception(error);
}

void UploadQueue::abandon() noexcept {
  {
    const std::lock_guard lock(mutex_);
    jobs_.clear();
    queued_bytes_ = 0;
  }
  end_threads();
}

/** After what is queued; returns what went wrong. */
std::exception_ptr UploadQueue::end_threads() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  added_bytes_ = 0;
  ending_ = false;
  return std::exchange(error_, nullptr);
}

// ---- the threads

void UploadQueue::work() {
  pthread_setname_np(pthread_self(), "r1-upload");
  try {
    work_on_jobs();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::current_exception();
    jobs_.clear();
    queued_bytes_ = 0;
  }
  work_.notify_all();
  room_.notify_one();
}

void UploadQueue::work_on_jobs() {
  const std::unique_ptr<StageWriter> writer = make_writer_();
  std::vector<std::byte> raw;
  while (true) {
    UploadJob job;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [&] { return error_ || ending_ || !jobs_.empty(); });
      if (error_ || jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      queued_bytes_ -= job.bytes;
    }
    room_.notify_one();
    std::byte* stage = writer->next();
    fill_piece(*job.parts, job.piece, job.dtype, job.ld, stage, raw);
    writer->send(job.to, job.bytes);
  }
}

}  // namespace r1::cuda
