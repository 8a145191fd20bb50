#include "binding/events_to_js.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

namespace r1 {
namespace {

Napi::Number number(Napi::Env env, int64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

Napi::Int32Array int32_array(Napi::Env env, const std::vector<int32_t>& values) {
  auto array = Napi::Int32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Float32Array float_array(Napi::Env env, const std::vector<float>& values) {
  auto array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Object failure_to_js(Napi::Env env, const Failure& failure) {
  auto to = Napi::Object::New(env);
  to.Set("code", std::string(error_code_name(failure.code)));
  to.Set("message", failure.message);
  return to;
}

Napi::Object timings_to_js(Napi::Env env, const Timings& timings) {
  auto to = Napi::Object::New(env);
  to.Set("queue", timings.queue);
  to.Set("prefill", timings.prefill);
  to.Set("decode", timings.decode);
  return to;
}

Napi::Object logprobs_to_js(Napi::Env env, const Logprobs& logprobs) {
  auto to = Napi::Object::New(env);
  to.Set("values", float_array(env, logprobs.values));
  to.Set("count", logprobs.count);
  to.Set("topTokens", int32_array(env, logprobs.top_tokens));
  to.Set("topValues", float_array(env, logprobs.top_values));
  return to;
}

const char* kv_type_name(DType type) {
  switch (type) {
    case DType::kF32:
      return "f32";
    case DType::kBF16:
      return "bf16";
    case DType::kF16:
      return "f16";
  }
  return "";
}

Napi::Object info_to_js(Napi::Env env, const EngineInfo& info) {
  auto device = Napi::Object::New(env);
  device.Set("kind", info.device.kind);
  device.Set("name", info.device.name);
  device.Set("detail", info.device.detail);
  device.Set("totalBytes", number(env, info.device.total_bytes));
  device.Set("freeBytes", number(env, info.device.free_bytes));
  auto to = Napi::Object::New(env);
  to.Set("device", device);
  to.Set("weightBytes", number(env, info.weight_bytes));
  to.Set("kvBytesPerToken", number(env, info.kv_bytes_per_token));
  to.Set("kvType", kv_type_name(info.kv_type));
  to.Set("kvMaxBytes", number(env, info.kv_max_bytes));
  to.Set("workspaceBytes", number(env, info.workspace_bytes));
  to.Set("contextLength", info.context_length);
  auto load = Napi::Object::New(env);
  load.Set("device", info.load_ms.device);
  load.Set("weights", info.load_ms.weights);
  load.Set("warmup", info.load_ms.warmup);
  to.Set("loadMs", load);
  return to;
}

const char* stage_name(LoadStage stage) {
  switch (stage) {
    case LoadStage::kCheck:
      return "check";
    case LoadStage::kAllocate:
      return "allocate";
    case LoadStage::kWeights:
      return "weights";
    case LoadStage::kWarmup:
      return "warmup";
  }
  return "";
}

const char* action_name(PressureAction action) {
  switch (action) {
    case PressureAction::kSwapped:
      return "swapped";
    case PressureAction::kRecomputed:
      return "recomputed";
    case PressureAction::kRestored:
      return "restored";
    case PressureAction::kSmallerBatch:
      return "smaller-batch";
    case PressureAction::kSessionSwapped:
      return "session-swapped";
    case PressureAction::kSessionDropped:
      return "session-dropped";
  }
  return "";
}

/** Sets `type` and the fields of one event. */
struct EventWriter {
  Napi::Env env;
  Napi::Object to;

  void operator()(const ProgressEvent& e) {
    to.Set("type", "progress");
    to.Set("stage", stage_name(e.stage));
    to.Set("bytes", number(env, e.bytes));
    to.Set("totalBytes", number(env, e.total_bytes));
    to.Set("tensors", number(env, e.tensors));
    to.Set("totalTensors", number(env, e.total_tensors));
  }
  void operator()(const ReadyEvent& e) {
    to.Set("type", "ready");
    to.Set("info", info_to_js(env, e.info));
  }
  void operator()(const LoadFailedEvent& e) {
    to.Set("type", "load-failed");
    to.Set("error", failure_to_js(env, e.failure));
  }
  void operator()(const TokensEvent& e) {
    to.Set("type", "tokens");
    to.Set("id", number(env, e.id));
    to.Set("tokens", int32_array(env, e.tokens));
    if (e.has_logprobs) to.Set("logprobs", logprobs_to_js(env, e.logprobs));
  }
  void operator()(const ScoresEvent& e) {
    to.Set("type", "scores");
    to.Set("id", number(env, e.id));
    to.Set("first", e.first);
    to.Set("logprobs", logprobs_to_js(env, e.logprobs));
  }
  void operator()(const GateEvent& e) {
    to.Set("type", "gate");
    to.Set("id", number(env, e.id));
    to.Set("logits", float_array(env, *e.logits));
    to.Set("index", e.index);
  }
  void operator()(const FinishEvent& e) {
    to.Set("type", "finish");
    to.Set("id", number(env, e.id));
    to.Set("reason", e.stopped ? "stop" : "length");
    to.Set("cachedTokens", e.cached_tokens);
    to.Set("timings", timings_to_js(env, e.timings));
  }
  void operator()(const CancelledEvent& e) {
    to.Set("type", "cancelled");
    to.Set("id", number(env, e.id));
    to.Set("cachedTokens", e.cached_tokens);
    to.Set("timings", timings_to_js(env, e.timings));
  }
  void operator()(const ErrorEvent& e) {
    to.Set("type", "error");
    to.Set("id", number(env, e.id));
    to.Set("error", failure_to_js(env, e.failure));
  }
  void operator()(const PressureEvent& e) {
    to.Set("type", "pressure");
    to.Set("action", action_name(e.action));
    to.Set("id", number(env, e.id));
    to.Set("blocks", number(env, e.blocks));
  }
  void operator()(const SessionReply&) {}  // settles a promise: reply_to_js
  void operator()(const FailedEvent& e) {
    to.Set("type", "failed");
    to.Set("error", failure_to_js(env, e.failure));
  }
  void operator()(const DisposedEvent&) { to.Set("type", "disposed"); }
};

}  // namespace

Napi::Object event_to_js(Napi::Env env, const Event& event) {
  EventWriter writer{env, Napi::Object::New(env)};
  std::visit(writer, event);
  return writer.to;
}

Napi::Value reply_to_js(Napi::Env env, const SessionReply& reply) {
  if (const auto* state = std::get_if<SessionState>(&reply.result)) {
    auto to = Napi::Object::New(env);
    to.Set("tokens", int32_array(env, state->tokens));
    to.Set("decoded", int32_array(env, state->decoded));
    to.Set("computed", state->computed);
    to.Set("open", state->open);
    return to;
  }
  if (const auto* bytes = std::get_if<std::vector<std::byte>>(&reply.result)) {
    auto to = Napi::ArrayBuffer::New(env, bytes->size());
    std::memcpy(to.Data(), bytes->data(), bytes->size());
    return to;
  }
  return env.Undefined();
}

Napi::Object stats_to_js(Napi::Env env, const EngineStats& stats) {
  auto limits = Napi::Object::New(env);
  limits.Set("sequences", stats.limits.sequences);
  limits.Set("stepTokens", stats.limits.step_tokens);
  auto to = Napi::Object::New(env);
  const std::pair<const char*, int64_t> counts[] = {
      {"running", stats.running},
      {"waiting", stats.waiting},
      {"preempted", stats.preempted},
      {"swapped", stats.swapped},
      {"kvBlocks", stats.kv_blocks},
      {"kvBlocksUsed", stats.kv_blocks_used},
      {"kvBlocksCached", stats.kv_blocks_cached},
      {"kvBlocksFree", stats.kv_blocks_free},
      {"kvBlocksMax", stats.kv_blocks_max},
      {"blockBytes", stats.block_bytes},
      {"sessions", stats.sessions},
      {"sessionBlocks", stats.session_blocks},
      {"steps", stats.steps},
      {"promptTokens", stats.prompt_tokens},
      {"cachedTokens", stats.cached_tokens},
      {"generatedTokens", stats.generated_tokens},
      {"preemptions", stats.preemptions},
  };
  for (const auto& [name, value] : counts) to.Set(name, number(env, value));
  to.Set("stepMs", stats.step_ms);
  to.Set("interTokenMs", stats.inter_token_ms);
  to.Set("hostMsPerStep", stats.host_ms_per_step);
  to.Set("limits", limits);
  to.Set("tokensPerSecond", stats.tokens_per_second);
  return to;
}

Napi::Object ceilings_to_js(Napi::Env env, const Ceilings& ceilings) {
  auto to = Napi::Object::New(env);
  to.Set("readBytesPerS", ceilings.read_bytes_per_s);
  to.Set("copyBytesPerS", ceilings.copy_bytes_per_s);
  to.Set("f32MacsPerS", ceilings.f32_macs_per_s);
  to.Set("bf16MacsPerS", ceilings.bf16_macs_per_s);
  return to;
}

Napi::Error error_to_js(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  error.Set("code", std::string(error_code_name(failure.code)));
  return error;
}

}  // namespace r1
