#include "testing/test_engine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "binding/events_to_js.h"
#include "binding/parse_spec.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

void require(bool condition, const std::string& rule) {
  if (!condition) R1_THROW(ErrorCode::kInternal, "broken: " + rule);
}

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
  options.session_kv_share = number_or(from, "sessionKvShare", 0.5);
  options.host_kv_memory = static_cast<int64_t>(number_or(from, "hostBlocks", 0)) * kRecordingLayout.block_bytes();
  return options;
}

}  // namespace

Napi::Function TestEngine::define(Napi::Env env) {
  return DefineClass(env, "TestEngine",
                     {InstanceMethod("submit", &TestEngine::submit),
                      InstanceMethod("cancel", &TestEngine::cancel),
                      InstanceMethod("verdict", &TestEngine::verdict),
                      InstanceMethod("iterate", &TestEngine::iterate),
                      InstanceMethod("drain", &TestEngine::drain),
                      InstanceMethod("takeSteps", &TestEngine::take_steps),
                      InstanceMethod("takeTrace", &TestEngine::take_trace),
                      InstanceMethod("stats", &TestEngine::stats),
                      InstanceMethod("now", &TestEngine::now),
                      InstanceMethod("advance", &TestEngine::advance),
                      InstanceMethod("deadline", &TestEngine::deadline),
                      InstanceMethod("createSession", &TestEngine::create_session),
                      InstanceMethod("forkSession", &TestEngine::fork_session),
                      InstanceMethod("dropSession", &TestEngine::drop_session),
                      InstanceMethod("sessionState", &TestEngine::session_state),
                      InstanceMethod("readSession", &TestEngine::read_session),
                      InstanceMethod("fillSession", &TestEngine::fill_session),
                      InstanceMethod("writeSession", &TestEngine::write_session),
                      InstanceMethod("sealSession", &TestEngine::seal_session),
                      InstanceMethod("failAll", &TestEngine::fail_all),
                      InstanceMethod("setMemory", &TestEngine::set_memory),
                      InstanceMethod("expected", &TestEngine::expected)});
}

TestEngine::TestEngine(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TestEngine>(info) {
  const Napi::Object from = info[0].ToObject();
  GeneratorOptions options = generator_options(from);
  options.now = [this] { return clock_; };
  options.launch_ahead = from.Get("launchAhead").ToBoolean();
  record_ = from.Get("record").ToBoolean();
  const auto blocks = static_cast<int64_t>(number(from, "blocks"));
  const RecordingOptions recording{.blocks = blocks,
                                   .swaps = options.host_kv_memory > 0,
                                   .step_ms = number_or(from, "stepMs", 1),
                                   .row_ms = number_or(from, "rowMs", 0),
                                   .prefill_rows = options.prefill_rows,
                                   .fail_at = static_cast<int64_t>(number_or(from, "failAt", 0)),
                                   .asynchronous = from.Get("asynchronous").ToBoolean()};
  const auto advance = [this](double ms) {
    note("wait");
    clock_ += duration(ms);
  };
  backend_ = std::make_unique<RecordingBackend>(recording, advance, [this](const Step& step) { inspect(step); });
  model_ = create_recording_model();
  kv_ = backend_->create_kv_pool(kRecordingLayout, blocks);
  events_ = std::make_unique<EventQueue>([] {});
  const auto report = [this](const EngineStats&) {
    note("deliver");
    events_->flush();
  };
  generator_ = std::make_unique<Generator>(*backend_, *model_, *kv_, std::move(options), *events_, report, stopping_);
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
    check_sessions();
    check_order();
    if (!worked) check_idle();
    return Napi::Boolean::New(info.Env(), worked);
  });
}

Napi::Value TestEngine::drain(const Napi::CallbackInfo& info) {
  auto list = Napi::Array::New(info.Env());
  take_events();
  for (const Event& event : std::exchange(waiting_events_, {})) {
    list.Set(list.Length(), event_to_js(info.Env(), event));
  }
  return list;
}

/** Answers to session calls are kept apart from what drain() gives. */
void TestEngine::take_events() {
  events_->flush();  // what calls have pushed, too
  for (Event& event : events_->drain()) {
    if (auto* reply = std::get_if<SessionReply>(&event)) {
      replies_.push_back(std::move(*reply));
    } else {
      waiting_events_.push_back(std::move(event));
    }
  }
}

/** What the call's promise would resolve to; throws what it would reject with. */
Napi::Value TestEngine::ask(const Napi::CallbackInfo& info, SessionCall call) {
  const int64_t number = call.call = next_call_++;
  generator_->answer(std::move(call));
  take_events();
  const std::vector<SessionReply> replies = std::exchange(replies_, {});
  require(replies.size() == 1 && replies[0].call == number, "a call has one answer");
  const auto* failure = std::get_if<Failure>(&replies[0].result);
  if (failure) throw error_to_js(info.Env(), *failure);
  check_blocks();
  check_sessions();
  return reply_to_js(info.Env(), replies[0]);
}

Napi::Value TestEngine::create_session(const Napi::CallbackInfo& info) {
  generator_->create_session(next_session_);
  return Napi::Number::New(info.Env(), static_cast<double>(next_session_++));
}

Napi::Value TestEngine::fork_session(const Napi::CallbackInfo& info) {
  generator_->fork_session(info[0].ToNumber().Int64Value(), next_session_);
  return Napi::Number::New(info.Env(), static_cast<double>(next_session_++));
}

void TestEngine::drop_session(const Napi::CallbackInfo& info) {
  generator_->drop_session(info[0].ToNumber().Int64Value());
}

void TestEngine::fail_all(const Napi::CallbackInfo&) {
  generator_->fail_all({ErrorCode::kDeviceLost, "the device was lost by a test"});
}

void TestEngine::note(const char* what) {
  if (record_) trace_.emplace_back(what);
}

/** "launch" and "wait" of steps, and "deliver", in their order. */
Napi::Value TestEngine::take_trace(const Napi::CallbackInfo& info) {
  auto list = Napi::Array::New(info.Env());
  for (const std::string& what : std::exchange(trace_, {})) list.Set(list.Length(), what);
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
    to.Set("inFlight", static_cast<double>(step.in_flight));
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

/**
 * (prompt, maxNewTokens, stopTokens, decoded) → what the request yields when nothing else is going on. `decoded` are
 * ranges of the prompt that the decode class computes.
 */
Napi::Value TestEngine::expected(const Napi::CallbackInfo& info) {
  const auto prompt = info[0].As<Napi::Int32Array>(), stops = info[2].As<Napi::Int32Array>();
  const int32_t most = info[1].ToNumber().Int32Value();
  Fingerprint at = kStart;
  const auto decoded = info[3].As<Napi::Int32Array>();
  size_t range = 0;
  for (size_t i = 0; i < prompt.ElementLength(); ++i) {
    const auto token = static_cast<int32_t>(i);
    while (range < decoded.ElementLength() && token >= decoded[range + 1]) range += 2;
    const bool generated = range < decoded.ElementLength() && token >= decoded[range];
    at = next_fingerprint(at, prompt[i], generated ? NumericClass::kDecode : NumericClass::kPrefill);
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
