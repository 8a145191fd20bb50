#include "engine/generator.h"

#include <algorithm>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "engine/format.h"

namespace r1 {
namespace {

Timings timings_of(const Sequence& s, Clock::time_point now) {
  const Clock::time_point admitted = s.admitted.value_or(now), first_token = s.first_token.value_or(now);
  return {.queue = milliseconds(s.request.submitted, admitted),
          .prefill = milliseconds(admitted, first_token),
          .decode = milliseconds(first_token, now)};
}

LimitOptions limit_options(const GeneratorOptions& options) {
  const bool may_grow = options.step_tokens_may_grow;
  return {
      .most = {.sequences = options.max_sequences,
               .step_tokens = may_grow ? options.prefill_rows : std::min(options.step_tokens, options.prefill_rows)},
      .step_tokens = options.step_tokens,
      .target_ms = options.target_inter_token_ms};
}

Failure sampling_failure(SampleStatus status) {
  if (status == SampleStatus::kEmptySet) {
    return {ErrorCode::kSampling,
            "No token can be drawn: allowTokens, banTokens and logitBias leave none whose logit is above -Infinity. "
            "Allow at least one token."};
  }
  return {ErrorCode::kSampling,
          "No token can be drawn: the model's logits contain NaN or +Infinity. With precision fp16 or bf16 try f32; "
          "otherwise the checkpoint is damaged."};
}

}  // namespace

Generator::Generator(Backend& backend, Model& model, KvPool& kv, GeneratorOptions options, EventQueue& events,
                     std::function<void(const EngineStats&)> report, const std::atomic<bool>& stopping)
    : backend_(backend),
      events_(events),
      report_(std::move(report)),
      options_(std::move(options)),
      vocab_(model.config().vocab),
      blocks_(kv),
      cache_(blocks_, options_.prefix_cache, [&](int32_t from, int32_t to) { backend.copy_block(kv, from, to); }),
      swap_(backend, kv, options_.host_kv_memory),
      scheduler_(blocks_, cache_, swap_, options_.prefill_rows),
      runner_(backend, model, kv, stopping, options_.now),
      limits_(limit_options(options_)) {
  scheduler_.set_limits(limits_.current());
}

/** Tokens a sequence may reach: of the context, and of the KV pool. */
int32_t Generator::max_length() const {
  return static_cast<int32_t>(std::min<int64_t>(options_.context_length, blocks_.capacity() * kKvBlockTokens));
}

// ---- requests

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
  R1_CHECK(request.session == 0, ErrorCode::kUnsupported,
           "Session " + std::to_string(request.session) + " is not known to this engine.");
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
  scheduler_.add(std::move(sequence));
  const bool nothing_to_do = s.request.score ? s.prompt_length < 2 : s.request.max_new_tokens <= 0;
  if (nothing_to_do) finish(s, false);
}

