#include "testing/test_backend.h"

#include <algorithm>

#include "binding/linear_choices.h"
#include "testing/memory_source.h"
#include "testing/step_data.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

std::unique_ptr<Backend> create(const Napi::Object& from) {
  const BackendOptions options = backend_options(from);
  const std::string device = text_or(from, "device", "cpu");
  if (device == "cpu") return create_cpu_backend(options);
  R1_CHECK(device == "cuda", ErrorCode::kInvalidArgument, "device must be cpu or cuda, found " + device);
  return create_cuda_backend(options, static_cast<int>(number_or(from, "deviceIndex", 0)),
                             text_or(from, "kernelFile", ""));
}

/** Out of (pool, layer, blocks, first, count). */
KvTokens kv_tokens(const Napi::CallbackInfo& info) {
  return {.blocks = info[2].As<Napi::Int32Array>().Data(),
          .layer = info[1].ToNumber().Int32Value(),
          .first = info[3].ToNumber().Int32Value(),
          .count = info[4].ToNumber().Int32Value()};
}

}  // namespace

BackendOptions backend_options(const Napi::Object& from) {
  BackendOptions options{};
  options.precision = dtype_named(text_or(from, "precision", "f32"));
  options.max_rows = static_cast<int32_t>(number_or(from, "maxRows", 2048));
  options.max_sequences = static_cast<int32_t>(number_or(from, "maxSequences", 64));
  options.max_blocks_per_sequence = static_cast<int32_t>(number_or(from, "maxBlocksPerSequence", 128));
  options.max_logit_rows = static_cast<int32_t>(number_or(from, "maxLogitRows", 256));
  options.threads = static_cast<int32_t>(number_or(from, "threads", 0));
  options.family = text_or(from, "family", "");
  if (present(from, "linearChoices")) {
    options.linear_choices = parse_linear_choices(JsObject(from.Get("linearChoices"), "linearChoices"));
  }
  return options;
}

Napi::Function TestBackend::define(Napi::Env env) {
  return DefineClass(env, "TestBackend",
                     {
                         InstanceMethod("info", &TestBackend::describe),
                         InstanceMethod("loadMatrix", &TestBackend::load_matrix),
                         InstanceMethod("loadVector", &TestBackend::load_vector),
                         InstanceMethod("matrixBytes", &TestBackend::matrix_bytes),
                         InstanceMethod("freeMatrix", &TestBackend::free_matrix),
                         InstanceMethod("createKv", &TestBackend::create_kv),
                         InstanceMethod("growKv", &TestBackend::grow_kv),
                         InstanceMethod("freeKv", &TestBackend::free_kv),
                         InstanceMethod("readKv", &TestBackend::read_kv),
                         InstanceMethod("writeKv", &TestBackend::write_kv),
                         InstanceMethod("readTokens", &TestBackend::read_tokens),
                         InstanceMethod("writeTokens", &TestBackend::write_tokens),
                         InstanceMethod("runOp", &TestBackend::run_op),
                         InstanceMethod("sampleBatch", &TestBackend::sample_batch),
                         InstanceMethod("runSteps", &TestBackend::run_steps),
                         InstanceMethod("setLinearChoices", &TestBackend::set_linear_choices),
                         InstanceMethod("dispose", &TestBackend::dispose),
                     });
}

TestBackend::TestBackend(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TestBackend>(info) {
  const Napi::Object options = info[0].ToObject();
  translated(info.Env(), [&] {
    precision_ = backend_options(options).precision;
    backend_ = create(options);
  });
}

Backend& TestBackend::backend(Napi::Env env) const {
  if (!backend_) throw_js(env, "E_DISPOSED", "this TestBackend was disposed");
  return *backend_;
}

Napi::Value TestBackend::describe(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const DeviceInfo device = backend(info.Env()).info();
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("kind", device.kind);
    out.Set("name", device.name);
    out.Set("detail", device.detail);
    out.Set("totalBytes", static_cast<double>(device.total_bytes));
    out.Set("freeBytes", static_cast<double>(device.free_bytes));
    return out;
  });
}

