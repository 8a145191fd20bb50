#include "backend/cuda/driver.h"

#include <dlfcn.h>

#include <type_traits>

namespace r1::cuda {
namespace {

struct Loaded {
  DriverApi api;
  std::string failure;  // why there is no driver, or empty
};

std::string describe_init_failure(const DriverApi& api, CUresult result) {
  const char* text = nullptr;
  const char* name = nullptr;
  api.get_error_string(result, &text);
  api.get_error_name(result, &name);
  std::string message = "the CUDA driver was found but does not start: cuInit gave " +
                        std::string(name ? name : std::to_string(result).c_str()) + " (" +
                        (text ? text : "unknown error") + ").";
  if (result == kErrorNoDevice)
    return message + " No NVIDIA GPU is visible: check nvidia-smi and CUDA_VISIBLE_DEVICES.";
  if (result == kErrorStubLibrary) return message + " The libcuda.so.1 on the library path is the toolkit's stub.";
  return message + " Check nvidia-smi; after a driver update the machine may need a restart.";
}

Loaded load() {
  Loaded loaded;
  // Never closed: the driver keeps threads and exit handlers of its own.
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* reason = dlerror();
    loaded.failure = "the NVIDIA driver's library libcuda.so.1 cannot be loaded (" +
                     std::string(reason ? reason : "no reason given") +
                     "). Install an NVIDIA driver, or use device \"cpu\".";
    return loaded;
  }
  std::string missing;
  const auto resolve = [&](auto& member, const char* symbol, bool needed) {
    void* address = dlsym(library, symbol);
    member = reinterpret_cast<std::remove_reference_t<decltype(member)>>(address);
    if (!address && needed && missing.empty()) missing = symbol;
  };
#define R1_RESOLVE(member, symbol, parameters) resolve(loaded.api.member, symbol, true);
#define R1_RESOLVE_OPTIONAL(member, symbol, parameters) resolve(loaded.api.member, symbol, false);
  R1_CUDA_FUNCTIONS(R1_RESOLVE)
  R1_CUDA_OPTIONAL_FUNCTIONS(R1_RESOLVE_OPTIONAL)
#undef R1_RESOLVE
#undef R1_RESOLVE_OPTIONAL
  if (!missing.empty()) {
    loaded.failure =
        "the NVIDIA driver is too old: its libcuda.so.1 has no " + missing + ". Install driver 580 or newer.";
    return loaded;
  }
  const CUresult result = loaded.api.init(0);
  if (result != kSuccess) loaded.failure = describe_init_failure(loaded.api, result);
  return loaded;
}

}  // namespace

const DriverApi& driver() {
  static const Loaded loaded = load();  // initialised once, by whichever thread comes first
  R1_CHECK(loaded.failure.empty(), ErrorCode::kDeviceUnavailable, loaded.failure);
  return loaded.api;
}

std::string result_text(CUresult result) {
  const char* name = nullptr;
  const char* text = nullptr;
  driver().get_error_name(result, &name);
  driver().get_error_string(result, &text);
  return (name ? std::string(name) : "CUDA error " + std::to_string(result)) + ": " + (text ? text : "unknown error");
}

bool is_sticky(CUresult result) {
  switch (result) {
    case kErrorDeinitialized:
    case kErrorEccUncorrectable:
    case kErrorNvlinkUncorrectable:
    case kErrorContained:
    case kErrorContextIsDestroyed:
    case kErrorTensorMemoryLeak:
    case kErrorUnknown:
      return true;
    default:
      break;
  }
  // Illegal addresses, timeouts, traps and their kin leave the context corrupt; 704 to 709 and 712, 713 are misuse.
  return result == kErrorIllegalAddress || result == kErrorLaunchTimeout || result == kErrorAssert ||
         (result >= kErrorHardwareStackError && result <= kErrorLaunchFailed);
}

void throw_driver_error(CUresult result, const char* what, const char* file, int line) {
  const std::string call = std::string(what).substr(0, std::string(what).find('('));
  const std::string message = "CUDA " + call + " failed: " + result_text(result);
  if (is_sticky(result)) {
    throw Error(ErrorCode::kDeviceLost, message + ". The engine cannot go on; dispose of the model and load it again.",
                file, line);
  }
  if (result == kErrorOutOfMemory) throw Error(ErrorCode::kOutOfMemory, message, file, line);
  throw Error(ErrorCode::kInternal, message, file, line);
}

}  // namespace r1::cuda
