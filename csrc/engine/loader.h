// From a spec to a model on a device.
#pragma once
#include <functional>
#include <memory>

#include "backend/backend.h"
#include "base/tensor_file.h"
#include "engine/engine_spec.h"
#include "engine/events.h"
#include "model/model.h"

namespace r1 {

/** Members are destroyed last to first: what lives on the device before the backend. */
struct LoadedModel {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
  std::unique_ptr<KvPool> kv;
  EngineInfo info;
  int32_t prefill_rows = 0, step_tokens = 0;
  int64_t max_queue = 0;
};

using BackendFactory = std::function<std::unique_ptr<Backend>(const BackendOptions& options, const DeviceSpec& device)>;

/** The CPU or the CUDA backend. */
std::unique_ptr<Backend> create_backend(const BackendOptions& options, const DeviceSpec& device);

/** Blocking; looks at `cancelled` between tensors and while it reads them, and then throws kDisposed. */
LoadedModel load_model(const EngineSpec& spec, const BackendFactory& factory, const CancelFlag& cancelled,
                       const std::function<void(const ProgressEvent&)>& progress);

}  // namespace r1
