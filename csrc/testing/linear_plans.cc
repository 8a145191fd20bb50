#include "testing/linear_plans.h"

#include <array>
#include <string>

#include "backend/cuda/linear_candidates.h"
#include "binding/linear_choices.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

constexpr std::array<const char*, 4> kMethods = {"stream", "tile", "mma", "simt"};

cuda::LinearShape shape_of(const Napi::Object& from) {
  const DType type = dtype_named(text_or(from, "precision", "bf16"));
  return {.numeric_class =
              text_or(from, "numericClass", "decode") == "decode" ? NumericClass::kDecode : NumericClass::kPrefill,
          .rows = static_cast<int>(number(from, "rows")),
          .stored_rows = static_cast<int64_t>(number(from, "storedRows")),
          .k = static_cast<int64_t>(number(from, "k")),
          .act = type,
          .weight = type,
          .paired = from.Get("paired").ToBoolean()};
}

cuda::KernelFamily family_of(const std::string& name) {
  for (const auto family :
       {cuda::KernelFamily::kSimt, cuda::KernelFamily::kSm75, cuda::KernelFamily::kSm80, cuda::KernelFamily::kSm90}) {
    if (cuda::family_name(family) == name) return family;
  }
  R1_THROW(ErrorCode::kInvalidArgument, "there is no family " + name);
}

}  // namespace

Napi::Value linear_plan(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  return translated(env, [&] {
    const cuda::LinearShape shape = shape_of(info[0].ToObject());
    const cuda::KernelFamily family = family_of(info[1].ToString());
    cuda::DeviceProperties device;
    device.sm_count = info[2].ToNumber().Int32Value();
    device.max_shared_bytes = 227 * 1024;
    const cuda::ChoiceTable choices(parse_linear_choices(JsObject(info[3], "choices")));
    const cuda::LinearPlan plan = cuda::plan_linear(shape, family, device, choices);
    Napi::Object out = Napi::Object::New(env);
    out.Set("method", kMethods.at(static_cast<size_t>(plan.method)));
    out.Set("kernel", plan.kernel);
    out.Set("tileRows", plan.tile_rows);
    out.Set("tileTokens", plan.tile_tokens);
    out.Set("splits", plan.splits);
    out.Set("stages", plan.stages);
    out.Set("band", plan.band);
    out.Set("cluster", plan.launch.cluster_x);
    out.Set("blocks", plan.launch.grid_x);
    out.Set("sharedBytes", plan.launch.shared_bytes);
    out.Set("options", to_js(env, cuda::linear_options(shape, family, device, choices)));
    return out;
  });
}

}  // namespace r1::testing
