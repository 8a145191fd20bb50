// The sampling plan on given logits: the chunks of a step as the engine runs them.
#include <algorithm>
#include <cstring>

#include "testing/guarded.h"
#include "testing/step_data.h"
#include "testing/test_backend.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

const char* status_name(SampleStatus status) {
  switch (status) {
    case SampleStatus::kOk:
      return "ok";
    case SampleStatus::kEmptySet:
      return "empty";
    case SampleStatus::kNotFinite:
      return "not-finite";
  }
  return "unknown";
}

Napi::Object result_object(Napi::Env env, const SampleResult& result) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("token", result.token);
  out.Set("status", status_name(result.status));
  out.Set("logprob", result.logprob);
  const int32_t count = std::clamp(result.top_count, 0, kMaxTopLogprobs);
  auto tokens = Napi::Int32Array::New(env, static_cast<size_t>(count));
  auto values = Napi::Float32Array::New(env, static_cast<size_t>(count));
  std::copy_n(result.top_tokens, count, tokens.Data());
  std::copy_n(result.top_logprobs, count, values.Data());
  out.Set("topTokens", tokens);
  out.Set("topLogprobs", values);
  return out;
}

}  // namespace

Napi::Array result_objects(Napi::Env env, const std::vector<SampleResult>& results) {
  Napi::Array out = Napi::Array::New(env, results.size());
  for (uint32_t i = 0; i < results.size(); ++i) out.Set(i, result_object(env, results[i]));
  return out;
}

/** (step with samples, logits Float32Array [logitRows][vocab], vocab) → results; throws if the logits were changed. */
Napi::Value TestBackend::sample_batch(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    Backend& backend = this->backend(info.Env());
    const StepData step(backend, info[0].ToObject());
    const Bytes logits = bytes_of(info[1], "logits");
    const int32_t vocab = info[2].ToNumber().Int32Value();
    const int32_t count = step.step().logit_count;
    R1_CHECK(logits.size == int64_t{count} * vocab * 4, ErrorCode::kInvalidArgument, "logits of another size");
    const StepView& view = backend.begin_step(step.step());
    const int64_t row_bytes = int64_t{vocab} * 4;
    std::vector<std::unique_ptr<Guarded>> chunks;
    run_ops(backend, [&] {
      for (int32_t first = 0; first < count; first += kMaxLogitRows) {
        const int32_t rows = std::min(count - first, kMaxLogitRows);
        auto& chunk = chunks.emplace_back(std::make_unique<Guarded>(backend, kMaxLogitRows * row_bytes));
        chunk->write(logits.data + first * row_bytes, rows * row_bytes);
        backend.sample({&view, static_cast<float*>(chunk->data()), vocab, first, rows});
      }
    });
    std::vector<SampleResult> results(static_cast<size_t>(count));
    std::memset(static_cast<void*>(results.data()), 0xff, results.size() * sizeof(SampleResult));
    backend.read_results(results.data());
    for (size_t c = 0; c < chunks.size(); ++c) {
      const std::vector<uint8_t> after = chunks[c]->read("the logits");
      const int64_t first = static_cast<int64_t>(c) * kMaxLogitRows;
      const int64_t rows = std::min<int64_t>(count - first, kMaxLogitRows);
      R1_CHECK(std::memcmp(after.data(), logits.data + first * row_bytes, static_cast<size_t>(rows * row_bytes)) == 0,
               ErrorCode::kInternal, "sampling changed the logits");
    }
    return result_objects(info.Env(), results);
  });
}

}  // namespace r1::testing
