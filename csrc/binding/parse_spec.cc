#include "binding/parse_spec.h"

#include <cstdint>
#include <utility>

#include "binding/js_read.h"
#include "binding/linear_choices.h"

namespace r1 {
namespace {

constexpr int64_t kMaxSafe = (int64_t{1} << 53) - 1;  // Number.MAX_SAFE_INTEGER
constexpr int64_t kMaxInt = INT32_MAX;

constexpr std::pair<const char*, DType> kStoredTypes[] = {
    {"F32", DType::kF32}, {"BF16", DType::kBF16}, {"F16", DType::kF16}};
constexpr std::pair<const char*, DType> kPrecisions[] = {
    {"f32", DType::kF32}, {"bf16", DType::kBF16}, {"fp16", DType::kF16}};
constexpr std::pair<const char*, DeviceKind> kDevices[] = {{"cpu", DeviceKind::kCpu}, {"cuda", DeviceKind::kCuda}};

int32_t int32_of(const JsObject& from, const char* key, int64_t low, int64_t high = kMaxInt) {
  return static_cast<int32_t>(from.integer(key, low, high));
}

ModelConfig parse_config(const JsObject& from) {
  return {.architecture = from.string("architecture"),
          .vocab = int32_of(from, "vocab", 1),
          .hidden = int32_of(from, "hidden", 1),
          .layers = int32_of(from, "layers", 1, 1 << 16),
          .heads = int32_of(from, "heads", 1, 1 << 16),
          .kv_heads = int32_of(from, "kvHeads", 1, 1 << 16),
          .head_dim = int32_of(from, "headDim", 1, 1 << 16),
          .intermediate = int32_of(from, "intermediate", 1, 1 << 30),
          .norm_eps = static_cast<float>(from.number("normEps")),
          .qk_norm = from.boolean("qkNorm"),
          .inv_freq = from.floats("invFreq"),
          .rope_scale = static_cast<float>(from.number("ropeScale")),
          .windows = from.int32s("windows")};
}

PartSpec parse_part(const JsObject& from) {
  PartSpec part{.name = from.string("name"),
                .dtype = from.one_of("dtype", kStoredTypes),
                .rows = from.integer("rows", 1, kMaxInt),
                .cols = from.integer("cols", 1, kMaxInt)};
  if (from.is_null("file")) {
    part.seed = from.integer("seed", 0, kMaxSafe);
    part.scale = static_cast<float>(from.number("scale"));
  } else {
    part.file = int32_of(from, "file", 0);
    part.offset = from.integer("offset", 0, kMaxSafe);
  }
  return part;
}

WeightEntry parse_weight(const JsObject& from) {
  WeightEntry weight{.name = from.string("name"), .parts = {}};
  for (const JsObject& part : from.objects("parts")) weight.parts.push_back(parse_part(part));
  return weight;
}

DeviceSpec parse_device(const JsObject& from) {
  return {.kind = from.one_of("device", kDevices),
          .index = int32_of(from, "deviceIndex", 0),
          .kernel_file = from.string("kernelFile"),
          .threads = int32_of(from, "threads", 0, 4096),
          .family = from.string("family")};
}

SamplePlan parse_sample(const JsObject& from) {
  SamplePlan plan{.temperature = from.number("temperature"),
                  .top_k = int32_of(from, "topK", 0),
                  .top_p = from.number("topP"),
                  .min_p = from.number("minP"),
                  .repetition = from.number("repetitionPenalty"),
                  .presence = from.number("presencePenalty"),
                  .frequency = from.number("frequencyPenalty"),
                  .seed = static_cast<uint64_t>(from.integer("seed", 0, kMaxSafe)),
                  .choice = static_cast<uint32_t>(from.integer("choice", 0, UINT32_MAX)),
                  .logprobs = int32_of(from, "logprobs", -1, 20),
                  .bias_tokens = from.int32s("biasTokens"),
                  .bias_values = from.floats("biasValues"),
                  .allow = std::nullopt,
                  .min_new_tokens = int32_of(from, "minNewTokens", 0)};
  if (!from.is_null("allow")) plan.allow = from.int32s("allow");
  return plan;
}

}  // namespace

DeviceSpec parse_device_spec(const Napi::Value& value) { return parse_device(JsObject(value, "spec")); }

EngineSpec parse_load_spec(const Napi::Value& value) {
  const JsObject from(value, "spec");
  EngineSpec spec{.config = parse_config(from.object("config")),
                  .files = from.strings("files"),
                  .weights = {},
                  .device = parse_device(from),
                  .precision = from.one_of("precision", kPrecisions),
                  .context_length = int32_of(from, "contextLength", 1),
                  .kv_memory = from.integer("kvMemory", 0, kMaxSafe),
                  .memory_limit = from.integer("memoryLimit", 0, kMaxSafe),
                  .max_sequences = int32_of(from, "maxSequences", 1),
                  .prefill_rows = int32_of(from, "prefillRows", 0),
                  .step_tokens = int32_of(from, "stepTokens", 0),
                  .max_queue = from.integer("maxQueue", 0, kMaxSafe),
                  .target_inter_token_ms = from.number("targetInterTokenMs"),
                  .prefix_cache = from.boolean("prefixCache"),
                  .host_kv_memory = from.integer("hostKvMemory", 0, kMaxSafe),
                  .session_kv_share = from.number("sessionKvShare"),
                  .linear_choices = parse_linear_choices(from.object("linearChoices")),
                  .launch_ahead = std::nullopt};
  if (!from.is_null("launchAhead")) spec.launch_ahead = from.boolean("launchAhead");
  for (const JsObject& weight : from.objects("weights")) spec.weights.push_back(parse_weight(weight));
  return spec;
}

Request parse_request(const Napi::Value& value) {
  const JsObject from(value, "request");
  Request request;
  request.prompt = from.int32s("prompt");
  request.max_new_tokens = int32_of(from, "maxNewTokens", 0);
  request.stop_tokens = from.int32s("stopTokens");
  request.sample = parse_sample(from.object("sample"));
  request.priority = int32_of(from, "priority", 0, 9);
  request.gated = from.boolean("gated");
  request.score = from.boolean("score");
  request.queue_timeout = std::chrono::milliseconds(from.integer("queueTimeoutMs", 0, kMaxInt));
  request.salt = from.string("salt");
  request.cache = from.boolean("cache");
  request.session = from.integer("session", 0, kMaxSafe);
  return request;
}

}  // namespace r1
