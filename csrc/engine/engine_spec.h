// What an engine is made from: plain values, one to one with lib/native.ts's NativeLoadSpec.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backend/linear_choices.h"
#include "base/dtype.h"
#include "model/config.h"

namespace r1 {

enum class DeviceKind : uint8_t { kCpu, kCuda };

struct DeviceSpec {
  DeviceKind kind = DeviceKind::kCpu;
  int32_t index = 0;
  std::string kernel_file;  // kernels.fatbin
  int32_t threads = 0;      // that compute (CPU), or that read weights (CUDA); 0 chooses
  std::string family;       // kernel family or instruction set to force; "" chooses
};

/** A tensor of a checkpoint file, or one made up from `seed`. */
struct PartSpec {
  std::string name;
  DType dtype = DType::kF32;
  int64_t rows = 0, cols = 0;
  int32_t file = -1;  // index into EngineSpec::files; -1: made up
  int64_t offset = 0;
  int64_t seed = 0;
  float scale = 0;
};

struct WeightEntry {
  std::string name;
  std::vector<PartSpec> parts;
};

struct EngineSpec {
  ModelConfig config;
  std::vector<std::string> files;
  std::vector<WeightEntry> weights;
  DeviceSpec device;
  DType precision = DType::kF32;
  int32_t context_length = 0;
  int64_t kv_memory = 0;     // 0 chooses (memory_plan.h)
  int64_t memory_limit = 0;  // 0: what the device has free
  int32_t max_sequences = 1;
  int32_t prefill_rows = 0;  // 0 chooses
  int32_t step_tokens = 0;   // 0 chooses (loader.cc) and adapts
  int64_t max_queue = 0;     // 0 chooses (loader.cc)
  double target_inter_token_ms = 0;
  bool prefix_cache = true;
  int64_t host_kv_memory = 0;
  double session_kv_share = 0.5;
  LinearChoices linear_choices;
  std::optional<bool> launch_ahead;  // absent: where run() does not wait for the device
};

}  // namespace r1
