#include "backend/cuda/upload_queue.h"

#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace r1::cuda {
namespace {

// Progress runs ahead of what is on the device by so much, and by what the stages hold.
constexpr int64_t kMostQueued = 16 * kStageBytes;
constexpr int64_t kBytesPerThread = 2 * kStageBytes;  // a thread more is worth starting for so many

}  // namespace

UploadQueue::UploadQueue(MakeWriter make_writer, int max_threads)
    : make_writer_(std::move(make_writer)), max_threads_(std::max(1, max_threads)) {}

UploadQueue::~UploadQueue() { abandon(); }

void UploadQueue::add(UploadJob job) {
  const int64_t bytes = job.bytes;
  bool failed = false;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return error_ || queued_bytes_ == 0 || queued_bytes_ + bytes <= kMostQueued; });
    failed = error_ != nullptr;
    if (!failed) {
      jobs_.push_back(std::move(job));
      queued_bytes_ += bytes;
    }
  }
  if (failed) return finish();
  changed_.notify_all();
  added_bytes_ += bytes;
  const auto count = static_cast<int64_t>(threads_.size());
  if (count == 0 || (count < max_threads_ && added_bytes_ > count * kBytesPerThread)) add_thread();
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
  changed_.notify_all();
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
  changed_.notify_all();
}

void UploadQueue::work_on_jobs() {
  const std::unique_ptr<StageWriter> writer = make_writer_();
  std::vector<std::byte> raw;
  while (true) {
    UploadJob job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return error_ || ending_ || !jobs_.empty(); });
      if (error_ || jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      queued_bytes_ -= job.bytes;
    }
    changed_.notify_all();
    std::byte* stage = writer->next();
    fill_piece(*job.parts, job.piece, job.dtype, job.ld, stage, raw);
    writer->send(job.to, job.bytes);
  }
}

}  // namespace r1::cuda
