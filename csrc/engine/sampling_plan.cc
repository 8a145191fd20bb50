#include "engine/sampling_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"

namespace r1 {
namespace {

constexpr double kOne = 4294967296.0;  // 2^32
constexpr float kBanned = -std::numeric_limits<float>::infinity();

void require(bool condition, const char* what) {
  R1_CHECK(condition, ErrorCode::kInvalidArgument, std::string("The sampling plan is invalid: ") + what + ".");
}

void check_token(int32_t token, int32_t vocab, const char* where) {
  R1_CHECK(token >= 0 && token < vocab, ErrorCode::kInvalidArgument,
           "Token id " + std::to_string(token) + " of " + where + " is outside the vocabulary of " +
               std::to_string(vocab) + ".");
}

void check_plan(const SamplePlan& plan) {
  require(plan.temperature == 0 || (plan.temperature >= 0.001 && plan.temperature <= 1e6),
          "temperature must be 0 or from 0.001");
  require(plan.top_k >= 0, "topK must be at least 0");
  require(plan.top_p >= 0 && plan.top_p <= 1, "topP must be from 0 to 1");
  require(plan.min_p >= 0 && plan.min_p <= 1, "minP must be from 0 to 1");
  require(plan.repetition > 0 && std::isfinite(plan.repetition), "repetitionPenalty must be a positive number");
  require(std::isfinite(plan.presence), "presencePenalty must be finite");
  require(std::isfinite(plan.frequency), "frequencyPenalty must be finite");
  require(plan.logprobs >= -1 && plan.logprobs <= kMaxTopLogprobs, "logprobs must be from -1 to 20");
  require(plan.bias_tokens.size() == plan.bias_values.size(), "biasTokens and biasValues must be of equal length");
}

}  // namespace

SequenceSampler::SequenceSampler(const Request& request, int32_t vocab) : min_output_(request.sample.min_new_tokens) {
  const SamplePlan& plan = request.sample;
  check_plan(plan);
  row_ = {.temperature = static_cast<float>(plan.temperature),
          .repetition = static_cast<float>(plan.repetition),
          .presence = static_cast<float>(plan.presence),
          .frequency = static_cast<float>(plan.frequency),
          .top_k = plan.top_k,
          .top_logprobs = std::min(plan.logprobs, vocab),
          .top_p = static_cast<uint64_t>(kOne * plan.top_p),
          .min_p = static_cast<uint64_t>(kOne * plan.min_p),
          .seed = plan.seed,
          .position = 0,
          .choice = plan.choice,
          .edit_begin = 0,
          .edit_end = 0,
          .mask = nullptr,
          .target = -1};
  counts_seen_ = row_.repetition != 1;
  counts_output_ = row_.presence != 0 || row_.frequency != 0;
  for (size_t i = 0; i < plan.bias_tokens.size(); ++i) {
    check_token(plan.bias_tokens[i], vocab, "biasTokens");
    const float bias = plan.bias_values[i];
    require(std::isfinite(bias) || bias == kBanned, "a bias must be a finite number or -Infinity");
    edit(plan.bias_tokens[i]).bias = bias;
  }
  if (counts_seen_) {
    for (const int32_t token : request.prompt) edit(token).count |= kEditSeen;
  }
  if (min_output_ > 0) ban_stop_tokens(request, vocab);
}

LogitEdit& SequenceSampler::edit(int32_t token) {
  const auto [found, added] = edit_of_.try_emplace(token, edits_.size());
  if (added) edits_.push_back({.token = token, .count = 0, .bias = 0});
  return edits_[found->second];
}

void SequenceSampler::ban_stop_tokens(const Request& request, int32_t vocab) {
  for (const int32_t token : request.stop_tokens) {
    if (token < 0 || token >= vocab) continue;
    float& bias = edit(token).bias;
    if (bias == kBanned) continue;  // twice in the list, or banned for good
    bans_.push_back({token, bias});
    bias = kBanned;
  }
}

void SequenceSampler::add_output(int32_t token) {
  if (counts_seen_ || counts_output_) {
    LogitEdit& entry = edit(token);
    if (counts_seen_) entry.count |= kEditSeen;
    if (counts_output_) ++entry.count;
  }
  if (++output_ == min_output_) {
    for (const Ban& ban : bans_) edit(ban.token).bias = ban.bias;
    bans_.clear();
  }
}

SampleRow SequenceSampler::row(int32_t position, const uint32_t* mask) const {
  SampleRow row = row_;
  row.position = static_cast<uint32_t>(position);
  row.mask = mask;
  return row;
}

SampleRow plain_row(int32_t target, int32_t logprobs) {
  SampleRow row{};
  row.repetition = 1;
  row.top_p = uint64_t{1} << 32;
  row.top_logprobs = logprobs;
  row.target = target;
  return row;
}

std::vector<uint32_t> allow_mask(const std::vector<int32_t>& tokens, int32_t vocab) {
  std::vector<uint32_t> words((static_cast<size_t>(vocab) + 31) / 32);
  for (const int32_t token : tokens) {
    check_token(token, vocab, "allow");
    words[token / 32] |= 1u << (token % 32);
  }
  return words;
}

}  // namespace r1
