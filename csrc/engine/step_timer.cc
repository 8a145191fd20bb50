#include "engine/step_timer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>

#include "base/error.h"
#include "engine/block_allocator.h"
#include "engine/loader.h"
#include "engine/request.h"
#include "engine/sampling_plan.h"
#include "engine/step_runner.h"

namespace r1 {
namespace {

constexpr int kMostRuns = 64;  // of a window
constexpr int kWarmUps = 3;    // kernels are loaded, scratch memory is sized, a graph is captured
// Bytes of K and V that attention alone goes through, of as many copies as that takes: more than any cache holds.
constexpr int64_t kColdBytes = int64_t{256} << 20;
constexpr int64_t kMostCopies = 64;
// Times that an op which a step has once is carried out in one run: a launch of its own costs the host more than it
// takes.
constexpr int64_t kPasses = 16;

/** A step's arrays. */
class StepArrays {
 public:
  /** Tokens [first, first + rows) of a sequence that lies in `blocks`; the last one wants a token. */
  void add(const std::vector<int32_t>& blocks, int32_t first, int32_t rows, int32_t vocab) {
    const auto first_row = static_cast<int32_t>(tokens_.size());
    for (int32_t slot = first; slot < first + rows; ++slot) {
      tokens_.push_back(static_cast<int32_t>((int64_t{slot} * 7919 + 17) % vocab));
      slots_.push_back(slot);
    }
    sequences_.push_back({.blocks = blocks.data(),
                          .block_count = static_cast<int32_t>(blocks.size()),
                          .length = first + rows,
                          .first_row = first_row,
                          .rows = rows});
    logit_rows_.push_back(static_cast<int32_t>(tokens_.size()) - 1);
    samples_.push_back(plain_row(-1, 0));
  }

  Step step(NumericClass numeric_class) const {
    return {.numeric_class = numeric_class,
            .rows = static_cast<int32_t>(tokens_.size()),
            .tokens = tokens_.data(),
            .positions = slots_.data(),
            .slots = slots_.data(),
            .sequences = sequences_.data(),
            .sequence_count = static_cast<int32_t>(sequences_.size()),
            .logit_rows = logit_rows_.data(),
            .logit_count = static_cast<int32_t>(logit_rows_.size()),
            .samples = samples_.data(),
            .edits = nullptr,
            .edit_count = 0};
  }

 private:
  std::vector<int32_t> tokens_, slots_, logit_rows_;
  std::vector<StepSequence> sequences_;
  std::vector<SampleRow> samples_;
};

/** The blocks of a pool from `first` on, as one of its own. */
class PoolPart final : public KvPool {
 public:
  PoolPart(const KvPool& whole, int64_t first) {
    layout = whole.layout;
    base = static_cast<char*>(whole.base) + first * whole.layout.block_bytes();
    max_blocks = whole.max_blocks - first;
    blocks = whole.blocks - first;
  }
  void grow(int64_t) override { R1_THROW(ErrorCode::kInternal, "a part of a KV pool cannot grow."); }
};

class StepTimer {
 public:
  StepTimer(LoadedModel& loaded, const EngineSpec& spec, const std::vector<TimedStep>& steps, const std::string& cublas)
      : loaded_(loaded),
        choices_(spec.linear_choices),
        cublas_(cublas.empty() ? nullptr : loaded.backend->with_cublas(cublas)),
        vocab_(loaded.model->config().vocab),
        logits_(loaded.backend->allocate(StepRunner::workspace_bytes(loaded.model->config()))) {
    int32_t sequences = 0, length = 0, prompt_rows = 0;
    for (const TimedStep& step : steps) {
      check(step);
      sequences = std::max(sequences, step.sequences);
      length = std::max(length, step.length);
      prompt_rows = std::max(prompt_rows, step.prompt_rows);
      alone_ = alone_ || step.only;
      chosen_ = chosen_ || step.linear;
    }
    take_blocks(sequences, length, prompt_rows);
    int64_t blocks = 0;
    for (const TimedStep& step : steps) {
      if (reads_cold(step)) blocks = std::max(blocks, passes_of(step) * blocks_of(step));
    }
    if (blocks > loaded_.kv->blocks) loaded_.kv->grow(blocks);
    if (sequences > 0) fill(length);
  }

