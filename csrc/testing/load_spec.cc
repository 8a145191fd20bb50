#include "testing/load_spec.h"

#include <cstring>

#include "binding/linear_choices.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

int integer(const Napi::Object& from, const char* name) { return static_cast<int>(number(from, name)); }

ModelConfig model_config(const Napi::Object& from) {
  ModelConfig config;
  config.architecture = text_or(from, "architecture", "");
  config.vocab = integer(from, "vocab");
  config.hidden = integer(from, "hidden");
  config.layers = integer(from, "layers");
  config.heads = integer(from, "heads");
  config.kv_heads = integer(from, "kvHeads");
  config.head_dim = integer(from, "headDim");
  config.intermediate = integer(from, "intermediate");
  config.norm_eps = static_cast<float>(number(from, "normEps"));
  config.qk_norm = from.Get("qkNorm").ToBoolean();
  const Bytes inv_freq = bytes_of(from.Get("invFreq"), "invFreq");
  config.inv_freq.resize(static_cast<size_t>(inv_freq.size / 4));
  std::memcpy(config.inv_freq.data(), inv_freq.data, static_cast<size_t>(inv_freq.size));
  config.rope_scale = static_cast<float>(number(from, "ropeScale"));
  config.windows = ints(from, "windows");
  return config;
}

PartSpec part_spec(const Napi::Object& from) {
  PartSpec part;
  part.name = text_or(from, "name", "");
  part.dtype = dtype_named(text_or(from, "dtype", ""));
  part.rows = static_cast<int64_t>(number(from, "rows"));
  part.cols = static_cast<int64_t>(number(from, "cols"));
  part.file = static_cast<int32_t>(number_or(from, "file", -1));
  part.offset = static_cast<int64_t>(number_or(from, "offset", 0));
  part.seed = static_cast<int64_t>(number_or(from, "seed", 0));
  part.scale = static_cast<float>(number_or(from, "scale", 0));
  return part;
}

template <class F>
void each(const Napi::Object& from, const char* name, F&& visit) {
  const auto list = object(from, name).As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) visit(list.Get(i));
}

}  // namespace

EngineSpec load_spec(const Napi::Object& from) {
  EngineSpec spec;
  spec.config = model_config(object(from, "config"));
  each(from, "files", [&](const Napi::Value& path) { spec.files.push_back(path.ToString().Utf8Value()); });
  each(from, "weights", [&](const Napi::Value& value) {
    const Napi::Object entry = value.ToObject();
    WeightEntry& weight = spec.weights.emplace_back();
    weight.name = text_or(entry, "name", "");
    each(entry, "parts", [&](const Napi::Value& part) { weight.parts.push_back(part_spec(part.ToObject())); });
  });
  spec.device.kind = text_or(from, "device", "cpu") == "cuda" ? DeviceKind::kCuda : DeviceKind::kCpu;
  spec.device.index = integer(from, "deviceIndex");
  spec.device.kernel_file = text_or(from, "kernelFile", "");
  spec.device.threads = integer(from, "threads");
  spec.device.family = text_or(from, "family", "");
  spec.precision = dtype_named(text_or(from, "precision", "f32"));
  spec.context_length = integer(from, "contextLength");
  spec.kv_memory = static_cast<int64_t>(number(from, "kvMemory"));
  spec.memory_limit = static_cast<int64_t>(number(from, "memoryLimit"));
  spec.max_sequences = integer(from, "maxSequences");
  spec.prefill_rows = integer(from, "prefillRows");
  spec.step_tokens = integer(from, "stepTokens");
  spec.max_queue = static_cast<int64_t>(number(from, "maxQueue"));
  spec.target_inter_token_ms = number(from, "targetInterTokenMs");
  spec.prefix_cache = from.Get("prefixCache").ToBoolean();
  spec.host_kv_memory = static_cast<int64_t>(number(from, "hostKvMemory"));
  spec.session_kv_share = number(from, "sessionKvShare");
  spec.linear_choices = parse_linear_choices(JsObject(from.Get("linearChoices"), "linearChoices"));
  return spec;
}

}  // namespace r1::testing