Napi::Value TestBackend::load_matrix(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const WeightParts parts = weight_parts(info[0].ToObject());
    const MatrixRole role =
        text_or(info[0].ToObject(), "role", "linear") == "gateUp" ? MatrixRole::kGateUp : MatrixRole::kLinear;
    auto matrix = backend(info.Env()).load_matrix(parts, role);
    backend(info.Env()).finish_loading();
    loaded_.matrices[next_handle_] = std::move(matrix);
    return Napi::Number::New(info.Env(), next_handle_++);
  });
}

Napi::Value TestBackend::load_vector(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const WeightParts parts = weight_parts(info[0].ToObject());
    const auto buffer = backend(info.Env()).load_vector(parts);
    backend(info.Env()).finish_loading();
    std::vector<float> values(static_cast<size_t>(parts.rows() * parts.cols()));
    backend(info.Env()).download(values.data(), buffer->data, static_cast<int64_t>(values.size()) * 4);
    return float_array(info.Env(), values.data(), static_cast<int64_t>(values.size()));
  });
}

/** (rows, cols, dtype, handle) → [matrix_bytes before loading, Matrix::bytes]. */
Napi::Value TestBackend::matrix_bytes(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const int64_t told = backend(info.Env())
                             .matrix_bytes(info[0].ToNumber().Int64Value(), info[1].ToNumber().Int64Value(),
                                           dtype_named(info[2].ToString()));
    const auto found = loaded_.matrices.find(info[3].ToNumber().Int32Value());
    R1_CHECK(found != loaded_.matrices.end(), ErrorCode::kInvalidArgument, "no such matrix");
    Napi::Array out = Napi::Array::New(info.Env(), 2);
    out.Set(0u, static_cast<double>(told));
    out.Set(1u, static_cast<double>(found->second->bytes));
    return out;
  });
}

void TestBackend::free_matrix(const Napi::CallbackInfo& info) {
  loaded_.matrices.erase(info[0].ToNumber().Int32Value());
}

Napi::Value TestBackend::create_kv(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const Napi::Object from = info[0].ToObject();
    const KvLayout layout{static_cast<int>(number(from, "layers")), static_cast<int>(number(from, "kvHeads")),
                          static_cast<int>(number(from, "headDim")), precision_};
    const auto blocks = static_cast<int64_t>(number(from, "blocks"));
    auto pool = backend(info.Env()).create_kv_pool(layout, blocks);
    pool->grow(blocks);
    const std::vector<uint8_t> poison(static_cast<size_t>(layout.block_bytes()), kPoison);
    for (int64_t b = 0; b < blocks; ++b) {
      backend(info.Env())
          .upload(static_cast<uint8_t*>(pool->base) + b * layout.block_bytes(), poison.data(), layout.block_bytes());
    }
    loaded_.pools[next_handle_] = std::move(pool);
    return Napi::Number::New(info.Env(), next_handle_++);
  });
}

KvPool& TestBackend::pool(const Napi::CallbackInfo& info) const {
  const auto found = loaded_.pools.find(info[0].ToNumber().Int32Value());
  R1_CHECK(found != loaded_.pools.end(), ErrorCode::kInvalidArgument, "no such KV pool");
  return *found->second;
}

void TestBackend::grow_kv(const Napi::CallbackInfo& info) {
  translated(info.Env(), [&] { pool(info).grow(info[1].ToNumber().Int64Value()); });
}

void TestBackend::free_kv(const Napi::CallbackInfo& info) { loaded_.pools.erase(info[0].ToNumber().Int32Value()); }

