// measure_ceilings: what this machine's memory and arithmetic reach on simple loops over all threads.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "backend/cpu/cpu_backend.h"

namespace r1::cpu {
namespace {

constexpr int64_t kBufferBytes = int64_t{256} << 20;
constexpr int64_t kReadPiece = 1 << 20;
constexpr double kSeconds = 0.2;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/** Best of the rounds that fit in kSeconds, at least three, of what `round` returns per second. */
template <class Round>
double best_rate(Round round) {
  double best = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int n = 0; n < 3 || seconds_since(start) < kSeconds; ++n) {
    const auto begin = std::chrono::steady_clock::now();
    const double amount = round();
    best = std::max(best, amount / seconds_since(begin));
  }
  return best;
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
  result.read_bytes_per_s = best_rate([&] {
    over_pieces([&](int64_t at, int64_t bytes) { sink = kernels_.stream_read(from.data() + at, bytes); });
    return static_cast<double>(kBufferBytes);
  });
  result.copy_bytes_per_s = best_rate([&] {
    over_pieces(
        [&](int64_t at, int64_t bytes) { std::memcpy(to.data() + at, from.data() + at, static_cast<size_t>(bytes)); });
    return static_cast<double>(kBufferBytes);
  });
  const auto multiply_adds = [&](int64_t (*spin)(int64_t, float*)) {
    return best_rate([&] {
      std::atomic<int64_t> done{0};
      pool_.parallel_for(8 * pool_.threads(), 1, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) {
          float value = 0.5f;
          done += spin(100000, &value);
          sink = value;
        }
      });
      return static_cast<double>(done.load());
    });
  };
  result.f32_macs_per_s = multiply_adds(kernels_.spin_f32);
  if (kernels_.spin_bf16) result.bf16_macs_per_s = multiply_adds(kernels_.spin_bf16);
  return result;
}

}  // namespace r1::cpu
