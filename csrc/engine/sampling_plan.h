// A request's sampling plan, lowered to the rounded numbers of backend/sampling.h and kept up to date token by token.
#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "backend/sampling.h"
#include "engine/request.h"

namespace r1 {

class SequenceSampler {
 public:
  /** Throws kInvalidArgument for values TypeScript should have refused. Stop ids outside the vocabulary are ignored. */
  SequenceSampler(const Request& request, int32_t vocab);

  /** A token was generated: counts it, and lifts the ban of the stop ids once there are enough. */
  void add_output(int32_t token);

  /** The row that draws the token at index `position` of the sequence; edit_begin and edit_end are left to the step. */
  SampleRow row(int32_t position, const uint32_t* mask) const;
  /** Whether the next token can be drawn without knowing the one before. */
  bool independent() const { return !counts_seen_ && !counts_output_ && bans_.empty(); }
  const std::vector<LogitEdit>& edits() const { return edits_; }
  /** Alternatives reported with each token; −1 without log-probabilities. */
  int32_t logprobs() const { return row_.top_logprobs; }

 private:
  LogitEdit& edit(int32_t token);
  void ban_stop_tokens(const Request& request, int32_t vocab);

  struct Ban {
    int32_t token;
    float bias;  // what the token gets when the ban is lifted
  };

  SampleRow row_{};
  bool counts_seen_, counts_output_;  // the repetition penalty is on; presence or frequency penalty is on
  std::vector<LogitEdit> edits_;
  std::unordered_map<int32_t, size_t> edit_of_;  // token → index in edits_
  std::vector<Ban> bans_;
  int32_t output_ = 0, min_output_;
};

/** A row that reports on logits without the request's plan: greedy, or the log-probability of `target` when it is >= 0.
 */
SampleRow plain_row(int32_t target, int32_t logprobs);

/** Bit t of the mask says whether token t is allowed: ceil(vocab / 32) words. Throws kInvalidArgument on a bad id. */
std::vector<uint32_t> allow_mask(const std::vector<int32_t>& tokens, int32_t vocab);

}  // namespace r1
