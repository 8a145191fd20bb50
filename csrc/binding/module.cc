// The addon: lib/native.ts's NativeBinding.
#include <napi.h>

#include "backend/backend.h"
#include "binding/ceilings.h"
#include "binding/engine_wrap.h"
#include "binding/gpu_status.h"
#include "binding/step_times.h"

namespace {

/** What belongs to one environment (the main thread, or a worker). */
struct AddonData {
  Napi::FunctionReference engine_class;
};

Napi::Value create_engine(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<AddonData>()->engine_class.New({info[0], info[1]});
}

Napi::Value describe_cuda(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), r1::describe_cuda()); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData;
  env.SetInstanceData(data);
  data->engine_class = Napi::Persistent(r1::EngineWrap::define(env));
  exports.Set("createEngine", Napi::Function::New(env, create_engine, "createEngine"));
  exports.Set("describeCuda", Napi::Function::New(env, describe_cuda, "describeCuda"));
  exports.Set("gpuStatus", Napi::Function::New(env, r1::gpu_status, "gpuStatus"));
  exports.Set("measureCeilings", Napi::Function::New(env, r1::measure_ceilings, "measureCeilings"));
  exports.Set("measureLoadCeilings", Napi::Function::New(env, r1::measure_load_ceilings, "measureLoadCeilings"));
  exports.Set("timeSteps", Napi::Function::New(env, r1::time_steps, "timeSteps"));
  exports.Set("version", R1_VERSION);
  return exports;
}

}  // namespace

NODE_API_MODULE(r1, init)
