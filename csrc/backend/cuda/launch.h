// What every launcher gets: the device, the stream, kernels by name, launches with attributes, and scratch memory.
#pragma once
#include <array>
#include <map>
#include <string>
#include <string_view>

#include "backend/cuda/family.h"
#include "backend/cuda/memory.h"
#include "backend/cuda/module.h"

namespace r1::cuda {

struct DeviceProperties {
  std::string name;
  int driver_version = 0;  // 1000 * major + 10 * minor of the newest CUDA that the driver knows
  int cc = 0;              // 10 * major + minor of the compute capability
  int sm_count = 0;
  int l2_bytes = 0;
  int max_shared_bytes = 0;  // dynamic shared memory a block can have
  int64_t total_bytes = 0;
  bool virtual_memory = false;
};

/** A kernel; its shared memory limit is raised and its carve-out set at the first launch that needs it. */
struct Kernel {
  std::string name;
  CUfunction function = nullptr;
  unsigned shared_limit = 0;  // dynamic bytes allowed so far
  bool carveout_set = false;
};

struct LaunchShape {
  unsigned grid_x = 1, grid_y = 1, grid_z = 1;
  unsigned block = 256;       // threads
  unsigned shared_bytes = 0;  // dynamic
  unsigned cluster_x = 1, cluster_y = 1, cluster_z = 1;
  bool overlap = true;  // programmatic dependent launch on sm_90: the kernel itself waits for the one before it
};

/** Scratch memory by user: a launcher's own slot keeps its content between two of its kernels. */
enum class Workspace : uint8_t {
  kNormed,          // rmsnorm's output, the input of the linear after it
  kGateUp,          // float32 SwiGLU product at fp16, before it is scaled
  kAttention,       // partial results of decode attention
  kLinear,          // the linear launcher's own (partial sums)
  kLinearCounters,  // the linear launcher's own; zeroed when allocated, kernels leave zeros behind
  kRotations,       // RoPE's cosines and sines of a step
  kRuns,            // of decode attention
  kSample,
  kCount,
};

class LaunchContext {
 public:
  LaunchContext(const DeviceProperties& device, KernelFamily family, CUstream stream, const KernelModules& modules)
      : device_(device), family_(family), stream_(stream), modules_(modules) {}
  LaunchContext(const LaunchContext&) = delete;
  LaunchContext& operator=(const LaunchContext&) = delete;

  const DeviceProperties& device() const { return device_; }
  KernelFamily family() const { return family_; }
  CUstream stream() const { return stream_; }

  /** The kernel of that name; the reference stays valid. Throws kUnsupported when the file of kernels has none. */
  Kernel& kernel(std::string_view name);
  bool has_kernel(std::string_view name);

  /** Launches on the stream. `args` are the kernel's parameters, copied byte for byte: their types must be the kernel's
   * own. */
  template <class... Args>
  void launch(Kernel& kernel, const LaunchShape& shape, const Args&... args) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&args))..., nullptr};
    launch_pointers(kernel, shape, pointers);
  }
  void launch_pointers(Kernel& kernel, const LaunchShape& shape, void** args);
  /** The next kernel starts when all before it has ended, whatever its shape allows. */
  void fence() { fenced_ = true; }

  /**
   * At least `bytes` of device memory in that slot, valid until the slot is asked for more. New memory is zeroed.
   * Growing waits for the stream and gives a new generation, which makes captured graphs stale; it cannot happen while
   * capturing, since a step's shape is always launched directly before it is captured.
   */
  void* workspace(Workspace slot, int64_t bytes);
  template <class T>
  T* workspace_as(Workspace slot, int64_t count) {
    return static_cast<T*>(workspace(slot, count * static_cast<int64_t>(sizeof(T))));
  }
  int64_t workspace_bytes() const;  // of all slots
  /** Graphs captured under another generation hold addresses that are no longer valid. */
  int64_t generation() const { return generation_; }
  void invalidate_graphs() { ++generation_; }
  void set_capturing(bool capturing) { capturing_ = capturing; }

 private:
  Kernel* find_kernel(std::string_view name);
  void prepare(Kernel& kernel, unsigned shared_bytes);

  const DeviceProperties& device_;
  const KernelFamily family_;
  const CUstream stream_;
  const KernelModules& modules_;
  std::map<std::string, Kernel, std::less<>> kernels_;
  std::array<DeviceMemory, static_cast<size_t>(Workspace::kCount)> workspaces_;
  int64_t generation_ = 0;
  bool capturing_ = false, fenced_ = false;
};

}  // namespace r1::cuda
