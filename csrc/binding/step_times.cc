#include "binding/step_times.h"

#include <utility>
#include <vector>

#include "binding/js_read.h"
#include "binding/linear_choices.h"
#include "binding/parse_spec.h"
#include "binding/promise_worker.h"
#include "engine/step_timer.h"

namespace r1 {
namespace {

constexpr int64_t kMostRows = 65536, kMostTokens = 1 << 24, kMostRounds = 1000, kMostWindowMs = 10'000;

constexpr std::pair<const char*, NumericClass> kClasses[] = {{"prefill", NumericClass::kPrefill},
                                                             {"decode", NumericClass::kDecode}};
constexpr std::pair<const char*, OpChoice> kChoices[] = {
    {"prefill", OpChoice::kPrefill}, {"decode", OpChoice::kDecode}, {"skip", OpChoice::kSkip}};
constexpr std::pair<const char*, StepOp> kOps[] = {
    {"embed", StepOp::kEmbed},   {"qkv", StepOp::kQkv},       {"attention", StepOp::kAttention},
    {"output", StepOp::kOutput}, {"gateUp", StepOp::kGateUp}, {"down", StepOp::kDown},
    {"head", StepOp::kHead},     {"sample", StepOp::kSample}, {"linear", StepOp::kLinear}};

TimedStep parse_step(const JsObject& from) {
  TimedStep step{.numeric_class = from.one_of("numericClass", kClasses),
                 .sequences = static_cast<int32_t>(from.integer("sequences", 0, kMostRows)),
                 .length = static_cast<int32_t>(from.integer("length", 0, kMostTokens)),
                 .prompt_rows = static_cast<int32_t>(from.integer("promptRows", 0, kMostRows)),
                 .choices = {},
                 .only = {},
                 .cublas = !from.is_null("cublas") && from.boolean("cublas")};
  if (!from.is_null("classes")) {
    const JsObject classes = from.object("classes");
    step.choices = {classes.one_of("qkv", kChoices), classes.one_of("attention", kChoices),
                    classes.one_of("mlp", kChoices), classes.one_of("residual", kChoices)};
  }
  if (!from.is_null("windowMs")) step.window_ms = static_cast<double>(from.integer("windowMs", 1, kMostWindowMs));
  if (!from.is_null("linear")) step.linear = parse_linear_choices(from.object("linear"));
  if (!from.is_null("only")) step.only = from.one_of("only", kOps);
  return step;
}

Napi::Value times_to_js(Napi::Env env, const std::vector<StepTimes>& times) {
  Napi::Array list = Napi::Array::New(env, times.size());
  for (size_t i = 0; i < times.size(); ++i) {
    Napi::Array ms = Napi::Array::New(env, times[i].ms.size());
    for (size_t n = 0; n < times[i].ms.size(); ++n) ms.Set(static_cast<uint32_t>(n), times[i].ms[n]);
    Napi::Object one = Napi::Object::New(env);
    one.Set("ms", ms);
    one.Set("logprob", times[i].logprob);
    Napi::Array options = Napi::Array::New(env);
    for (const LinearOptions& option : times[i].options) options.Set(options.Length(), to_js(env, option));
    one.Set("options", options);
    list.Set(static_cast<uint32_t>(i), one);
  }
  return list;
}

}  // namespace

Napi::Value time_steps(const Napi::CallbackInfo& info) {
  Napi::Object arguments = Napi::Object::New(info.Env());
  arguments.Set("steps", info[1]);
  arguments.Set("rounds", info[2]);
  arguments.Set("cublas", info[3]);
  const JsObject from(arguments, "timeSteps");
  std::vector<TimedStep> steps;
  for (const JsObject& step : from.objects("steps")) steps.push_back(parse_step(step));
  const auto rounds = static_cast<int32_t>(from.integer("rounds", 1, kMostRounds));
  const std::string cublas = from.is_null("cublas") ? "" : from.string("cublas");
  const auto work = [spec = parse_load_spec(info[0]), steps = std::move(steps), rounds, cublas] {
    return time_steps(spec, steps, rounds, cublas);
  };
  return in_background(info.Env(), work, times_to_js);
}

}  // namespace r1
