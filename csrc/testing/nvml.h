// The state of a GPU as a made-up management library tells it.
#pragma once
#include <napi.h>

namespace r1::testing {

/** (path of the library, PCI bus id or "", index) → NativeGpuStatus or null. */
Napi::Value nvml_status(const Napi::CallbackInfo& info);

}  // namespace r1::testing
