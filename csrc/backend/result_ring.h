// Results of steps whose reader is behind, for backends that keep them in host memory.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "base/error.h"

namespace r1 {

class ResultRing {
 public:
  /** The current step's. */
  std::vector<SampleResult>& current() { return places_[ended_ % kPlaces]; }
  /** A step begins: what it has not ended is forgotten. */
  void begin(int32_t count) {
    R1_CHECK(ended_ - read_ < kStepsInFlight, ErrorCode::kInternal, "a step was begun and the results of two wait.");
    current().assign(static_cast<size_t>(count), SampleResult{});
  }
  void end() { ++ended_; }
  void read(SampleResult* out) {
    if (read_ == ended_) end();
    const std::vector<SampleResult>& results = places_[read_++ % kPlaces];
    std::copy(results.begin(), results.end(), out);
  }
  /** A row's token: itself, or what the step before the current one has drawn. */
  int32_t resolve(int32_t token) const {
    if (token >= 0) return token;
    const std::vector<SampleResult>& before = places_[(ended_ + kPlaces - 1) % kPlaces];
    return std::max(before.at(static_cast<size_t>(-1 - token)).token, 0);  // -1 where nothing could be drawn
  }

 private:
  static constexpr int64_t kPlaces = kStepsInFlight + 1;
  std::array<std::vector<SampleResult>, kPlaces> places_;
  int64_t ended_ = 0, read_ = 0;
};

}  // namespace r1
