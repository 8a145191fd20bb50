// What the card reaches on simple loops.
#include <algorithm>
#include <functional>
#include <vector>

#include "backend/cuda/context.h"
#include "backend/cuda/ops.h"

namespace r1::cuda {
namespace {

/** Median seconds of `work` on the stream, after two rounds that are not counted. */
double median_seconds(CUstream stream, const std::function<void()>& work) {
  constexpr int kRounds = 9;
  Event start(true);
  Event stop(true);
  std::vector<double> seconds;
  for (int i = -2; i < kRounds; ++i) {
    start.record(stream);
    work();
    stop.record(stream);
    stop.wait();
    if (i >= 0) seconds.push_back(stop.milliseconds_since(start) * 1e-3);
  }
  std::nth_element(seconds.begin(), seconds.begin() + kRounds / 2, seconds.end());
  return seconds[kRounds / 2];
}

/** A buffer far larger than the cache, as large as memory allows. */
DeviceMemory large_buffer() {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  R1_CUDA(mem_get_info(&free_bytes, &total_bytes));
  constexpr int64_t kMost = int64_t{4} << 30;
  constexpr int64_t kReadBlock = 32768;  // bytes that a block of ceiling_read reads
  const int64_t bytes = std::min(kMost, static_cast<int64_t>(free_bytes) / 4) / (2 * kReadBlock) * (2 * kReadBlock);
  R1_CHECK(bytes >= (64 << 20), ErrorCode::kOutOfMemory, "too little GPU memory is free to measure its bandwidth.");
  return {bytes, "measuring bandwidth"};
}

}  // namespace

Ceilings measure_ceilings(LaunchContext& context) {
  Ceilings ceilings{};
  DeviceMemory buffer = large_buffer();
  const int64_t bytes = buffer.bytes();
  R1_CUDA(memset_d8_async(buffer.address(), 1, static_cast<size_t>(bytes), context.stream()));
  void* data = buffer.data();
  Kernel& read = context.kernel("ceiling_read");
  const LaunchShape read_shape{.grid_x = static_cast<unsigned>(bytes / 32768), .block = 256, .overlap = false};
  const double read_seconds =
      median_seconds(context.stream(), [&] { context.launch(read, read_shape, static_cast<const void*>(data), data); });
  ceilings.read_bytes_per_s = static_cast<double>(bytes) / read_seconds;
  const double copy_seconds = median_seconds(context.stream(), [&] {
    R1_CUDA(memcpy_dtod_async(buffer.address() + static_cast<CUdeviceptr>(bytes / 2), buffer.address(),
                              static_cast<size_t>(bytes / 2), context.stream()));
  });
  ceilings.copy_bytes_per_s = static_cast<double>(bytes) / copy_seconds;  // read and written
  const int32_t rounds = 4096;
  const LaunchShape loop{
      .grid_x = static_cast<unsigned>(context.device().sm_count * 8), .block = 256, .overlap = false};
  const double threads = static_cast<double>(loop.grid_x) * loop.block;
  const auto rate = [&](const char* name, double macs_per_thread) {
    Kernel& kernel = context.kernel(name);
    return threads * macs_per_thread /
           median_seconds(context.stream(), [&] { context.launch(kernel, loop, rounds, data); });
  };
  ceilings.f32_macs_per_s = rate("ceiling_fma", rounds * 8.0);
  // A warp's mma of 16 x 8 x 16 is 64 multiply-adds for each of its threads; 8 are in flight.
  if (context.device().cc >= 80) ceilings.bf16_macs_per_s = rate("ceiling_mma_bf16", rounds * 8.0 * 64.0);
  return ceilings;
}

}  // namespace r1::cuda

namespace r1 {

double measure_cuda_upload(int device) {
  using namespace cuda;  // NOLINT(google-build-using-namespace)
  constexpr int64_t kBytes = 64 << 20;
  const DeviceContext context(device);
  const Stream stream;
  const DeviceMemory to(kBytes, "measuring copies from the host");
  const PinnedMemory from(kBytes);
  const double seconds = median_seconds(stream.get(), [&] {
    R1_CUDA(memcpy_htod_async(to.address(), from.data(), static_cast<size_t>(kBytes), stream.get()));
  });
  return static_cast<double>(kBytes) / seconds;
}

}  // namespace r1
