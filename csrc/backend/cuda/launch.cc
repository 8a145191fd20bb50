#include "backend/cuda/launch.h"

namespace r1::cuda {

Kernel* LaunchContext::find_kernel(std::string_view name) {
  const auto known = kernels_.find(name);
  if (known != kernels_.end()) return &known->second;
  const std::string key(name);
  CUfunction function = modules_.find(key);
  if (!function) return nullptr;
  return &kernels_.emplace(key, Kernel{.name = key, .function = function}).first->second;
}

bool LaunchContext::has_kernel(std::string_view name) { return find_kernel(name) != nullptr; }

Kernel& LaunchContext::kernel(std::string_view name) {
  Kernel* kernel = find_kernel(name);
  R1_CHECK(
      kernel, ErrorCode::kUnsupported,
      "the kernel file has no kernel \"" + std::string(name) + "\"; it belongs to another version. Build it again.");
  return *kernel;
}

void LaunchContext::prepare(Kernel& kernel, unsigned shared_bytes) {
  constexpr unsigned kSharedWithoutAsking = 48 * 1024;
  R1_CHECK(shared_bytes <= static_cast<unsigned>(device_.max_shared_bytes), ErrorCode::kUnsupported,
           "kernel " + kernel.name + " needs " + std::to_string(shared_bytes) + " bytes of shared memory, " +
               device_.name + " has " + std::to_string(device_.max_shared_bytes) + ".");
  if (shared_bytes > kSharedWithoutAsking && shared_bytes > kernel.shared_limit) {
    R1_CUDA(func_set_attribute(kernel.function, kFunctionMaxDynamicSharedSizeBytes, static_cast<int>(shared_bytes)));
    kernel.shared_limit = shared_bytes;
  }
  // One carve-out for all kernels: changing it between kernels would make them wait for each other.
  if (!kernel.carveout_set) {
    R1_CUDA(func_set_attribute(kernel.function, kFunctionPreferredSharedMemoryCarveout, 100));
    kernel.carveout_set = true;
  }
}

void LaunchContext::launch_pointers(Kernel& kernel, const LaunchShape& shape, void** args) {
  prepare(kernel, shape.shared_bytes);
  std::array<CUlaunchAttribute, 2> attributes{};
  unsigned count = 0;
  if (shape.cluster_x * shape.cluster_y * shape.cluster_z > 1) {
    attributes[count].id = kLaunchClusterDimension;
    attributes[count++].value.cluster_dim = {shape.cluster_x, shape.cluster_y, shape.cluster_z};
  }
  // Only code compiled for sm_90a waits for the kernel before it; cards to come run the compute_80 code, which does
  // not.
  if (shape.overlap && !fenced_ && device_.cc == 90) {
    attributes[count].id = kLaunchProgrammaticStreamSerialization;
    attributes[count++].value.programmatic_stream_serialization_allowed = 1;
  }
  fenced_ = false;
  CUlaunchConfig config{};
  config.grid_x = shape.grid_x, config.grid_y = shape.grid_y, config.grid_z = shape.grid_z;
  config.block_x = shape.block, config.block_y = 1, config.block_z = 1;
  config.shared_bytes = shape.shared_bytes;
  config.stream = stream_;
  config.attributes = attributes.data();
  config.attribute_count = count;
  const CUresult result = driver().launch_kernel_ex(&config, kernel.function, args, nullptr);
  if (result != kSuccess) throw_driver_error(result, ("launch of " + kernel.name).c_str(), __FILE__, __LINE__);
}

void* LaunchContext::workspace(Workspace slot, int64_t bytes) {
  DeviceMemory& memory = workspaces_[static_cast<size_t>(slot)];
  if (bytes > memory.bytes()) {
    R1_CHECK(!capturing_, ErrorCode::kInternal, "scratch memory was to grow while a graph is captured.");
    R1_CUDA(stream_synchronize(stream_));
    memory = DeviceMemory();  // given back first, so that old and new need not fit together
    ++generation_;
    memory = DeviceMemory(bytes, "scratch memory");
    R1_CUDA(memset_d8_async(memory.address(), 0, static_cast<size_t>(bytes), stream_));
  }
  return memory.data();
}

int64_t LaunchContext::workspace_bytes() const {
  int64_t bytes = 0;
  for (const DeviceMemory& memory : workspaces_) bytes += memory.bytes();
  return bytes;
}

}  // namespace r1::cuda
