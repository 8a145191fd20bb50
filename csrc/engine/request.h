// A request as it enters the engine: plain values, one to one with lib/native.ts's NativeRequest.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace r1 {

using Clock = std::chrono::steady_clock;

/** How tokens are drawn, before rounding; engine/sampling_plan.h lowers it to what a backend executes. */
struct SamplePlan {
  double temperature = 0;  // 0 is greedy
  int32_t top_k = 0;       // 0 is off
  double top_p = 1, min_p = 0;
  double repetition = 1, presence = 0, frequency = 0;
  uint64_t seed = 0;
  uint32_t choice = 0;
  int32_t logprobs = -1;  // -1: none; n: of each token and of the n best
  std::vector<int32_t> bias_tokens;
  std::vector<float> bias_values;
  std::optional<std::vector<int32_t>> allow;  // absent allows all
  int32_t min_new_tokens = 0;                 // stop ids are banned until so many tokens exist
};

struct Request {
  int64_t id = 0;
  std::vector<int32_t> prompt;
  int32_t max_new_tokens = 0;
  std::vector<int32_t> stop_tokens;
  SamplePlan sample;
  int32_t priority = 0;  // 9 goes first
  bool gated = false;    // JavaScript chooses each token
  Clock::time_point submitted = Clock::now();
  bool score = false;                          // log-probabilities of the prompt instead of new tokens
  std::chrono::milliseconds queue_timeout{0};  // of waiting for admission; 0: none
  std::string salt;                            // prompts share cached blocks with those of equal salt alone
  bool cache = true;                           // uses the prefix cache and fills it
  int64_t session = 0;
};

}  // namespace r1
