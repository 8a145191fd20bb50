#include "engine/step_runner.h"

#include <algorithm>

#include "base/error.h"

namespace r1 {

StepRunner::StepRunner(Backend& backend, Model& model, const KvPool& kv, const std::atomic<bool>& stopping,
                       std::function<Clock::time_point()> now)
    : backend_(backend),
      model_(model),
      kv_(kv),
      stopping_(stopping),
      now_(std::move(now)),
      logits_(backend.allocate(workspace_bytes(model.config()))),
      stop_tap_([this](int, const float*) {
        if (stopping_.load(std::memory_order_relaxed)) R1_THROW(ErrorCode::kDisposed, "The model was disposed.");
      }),
      forward_([this] { forward(); }) {}

StepRunner::~StepRunner() {
  try {
    char nothing = 0;
    backend_.download(&nothing, &nothing, 0);  // memory that the steps use is given back next
  } catch (const std::exception&) {
    waited_ = launched_;  // the device is lost, and nothing runs any more
  }
}

int64_t StepRunner::workspace_bytes(const ModelConfig& config) {
  return int64_t{kMaxLogitRows} * config.vocab * static_cast<int64_t>(sizeof(float));
}

void StepRunner::launch(const StepPlan& plan) {
  R1_CHECK(in_flight() < kStepsInFlight, ErrorCode::kInternal, "a third step was to be in flight.");
  clear();
  for (const StepPart& part : plan.parts) add(part);
  Flight& flight = flights_[launched_ % kStepsInFlight];
  flight.plan = plan;
  flight.begun = now_();
  view_ = &backend_.begin_step(step(plan.numeric_class));
  backend_.run(forward_);
  backend_.end_step();
  ++launched_;
}

const StepRunner::Flight& StepRunner::wait() {
  Flight& flight = flights_[waited_ % kStepsInFlight];
  flight.results.resize(static_cast<size_t>(flight.plan.logit_rows));
  backend_.read_results(flight.results.data());
  flight.ended = now_();
  ++waited_;
  return flight;
}

std::vector<float> StepRunner::logits(int32_t index) {
  const int32_t rows = flights_[(launched_ - 1) % kStepsInFlight].plan.logit_rows;
  R1_CHECK(in_flight() == 0 && index < rows && rows <= kMaxLogitRows, ErrorCode::kInternal,
           "logits of row " + std::to_string(index) + " are gone");
  const int64_t vocab = model_.config().vocab;
  std::vector<float> row(vocab);
  backend_.download(row.data(), logits_->as<float>() + index * vocab, vocab * static_cast<int64_t>(sizeof(float)));
  return row;
}

void StepRunner::clear() {
  tokens_.clear();
  positions_.clear();
  slots_.clear();
  logit_rows_.clear();
  sequences_.clear();
  samples_.clear();
  edits_.clear();
}

void StepRunner::add(const StepPart& part) {
  Sequence& s = *part.sequence;
  const auto first_row = static_cast<int32_t>(tokens_.size());
  sequences_.push_back({.blocks = s.blocks.data(),
                        .block_count = static_cast<int32_t>(s.blocks.size()),
                        .length = part.first + part.rows,
                        .first_row = first_row,
                        .rows = part.rows});
  for (int32_t token = part.first; token < part.first + part.rows; ++token) {
    tokens_.push_back(token < s.length() ? s.tokens[token] : -1 - s.drawn_at);  // or what the step before draws
    positions_.push_back(token);
    slots_.push_back(token);
    if (token < part.logits_from || token >= part.logits_end) continue;
    logit_rows_.push_back(first_row + token - part.first);
    add_sample(s, token);
  }
}

/** What to do with the logits of `token`, which are those of the token after it. */
void StepRunner::add_sample(Sequence& s, int32_t token) {
  s.drawn_at = static_cast<int32_t>(samples_.size());
  const auto begin = static_cast<int32_t>(edits_.size());
  SampleRow row;
  if (s.request.score) {
    row = plain_row(s.tokens[token + 1], std::max(s.sampler.logprobs(), 0));
  } else if (s.request.gated) {  // JavaScript chooses; the greedy token's log-probability tells that of any other
    row = plain_row(-1, s.sampler.logprobs());
  } else {
    row = s.sampler.row(token + 1, s.mask ? s.mask->as<const uint32_t>() : nullptr);
    edits_.insert(edits_.end(), s.sampler.edits().begin(), s.sampler.edits().end());
  }
  row.edit_begin = begin;
  row.edit_end = static_cast<int32_t>(edits_.size());
  samples_.push_back(row);
}

Step StepRunner::step(NumericClass numeric_class) const {
  return {.numeric_class = numeric_class,
          .rows = static_cast<int32_t>(tokens_.size()),
          .tokens = tokens_.data(),
          .positions = positions_.data(),
          .slots = slots_.data(),
          .sequences = sequences_.data(),
          .sequence_count = static_cast<int32_t>(sequences_.size()),
          .logit_rows = logit_rows_.data(),
          .logit_count = static_cast<int32_t>(logit_rows_.size()),
          .samples = samples_.data(),
          .edits = edits_.data(),
          .edit_count = static_cast<int32_t>(edits_.size())};
}

void StepRunner::forward() {
  const StepView& view = *view_;
  // A decode step is short, and may be a captured graph.
  model_.forward(backend_, view, kv_, view.numeric_class == NumericClass::kPrefill ? stop_tap_ : no_tap_);
  auto* logits = logits_->as<float>();
  for (int32_t first = 0; first < view.logit_count; first += kMaxLogitRows) {
    const int32_t count = std::min(kMaxLogitRows, view.logit_count - first);
    model_.head(backend_, view, first, count, logits);
    backend_.sample({.step = &view, .logits = logits, .vocab = model_.config().vocab, .first = first, .count = count});
  }
}

}  // namespace r1
