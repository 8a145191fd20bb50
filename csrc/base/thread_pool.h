// Threads that share the loops of one engine's CPU backend.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace r1 {

/** Cores this process may use: its affinity mask, limited by the quota of its control group; at least 1. */
int available_cores();

/**
 * Workers that live as long as the pool. One thread, the owner, starts loops and takes part in them. A worker that has
 * not woken by the time a loop is finished is not waited for, and an idle pool sleeps.
 */
class ThreadPool {
 public:
  /** `threads` counts the owner. */
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /**
   * Calls body(begin, end, thread) for pieces of [0, count), in any order, and returns when all are done. A piece has
   * at most `grain` items, or all of them in a pool of one thread. `thread` < threads() names the scratch memory a
   * piece may use. The first exception is rethrown here.
   */
  template <class Body>
  void parallel_for(int64_t count, int64_t grain, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    run({[](const void* context, int64_t begin, int64_t end, int thread) {
           (*const_cast<Plain*>(static_cast<const Plain*>(context)))(begin, end, thread);
         },
         &body, count, grain < 1 ? 1 : grain});
  }

 private:
  struct Loop {
    void (*body)(const void* context, int64_t begin, int64_t end, int thread) = nullptr;
    const void* context = nullptr;
    int64_t count = 0, grain = 1;
  };

  void run(const Loop& loop);
  void take_pieces(int thread);
  void work(int thread);
  uint32_t wait_for_loop(uint32_t seen);

  std::vector<std::thread> workers_;
  Loop loop_;
  // Upper half: number of the loop. Bit 31: it still lets workers join. Low bits: workers that have joined.
  std::atomic<uint64_t> gate_{0};
  std::atomic<uint32_t> loops_{0};  // number of the newest loop; what sleeping workers wait on
  std::atomic<uint32_t> left_{0};   // workers that joined the current loop and have finished
  std::atomic<int64_t> next_{0};    // first item nobody has taken
  std::atomic<bool> stop_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

}  // namespace r1
