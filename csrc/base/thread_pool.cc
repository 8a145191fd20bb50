#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace r1 {
namespace {

constexpr uint64_t kOpen = uint64_t{1} << 31;
// Gaps between the ops of a step are a few microseconds; a sleeping worker needs tens of them to wake.
constexpr std::chrono::microseconds kSpinTime{40};

inline void pause_core() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** Polls `done` for kSpinTime; whether it came true. */
template <class Done>
bool spin_until(Done done) {
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      pause_core();
    }
  } while (std::chrono::steady_clock::now() < end);
  return done();
}

/** Cores the control group's quota amounts to, rounded up; 0 without a quota. */
int quota_cores() {
  double quota = 0, period = 0;
  if (FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {  // version 2: "max 100000" or "150000 100000"
    char text[64] = {};
    const size_t n = std::fread(text, 1, sizeof text - 1, file);
    std::fclose(file);
    char* end = text;
    if (n > 0 && std::strncmp(text, "max", 3) != 0) {
      quota = std::strtod(text, &end);
      period = std::strtod(end, nullptr);
    }
  } else {
    const auto read_number = [](const char* path) {
      char text[64] = {};
      FILE* in = std::fopen(path, "re");
      if (!in) return 0.0;
      const size_t n = std::fread(text, 1, sizeof text - 1, in);
      std::fclose(in);
      return n > 0 ? std::strtod(text, nullptr) : 0.0;
    };
    quota = read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    period = read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  }
  if (quota <= 0 || period <= 0) return 0;
  return std::max(1, static_cast<int>(quota / period + 0.999));
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = 0;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cores = CPU_COUNT(&set);
  if (cores < 1) cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int quota = quota_cores();
  return quota > 0 ? std::min(cores, quota) : cores;
}

ThreadPool::ThreadPool(int threads) {
  workers_.reserve(static_cast<size_t>(std::max(0, threads - 1)));
  for (int i = 1; i < threads; ++i) {
    workers_.emplace_back([this, i] { work(i); });
    pthread_setname_np(workers_.back().native_handle(), "r1-worker");
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  loops_.fetch_add(1);
  loops_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(const Loop& loop) {
  if (loop.count <= 0) return;
  if (workers_.empty() || loop.count <= loop.grain) {
    loop.body(loop.context, 0, loop.count, 0);
    return;
  }
  loop_ = loop;
  next_.store(0, std::memory_order_relaxed);
  left_.store(0, std::memory_order_relaxed);
  const uint32_t number = loops_.load(std::memory_order_relaxed) + 1;
  gate_.store((uint64_t{number} << 32) | kOpen, std::memory_order_release);
  loops_.store(number);
  loops_.notify_all();
  take_pieces(0);

  // Whoever has joined is waited for; whoever has not finds the gate closed.
  const uint32_t joined = static_cast<uint32_t>(gate_.fetch_and(~kOpen) & (kOpen - 1));
  const auto all_left = [&] { return left_.load(std::memory_order_acquire) == joined; };
  if (!spin_until(all_left)) {
    for (uint32_t left = left_.load(); left != joined; left = left_.load()) left_.wait(left);
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::take_pieces(int thread) {
  const Loop& loop = loop_;
  try {
    for (;;) {
      const int64_t begin = next_.fetch_add(loop.grain, std::memory_order_relaxed);
      if (begin >= loop.count) return;
      loop.body(loop.context, begin, std::min(begin + loop.grain, loop.count), thread);
    }
  } catch (...) {
    next_.store(loop.count);  // the other threads stop early
    const std::lock_guard<std::mutex> lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

uint32_t ThreadPool::wait_for_loop(uint32_t seen) {
  if (!spin_until([&] { return loops_.load(std::memory_order_relaxed) != seen; })) loops_.wait(seen);
  return loops_.load();
}

void ThreadPool::work(int thread) {
  uint32_t seen = 0;
  for (;;) {
    seen = wait_for_loop(seen);
    if (stop_.load()) return;
    uint64_t gate = gate_.load(std::memory_order_acquire);
    bool joined = false;
    while (!joined && (gate >> 32) == seen && (gate & kOpen)) joined = gate_.compare_exchange_weak(gate, gate + 1);
    if (!joined) continue;
    take_pieces(thread);
    left_.fetch_add(1, std::memory_order_release);
    left_.notify_one();
  }
}

}  // namespace r1
