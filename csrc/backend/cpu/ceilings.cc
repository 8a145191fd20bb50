// measure_ceilings: what this machine's memory and arithmetic reach on simple loops over all threads.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "backend/cpu/cpu_backend.h"

namespace r1::cpu {
namespace {

constexpr int64_t kBufferBytes = int64_t{256} << 20;
constexpr int64_t kReadPiece = 1 << 20;
constexpr double kSeconds = 0.2;
// Of each arithmetic rate. A bench measures before and after what it times, so that 1.4 s stand beside a prefill.
constexpr double kArithmeticSeconds = 0.7;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/**
 * Median over rounds of what `round` returns per second: rounds of at least kSeconds / 10 until kSeconds have passed.
 * The median, because a decode step, which is compared with it, is the median of stretches as short as a round.
 */
template <class Round>
double median_rate(Round round) {
  std::vector<double> rates;
  const auto start = std::chrono::steady_clock::now();
  while (rates.size() < 3 || seconds_since(start) < kSeconds) {
    const auto begin = std::chrono::steady_clock::now();
    double amount = 0;
    while (amount == 0 || seconds_since(begin) < kSeconds / 10) amount += round();
    rates.push_back(amount / seconds_since(begin));
  }
  std::nth_element(rates.begin(), rates.begin() + static_cast<int64_t>(rates.size() / 2), rates.end());
  return rates[rates.size() / 2];
}

}  // namespace

Ceilings CpuBackend::measure_ceilings() {
  Ceilings result{};
  require_memory(2 * kBufferBytes, "measuring the memory bandwidth");
  const Storage from(kBufferBytes), to(kBufferBytes);
  const auto over_pieces = [&](const auto& body) {
    pool_.parallel_for(kBufferBytes / kReadPiece, 8,
                       [&](int64_t begin, int64_t end, int) { body(begin * kReadPiece, (end - begin) * kReadPiece); });
  };
  over_pieces([&](int64_t at, int64_t bytes) {
    std::memset(from.data() + at, 0, static_cast<size_t>(bytes));
    std::memset(to.data() + at, 0, static_cast<size_t>(bytes));
  });
  std::atomic<float> sink{0};  // keeps the loops from being optimised away
  result.read_bytes_per_s = median_rate([&] {
    over_pieces([&](int64_t at, int64_t bytes) { sink = kernels_.stream_read(from.data() + at, bytes); });
    return static_cast<double>(kBufferBytes);
  });
  result.copy_bytes_per_s = median_rate([&] {
    over_pieces(
        [&](int64_t at, int64_t bytes) { std::memcpy(to.data() + at, from.data() + at, static_cast<size_t>(bytes)); });
    return 2.0 * static_cast<double>(kBufferBytes);  // read and written
  });
  // All work over all time, because that is what a prefill is compared by: the moments in which a host lends its core
  // to somebody else count in both. Threads do not wait for each other in between, which would cost more of them.
  const auto multiply_adds = [&](int64_t (*spin)(int64_t, float*)) {
    std::atomic<int64_t> done{0};
    const auto start = std::chrono::steady_clock::now();
    pool_.parallel_for(pool_.threads(), 1, [&](int64_t, int64_t, int) {
      int64_t own = 0;
      while (seconds_since(start) < kArithmeticSeconds) {
        float value = 0.5f;
        own += spin(20000, &value);
        sink = value;
      }
      done += own;
    });
    return static_cast<double>(done.load()) / seconds_since(start);
  };
  result.f32_macs_per_s = multiply_adds(kernels_.spin_f32);
  if (const Kernels* dots = bf16_dot_kernels()) result.bf16_macs_per_s = multiply_adds(dots->spin_bf16);
  return result;
}

}  // namespace r1::cpu
