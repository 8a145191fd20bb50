#include "binding/gpu_status.h"

#include <optional>

#include "backend/cuda/nvml.h"

namespace r1 {
namespace {

template <class T>
Napi::Value number_or_null(Napi::Env env, const std::optional<T>& value) {
  if (!value) return env.Null();
  return Napi::Number::New(env, static_cast<double>(*value));
}

Napi::Value to_js(Napi::Env env, const std::optional<cuda::GpuStatus>& status) {
  if (!status) return env.Null();
  auto to = Napi::Object::New(env);
  to.Set("utilization", number_or_null(env, status->utilization));
  to.Set("memoryUsed", number_or_null(env, status->memory_used));
  to.Set("memoryTotal", number_or_null(env, status->memory_total));
  to.Set("temperature", number_or_null(env, status->temperature));
  to.Set("power", number_or_null(env, status->power));
  return to;
}

}  // namespace

Napi::Value gpu_status(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const double index = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
  if (!(index >= 0 && index <= INT32_MAX)) throw Napi::TypeError::New(env, "deviceIndex must be an integer from 0");
  return to_js(env, cuda::gpu_status(static_cast<int32_t>(index)));
}

}  // namespace r1
