// A request inside the engine: its tokens, its KV blocks, and how far the two have come.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "engine/request.h"
#include "engine/sampling_plan.h"

namespace r1 {

/** Tokens [begin, end) of a sequence. */
struct TokenRange {
  int32_t begin, end;
};

struct Sequence {
  Sequence(Request request_in, int32_t vocab) : request(std::move(request_in)), sampler(request, vocab) {
    tokens = request.prompt;
    prompt_length = cacheable = static_cast<int32_t>(tokens.size());
  }

  Request request;
  SequenceSampler sampler;
  std::unique_ptr<Buffer> mask;  // of request.sample.allow, in the backend's memory

  std::vector<int32_t> tokens;  // prompt, then output
  int32_t prompt_length = 0;
  int32_t max_length = 0;  // tokens at which it ends
  int32_t computed = 0;    // tokens [0, computed) have their K and V in `blocks`
  std::vector<int32_t> blocks;
  int32_t cacheable = 0;       // tokens [0, cacheable) are, or will be, fit for the prefix cache
  int32_t chained = 0;         // blocks [0, chained) are in the prefix cache, and never written
  std::vector<int32_t> saved;  // host copies of blocks [0, saved.size()) while it is swapped out
  int32_t saved_tokens = 0;    // `computed` of that copy

  // Of a request in a session: how far the prompt is what the session holds, and what of that the decode class has
  // computed (session_store.h).
  int32_t common = 0;
  int32_t lent = 0;  // tokens whose K and V come from the session
  std::vector<TokenRange> decoded;

  // Steps that the device has been given and whose results have not been read: `computed` counts what they compute.
  int32_t steps = 0;     // that name the sequence
  int32_t drawing = 0;   // tokens that they draw, which `tokens` is to get
  int32_t drawn_at = 0;  // result of the newest such step that is the newest of these tokens
  bool ended = false;    // what they compute is of no use any more

  int32_t covered = 0;        // prompt tokens ever computed or found in the cache
  int32_t cached_tokens = 0;  // those of them that the cache had
  bool preempted = false;     // waits to go on

  int32_t scored = 1;  // score requests: the next token whose log-probability is to be told
  bool awaiting_verdict = false;
  std::shared_ptr<const std::vector<float>> gate_logits;  // while awaiting, if log-probabilities are wanted
  SampleResult gate_result{};

  std::optional<Clock::time_point> admitted, first_token;

  int32_t length() const { return static_cast<int32_t>(tokens.size()); }
  /** With the tokens that are being drawn. */
  int32_t expected_length() const { return length() + drawing; }
  int32_t output_length() const { return length() - prompt_length; }

  /** Neighbours that are computed by the same class. */
  struct Run {
    NumericClass numeric_class;
    int32_t end;
  };
  /** From token `index` on. Prompts are computed by the prefill class; what was generated, by the decode class. */
  Run run_at(int32_t index) const {
    const auto range = std::upper_bound(decoded.begin(), decoded.end(), index,
                                        [](int32_t token, const TokenRange& r) { return token < r.end; });
    if (range != decoded.end() && index >= range->begin) return {NumericClass::kDecode, range->end};
    if (index >= prompt_length) return {NumericClass::kDecode, expected_length()};
    return {NumericClass::kPrefill, range != decoded.end() ? range->begin : prompt_length};
  }
  /** The next rows that are missing are those of the prefill class. */
  bool wants_prefill() const {
    return computed < prompt_length && run_at(computed).numeric_class == NumericClass::kPrefill;
  }
  /** The next rows that are missing are those of the decode class. */
  bool wants_decode() const {
    if (wants_prefill() || awaiting_verdict) return false;
    const bool ends = drawing > 0 && expected_length() >= max_length;
    return !ends && computed < expected_length();
  }
};

}  // namespace r1
