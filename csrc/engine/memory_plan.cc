#include "engine/memory_plan.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "engine/block_allocator.h"
#include "engine/format.h"

namespace r1 {
namespace {

constexpr int32_t kSmallestContext = 2048;  // tokens of KV that a load must have room for
constexpr double kCudaShare = 0.9, kCpuShare = 0.25;

/** What the weights would take at two bytes a value, where some are stored in more. 0: nothing would change. */
int64_t two_byte_weights(const EngineSpec& spec) {
  int64_t bytes = 0;
  bool smaller = false;
  for (const WeightEntry& weight : spec.weights) {
    for (const PartSpec& part : weight.parts) {
      const bool matrix = part.cols > 1;  // vectors stay in four
      smaller |= matrix && part.dtype == DType::kF32;
      bytes += part.rows * part.cols * (matrix ? 2 : 4);
    }
  }
  return spec.precision == DType::kF32 && smaller ? bytes : 0;
}

/** The next smaller choice that fits into `limit`, or what can be done where none does. */
std::string smaller_choice(const MemoryPlan& plan, const EngineSpec& spec, int64_t limit, int64_t kv_bytes,
                           int64_t block_bytes) {
  const int64_t blocks = (limit - plan.weight_bytes - plan.workspace_bytes) / block_bytes;
  if (blocks > 0) {
    const std::string tokens = std::to_string(blocks * kKvBlockTokens);
    if (spec.kv_memory == 0) return "A contextLength of " + tokens + " fits.";
    return "A kvMemory of " + std::to_string(blocks * block_bytes) + " bytes fits, for " + tokens + " tokens in all.";
  }
  const int64_t weights = two_byte_weights(spec), halved = weights + plan.workspace_bytes + kv_bytes / 2;
  if (weights > 0 && halved <= limit) {
    return "Precision \"bf16\" fits: the weights then take about " + format_bytes(weights) + ".";
  }
  return "No contextLength makes it fit: weights and workspace alone take more. Choose a smaller model, a device with "
         "more memory, or free memory.";
}

[[noreturn]] void refuse(const MemoryPlan& plan, const DeviceInfo& device, const EngineSpec& spec, int64_t limit,
                         int64_t kv_bytes, int64_t block_bytes) {
  const int64_t needed = plan.weight_bytes + plan.workspace_bytes + kv_bytes;
  const bool limited = spec.memory_limit > 0 && spec.memory_limit < device.free_bytes;
  std::string found = format_bytes(limit);
  found += limited ? " are allowed by memoryLimit" : " are free on " + device.name;
  R1_THROW(ErrorCode::kOutOfMemory,
           "The model needs " + format_bytes(needed) + " (weights " + format_bytes(plan.weight_bytes) + ", workspace " +
               format_bytes(plan.workspace_bytes) + ", KV cache " + format_bytes(kv_bytes) + "), but " + found + ". " +
               smaller_choice(plan, spec, limit, kv_bytes, block_bytes));
}

/** What the pool may grow to where kv_memory leaves the choice. */
int64_t default_kv_bytes(const MemoryPlan& plan, const DeviceInfo& device, const EngineSpec& spec, int64_t limit) {
  const int64_t left = std::max<int64_t>(0, limit - plan.weight_bytes - plan.workspace_bytes);
  if (spec.device.kind == DeviceKind::kCuda) return static_cast<int64_t>(kCudaShare * static_cast<double>(left));
  return std::min(left, static_cast<int64_t>(kCpuShare * static_cast<double>(device.free_bytes)));
}

}  // namespace

MemoryPlan plan_memory(const ModelPlan& model, int64_t logits_bytes, const DeviceInfo& device, const EngineSpec& spec) {
  const int64_t block_bytes = model.kv.block_bytes();
  const int64_t context_blocks = blocks_for(spec.context_length);
  const int64_t smallest = blocks_for(std::min(spec.context_length, kSmallestContext)) * block_bytes;
  const int64_t limit = spec.memory_limit > 0 ? std::min(spec.memory_limit, device.free_bytes) : device.free_bytes;
  R1_CHECK(spec.kv_memory == 0 || spec.kv_memory >= block_bytes, ErrorCode::kOutOfMemory,
           "kvMemory is " + std::to_string(spec.kv_memory) + " bytes, but one block of " +
               std::to_string(kKvBlockTokens) + " tokens takes " + std::to_string(block_bytes) +
               " with this model. Give it more.");

  MemoryPlan plan{.weight_bytes = model.weight_bytes, .workspace_bytes = model.workspace_bytes + logits_bytes};
  const int64_t useful = std::min<int64_t>(context_blocks * spec.max_sequences, INT32_MAX) * block_bytes;
  const int64_t required = spec.kv_memory > 0 ? std::min(spec.kv_memory, useful) : smallest;
  if (required > limit - plan.weight_bytes - plan.workspace_bytes)
    refuse(plan, device, spec, limit, required, block_bytes);

  const int64_t wanted = spec.kv_memory > 0 ? required : default_kv_bytes(plan, device, spec, limit);
  plan.kv_max_blocks = std::min(std::max(wanted, required), useful) / block_bytes;
  plan.kv_max_bytes = plan.kv_max_blocks * block_bytes;
  return plan;
}

}  // namespace r1