  /** Milliseconds of one run, and what it yielded. */
  double measure(const TimedStep& timed, int runs, float& logprob) {
    const StepArrays arrays = arrays_of(timed);
    const Step step = arrays.step(timed.numeric_class);
    std::vector<SampleResult> results(static_cast<size_t>(step.logit_count));
    if (chosen_) loaded_.backend->set_linear_choices(timed.linear ? *timed.linear : choices_);
    if (alone_ || (chosen_ && timed.numeric_class == NumericClass::kDecode)) record(step, timed, results);
    const auto begun = Clock::now();
    run(step, timed, runs);
    loaded_.backend->read_results(results.data());
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
    logprob = results.front().logprob;
    return ms / static_cast<double>(runs * passes_of(timed));
  }

  /** Of the one op's linear layers. */
  std::vector<LinearOptions> options(const TimedStep& timed, StepOp op) {
    const StepArrays arrays = arrays_of(timed);
    const Step step = arrays.step(timed.numeric_class);
    std::vector<SampleResult> results(static_cast<size_t>(step.logit_count));
    TimedStep whole = timed;
    whole.only.reset();
    run(step, whole, 1);
    Backend& backend = *loaded_.backend;
    backend.forget_graphs();  // which would run without asking for anything
    OneOp one(backend, op);
    const StepView& view = backend.begin_step(step);
    std::vector<LinearOptions> found =
        backend.linear_options([&] { backend.run([&] { forward(one, view, *loaded_.kv); }); });
    backend.read_results(results.data());
    backend.forget_graphs();
    return found;
  }

 private:
  StepArrays arrays_of(const TimedStep& timed) const {
    StepArrays arrays;
    for (int32_t s = 0; s < timed.sequences; ++s) arrays.add(blocks_[s], timed.length - 1, 1, vocab_);
    if (timed.prompt_rows > 0) arrays.add(blocks_.back(), 0, timed.prompt_rows, vocab_);
    return arrays;
  }

  void check(const TimedStep& step) const {
    const int32_t rows = step.sequences + step.prompt_rows;
    const bool decode = step.numeric_class == NumericClass::kDecode;
    const int32_t most = decode ? kMaxDecodeRows : loaded_.prefill_rows;
    R1_CHECK(rows >= 1 && rows <= most, ErrorCode::kInvalidArgument,
             "a step of " + std::to_string(rows) + " rows; expected 1 to " + std::to_string(most) + ".");
    R1_CHECK(step.sequences <= kMaxDecodeRows && (step.sequences == 0 || step.length >= 1), ErrorCode::kInvalidArgument,
             "sequences are at most " + std::to_string(kMaxDecodeRows) + ", with one token at least.");
    R1_CHECK(!decode || (step.prompt_rows == 0 && !step.choices), ErrorCode::kInvalidArgument,
             "prompt rows and classes of single ops need a step of the prefill class.");
    R1_CHECK(!step.cublas || cublas_, ErrorCode::kInvalidArgument, "a step by cuBLAS needs the library's path.");
    R1_CHECK(!step.only || !step.choices, ErrorCode::kInvalidArgument,
             "one op alone is computed by the class of its step.");
  }

  /** Of its sequences, which have the first ones of the pool. */
  int64_t blocks_of(const TimedStep& step) const {
    return step.sequences * static_cast<int64_t>(blocks_.front().size());
  }

  /** Each pass with keys and values of its own, that no pass before has left in a cache. */
  static bool reads_cold(const TimedStep& step) {
    return step.only == StepOp::kAttention && step.numeric_class == NumericClass::kDecode;
  }

  /** Times that a run goes through the step. */
  int64_t passes_of(const TimedStep& step) const {
    if (step.only == StepOp::kEmbed || step.only == StepOp::kHead || step.only == StepOp::kSample) return kPasses;
    if (!reads_cold(step)) return 1;
    const int64_t wanted = kColdBytes / (blocks_of(step) * loaded_.kv->layout.block_bytes()) + 1;
    return std::min({wanted, kMostCopies, loaded_.kv->max_blocks / blocks_of(step)});
  }

  /** The prompt's blocks are the last ones. */
  void take_blocks(int32_t sequences, int32_t length, int32_t prompt_rows) {
    const int64_t of_each = blocks_for(length), needed = sequences * of_each + blocks_for(prompt_rows);
    R1_CHECK(needed <= loaded_.kv->max_blocks, ErrorCode::kOutOfMemory,
             std::to_string(needed) + " KV blocks are needed, but there is room for " +
                 std::to_string(loaded_.kv->max_blocks) + ". Measure fewer or shorter sequences.");
    loaded_.kv->grow(needed);
    int32_t next = 0;
    const auto take = [&](int64_t count) {
      std::vector<int32_t>& blocks = blocks_.emplace_back();
      for (int64_t i = 0; i < count; ++i) blocks.push_back(next++);
    };
    for (int32_t s = 0; s < sequences; ++s) take(of_each);
    take(blocks_for(prompt_rows));
  }

