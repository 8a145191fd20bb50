// The arithmetic of backend/sample_math.h, function by function, for comparison with lib/sampling.
#include "backend/sample_math.h"

#include "testing/sampling_math.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

/** (z Float32Array, zMax) → Float64Array: weights are at most 2^32, so doubles hold them. */
Napi::Value weights(const Napi::CallbackInfo& info) {
  const Bytes z = bytes_of(info[0], "z");
  const auto* values = reinterpret_cast<const float*>(z.data);
  const float z_max = info[1].ToNumber().FloatValue();
  const auto count = static_cast<size_t>(z.size / 4);
  auto out = Napi::Float64Array::New(info.Env(), count);
  for (size_t i = 0; i < count; ++i) out.Data()[i] = static_cast<double>(sampling::weight_of(values[i], z_max));
  return out;
}

/** (seed, position, choice, lane) → word 0 of Philox4x32-10. */
Napi::Value philox(const Napi::CallbackInfo& info) {
  const auto seed = static_cast<uint64_t>(info[0].ToNumber().Int64Value());
  return Napi::Number::New(
      info.Env(), sampling::philox_word0(seed, info[1].ToNumber().Uint32Value(), info[2].ToNumber().Uint32Value(),
                                         info[3].ToNumber().Uint32Value()));
}

/** (cumulative, P, total) → whether top-p is reached. */
Napi::Value top_p_reached(const Napi::CallbackInfo& info) {
  const auto word = [&](size_t i) { return static_cast<uint64_t>(info[i].ToNumber().Int64Value()); };
  return Napi::Boolean::New(info.Env(), sampling::top_p_reached(word(0), word(1), word(2)));
}

/** (r, total) → floor(r · total / 2^32). */
Napi::Value draw_threshold(const Napi::CallbackInfo& info) {
  const auto total = static_cast<uint64_t>(info[1].ToNumber().Int64Value());
  const uint64_t threshold = sampling::draw_threshold(info[0].ToNumber().Uint32Value(), total);
  return Napi::Number::New(info.Env(), static_cast<double>(threshold));
}

}  // namespace

Napi::Object sampling_math(Napi::Env env) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("weights", Napi::Function::New<weights>(env));
  out.Set("philox", Napi::Function::New<philox>(env));
  out.Set("topPReached", Napi::Function::New<top_p_reached>(env));
  out.Set("drawThreshold", Napi::Function::New<draw_threshold>(env));
  return out;
}

}  // namespace r1::testing
