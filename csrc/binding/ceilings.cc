#include "binding/ceilings.h"

#include "binding/js_read.h"
#include "binding/parse_spec.h"
#include "binding/promise_worker.h"
#include "engine/load_ceilings.h"
#include "engine/loader.h"

namespace r1 {
namespace {

Ceilings ceilings_of(const DeviceSpec& device) {
  // The smallest of backends: only its loops are of interest.
  const BackendOptions options{.precision = DType::kF32,
                               .max_rows = kMaxDecodeRows,
                               .max_sequences = 1,
                               .max_blocks_per_sequence = 1,
                               .max_logit_rows = kMaxLogitRows,
                               .threads = device.threads,
                               .family = device.family,
                               .linear_choices = {}};
  return create_backend(options, device)->measure_ceilings();
}

}  // namespace

Napi::Value measure_ceilings(const Napi::CallbackInfo& info) {
  const auto work = [device = parse_device_spec(info[0])] { return ceilings_of(device); };
  return in_background(info.Env(), work, ceilings_to_js);
}

Napi::Value measure_load_ceilings(const Napi::CallbackInfo& info) {
  const auto work = [device = parse_device_spec(info[0]), files = JsObject(info[0], "spec").strings("files")] {
    return measure_load_ceilings(device, files);
  };
  return in_background(info.Env(), work, [](Napi::Env env, const LoadCeilings& ceilings) {
    auto to = Napi::Object::New(env);
    to.Set("readBytesPerS", ceilings.read_bytes_per_s);
    to.Set("uploadBytesPerS", ceilings.upload_bytes_per_s);
    return to;
  });
}

}  // namespace r1
