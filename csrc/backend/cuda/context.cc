#include "backend/cuda/context.h"

#include <array>
#include <cctype>
#include <fstream>

namespace r1::cuda {
namespace {

int attribute(CUdevice device, int which) {
  int value = 0;
  R1_CUDA(device_attribute(&value, which, device));
  return value;
}

}  // namespace

std::string cuda_version_text(int driver_version) {
  return std::to_string(driver_version / 1000) + "." + std::to_string(driver_version % 1000 / 10);
}

std::string driver_text(int driver_version) {
  std::string text = "CUDA " + cuda_version_text(driver_version);
  // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.03  ...": the release is the first word with a digit and a
  // dot.
  std::ifstream file("/proc/driver/nvidia/version");
  std::string word;
  while (file >> word) {
    const bool release = std::isdigit(static_cast<unsigned char>(word[0])) && word.find('.') != std::string::npos;
    if (release) return word.append(" (").append(text).append(")");
  }
  return text;
}

DeviceProperties query_device(CUdevice device) {
  DeviceProperties p;
  std::array<char, 256> name{};
  R1_CUDA(device_name(name.data(), static_cast<int>(name.size()) - 1, device));
  p.name = name.data();
  R1_CUDA(driver_version(&p.driver_version));
  p.cc = attribute(device, kDeviceComputeCapabilityMajor) * 10 + attribute(device, kDeviceComputeCapabilityMinor);
  p.sm_count = attribute(device, kDeviceMultiprocessorCount);
  p.l2_bytes = attribute(device, kDeviceL2CacheSize);
  p.max_shared_bytes = attribute(device, kDeviceMaxSharedMemoryPerBlockOptin);
  p.virtual_memory = attribute(device, kDeviceVirtualMemoryManagementSupported) != 0;
  size_t total = 0;
  R1_CUDA(device_total_mem(&total, device));
  p.total_bytes = static_cast<int64_t>(total);
  return p;
}

DeviceContext::DeviceContext(int ordinal) {
  int count = 0;
  R1_CUDA(device_count(&count));
  R1_CHECK(count > 0, ErrorCode::kDeviceUnavailable,
           "the NVIDIA driver is installed but shows no GPU: check nvidia-smi and CUDA_VISIBLE_DEVICES.");
  R1_CHECK(ordinal >= 0 && ordinal < count, ErrorCode::kDeviceUnavailable,
           "there is no CUDA device " + std::to_string(ordinal) + ": this process sees " + std::to_string(count) +
               ", numbered from 0.");
  R1_CUDA(device_get(&device_, ordinal));
  properties_ = query_device(device_);
  const CUresult result = driver().primary_ctx_retain(&context_, device_);
  R1_CHECK(result == kSuccess, result == kErrorOutOfMemory ? ErrorCode::kOutOfMemory : ErrorCode::kDeviceUnavailable,
           "CUDA device " + std::to_string(ordinal) + " (" + properties_.name +
               ") cannot be used: " + result_text(result) + ".");
  const CUresult current = driver().ctx_set_current(context_);
  if (current != kSuccess) {
    driver().primary_ctx_release(device_);
    throw_driver_error(current, "ctx_set_current()", __FILE__, __LINE__);
  }
}

DeviceContext::~DeviceContext() {
  CUcontext current = nullptr;
  driver().ctx_get_current(&current);
  if (current == context_) driver().ctx_set_current(nullptr);
  driver().primary_ctx_release(device_);
}

void DeviceContext::make_current() const { R1_CUDA(ctx_set_current(context_)); }

Stream::Stream() { R1_CUDA(stream_create(&stream_, kStreamNonBlocking)); }

Stream::~Stream() { driver().stream_destroy(stream_); }

}  // namespace r1::cuda
