// r1_test.node, the development-only addon: ops, samplers and forward passes with every byte in view. Never packed.
// test/support/test-addon.ts documents what it exports.
#include <napi.h>

#include <atomic>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/attention_deal.h"
#include "backend/cuda/family.h"
#include "engine/loader.h"
#include "testing/failing_backend.h"
#include "testing/linear_plans.h"
#include "testing/load_spec.h"
#include "testing/memory_source.h"
#include "testing/nvml.h"
#include "testing/sampling_math.h"
#include "testing/test_backend.h"
#include "testing/test_engine.h"
#include "testing/test_model.h"
#include "testing/uploads.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

Napi::Value cuda_description(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), describe_cuda()); }

/** (compute capability, precision, forced family) → family. */
Napi::Value chosen_family(const Napi::CallbackInfo& info) {
  return translated(info.Env(), [&] {
    const auto family = cuda::choose_family(info[0].ToNumber().Int32Value(), dtype_named(info[1].ToString()),
                                            info[2].ToString().Utf8Value());
    return Napi::String::New(info.Env(), std::string(cuda::family_name(family)));
  });
}

/** (items, last slot, SMs) */
Napi::Value worth_dealing(const Napi::CallbackInfo& info) {
  const bool worth = cuda::worth_dealing(info[0].ToNumber().Int64Value(), info[1].ToNumber().Int32Value(),
                                         info[2].ToNumber().Int32Value());
  return Napi::Boolean::New(info.Env(), worth);
}

/** (items, SMs) */
Napi::Value worth_staying(const Napi::CallbackInfo& info) {
  const bool worth = cuda::worth_staying(info[0].ToNumber().Int64Value(), info[1].ToNumber().Int32Value());
  return Napi::Boolean::New(info.Env(), worth);
}

/** (key tiles of each tile, columns, blocks) → of each block its pieces in order: [column, tile, begin, end, source].
 */
Napi::Value dealt_pieces(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto lengths = info[0].As<Napi::Int32Array>();
  std::vector<cuda::PrefillTile> tiles(lengths.ElementLength());
  int32_t total = 0;
  for (size_t i = 0; i < tiles.size(); ++i) {
    tiles[i].before = total;
    total += lengths[i];
  }
  const cuda::TileDeal deal{tiles.data(), static_cast<int>(tiles.size()), total, info[1].ToNumber().Int32Value(),
                            info[2].ToNumber().Int32Value()};
  Napi::Array blocks = Napi::Array::New(env);
  for (int b = 0; b < deal.blocks; ++b) {
    const int64_t first = deal.cut(b);
    Napi::Array pieces = Napi::Array::New(env);
    for (int64_t left = deal.cut(b + 1); left > first;) {
      const cuda::TileDeal::Piece piece = deal.piece(first, left);
      left -= piece.end - piece.begin;
      Napi::Array of = Napi::Array::New(env);
      for (const int value :
           {piece.column, piece.tile, piece.begin, piece.end, piece.begin > 0 ? deal.block_before(b, first) : -1}) {
        of.Set(of.Length(), value);
      }
      pieces.Set(pieces.Length(), of);
    }
    blocks.Set(blocks.Length(), pieces);
  }
  return blocks;
}

/** (NativeLoadSpec, which allocation fails) → { failed, allocations, alive }. */
Napi::Value load_with_failure(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  return translated(env, [&] {
    const EngineSpec spec = load_spec(info[0].ToObject());
    AllocationCount count;
    count.fail_at = info[1].ToNumber().Int32Value();
    const auto factory = [&](const BackendOptions& options, const DeviceSpec& device) {
      return create_failing_backend(create_backend(options, device), count);
    };
    const auto cancelled = std::make_shared<std::atomic<bool>>(false);
    Napi::Value failed = env.Null();
    try {
      load_model(spec, factory, cancelled, [](const ProgressEvent&) {});
    } catch (const Error& error) {
      Napi::Object failure = Napi::Object::New(env);
      failure.Set("code", std::string(error_code_name(error.code())));
      failure.Set("message", error.what());
      failed = failure;
    }
    Napi::Object out = Napi::Object::New(env);
    out.Set("failed", failed);
    out.Set("allocations", count.allocations);
    out.Set("alive", count.alive);
    return out;
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("TestBackend", TestBackend::define(env));
  exports.Set("TestEngine", TestEngine::define(env));
  exports.Set("TestModel", TestModel::define(env));
  exports.Set("batchLimits", Napi::Function::New<batch_limits>(env));
  exports.Set("linearPlan", Napi::Function::New<linear_plan>(env));
  exports.Set("loadWithFailure", Napi::Function::New<load_with_failure>(env));
  exports.Set("dealtPieces", Napi::Function::New<dealt_pieces>(env));
  exports.Set("worthDealing", Napi::Function::New<worth_dealing>(env));
  exports.Set("worthStaying", Napi::Function::New<worth_staying>(env));
  exports.Set("describeCuda", Napi::Function::New<cuda_description>(env));
  exports.Set("chooseFamily", Napi::Function::New<chosen_family>(env));
  exports.Set("nvmlStatus", Napi::Function::New<nvml_status>(env));
  exports.Set("planUpload", Napi::Function::New<plan_of_upload>(env));
  exports.Set("timeLoad", Napi::Function::New<time_load>(env));
  exports.Set("packUpload", Napi::Function::New<pack_upload>(env));
  exports.Set("randomValues", Napi::Function::New<random_values>(env));
  exports.Set("sampling", sampling_math(env));
  return exports;
}

}  // namespace
}  // namespace r1::testing

static Napi::Object init_addon(Napi::Env env, Napi::Object exports) { return r1::testing::init(env, exports); }
NODE_API_MODULE(r1_test, init_addon)
