#include "engine/generator.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace r1 {
namespace {

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
      sessions_(backend, kv, blocks_, cache_, swap_, options_.session_kv_share),
      scheduler_(blocks_, cache_, swap_, sessions_, options_.prefill_rows),
      runner_(backend, model, kv, stopping, options_.now),
      limits_(limit_options(options_)) {
  scheduler_.set_limits(limits_.current());
}

// ---- an iteration

bool Generator::iterate() {
  std::erase_if(gone_, [](const auto& s) { return s->steps == 0; });
  const int64_t launched = runner_.launched(), completed = meter_.steps;
  const bool late = fail_overdue();
  scheduler_.admit(options_.now());
  const bool found = run_round();
  if (runner_.launched() == launched) settle();
  const bool starved = fail_starved();
  const bool worked = late || starved || found || runner_.launched() > launched || meter_.steps > completed;
  end_round();
  if (!worked) meter_.idle();
  if (!worked || !backend_.asynchronous()) deliver();
  return worked;
}

/** The steps of a round. Whether prompts have come further without one. */
bool Generator::run_round() {
  // Behind a decode step that is in flight it is the prompts' turn: a newcomer does not wait for a second one.
  const bool prompts_first = runner_.in_flight() > 0 && decode_in_flight_;
  const bool found = prompts_first && run_prefill(true);
  ahead_ = options_.launch_ahead && scheduler_.can_run_ahead();
  if (!ahead_) settle();
  const std::span<StepPlan> decode = scheduler_.plan_decode();
  for (StepPlan& plan : decode) run(plan);
  round_.token_ms = meter_.decoded(!decode.empty(), options_.now());
  round_.prefill_ms = meter_.take_prefill_ms();  // of the round before: it came between its tokens and these
  return prompts_first ? found : run_prefill(!decode.empty());
}

bool Generator::run_prefill(bool beside) {
  StepPlan& plan = scheduler_.plan_prefill(beside);
  round_.prompts_left = plan.rows_left;
  run(plan);
  return plan.found;
}

/** Hands over the step, tells JavaScript of those before it, and completes all but what may stay in flight. */
void Generator::run(StepPlan& plan) {
  plan.drop_ended();  // by the results of a step that was in flight when this one was planned
  if (plan.parts.empty()) return;
  runner_.launch(plan);
  decode_in_flight_ = plan.numeric_class == NumericClass::kDecode;
  for (const StepPart& part : plan.parts) scheduler_.launched(part);
  if (undelivered_) deliver();
  while (runner_.in_flight() > (ahead_ ? kStepsInFlight - 1 : 0)) complete();
}

/** Waits for the oldest step in flight and takes its results. */
void Generator::complete() {
  const StepRunner::Flight& flight = runner_.wait();
  const StepPlan& plan = flight.plan;
  meter_.step(plan.numeric_class == NumericClass::kDecode, flight.begun, flight.ended);
  if (plan.numeric_class == NumericClass::kPrefill) meter_.prompt_tokens += plan.rows;
  int32_t logit = 0;
  for (const StepPart& part : plan.parts) {
    Sequence& s = *part.sequence;
    const int32_t count = part.logit_count(), first = std::exchange(logit, logit + count);
    --s.steps;
    if (s.ended) continue;
    if (s.request.score) {
      take_scores(s, part, flight.results.data() + first);
    } else if (count > 0) {
      --s.drawing;
      take_result(s, flight.results[first], first);
    }
  }
  undelivered_ = true;
  if (runner_.in_flight() > 0 || !backend_.asynchronous()) deliver();
}

void Generator::settle() {
  while (runner_.in_flight() > 0) complete();
}

void Generator::deliver() {
  undelivered_ = false;
  report_(stats());
}

/** It is out of the schedule; a step in flight may still use what it owns. */
void Generator::retire(std::unique_ptr<Sequence> s) {
  s->ended = true;
  gone_.push_back(std::move(s));
}

/** Keeps sessions to their share, tells of memory pressure, and sets the limits of the next round. */
void Generator::end_round() {
  round_.now = options_.now();
  round_.running = scheduler_.running();
  round_.waiting = scheduler_.waiting();
  sessions_.limit();
  const int64_t free = blocks_.available() + blocks_.pinned();
  round_.free_share = static_cast<double>(free) / static_cast<double>(blocks_.capacity());
  round_.preempted = false;
  int64_t victim = 0;
  for (PressureEvent& step : sessions_.take_pressure()) events_.push(step);
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
  if (part.first + part.rows == s.prompt_length) finish(s, false);
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
  if (s.sampler.logprobs() < 0) {
    events_.push_token(s.request.id, result.token);
  } else {
    TokensEvent event{.id = s.request.id, .tokens = {result.token}, .has_logprobs = true, .logprobs = {}};
    event.logprobs.count = s.sampler.logprobs();
    event.logprobs.append(result);
    events_.push(std::move(event));
  }
  const auto& stops = s.request.stop_tokens;
  if (std::binary_search(stops.begin(), stops.end(), result.token)) {
    finish(s, true);
  } else if (s.length() >= s.max_length) {
    finish(s, false);
  }
}

void Generator::finish(Sequence& s, bool stopped) {
  events_.push(FinishEvent{s.request.id, stopped, s.cached_tokens, timings_of(s)});
  retire(scheduler_.remove(s.request.id));
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
  const auto compute = [this](const StepPlan& plan) {
    runner_.launch(plan);
    runner_.wait();
  };
  const StepPlan& prefill = scheduler_.plan_prefill(false);
  if (!prefill.parts.empty()) {
    compute(prefill);
    s.computed = 1;
    s.tokens.push_back(0);
    for (const StepPlan& decode : scheduler_.plan_decode()) compute(decode);
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
                    .sessions = sessions_.size(),
                    .session_blocks = blocks_.pinned(),
                    .cached_tokens = scheduler_.cached_tokens(),
                    .limits = limits_.current()};
  meter_.fill(stats);
  return stats;
}

}  // namespace r1
