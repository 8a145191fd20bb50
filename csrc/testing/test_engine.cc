#include "testing/test_engine.h"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include "binding/events_to_js.h"
#include "binding/parse_spec.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

[[noreturn]] void broken(const std::string& rule) { R1_THROW(ErrorCode::kInternal, "broken: " + rule); }

void require(bool condition, const std::string& rule) {
  if (!condition) broken(rule);
}

std::string name(const Sequence& s) { return "request " + std::to_string(s.request.id); }

Clock::duration duration(double ms) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(ms));
}

double ms_of(Clock::time_point at) { return milliseconds(Clock::time_point{}, at); }

GeneratorOptions generator_options(const Napi::Object& from) {
  GeneratorOptions options;
  options.context_length = static_cast<int32_t>(number_or(from, "contextLength", 1 << 20));
  options.max_sequences = static_cast<int32_t>(number_or(from, "maxSequences", 64));
  options.prefill_rows = static_cast<int32_t>(number_or(from, "prefillRows", 512));
  options.step_tokens = static_cast<int32_t>(number_or(from, "stepTokens", options.prefill_rows));
  options.step_tokens_may_grow = from.Get("stepTokensMayGrow").ToBoolean();
  options.max_queue = static_cast<int64_t>(number_or(from, "maxQueue", 1 << 20));
  options.target_inter_token_ms = number_or(from, "targetInterTokenMs", 0);
  options.prefix_cache = !present(from, "prefixCache") || from.Get("prefixCache").ToBoolean();
  options.host_kv_memory = static_cast<int64_t>(number_or(from, "hostBlocks", 0)) * kRecordingLayout.block_bytes();
  return options;
}

}  // namespace

Napi::Function TestEngine::define(Napi::Env env) {
  return DefineClass(
      env, "TestEngine",
      {InstanceMethod("submit", &TestEngine::submit), InstanceMethod("cancel", &TestEngine::cancel),
       InstanceMethod("verdict", &TestEngine::verdict), InstanceMethod("iterate", &TestEngine::iterate),
       InstanceMethod("drain", &TestEngine::drain), InstanceMethod("takeSteps", &TestEngine::take_steps),
       InstanceMethod("stats", &TestEngine::stats), InstanceMethod("now", &TestEngine::now),
       InstanceMethod("advance", &TestEngine::advance), InstanceMethod("deadline", &TestEngine::deadline),
       InstanceMethod("setMemory", &TestEngine::set_memory), InstanceMethod("expected", &TestEngine::expected)});
}

TestEngine::TestEngine(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TestEngine>(info) {
  const Napi::Object from = info[0].ToObject();
  GeneratorOptions options = generator_options(from);
  options.now = [this] { return clock_; };
  record_ = from.Get("record").ToBoolean();
  const auto blocks = static_cast<int64_t>(number(from, "blocks"));
  const RecordingOptions recording{.blocks = blocks,
                                   .swaps = options.host_kv_memory > 0,
                                   .step_ms = number_or(from, "stepMs", 1),
                                   .row_ms = number_or(from, "rowMs", 0),
                                   .prefill_rows = options.prefill_rows};
  backend_ = std::make_unique<RecordingBackend>(
      recording, [this](double ms) { clock_ += duration(ms); }, [this](const Step& step) { inspect(step); });
  model_ = create_recording_model();
  kv_ = backend_->create_kv_pool(kRecordingLayout, blocks);
  events_ = std::make_unique<EventQueue>([] {});
  generator_ = std::make_unique<Generator>(
      *backend_, *model_, *kv_, std::move(options), *events_, [](const EngineStats&) {}, stopping_);
}

// ---- what tests do

Napi::Value TestEngine::submit(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    Request request = parse_request(info[0]);
    const int64_t id = request.id = next_id_++;
    request.submitted = clock_;
    generator_->submit(std::move(request));
    return Napi::Number::New(info.Env(), static_cast<double>(id));
  });
}

void TestEngine::cancel(const Napi::CallbackInfo& info) { generator_->cancel(info[0].ToNumber().Int64Value()); }

void TestEngine::verdict(const Napi::CallbackInfo& info) {
  generator_->verdict(info[0].ToNumber().Int64Value(), info[1].ToNumber().Int32Value());
}

/** A round, and the checks of what it left. */
Napi::Value TestEngine::iterate(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const bool worked = generator_->iterate();
    check_blocks();
    check_order();
    if (!worked) check_idle();
    return Napi::Boolean::New(info.Env(), worked);
  });
}

Napi::Value TestEngine::drain(const Napi::CallbackInfo& info) {
  auto list = Napi::Array::New(info.Env());
  for (const Event& event : events_->drain()) list.Set(list.Length(), event_to_js(info.Env(), event));
  return list;
}

