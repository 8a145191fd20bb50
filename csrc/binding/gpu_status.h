// gpuStatus(): utilisation, memory, temperature and power of a GPU.
#pragma once
#include <napi.h>

namespace r1 {

/** Argument: the device's index. Returns a NativeGpuStatus or null. */
Napi::Value gpu_status(const Napi::CallbackInfo& info);

}  // namespace r1