void Generator::cancel(int64_t id) {
  const std::unique_ptr<Sequence> s = scheduler_.remove(id);
  if (s) events_.push(CancelledEvent{id, s->cached_tokens, timings_of(*s, options_.now())});
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
  scheduler_.remove(id);
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
  scheduler_.for_each([&](const Sequence& s) {
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
  scheduler_.for_each([&](const Sequence& s) {
    if (s.request.queue_timeout.count() == 0 || s.admitted) return;
    const Clock::time_point at = s.request.submitted + s.request.queue_timeout;
    if (!next || at < *next) next = at;
  });
  return next;
}

/** Whether there was one. */
bool Generator::fail_starved() {
  const auto starved = scheduler_.take_starved();
  for (const auto& s : starved) {
    const int64_t needed = blocks_for(s->length() + 1) * blocks_.layout().block_bytes();
    events_.push(ErrorEvent{
        s->request.id,
        {ErrorCode::kOutOfMemory, "The KV cache of this request needs " + format_bytes(needed) + " for " +
                                      std::to_string(s->length()) + " tokens, and the device has memory for " +
                                      format_bytes(blocks_.mapped() * blocks_.layout().block_bytes()) +
                                      " only. Free device memory, or load the model with a smaller kvMemory or "
                                      "contextLength so that this is known beforehand."}});
  }
  return !starved.empty();
}

// ---- an iteration

bool Generator::iterate() {
  const bool late = fail_overdue();
  scheduler_.admit(options_.now());
  const std::vector<StepPlan> decode = scheduler_.plan_decode();
  for (const StepPlan& plan : decode) {
    run(plan);
    report_(stats());
  }
  round_.token_ms = meter_.decoded(!decode.empty(), options_.now());
  round_.prefill_ms = meter_.take_prefill_ms();  // of the round before: it came between its tokens and these
  const StepPlan prefill = scheduler_.plan_prefill(!decode.empty());
  if (!prefill.parts.empty()) run(prefill);
  const bool starved = fail_starved();
  const bool worked = late || starved || !decode.empty() || !prefill.parts.empty() || prefill.found;
  round_.prompts_left = prefill.rows_left;
  end_round();
  if (!worked) meter_.idle();
  report_(stats());
  return worked;
}

/** Tells of memory pressure, and sets the limits of the next round. */
void Generator::end_round() {
  round_.now = options_.now();
  round_.running = scheduler_.running();
  round_.waiting = scheduler_.waiting();
  round_.free_share = static_cast<double>(blocks_.available()) / static_cast<double>(blocks_.capacity());
  round_.preempted = false;
  int64_t victim = 0;
  for (PressureEvent& step : scheduler_.take_pressure()) {
    if (step.action != PressureAction::kRestored) {
      ++meter_.preemptions;
      round_.preempted = true;
      victim = step.id;
    }
    events_.push(step);
  }
  limits_.update(round_);
  if (limits_.lowered()) {
    events_.push(PressureEvent{.action = PressureAction::kSmallerBatch, .id = victim, .blocks = 0});
  }
  scheduler_.set_limits(limits_.current());
  meter_.update_rate(round_.now, round_.running + round_.waiting > 0);
}

void Generator::run(const StepPlan& plan) {
  const std::vector<SampleResult>& results = runner_.run(plan);
  meter_.step(plan.numeric_class == NumericClass::kDecode, runner_.begun(), runner_.ended());
  int32_t logit = 0;
  for (const StepPart& part : plan.parts) {
    Sequence& s = *part.sequence;
    scheduler_.computed(part);
    if (plan.numeric_class == NumericClass::kPrefill) meter_.prompt_tokens += part.rows;
    const int32_t count = part.logit_count(), first = std::exchange(logit, logit + count);
    if (s.request.score) {
      take_scores(s, part, results.data() + first);
    } else if (count > 0) {
      take_result(s, results[first], first);
    }
  }
}

/** Emits the log-probabilities of a score request's part; ends the request after its last. */
void Generator::take_scores(Sequence& s, const StepPart& part, const SampleResult* results) {
  ScoresEvent event{.id = s.request.id, .first = part.logits_from + 1, .logprobs = {}};
  event.logprobs.count = std::max(s.sampler.logprobs(), 0);
  for (int32_t i = 0; i < part.logit_count(); ++i) {
    if (results[i].status != SampleStatus::kOk) {
      fail(s.request.id, sampling_failure(results[i].status));
      return;
    }
    event.logprobs.append(results[i]);
  }
  if (!event.logprobs.values.empty()) {
    s.scored = part.logits_end + 1;
    events_.push(std::move(event));
  }
  if (s.computed == s.prompt_length) finish(s, false);
}

void Generator::take_result(Sequence& s, const SampleResult& result, int32_t logit_index) {
  if (result.status != SampleStatus::kOk) {
    fail(s.request.id, sampling_failure(result.status));
  } else if (s.request.gated) {
    auto logits = std::make_shared<const std::vector<float>>(runner_.logits(logit_index));
    s.awaiting_verdict = true;
    s.gate_result = result;
    if (s.sampler.logprobs() >= 0) s.gate_logits = logits;
    events_.push(GateEvent{s.request.id, std::move(logits), s.output_length()});
  } else {
    append(s, result);
  }
}

/** The next token of a sequence is known. */
void Generator::append(Sequence& s, const SampleResult& result) {
  if (!s.first_token) s.first_token = options_.now();
  s.tokens.push_back(result.token);
  s.sampler.add_output(result.token);
  ++meter_.generated_tokens;
  const bool has_logprobs = s.sampler.logprobs() >= 0;
  TokensEvent event{.id = s.request.id, .tokens = {result.token}, .has_logprobs = has_logprobs, .logprobs = {}};
  if (has_logprobs) {
    event.logprobs.count = s.sampler.logprobs();
    event.logprobs.append(result);
  }
  events_.push(std::move(event));
  const auto& stops = s.request.stop_tokens;
  if (std::binary_search(stops.begin(), stops.end(), result.token)) {
    finish(s, true);
  } else if (s.length() >= s.max_length) {
    finish(s, false);
  }
}

void Generator::finish(Sequence& s, bool stopped) {
  const std::unique_ptr<Sequence> gone = scheduler_.remove(s.request.id);
  events_.push(FinishEvent{gone->request.id, stopped, gone->cached_tokens, timings_of(*gone, options_.now())});
}

// ---- the rest

void Generator::warm_up() {
  Request request;
  request.id = 1;
  request.prompt = {0};
  request.max_new_tokens = 2;
  request.cache = false;
  auto sequence = std::make_unique<Sequence>(std::move(request), vocab_);
  Sequence& s = *sequence;
  s.max_length = 3;
  scheduler_.add(std::move(sequence));
  scheduler_.admit(options_.now());
  const StepPlan prefill = scheduler_.plan_prefill(false);
  if (!prefill.parts.empty()) {
    runner_.run(prefill);
    s.computed = 1;
    s.tokens.push_back(0);
    for (const StepPlan& decode : scheduler_.plan_decode()) runner_.run(decode);
  }
  scheduler_.remove(1);
  scheduler_.take_starved();
}

EngineStats Generator::stats() const {
  EngineStats stats{.running = scheduler_.running(),
                    .waiting = scheduler_.waiting(),
                    .preempted = scheduler_.preempted(),
                    .swapped = scheduler_.swapped(),
                    .kv_blocks = blocks_.mapped(),
                    .kv_blocks_used = blocks_.used(),
                    .kv_blocks_cached = blocks_.idle(),
                    .kv_blocks_free = blocks_.unused(),
                    .kv_blocks_max = blocks_.capacity(),
                    .block_bytes = blocks_.layout().block_bytes(),
                    .cached_tokens = scheduler_.cached_tokens(),
                    .limits = limits_.current()};
  meter_.fill(stats);
  return stats;
}

}  // namespace r1
