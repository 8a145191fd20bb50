#include "backend/cuda/nvml.h"

#include <dlfcn.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "backend/cuda/driver.h"

namespace r1::cuda {
namespace {

// NVML (nvml.h of CUDA 12 and 13)
constexpr int kNvmlSuccess = 0;
constexpr int kTemperatureGpu = 0;
// CUdevice_attribute
constexpr int kDevicePciBusId = 33, kDevicePciDeviceId = 34, kDevicePciDomainId = 50;

template <class F>
void resolve(void* library, const char* symbol, F& function) {
  function = reinterpret_cast<F>(dlsym(library, symbol));
}

/** Entry `index` of CUDA_VISIBLE_DEVICES; absent when the list ends before it. */
std::optional<std::string> visible_entry(std::string_view list, int32_t index) {
  for (int32_t i = 0;; ++i) {
    const size_t comma = list.find(',');
    if (i == index) return std::string(list.substr(0, comma));
    if (comma == std::string_view::npos) return std::nullopt;
    list.remove_prefix(comma + 1);
  }
}

/** "00000000:65:00.0"; empty when the driver does not say. */
std::string pci_bus_id(int32_t ordinal) {
  try {
    CUdevice device = 0;
    if (driver().device_get(&device, ordinal) != kSuccess) return "";
    std::array<int, 3> at{};
    const std::array<int, 3> attributes{kDevicePciDomainId, kDevicePciBusId, kDevicePciDeviceId};
    for (size_t i = 0; i < at.size(); ++i) {
      if (driver().device_attribute(&at[i], attributes[i], device) != kSuccess) return "";
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%08X:%02X:%02X.0", static_cast<unsigned>(at[0]),
                  static_cast<unsigned>(at[1]), static_cast<unsigned>(at[2]));
    return text.data();
  } catch (const Error&) {  // no driver
    return "";
  }
}

}  // namespace

Nvml::Nvml(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return;
  resolve(handle, "nvmlInit_v2", api_.init);
  resolve(handle, "nvmlDeviceGetCount_v2", api_.count);
  resolve(handle, "nvmlDeviceGetHandleByPciBusId_v2", api_.by_pci_bus_id);
  resolve(handle, "nvmlDeviceGetHandleByIndex_v2", api_.by_index);
  resolve(handle, "nvmlDeviceGetHandleByUUID", api_.by_uuid);
  resolve(handle, "nvmlDeviceGetUtilizationRates", api_.utilization);
  resolve(handle, "nvmlDeviceGetMemoryInfo", api_.memory);
  resolve(handle, "nvmlDeviceGetTemperature", api_.temperature);
  resolve(handle, "nvmlDeviceGetPowerUsage", api_.power);
  ready_ = api_.init && api_.init() == kNvmlSuccess;
}

const Nvml& Nvml::instance() {
  static const Nvml nvml("libnvidia-ml.so.1");
  return nvml;
}

std::optional<GpuStatus> Nvml::status(const GpuAddress& address) const {
  if (!ready_) return std::nullopt;
  const std::optional<Device> device = find(address);
  if (!device) return std::nullopt;
  GpuStatus status;
  Utilization use{};
  if (api_.utilization && api_.utilization(*device, &use) == kNvmlSuccess) {
    status.utilization = static_cast<int32_t>(use.gpu);
  }
  Memory memory{};
  if (api_.memory && api_.memory(*device, &memory) == kNvmlSuccess) {
    status.memory_used = static_cast<int64_t>(memory.used);
    status.memory_total = static_cast<int64_t>(memory.total);
  }
  uint32_t value = 0;
  if (api_.temperature && api_.temperature(*device, kTemperatureGpu, &value) == kNvmlSuccess) {
    status.temperature = static_cast<int32_t>(value);
  }
  if (api_.power && api_.power(*device, &value) == kNvmlSuccess) status.power = value / 1000.0;
  return status;
}

std::optional<Nvml::Device> Nvml::find(const GpuAddress& address) const {
  Device device = nullptr;
  if (address.pci_bus_id.empty()) return find_visible(address.index);
  if (!api_.by_pci_bus_id || api_.by_pci_bus_id(address.pci_bus_id.c_str(), &device) != kNvmlSuccess) {
    return std::nullopt;
  }
  return device;
}

/**
 * By the process's own numbering: CUDA_VISIBLE_DEVICES chooses among the devices, by number or UUID. NVML numbers them
 * by bus id and CUDA by speed, unless CUDA_DEVICE_ORDER says otherwise, so a number is only used where both mean the
 * same.
 */
std::optional<Nvml::Device> Nvml::find_visible(int32_t index) const {
  Device device = nullptr;
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  std::string entry = std::to_string(index);
  if (visible) {
    const std::optional<std::string> chosen = visible_entry(visible, index);
    if (!chosen) return std::nullopt;
    entry = *chosen;
  }
  if (entry.starts_with("GPU-")) {
    if (!api_.by_uuid || api_.by_uuid(entry.c_str(), &device) != kNvmlSuccess) return std::nullopt;
    return device;
  }
  uint32_t number = 0, count = 0;
  const auto [end, failure] = std::from_chars(entry.data(), entry.data() + entry.size(), number);
  if (failure != std::errc() || end != entry.data() + entry.size()) return std::nullopt;
  const char* order = std::getenv("CUDA_DEVICE_ORDER");
  const bool same_order = order && std::string_view(order) == "PCI_BUS_ID";
  const bool single = api_.count && api_.count(&count) == kNvmlSuccess && count == 1;
  if (!same_order && !single) return std::nullopt;
  if (!api_.by_index || api_.by_index(number, &device) != kNvmlSuccess) return std::nullopt;
  return device;
}

std::optional<GpuStatus> gpu_status(int32_t ordinal) {
  return Nvml::instance().status({.pci_bus_id = pci_bus_id(ordinal), .index = ordinal});
}

}  // namespace r1::cuda
