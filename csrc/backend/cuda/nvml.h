// The state of a GPU as the driver's management library tells it, found with dlopen: absent where there is none.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace r1::cuda {

/** What a card or driver does not say is absent. */
struct GpuStatus {
  std::optional<int32_t> utilization;   // percent of the last moment in which a kernel ran
  std::optional<int64_t> memory_used;   // bytes, by anyone
  std::optional<int64_t> memory_total;  // bytes
  std::optional<int32_t> temperature;   // degrees Celsius
  std::optional<double> power;          // watts
};

/** Where a device is looked for. */
struct GpuAddress {
  std::string pci_bus_id;  // "00000000:65:00.0"; empty when it is not known
  int32_t index = 0;       // among the devices that this process sees, used then
};

/** One opened library. Its methods may be called from any thread. */
class Nvml {
 public:
  /** Opens and starts the library; where that fails, every status is absent. */
  explicit Nvml(const std::string& library);
  /** libnvidia-ml.so.1, opened at the first call and never closed. */
  static const Nvml& instance();

  std::optional<GpuStatus> status(const GpuAddress& address) const;

 private:
  using Device = struct NvmlDevice*;
  struct Memory {
    uint64_t total, free, used;
  };
  struct Utilization {
    uint32_t gpu, memory;
  };
  struct Api {
    int (*init)() = nullptr;
    int (*count)(uint32_t*) = nullptr;
    int (*by_pci_bus_id)(const char*, Device*) = nullptr;
    int (*by_index)(uint32_t, Device*) = nullptr;
    int (*by_uuid)(const char*, Device*) = nullptr;
    int (*utilization)(Device, Utilization*) = nullptr;
    int (*memory)(Device, Memory*) = nullptr;
    int (*temperature)(Device, int sensor, uint32_t*) = nullptr;
    int (*power)(Device, uint32_t* milliwatts) = nullptr;
  };

  std::optional<Device> find(const GpuAddress& address) const;
  std::optional<Device> find_visible(int32_t index) const;

  Api api_;
  bool ready_ = false;
};

/** Of a CUDA device, by its ordinal in this process. */
std::optional<GpuStatus> gpu_status(int32_t ordinal);

}  // namespace r1::cuda
