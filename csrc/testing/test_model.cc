#include "testing/test_model.h"

#include <algorithm>

#include "testing/load_spec.h"
#include "testing/step_data.h"
#include "testing/test_backend.h"
#include "testing/values.h"

namespace r1::testing {

Napi::Function TestModel::define(Napi::Env env) {
  return DefineClass(env, "TestModel",
                     {InstanceMethod("forward", &TestModel::forward), InstanceMethod("dispose", &TestModel::dispose)});
}

/** (NativeLoadSpec, blocks of the KV pool). */
TestModel::TestModel(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TestModel>(info) {
  translated(info.Env(), [&] {
    Napi::Object from = info[0].ToObject();
    const LoadSpec spec = load_spec(from);
    from.Set("maxRows", spec.options.max_rows);
    backend_ = create_backend(from);
    const ModelFamily& family = model_family(spec.config.architecture);
    family.plan(*backend_, spec.config, spec.weights, spec.options);
    model_ = family.load(*backend_, spec.config, spec.weights, spec.options, [](const WeightCount&) {});
    const int64_t blocks = info[1].ToNumber().Int64Value();
    kv_ = backend_->create_kv_pool(model_->kv_layout(), blocks);
    kv_->grow(blocks);
  });
}

Napi::Value TestModel::forward(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    R1_CHECK(backend_, ErrorCode::kDisposed, "this TestModel was disposed");
    const ModelConfig& config = model_->config();
    const StepData step(*backend_, info[0].ToObject());
    const StepView& view = backend_->begin_step(step.step());
    const int64_t stream = int64_t{step.step().rows} * config.hidden;
    std::vector<float> residuals(static_cast<size_t>(stream * (config.layers + 1)));
    model_->forward(*backend_, view, *kv_, [&](int layer, const float* residual) {
      backend_->download(residuals.data() + layer * stream, residual, stream * 4);
    });
    const int32_t count = step.step().logit_count;
    std::vector<float> logits(static_cast<size_t>(int64_t{count} * config.vocab));
    const auto chunk = backend_->allocate(int64_t{kMaxLogitRows} * config.vocab * 4);
    for (int32_t first = 0; first < count; first += kMaxLogitRows) {
      const int32_t rows = std::min(count - first, kMaxLogitRows);
      model_->head(*backend_, view, first, rows, chunk->as<float>());
      backend_->download(logits.data() + int64_t{first} * config.vocab, chunk->data, int64_t{rows} * config.vocab * 4);
    }
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("residuals", float_array(info.Env(), residuals.data(), static_cast<int64_t>(residuals.size())));
    out.Set("logits", float_array(info.Env(), logits.data(), static_cast<int64_t>(logits.size())));
    return out;
  });
}

void TestModel::dispose(const Napi::CallbackInfo&) {
  kv_.reset();
  model_.reset();
  backend_.reset();
}

}  // namespace r1::testing
