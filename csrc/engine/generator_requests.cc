// Requests on their way in and out: checks, the queue's limits, cancels and failures. The steps are in generator.cc.
#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "base/error.h"
#include "engine/format.h"
#include "engine/generator.h"

namespace r1 {

Timings Generator::timings_of(const Sequence& s) const {
  const Clock::time_point now = options_.now();
  const Clock::time_point admitted = s.admitted.value_or(now), first_token = s.first_token.value_or(now);
  return {.queue = milliseconds(s.request.submitted, admitted),
          .prefill = milliseconds(admitted, first_token),
          .decode = milliseconds(first_token, now)};
}

/** Tokens a sequence may reach: of the context, and of the KV pool. */
int32_t Generator::max_length() const {
  return static_cast<int32_t>(std::min<int64_t>(options_.context_length, blocks_.capacity() * kKvBlockTokens));
}

void Generator::check_fits(const Request& request) const {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  R1_CHECK(prompt > 0, ErrorCode::kInvalidArgument, "The prompt has no tokens; at least one is needed.");
  for (const int32_t token : request.prompt) {
    R1_CHECK(token >= 0 && token < vocab_, ErrorCode::kInvalidArgument,
             "Token id " + std::to_string(token) + " of the prompt is outside the vocabulary of " +
                 std::to_string(vocab_) + ".");
  }
  const int64_t needed = prompt + (!request.score && request.max_new_tokens > 0 ? 1 : 0);
  R1_CHECK(needed <= options_.context_length, ErrorCode::kContextOverflow,
           "The prompt has " + std::to_string(prompt) + " tokens and the context holds " +
               std::to_string(options_.context_length) + ", the new tokens included. Shorten the prompt, or load the " +
               "model with a larger contextLength.");
  R1_CHECK(needed <= blocks_.capacity() * kKvBlockTokens, ErrorCode::kOutOfMemory,
           "The prompt's " + std::to_string(prompt) + " tokens need " +
               format_bytes(blocks_for(needed) * blocks_.layout().block_bytes()) + " of KV cache, and it can grow to " +
               format_bytes(blocks_.capacity() * blocks_.layout().block_bytes()) +
               ". Shorten the prompt, or load the model with more kvMemory.");
}

/** Whether one more may wait. */
bool Generator::has_room() {
  const auto queued = [this] { return scheduler_.waiting() - scheduler_.preempted(); };
  if (queued() >= options_.max_queue) scheduler_.admit(options_.now());  // those that need not wait
  return queued() < options_.max_queue;
}

std::unique_ptr<Sequence> Generator::open(Request request) {
  check_fits(request);
  check_session(request);
  R1_CHECK(has_room(), ErrorCode::kOverloaded,
           "The queue is full: " + std::to_string(options_.max_queue) + " requests wait (maxQueue) and " +
               std::to_string(scheduler_.running()) +
               " are being served. Try again later, or load the model with a larger maxQueue.");
  std::sort(request.stop_tokens.begin(), request.stop_tokens.end());
  auto s = std::make_unique<Sequence>(std::move(request), vocab_);
  s->max_length =
      static_cast<int32_t>(std::min<int64_t>(max_length(), int64_t{s->prompt_length} + s->request.max_new_tokens));
  const auto allow = std::exchange(s->request.sample.allow, std::nullopt);
  if (allow && !s->request.gated && !s->request.score) {
    const std::vector<uint32_t> words = allow_mask(*allow, vocab_);
    const auto bytes = static_cast<int64_t>(words.size() * sizeof(uint32_t));
    s->mask = backend_.allocate(bytes);
    backend_.upload(s->mask->data, words.data(), bytes);
  }
  return s;
}

void Generator::submit(Request request) {
  const int64_t id = request.id;
  std::unique_ptr<Sequence> sequence;
  try {
    sequence = open(std::move(request));
  } catch (const Error& error) {
    events_.push(ErrorEvent{id, {error.code(), error.what()}});
    if (error.code() == ErrorCode::kDeviceLost) throw;
    return;
  } catch (const std::bad_alloc&) {
    events_.push(ErrorEvent{id, {ErrorCode::kOutOfMemory, "The host has no memory left for this request."}});
    return;
  }
  Sequence& s = *sequence;
  if (s.request.session != 0) sessions_.open(s);
  scheduler_.add(std::move(sequence));
  const bool nothing_to_do = s.request.score ? s.prompt_length < 2 : s.request.max_new_tokens <= 0;
  if (nothing_to_do) finish(s, false);
}

void Generator::cancel(int64_t id) {
  std::unique_ptr<Sequence> s = scheduler_.remove(id);
  if (!s) return;
  events_.push(CancelledEvent{id, s->cached_tokens, timings_of(*s)});
  retire(std::move(s));
}

void Generator::verdict(int64_t id, int32_t token) {
  Sequence* s = scheduler_.find(id);
  if (!s || !s->awaiting_verdict) return;  // it has been cancelled or has failed meanwhile
  if (token < 0 || token >= vocab_) {
    fail(id, {ErrorCode::kSampling, "The sampler chose token id " + std::to_string(token) +
                                        ", which is outside the vocabulary of " + std::to_string(vocab_) + "."});
    return;
  }
  s->awaiting_verdict = false;
  SampleResult result = s->gate_result;
  if (const auto logits = std::exchange(s->gate_logits, nullptr)) {
    // log softmax differs between two tokens as their logits do
    result.logprob += (*logits)[token] - (*logits)[result.token];
  }
  result.token = token;
  append(*s, result);
}

void Generator::fail(int64_t id, const Failure& failure) {
  if (auto s = scheduler_.remove(id)) retire(std::move(s));
  events_.push(ErrorEvent{id, failure});
}

std::vector<int64_t> Generator::ids() const {
  std::vector<int64_t> ids;
  scheduler_.for_each([&](const Sequence& s) { ids.push_back(s.request.id); });
  return ids;
}

void Generator::fail_all(const Failure& failure) {
  for (const int64_t id : ids()) fail(id, failure);
}

void Generator::cancel_all() {
  for (const int64_t id : ids()) cancel(id);
}

bool Generator::overdue(const Sequence& s, Clock::time_point now) const {
  return s.request.queue_timeout.count() > 0 && !s.admitted && now - s.request.submitted >= s.request.queue_timeout;
}

/** Ends those that have waited too long. Whether there was one. */
bool Generator::fail_overdue() {
  const Clock::time_point now = options_.now();
  overdue_.clear();
  scheduler_.for_each_waiting([&](const Sequence& s) {
    if (overdue(s, now)) overdue_.push_back(s.request.id);
  });
  for (const int64_t id : overdue_) {
    const Request& request = scheduler_.find(id)->request;
    const auto waited = static_cast<int64_t>(milliseconds(request.submitted, now));
    fail(id, {ErrorCode::kTimeout, "The request waited " + std::to_string(waited) +
                                       " ms for its turn, and its queueTimeoutMs is " +
                                       std::to_string(request.queue_timeout.count()) +
                                       ". Allow more, raise its priority, or send fewer requests at a time."});
  }
  return !overdue_.empty();
}

std::optional<Clock::time_point> Generator::next_deadline() const {
  std::optional<Clock::time_point> next;
  scheduler_.for_each_waiting([&](const Sequence& s) {
    if (s.request.queue_timeout.count() == 0 || s.admitted) return;
    const Clock::time_point at = s.request.submitted + s.request.queue_timeout;
    if (!next || at < *next) next = at;
  });
  return next;
}

/** Whether there was one. */
bool Generator::fail_starved() {
  auto starved = scheduler_.take_starved();
  for (auto& s : starved) {
    const int64_t needed = blocks_for(s->length() + 1) * blocks_.layout().block_bytes();
    events_.push(ErrorEvent{
        s->request.id,
        {ErrorCode::kOutOfMemory, "The KV cache of this request needs " + format_bytes(needed) + " for " +
                                      std::to_string(s->length()) + " tokens, and the device has memory for " +
                                      format_bytes(blocks_.mapped() * blocks_.layout().block_bytes()) +
                                      " only. Free device memory, or load the model with a smaller kvMemory or "
                                      "contextLength so that this is known beforehand."}});
    retire(std::move(s));
  }
  return !starved.empty();
}

}  // namespace r1
