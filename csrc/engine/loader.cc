#include "engine/loader.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/error.h"
#include "engine/block_allocator.h"
#include "engine/memory_plan.h"
#include "engine/step_runner.h"

namespace r1 {
namespace {

constexpr int32_t kCudaPrefillRows = 2048, kCpuPrefillRows = 512;
// Prompt rows beside decoding: a 7B step of so many takes an H200 about as long as three decode steps.
constexpr int32_t kCudaStepTokens = 512, kCpuStepTokens = 64;
constexpr int64_t kQueue = 1024;
constexpr int32_t kMaxPrefillRows = 65536, kMaxSequences = 4096;

void check_not_cancelled(const CancelFlag& cancelled) {
  if (cancelled->load()) R1_THROW(ErrorCode::kDisposed, "The model was disposed while it was loading.");
}

void check_spec(const EngineSpec& spec) {
  R1_CHECK(spec.context_length > 0, ErrorCode::kInvalidArgument, "contextLength must be at least 1.");
  R1_CHECK(spec.max_sequences > 0 && spec.max_sequences <= kMaxSequences, ErrorCode::kInvalidArgument,
           "maxSequences must be from 1 to " + std::to_string(kMaxSequences) + ".");
  R1_CHECK(spec.prefill_rows >= 0 && spec.prefill_rows <= kMaxPrefillRows, ErrorCode::kInvalidArgument,
           "prefillRows must be from 0 to " + std::to_string(kMaxPrefillRows) + ".");
  R1_CHECK(spec.step_tokens >= 0 && spec.step_tokens <= kMaxPrefillRows, ErrorCode::kInvalidArgument,
           "stepTokens must be from 0 to " + std::to_string(kMaxPrefillRows) + ".");
  R1_CHECK(spec.max_queue >= 0 && spec.target_inter_token_ms >= 0, ErrorCode::kInvalidArgument,
           "maxQueue and targetInterTokenMs must be at least 0.");
  R1_CHECK(spec.kv_memory >= 0 && spec.memory_limit >= 0 && spec.host_kv_memory >= 0, ErrorCode::kInvalidArgument,
           "kvMemory, memoryLimit and hostKvMemory must be at least 0.");
  R1_CHECK(spec.session_kv_share >= 0 && spec.session_kv_share <= 0.9, ErrorCode::kInvalidArgument,
           "sessionKvShare must be from 0 to 0.9.");
}

std::shared_ptr<TensorSource> make_source(const PartSpec& part, const std::vector<std::shared_ptr<TensorFile>>& files,
                                          const CancelFlag& cancelled) {
  if (part.file < 0) {
    return std::make_shared<RandomTensor>(part.name, part.dtype, part.rows, part.cols, part.seed, part.scale,
                                          cancelled);
  }
  R1_CHECK(static_cast<size_t>(part.file) < files.size(), ErrorCode::kInvalidArgument,
           "Tensor '" + part.name + "' names file " + std::to_string(part.file) + " of " +
               std::to_string(files.size()) + ".");
  return std::make_shared<FileTensor>(part.name, part.dtype, part.rows, part.cols, files[part.file], part.offset,
                                      cancelled);
}

WeightTable open_weights(const EngineSpec& spec, const CancelFlag& cancelled) {
  std::vector<std::shared_ptr<TensorFile>> files;
  files.reserve(spec.files.size());
  for (const std::string& path : spec.files) files.push_back(std::make_shared<TensorFile>(path));
  WeightTable table;
  for (const WeightEntry& entry : spec.weights) {
    WeightParts weight{.name = entry.name, .parts = {}};
    for (const PartSpec& part : entry.parts) weight.parts.push_back(make_source(part, files, cancelled));
    R1_CHECK(table.emplace(entry.name, std::move(weight)).second, ErrorCode::kInvalidArgument,
             "The weight '" + entry.name + "' is given twice.");
  }
  return table;
}

BackendOptions backend_options(const EngineSpec& spec, int32_t prefill_rows) {
  return {.precision = spec.precision,
          .max_rows = std::max(prefill_rows, kMaxDecodeRows),
          .max_sequences = spec.max_sequences,
          .max_blocks_per_sequence = static_cast<int32_t>(blocks_for(spec.context_length)),
          .max_logit_rows = std::max(prefill_rows, kMaxLogitRows),  // scoring wants those of every row
          .threads = spec.device.threads,
          .family = spec.device.family,
          .linear_choices = spec.linear_choices};
}

/** Milliseconds since it was made, or since it was asked last. */
class Lap {
 public:
  double ms() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double, std::milli> passed = now - std::exchange(begin_, now);
    return passed.count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

std::unique_ptr<Backend> create_backend(const BackendOptions& options, const DeviceSpec& device) {
  return device.kind == DeviceKind::kCuda ? create_cuda_backend(options, device.index, device.kernel_file)
                                          : create_cpu_backend(options);
}

LoadedModel load_model(const EngineSpec& spec, const BackendFactory& factory, const CancelFlag& cancelled,
                       const std::function<void(const ProgressEvent&)>& progress) {
  Lap lap;
  LoadTimes times;
  ProgressEvent at{.stage = LoadStage::kCheck};
  progress(at);
  check_spec(spec);
  const ModelFamily& family = model_family(spec.config.architecture);
  const WeightTable weights = open_weights(spec, cancelled);
  const bool cuda = spec.device.kind == DeviceKind::kCuda;
  const int32_t prefill_rows = spec.prefill_rows > 0 ? spec.prefill_rows : cuda ? kCudaPrefillRows : kCpuPrefillRows;

  LoadedModel loaded;
  loaded.prefill_rows = prefill_rows;
  loaded.step_tokens = spec.step_tokens > 0 ? spec.step_tokens : cuda ? kCudaStepTokens : kCpuStepTokens;
  loaded.max_queue = spec.max_queue > 0 ? spec.max_queue : kQueue;
  const BackendOptions options = backend_options(spec, prefill_rows);
  loaded.backend = factory(options, spec.device);
  Backend& backend = *loaded.backend;
  const ModelOptions model_options{.precision = spec.precision, .max_rows = options.max_rows};
  const ModelPlan model_plan = family.plan(backend, spec.config, weights, model_options);
  const MemoryPlan plan = plan_memory(model_plan, StepRunner::workspace_bytes(spec.config), backend.info(), spec);
  check_not_cancelled(cancelled);

  at = {.stage = LoadStage::kAllocate,
        .bytes = 0,
        .total_bytes = plan.weight_bytes,
        .tensors = 0,
        .total_tensors = static_cast<int64_t>(weights.size())};
  progress(at);
  loaded.kv = backend.create_kv_pool(model_plan.kv, plan.kv_max_blocks);
  at.stage = LoadStage::kWeights;
  times.device = lap.ms();
  loaded.model = family.load(backend, spec.config, weights, model_options, [&](const WeightCount& done) {
    check_not_cancelled(cancelled);
    at.bytes = done.bytes;
    at.tensors = done.tensors;
    progress(at);
  });
  times.weights = lap.ms();

  loaded.info = {.device = backend.info(),
                 .weight_bytes = at.bytes,
                 .workspace_bytes = plan.workspace_bytes,
                 .kv_bytes_per_token = model_plan.kv.bytes_per_token(),
                 .kv_max_bytes = plan.kv_max_bytes,
                 .kv_type = model_plan.kv.dtype,
                 .context_length =
                     static_cast<int32_t>(std::min<int64_t>(spec.context_length, plan.kv_max_blocks * kKvBlockTokens)),
                 .load_ms = times};
  at.stage = LoadStage::kWarmup;
  progress(at);
  return loaded;
}

}  // namespace r1
