#include "engine/events.h"

#include <limits>
#include <utility>

namespace r1 {
namespace {

/** The request an event belongs to; 0 for the engine's own. */
int64_t request_of(const Event& event) {
  return std::visit(
      [](const auto& e) -> int64_t {
        if constexpr (requires { e.id; }) {
          return e.id;
        } else {
          return 0;
        }
      },
      event);
}

template <class T>
void append_all(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

void Logprobs::append(const SampleResult& result) {
  values.push_back(result.logprob);
  for (int32_t i = 0; i < count; ++i) {
    const bool known = i < result.top_count;
    top_tokens.push_back(known ? result.top_tokens[i] : -1);
    top_values.push_back(known ? result.top_logprobs[i] : -std::numeric_limits<float>::infinity());
  }
}

void Logprobs::append(const Logprobs& other) {
  append_all(values, other.values);
  append_all(top_tokens, other.top_tokens);
  append_all(top_values, other.top_values);
}

/** Adds `event` to the newest event of its request (or to the last progress event) where the two can be told as one. */
bool EventQueue::merge(Event& event) {
  if (const auto* progress = std::get_if<ProgressEvent>(&event)) {
    if (events_.empty()) return false;
    auto* last = std::get_if<ProgressEvent>(&events_.back());
    if (!last || last->stage != progress->stage) return false;
    *last = *progress;
    return true;
  }
  Event* last = newest_of(request_of(event));
  if (!last) return false;
  if (auto* tokens = std::get_if<TokensEvent>(&event)) {
    auto* to = std::get_if<TokensEvent>(last);
    if (!to) return false;
    append_all(to->tokens, tokens->tokens);
    to->logprobs.append(tokens->logprobs);
    return true;
  }
  if (auto* scores = std::get_if<ScoresEvent>(&event)) {
    auto* to = std::get_if<ScoresEvent>(last);
    if (!to) return false;
    to->logprobs.append(scores->logprobs);
    return true;
  }
  return false;
}

/** The newest event of a request that has not been drained; null when there is none. */
Event* EventQueue::newest_of(int64_t id) {
  const auto found = last_.find(id);
  return found == last_.end() ? nullptr : &events_[found->second];
}

void EventQueue::add(Event event) {
  const int64_t id = request_of(event);
  events_.push_back(std::move(event));
  if (id != 0) last_[id] = events_.size() - 1;
}

void EventQueue::hand_over(Event event) {
  if (!merge(event)) add(std::move(event));
}

void EventQueue::hand_over(const OneToken& one) {
  Event* last = newest_of(one.id);
  if (auto* tokens = last ? std::get_if<TokensEvent>(last) : nullptr) {
    tokens->tokens.push_back(one.token);
  } else {
    add(TokensEvent{.id = one.id, .tokens = {one.token}, .has_logprobs = false, .logprobs = {}});
  }
}

void EventQueue::flush() {
  {
    const std::lock_guard lock(mutex_);
    for (auto& pushed : pushed_) {
      std::visit([this](auto& one) { hand_over(std::move(one)); }, pushed);
    }
    pushed_.clear();
    if (woken_ || events_.empty()) return;
    woken_ = true;
  }
  wake_();
}

std::vector<Event> EventQueue::drain() {
  const std::lock_guard lock(mutex_);
  woken_ = false;
  last_.clear();
  return std::exchange(events_, {});
}

}  // namespace r1