uint8_t* TestBackend::plane(const Napi::CallbackInfo& info, const KvPool& pool) const {
  const int layer = info[1].ToNumber().Int32Value();
  const bool keys = info[2].ToString().Utf8Value() == "k";
  const int64_t block = info[3].ToNumber().Int64Value();
  R1_CHECK(layer >= 0 && layer < pool.layout.layers && block >= 0 && block < pool.blocks, ErrorCode::kInvalidArgument,
           "a plane outside of the KV pool");
  return static_cast<uint8_t*>(pool.base) + block * pool.layout.block_bytes() +
         (keys ? pool.layout.k_offset(layer) : pool.layout.v_offset(layer));
}

/** (pool, layer, "k" | "v", block) → Float32Array [kv_head][token][head_dim]. */
Napi::Value TestBackend::read_kv(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const KvPool& from = pool(info);
    std::vector<uint8_t> bytes(static_cast<size_t>(from.layout.plane_bytes()));
    backend(info.Env()).download(bytes.data(), plane(info, from), from.layout.plane_bytes());
    const int64_t elements = from.layout.plane_bytes() / dtype_size(from.layout.dtype);
    const std::vector<float> values = to_floats(bytes.data(), elements, from.layout.dtype);
    return float_array(info.Env(), values.data(), elements);
  });
}

/** (pool, layer, "k" | "v", block, Float32Array [kv_head][token][head_dim]), rounded to the pool's type. */
void TestBackend::write_kv(const Napi::CallbackInfo& info) {
  translated(info.Env(), [&] {
    const KvPool& to = pool(info);
    const Bytes values = bytes_of(info[4], "values");
    const auto bytes = convert(reinterpret_cast<const float*>(values.data), values.size / 4, to.layout.dtype);
    R1_CHECK(static_cast<int64_t>(bytes.size()) == to.layout.plane_bytes(), ErrorCode::kInvalidArgument,
             "a KV plane has another size");
    backend(info.Env()).upload(plane(info, to), bytes.data(), to.layout.plane_bytes());
  });
}

/** (pool, layer, blocks, first, count) → Uint8Array [token][K, V][kv_head][head_dim]. */
Napi::Value TestBackend::read_tokens(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const KvTokens tokens = kv_tokens(info);
    std::vector<uint8_t> bytes(static_cast<size_t>(tokens.count * pool(info).layout.layer_bytes_per_token()));
    backend(info.Env()).read_kv(pool(info), tokens, bytes.data());
    return byte_array(info.Env(), bytes.data(), static_cast<int64_t>(bytes.size()));
  });
}

/** (pool, layer, blocks, first, count, Uint8Array [token][K, V][kv_head][head_dim]) */
void TestBackend::write_tokens(const Napi::CallbackInfo& info) {
  translated(info.Env(), [&] {
    const KvTokens tokens = kv_tokens(info);
    const Bytes bytes = bytes_of(info[5], "bytes");
    R1_CHECK(bytes.size == tokens.count * pool(info).layout.layer_bytes_per_token(), ErrorCode::kInvalidArgument,
             "the tokens have another size");
    backend(info.Env()).write_kv(pool(info), tokens, bytes.data);
  });
}

/** (name, step, params) → outputs by name. */
Napi::Value TestBackend::run_op(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const Napi::Object from = info[1].ToObject();
    Napi::Object params = info[2].ToObject();
    params.Set("rows", from.Get("rows"));
    const StepData step(backend(info.Env()), from);
    const StepView& view = backend(info.Env()).begin_step(step.step());
    OpCall call(backend(info.Env()), precision_, loaded_, view, params);
    run_ops(backend(info.Env()), [&] { call_op(info[0].ToString(), call); });
    return call.collect();
  });
}

void TestBackend::set_linear_choices(const Napi::CallbackInfo& info) {
  translated(info.Env(),
             [&] { backend(info.Env()).set_linear_choices(parse_linear_choices(JsObject(info[0], "linearChoices"))); });
}

void TestBackend::dispose(const Napi::CallbackInfo&) {
  loaded_.matrices.clear();
  loaded_.pools.clear();
  backend_.reset();
}

}  // namespace r1::testing
