// measureCeilings(): what a device reaches on simple loops, measured on a thread of its own.
#pragma once
#include <napi.h>

namespace r1 {

/** Argument: the device. Returns a Promise of NativeCeilings. */
Napi::Value measure_ceilings(const Napi::CallbackInfo& info);

}  // namespace r1
