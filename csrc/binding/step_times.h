// timeSteps(): how long steps of given shapes take, measured on a thread of its own.
#pragma once
#include <napi.h>

namespace r1 {

/** Arguments: NativeLoadSpec, NativeTimedStep[], rounds. Returns a Promise of NativeStepTimes[]. */
Napi::Value time_steps(const Napi::CallbackInfo& info);

}  // namespace r1
