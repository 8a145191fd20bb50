// measureCeilings(), measureLoadCeilings(): what a device and files reach on simple loops, measured on a thread of its
// own.
#pragma once
#include <napi.h>

namespace r1 {

/** Argument: the device. Returns a Promise of NativeCeilings. */
Napi::Value measure_ceilings(const Napi::CallbackInfo& info);
/** Argument: the device and `files`. Returns a Promise of NativeLoadCeilings. */
Napi::Value measure_load_ceilings(const Napi::CallbackInfo& info);

}  // namespace r1
