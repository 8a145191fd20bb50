// A request inside the engine: its tokens, its KV blocks, and how far the two have come.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "engine/request.h"
#include "engine/sampling_plan.h"

namespace r1 {

struct Sequence {
  Sequence(Request request_in, int32_t vocab) : request(std::move(request_in)), sampler(request, vocab) {
    tokens = request.prompt;
    prompt_length = static_cast<int32_t>(tokens.size());
  }

  Request request;
  SequenceSampler sampler;
  std::unique_ptr<Buffer> mask;  // of request.sample.allow, in the backend's memory

  std::vector<int32_t> tokens;  // prompt, then output
  int32_t prompt_length = 0;
  int32_t max_length = 0;  // tokens at which it ends
  int32_t computed = 0;    // tokens [0, computed) have their K and V in `blocks`
  std::vector<int32_t> blocks;
  int32_t chained = 0;         // blocks [0, chained) are in the prefix cache, and never written
  std::vector<int32_t> saved;  // host copies of blocks [0, saved.size()) while it is swapped out
  int32_t saved_tokens = 0;    // `computed` of that copy

  int32_t covered = 0;        // prompt tokens ever computed or found in the cache
  int32_t cached_tokens = 0;  // those of them that the cache had
  bool preempted = false;     // waits to go on

  int32_t scored = 1;  // score requests: the next token whose log-probability is to be told
  bool awaiting_verdict = false;
  std::shared_ptr<const std::vector<float>> gate_logits;  // while awaiting, if log-probabilities are wanted
  SampleResult gate_result{};

  std::optional<Clock::time_point> admitted, first_token;

  int32_t length() const { return static_cast<int32_t>(tokens.size()); }
  int32_t output_length() const { return length() - prompt_length; }
  /** Prompt rows are missing: they are computed by the prefill class. */
  bool wants_prefill() const { return computed < prompt_length; }
  /** Rows of generated tokens are missing: they are computed by the decode class. */
  bool wants_decode() const { return !wants_prefill() && !awaiting_verdict && computed < length(); }
};

}  // namespace r1
