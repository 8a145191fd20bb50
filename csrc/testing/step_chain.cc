// Steps one behind the other as the engine runs them, of a model that a test can follow: the logits of a row are a row
// of a table, the one of its token; at f32 those are also its Q, K and V.
#include <algorithm>

#include "testing/step_data.h"
#include "testing/test_backend.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

class StepChain {
 public:
  StepChain(Backend& backend, const Matrix& table, const Napi::Array& steps) : backend_(backend), table_(table) {
    int32_t rows = kMaxDecodeRows;
    steps_.reserve(steps.Length());
    for (uint32_t i = 0; i < steps.Length(); ++i) {
      steps_.push_back(std::make_unique<StepData>(backend, steps.Get(i).ToObject()));
      rows = std::max(rows, step(i).rows);
    }
    residual_ = backend.allocate(int64_t{rows} * table.cols * 4);
  }

  /** K and V go to `kv`, rotated with `inv_freq` [head_dim / 2]. */
  void append_to(const KvPool& kv, int heads, const std::vector<float>& inv_freq) {
    inv_freq_ = backend_.allocate(static_cast<int64_t>(inv_freq.size()) * 4);
    backend_.upload(inv_freq_->data, inv_freq.data(), inv_freq_->bytes);
    rope_.qkv = residual_->data;
    rope_.heads = heads;
    rope_.kv_heads = kv.layout.kv_heads;
    rope_.head_dim = kv.layout.head_dim;
    rope_.inv_freq = inv_freq_->as<float>();
    rope_.rope_scale = 1;
    rope_.kv = &kv;
  }

  /**
   * Results of all steps, of which `in_flight` are begun before the results of the oldest are read. `runs`: of each
   * step that needs no token of the one before. `aborted`: before each step another one is begun, and given up.
   */
  std::vector<std::vector<SampleResult>> run(int in_flight, int runs, bool aborted) {
    backend_.forget_graphs();
    std::vector<std::vector<SampleResult>> results;
    const auto read = [&] {
      auto& to = results.emplace_back(static_cast<size_t>(step(results.size()).logit_count));
      backend_.read_results(to.data());
    };
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (i >= results.size() + static_cast<size_t>(in_flight)) read();
      if (aborted) backend_.begin_step(given_up(i));
      const StepView& view = backend_.begin_step(step(i));
      for (int n = 0; n < (alone(step(i)) ? runs : 1); ++n) backend_.run([&] { forward(view); });
      backend_.end_step();
    }
    while (results.size() < steps_.size()) read();
    return results;
  }

 private:
  const Step& step(size_t i) const { return steps_[i]->step(); }
  static bool alone(const Step& step) {
    return std::all_of(step.tokens, step.tokens + step.rows, [](int32_t token) { return token >= 0; });
  }

  /** The next step, or the first, whose tokens any backend can read. */
  const Step& given_up(size_t before) const {
    while (++before < steps_.size()) {
      if (alone(step(before))) return step(before);
    }
    return step(0);
  }

  void forward(const StepView& view) {
    auto* residual = residual_->as<float>();
    backend_.embed({.step = &view, .table = &table_, .residual = residual, .next = {}});
    if (rope_.kv) {
      rope_.step = &view;
      backend_.rope_append(rope_);
    }
    for (int32_t first = 0; first < view.logit_count; first += kMaxLogitRows) {
      backend_.sample({.step = &view,
                       .logits = residual + first * table_.cols,
                       .vocab = static_cast<int32_t>(table_.cols),
                       .first = first,
                       .count = std::min(kMaxLogitRows, view.logit_count - first)});
    }
  }

  Backend& backend_;
  const Matrix& table_;
  std::vector<std::unique_ptr<StepData>> steps_;
  std::unique_ptr<Buffer> residual_;  // [rows][columns of the table] f32
  std::unique_ptr<Buffer> inv_freq_;
  RopeAppendParams rope_{};
};

}  // namespace

/** (steps, { table, inFlight, runs, aborted, kv?, heads, invFreq }) → results of each step. */
Napi::Value TestBackend::run_steps(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const Napi::Object from = info[1].ToObject();
    const auto table = loaded_.matrices.find(static_cast<int32_t>(number(from, "table")));
    R1_CHECK(table != loaded_.matrices.end(), ErrorCode::kInvalidArgument, "no such matrix");
    StepChain chain(backend(info.Env()), *table->second, info[0].As<Napi::Array>());
    if (present(from, "kv")) {
      const auto pool = loaded_.pools.find(static_cast<int32_t>(number(from, "kv")));
      R1_CHECK(pool != loaded_.pools.end() && precision_ == DType::kF32, ErrorCode::kInvalidArgument,
               "no such KV pool of f32");
      const Bytes bytes = bytes_of(from.Get("invFreq"), "invFreq");
      const auto* values = reinterpret_cast<const float*>(bytes.data);
      chain.append_to(*pool->second, static_cast<int>(number(from, "heads")), {values, values + bytes.size / 4});
    }
    const auto results = chain.run(static_cast<int>(number(from, "inFlight")), static_cast<int>(number(from, "runs")),
                                   from.Get("aborted").ToBoolean());
    Napi::Array out = Napi::Array::New(info.Env(), results.size());
    for (uint32_t i = 0; i < results.size(); ++i) out.Set(i, result_objects(info.Env(), results[i]));
    return out;
  });
}

}  // namespace r1::testing
