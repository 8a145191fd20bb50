#include "testing/test_model.h"

#include <algorithm>
#include <atomic>

#include "testing/load_spec.h"
#include "testing/step_data.h"
#include "testing/values.h"

namespace r1::testing {

Napi::Function TestModel::define(Napi::Env env) {
  return DefineClass(env, "TestModel",
                     {InstanceMethod("forward", &TestModel::forward), InstanceMethod("dispose", &TestModel::dispose)});
}

/** (NativeLoadSpec, blocks of the KV pool). */
TestModel::TestModel(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TestModel>(info) {
  translated(info.Env(), [&] {
    loaded_ = load_model(load_spec(info[0].ToObject()), create_backend, std::make_shared<std::atomic<bool>>(false),
                         [](const ProgressEvent&) {});
    loaded_.kv->grow(info[1].ToNumber().Int64Value());
  });
}

Napi::Value TestModel::forward(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    R1_CHECK(loaded_.backend, ErrorCode::kDisposed, "this TestModel was disposed");
    Backend& backend = *loaded_.backend;
    Model& model = *loaded_.model;
    const ModelConfig& config = model.config();
    const StepData step(backend, info[0].ToObject());
    const StepView& view = backend.begin_step(step.step());
    const int64_t stream = int64_t{step.step().rows} * config.hidden;
    std::vector<float> residuals(static_cast<size_t>(stream * (config.layers + 1)));
    const int32_t count = step.step().logit_count;
    std::vector<float> logits(static_cast<size_t>(int64_t{count} * config.vocab));
    const auto chunk = backend.allocate(int64_t{kMaxLogitRows} * config.vocab * 4);
    run_ops(backend, [&] {
      model.forward(backend, view, *loaded_.kv, [&](int layer, const float* residual) {
        backend.download(residuals.data() + layer * stream, residual, stream * 4);
      });
      for (int32_t first = 0; first < count; first += kMaxLogitRows) {
        const int32_t rows = std::min(count - first, kMaxLogitRows);
        model.head(backend, view, first, rows, chunk->as<float>());
        backend.download(logits.data() + int64_t{first} * config.vocab, chunk->data, int64_t{rows} * config.vocab * 4);
      }
    });
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("residuals", float_array(info.Env(), residuals.data(), static_cast<int64_t>(residuals.size())));
    out.Set("logits", float_array(info.Env(), logits.data(), static_cast<int64_t>(logits.size())));
    return out;
  });
}

void TestModel::dispose(const Napi::CallbackInfo&) {
  loaded_.kv.reset();
  loaded_.model.reset();
  loaded_.backend.reset();
}

}  // namespace r1::testing