Napi::Value TestEngine::take_steps(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto list = Napi::Array::New(env);
  for (const Recorded& step : std::exchange(recorded_, {})) {
    auto parts = Napi::Array::New(env);
    for (const Part& part : step.parts) {
      auto to = Napi::Object::New(env);
      to.Set("id", static_cast<double>(part.id));
      to.Set("first", part.first);
      to.Set("rows", part.rows);
      to.Set("logits", part.logits);
      parts.Set(parts.Length(), to);
    }
    auto to = Napi::Object::New(env);
    to.Set("numericClass", step.numeric_class == NumericClass::kDecode ? "decode" : "prefill");
    to.Set("at", ms_of(step.begin));
    to.Set("parts", parts);
    list.Set(list.Length(), to);
  }
  return list;
}

Napi::Value TestEngine::stats(const Napi::CallbackInfo& info) { return stats_to_js(info.Env(), generator_->stats()); }

Napi::Value TestEngine::now(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), ms_of(clock_)); }

void TestEngine::advance(const Napi::CallbackInfo& info) { clock_ += duration(info[0].ToNumber().DoubleValue()); }

Napi::Value TestEngine::deadline(const Napi::CallbackInfo& info) {
  const auto at = generator_->next_deadline();
  if (!at) return info.Env().Null();
  return Napi::Number::New(info.Env(), ms_of(*at));
}

void TestEngine::set_memory(const Napi::CallbackInfo& info) { backend_->set_memory(info[0].ToNumber().Int64Value()); }

/** (prompt, maxNewTokens, stopTokens) → what the request yields when nothing else is going on. */
Napi::Value TestEngine::expected(const Napi::CallbackInfo& info) {
  const auto prompt = info[0].As<Napi::Int32Array>(), stops = info[2].As<Napi::Int32Array>();
  const int32_t most = info[1].ToNumber().Int32Value();
  Fingerprint at = kStart;
  for (size_t i = 0; i < prompt.ElementLength(); ++i) {
    at = next_fingerprint(at, prompt[i], NumericClass::kPrefill);
  }
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < most; ++i) {
    tokens.push_back(token_after(at, kRecordingVocab));
    bool stopped = false;
    for (size_t k = 0; k < stops.ElementLength(); ++k) stopped |= stops[k] == tokens.back();
    if (stopped) break;
    at = next_fingerprint(at, tokens.back(), NumericClass::kDecode);
  }
  auto out = Napi::Int32Array::New(info.Env(), tokens.size());
  std::copy(tokens.begin(), tokens.end(), out.Data());
  return out;
}

// ---- what must hold

const Sequence& TestEngine::owner(const StepSequence& part) const {
  const Sequence* found = nullptr;
  generator_->scheduler().for_each([&](const Sequence& s) {
    if (s.blocks.data() == part.blocks) found = &s;
  });
  require(found, "a step's block table is that of a sequence");
  return *found;
}

/** A part continues where its sequence is, in its class, and writes only to blocks nobody else can see. */
void TestEngine::check_part(const Step& step, const StepSequence& part, const Sequence& s) const {
  const int32_t first = part.length - part.rows;
  const bool prefill = step.numeric_class == NumericClass::kPrefill;
  require(first == s.computed,
          name(s) + " continues at " + std::to_string(first) + " instead of " + std::to_string(s.computed));
  require(prefill ? part.length <= s.prompt_length : first >= s.prompt_length,
          name(s) + ": prompt positions are computed by the prefill class, others by the decode class");
  require(part.length <= s.length(), name(s) + " computes tokens that it has");
  for (int32_t i = first / kKvBlockTokens; i <= (part.length - 1) / kKvBlockTokens; ++i) {
    require(generator_->blocks().owners(part.blocks[i]) == 1, name(s) + " writes to a shared block");
    require(std::max(first - i * kKvBlockTokens, 0) >= generator_->cache().tokens_of(part.blocks[i]),
            name(s) + " writes behind what the prefix cache has of a block");
  }
}

void TestEngine::inspect(const Step& step) {
  Recorded recorded{.numeric_class = step.numeric_class, .begin = clock_, .parts = {}};
  std::unordered_set<const Sequence*> seen;
  int32_t logit = 0;
  for (const StepSequence* part = step.sequences; part != step.sequences + step.sequence_count; ++part) {
    const Sequence& s = owner(*part);
    require(seen.insert(&s).second, name(s) + " is in a step twice");
    check_part(step, *part, s);
    int32_t logits = 0;
    for (; logit < step.logit_count && step.logit_rows[logit] < part->first_row + part->rows; ++logit) ++logits;
    if (record_) recorded.parts.push_back({s.request.id, part->length - part->rows, part->rows, logits});
  }
  if (record_) recorded_.push_back(std::move(recorded));
}

