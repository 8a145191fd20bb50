// How much device memory an engine takes, decided before any of it is allocated.
#pragma once
#include <cstdint>

#include "engine/engine_spec.h"
#include "model/model.h"

namespace r1 {

struct MemoryPlan {
  int64_t weight_bytes = 0;
  int64_t workspace_bytes = 0;  // activations and logits
  int64_t kv_max_bytes = 0;     // what the KV pool may grow to
  int64_t kv_max_blocks = 0;
};

/**
 * The KV pool may grow to `kv_memory`. Where that is 0: on a GPU 90 % of what is free after weights and workspace; on
 * the CPU a quarter of the memory available, as other programs live there too. Never more than max_sequences full
 * contexts. The pool starts empty and grows as sequences do.
 *
 * Throws kOutOfMemory with all the figures and the next smaller choice that would fit when weights, workspace and the
 * KV pool (`kv_memory`, or one context of at most 2048 tokens where it is 0) exceed what is free or the memory limit.
 */
MemoryPlan plan_memory(const ModelPlan& model, int64_t logits_bytes, const DeviceInfo& device, const EngineSpec& spec);

}  // namespace r1