  /** Computes the first sequence; the others, and all blocks behind them, get copies, in memory of their own. */
  void fill(int32_t length) {
    for (int32_t first = 0; first < length; first += loaded_.prefill_rows) {
      StepArrays arrays;
      arrays.add(blocks_.front(), first, std::min(loaded_.prefill_rows, length - first), vocab_);
      SampleResult result;
      run(arrays.step(NumericClass::kPrefill), {}, 1);
      loaded_.backend->read_results(&result);
    }
    const auto of_each = static_cast<int32_t>(blocks_.front().size());
    for (int32_t to = of_each; to < loaded_.kv->blocks; ++to) {
      loaded_.backend->copy_block(*loaded_.kv, blocks_.front()[to % of_each], to);
    }
  }

  /**
   * Steps that differ in their ops are alike to a backend: what it has recorded for another one must go. A whole step
   * comes first, so that the op's input is that of a step.
   */
  void record(const Step& step, const TimedStep& timed, std::vector<SampleResult>& results) {
    loaded_.backend->forget_graphs();
    TimedStep whole = timed;
    whole.only.reset();
    whole.cublas = false;
    run(step, whole, 1);
    run(step, timed, 1);
    loaded_.backend->read_results(results.data());
  }

  void run(const Step& step, const TimedStep& timed, int runs) {
    Backend& backend = timed.cublas ? *cublas_ : *loaded_.backend;
    ClassMix mix(backend, timed.choices.value_or(ClassChoices{}));
    OneOp one(backend, timed.only.value_or(StepOp::kEmbed));
    Backend& ops = timed.choices ? static_cast<Backend&>(mix) : timed.only ? static_cast<Backend&>(one) : backend;
    const StepView& view = backend.begin_step(step);
    for (int i = 0; i < runs; ++i) {
      backend.run([&] {
        for (int64_t pass = 0; pass < passes_of(timed); ++pass) {
          forward(ops, view, PoolPart(*loaded_.kv, reads_cold(timed) ? pass * blocks_of(timed) : 0));
        }
      });
    }
  }

  void forward(Backend& ops, const StepView& view, const KvPool& kv) {
    loaded_.model->forward(ops, view, kv, {});
    for (int32_t first = 0; first < view.logit_count; first += kMaxLogitRows) {
      const int32_t count = std::min(kMaxLogitRows, view.logit_count - first);
      auto* logits = logits_->as<float>();
      loaded_.model->head(ops, view, first, count, logits);
      ops.sample({.step = &view, .logits = logits, .vocab = vocab_, .first = first, .count = count});
    }
  }

  LoadedModel& loaded_;
  const LinearChoices choices_;            // of steps that have none of their own
  const std::unique_ptr<Backend> cublas_;  // null where it is not wanted
  const int32_t vocab_;
  const std::unique_ptr<Buffer> logits_;
  std::vector<std::vector<int32_t>> blocks_;  // of the sequences, then of the prompt
  bool alone_ = false;                        // some step is of one op
  bool chosen_ = false;                       // some step has choices of its own
};

}  // namespace

std::vector<StepTimes> time_steps(const EngineSpec& spec, const std::vector<TimedStep>& steps, int32_t rounds,
                                  const std::string& cublas) {
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  LoadedModel loaded = load_model(spec, create_backend, cancelled, [](const ProgressEvent&) {});
  StepTimer timer(loaded, spec, steps, cublas);
  std::vector<StepTimes> times(steps.size());
  std::vector<int> runs(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    double ms = 0;
    // One where tuning measures many steps: what it waits for is loaded and recorded anew with every measurement.
    const int warm_ups = steps[i].linear ? 1 : kWarmUps;
    for (int n = 0; n < warm_ups; ++n) ms = timer.measure(steps[i], 2, times[i].logprob);
    if (const auto only = steps[i].only; only && !steps[i].linear) times[i].options = timer.options(steps[i], *only);
    runs[i] = std::clamp(static_cast<int>(std::ceil(steps[i].window_ms / std::max(ms, 0.001))), 1, kMostRuns);
  }
  for (int32_t round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < steps.size(); ++i) {
      times[i].ms.push_back(timer.measure(steps[i], runs[i], times[i].logprob));
    }
  }
  return times;
}

}  // namespace r1
