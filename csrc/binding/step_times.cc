#include "binding/step_times.h"

#include <utility>
#include <vector>

#include "binding/events_to_js.h"
#include "binding/js_read.h"
#include "binding/parse_spec.h"
#include "engine/step_timer.h"

namespace r1 {
namespace {

constexpr int64_t kMostRows = 65536, kMostTokens = 1 << 24, kMostRounds = 1000;

constexpr std::pair<const char*, NumericClass> kClasses[] = {{"prefill", NumericClass::kPrefill},
                                                             {"decode", NumericClass::kDecode}};
constexpr std::pair<const char*, OpChoice> kChoices[] = {
    {"prefill", OpChoice::kPrefill}, {"decode", OpChoice::kDecode}, {"skip", OpChoice::kSkip}};

TimedStep parse_step(const JsObject& from) {
  TimedStep step{.numeric_class = from.one_of("numericClass", kClasses),
                 .sequences = static_cast<int32_t>(from.integer("sequences", 0, kMostRows)),
                 .length = static_cast<int32_t>(from.integer("length", 0, kMostTokens)),
                 .prompt_rows = static_cast<int32_t>(from.integer("promptRows", 0, kMostRows)),
                 .choices = {}};
  if (!from.is_null("classes")) {
    const JsObject classes = from.object("classes");
    step.choices = {classes.one_of("qkv", kChoices), classes.one_of("attention", kChoices),
                    classes.one_of("mlp", kChoices), classes.one_of("residual", kChoices)};
  }
  return step;
}

class StepTimesWorker final : public Napi::AsyncWorker {
 public:
  StepTimesWorker(Napi::Env env, EngineSpec spec, std::vector<TimedStep> steps, int32_t rounds)
      : Napi::AsyncWorker(env),
        spec_(std::move(spec)),
        steps_(std::move(steps)),
        rounds_(rounds),
        deferred_(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 private:
  void Execute() override {
    try {
      times_ = time_steps(spec_, steps_, rounds_);
    } catch (const Error& error) {
      failure_ = {error.code(), error.what()};
      SetError(failure_.message);
    } catch (const std::exception& error) {
      failure_ = {ErrorCode::kInternal, error.what()};
      SetError(failure_.message);
    }
  }

  void OnOK() override {
    Napi::Array list = Napi::Array::New(Env(), times_.size());
    for (size_t i = 0; i < times_.size(); ++i) {
      Napi::Array ms = Napi::Array::New(Env(), times_[i].ms.size());
      for (size_t n = 0; n < times_[i].ms.size(); ++n) ms.Set(static_cast<uint32_t>(n), times_[i].ms[n]);
      Napi::Object one = Napi::Object::New(Env());
      one.Set("ms", ms);
      one.Set("logprob", times_[i].logprob);
      list.Set(static_cast<uint32_t>(i), one);
    }
    deferred_.Resolve(list);
  }
  void OnError(const Napi::Error&) override { deferred_.Reject(error_to_js(Env(), failure_).Value()); }

  EngineSpec spec_;
  std::vector<TimedStep> steps_;
  int32_t rounds_;
  Napi::Promise::Deferred deferred_;
  std::vector<StepTimes> times_;
  Failure failure_{ErrorCode::kInternal, ""};
};

}  // namespace

Napi::Value time_steps(const Napi::CallbackInfo& info) {
  Napi::Object arguments = Napi::Object::New(info.Env());
  arguments.Set("steps", info[1]);
  arguments.Set("rounds", info[2]);
  const JsObject from(arguments, "timeSteps");
  std::vector<TimedStep> steps;
  for (const JsObject& step : from.objects("steps")) steps.push_back(parse_step(step));
  const auto rounds = static_cast<int32_t>(from.integer("rounds", 1, kMostRounds));
  // Deletes itself when it is done.
  auto* worker = new StepTimesWorker(info.Env(), parse_load_spec(info[0]), std::move(steps), rounds);
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace r1
