// The CUDA backend's way of cutting, converting and sending weights, with host memory in the place of the device.
#pragma once
#include <napi.h>

namespace r1::testing {

/** (rows of the parts, role, bytes of a row, bytes of a piece) → pieces. */
Napi::Value plan_of_upload(const Napi::CallbackInfo& info);
/**
 * (weight, precision, { threads, stageBytes, failAt }) → { bytes, writers }: the matrix as it would lie on the device.
 */
Napi::Value pack_upload(const Napi::CallbackInfo& info);
/** (NativeLoadSpec, { stageBytes }) → milliseconds { device, weights } and bytes; for scripts/upload-sweep.mjs. */
Napi::Value time_load(const Napi::CallbackInfo& info);

}  // namespace r1::testing
