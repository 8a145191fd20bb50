#include "testing/guarded.h"

#include <algorithm>

#include "base/error.h"

namespace r1::testing {
namespace {

constexpr uint8_t kGuard = 0xa5;

}  // namespace

Guarded::Guarded(Backend& backend, int64_t bytes)
    : backend_(backend), bytes_(bytes), buffer_(backend.allocate(bytes + 2 * kGuardBytes)) {
  std::vector<uint8_t> image(static_cast<size_t>(bytes + 2 * kGuardBytes), kGuard);
  std::fill_n(image.begin() + kGuardBytes, bytes, kPoison);
  backend.upload(buffer_->data, image.data(), bytes + 2 * kGuardBytes);
}

void Guarded::write(const void* from, int64_t bytes) {
  R1_CHECK(bytes <= bytes_, ErrorCode::kInvalidArgument,
           "a test passed " + std::to_string(bytes) + " bytes for a buffer of " + std::to_string(bytes_));
  if (bytes > 0) backend_.upload(data(), from, bytes);
}

std::vector<uint8_t> Guarded::read(const std::string& what) const {
  std::vector<uint8_t> image(static_cast<size_t>(bytes_ + 2 * kGuardBytes));
  backend_.download(image.data(), buffer_->data, static_cast<int64_t>(image.size()));
  const auto intact = [](uint8_t byte) { return byte == kGuard; };
  R1_CHECK(std::all_of(image.begin(), image.begin() + kGuardBytes, intact), ErrorCode::kInternal,
           "the op wrote in front of " + what);
  R1_CHECK(std::all_of(image.end() - kGuardBytes, image.end(), intact), ErrorCode::kInternal,
           "the op wrote behind " + what);
  return {image.begin() + kGuardBytes, image.end() - kGuardBytes};
}

}  // namespace r1::testing