/** Every block is accounted for: free, idle in the cache, or owned by exactly those who list it. */
void TestEngine::check_blocks() const {
  const BlockAllocator& blocks = generator_->blocks();
  const PrefixCache& cache = generator_->cache();
  std::vector<int32_t> owners(static_cast<size_t>(blocks.mapped()));
  std::vector<const Sequence*> listed_by(owners.size());
  int64_t waiting_swapped = 0, index = 0;
  generator_->scheduler().for_each([&](const Sequence& s) {
    const bool running = index++ < generator_->scheduler().running();
    require(running || s.blocks.empty(), name(s) + " waits and holds blocks");
    require(!running || s.saved.empty(), name(s) + " runs and has a copy in host memory");
    if (!s.saved.empty()) ++waiting_swapped;
    for (size_t i = 0; i < s.blocks.size(); ++i) {
      const int32_t block = s.blocks[i];
      if (std::exchange(listed_by[block], &s) == &s) broken(name(s) + " lists a block twice");
      ++owners[block];
      const auto at = static_cast<int32_t>(i);
      const int32_t tokens = cache.tokens_of(block);
      if (at < s.chained ? tokens != kKvBlockTokens : tokens == kKvBlockTokens || (tokens > 0 && at > s.chained)) {
        broken(name(s) + ": its cached blocks are those at its start, and a tail");
      }
    }
    require(running ? s.computed <= static_cast<int64_t>(s.blocks.size()) * kKvBlockTokens : true,
            name(s) + " has blocks for what it has computed");
  });
  int64_t used = 0, cached = 0;
  for (int32_t block = 0; block < blocks.mapped(); ++block) {
    if (owners[block] != blocks.owners(block)) {
      broken("block " + std::to_string(block) + " has " + std::to_string(owners[block]) + " owners and counts " +
             std::to_string(blocks.owners(block)));
    }
    const int32_t tokens = cache.tokens_of(block);
    if ((tokens > 0) != blocks.kept(block)) broken("what is kept is in the cache");
    if (owners[block] > 1 && tokens < kKvBlockTokens) broken("only full cached blocks have several owners");
    used += owners[block] > 0;
    cached += tokens > 0;
  }
  require(used == blocks.used(), "the count of owned blocks is right");
  require(cached == cache.size(), "the count of cached blocks is right");
  require(blocks.used() + blocks.idle() + blocks.unused() == blocks.mapped(), "no block is lost");
  require(waiting_swapped == generator_->scheduler().swapped(), "the count of swapped sequences is right");
  require(generator_->scheduler().swapped() > 0 || generator_->swap().used() == 0, "no host memory is lost");
}

/**
 * Nobody is passed by one of lower rank: not by one that started after it had come, and who gives way is the last of
 * the running. (A request whose token JavaScript chooses may be passed while it waits for that.)
 */
void TestEngine::check_order() const {
  const auto before = [](const Sequence& a, const Sequence& b) {
    if (a.request.priority != b.request.priority) return a.request.priority > b.request.priority;
    return a.request.id < b.request.id;
  };
  const Scheduler& scheduler = generator_->scheduler();
  std::vector<const Sequence*> all;
  scheduler.for_each([&](const Sequence& s) { all.push_back(&s); });
  const auto waiting = all.begin() + scheduler.running();
  for (auto w = waiting; w != all.end(); ++w) {
    if ((*w)->request.gated) continue;
    for (auto r = all.begin(); r != waiting; ++r) {
      const bool passed = (*w)->preempted || (*r)->admitted.value_or(Clock::time_point{}) > (*w)->request.submitted;
      if (passed && !before(**r, **w)) broken(name(**r) + " runs and " + name(**w) + " waits");
    }
  }
}

/** The engine's thread now sleeps until it is told something: everybody must be waiting for a verdict or a place. */
void TestEngine::check_idle() const {
  const Scheduler& scheduler = generator_->scheduler();
  int64_t index = 0;
  scheduler.for_each([&](const Sequence& s) {
    const bool running = index++ < scheduler.running();
    require(!running || s.awaiting_verdict, name(s) + " runs and is forgotten");
    require(running || scheduler.running() > 0 || s.awaiting_verdict, name(s) + " waits for nothing");
  });
}

// ---- limits

Napi::Value batch_limits(const Napi::CallbackInfo& info) {
  const Napi::Object from = info[0].ToObject();
  const auto integer = [](const Napi::Object& object, const char* key) {
    return static_cast<int32_t>(number_or(object, key, 0));
  };
  BatchLimits limits({.most = {.sequences = integer(from, "sequences"), .step_tokens = integer(from, "prefillRows")},
                      .step_tokens = integer(from, "stepTokens"),
                      .target_ms = number_or(from, "targetMs", 0)});
  auto out = Napi::Array::New(info.Env());
  const auto rounds = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i < rounds.Length(); ++i) {
    const Napi::Object round = rounds.Get(i).ToObject();
    limits.update({.now = Clock::time_point{} + duration(number(round, "now")),
                   .running = integer(round, "running"),
                   .waiting = integer(round, "waiting"),
                   .token_ms = number_or(round, "tokenMs", 0),
                   .prefill_ms = number_or(round, "prefillMs", 0),
                   .free_share = number_or(round, "freeShare", 0),
                   .prompts_left = round.Get("promptsLeft").ToBoolean(),
                   .preempted = round.Get("preempted").ToBoolean()});
    auto to = Napi::Object::New(info.Env());
    to.Set("sequences", limits.current().sequences);
    to.Set("stepTokens", limits.current().step_tokens);
    to.Set("lowered", limits.lowered());
    out.Set(i, to);
  }
  return out;
}

}  // namespace r1::testing
