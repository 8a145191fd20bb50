// The configuration of linear layers, which needs no device.
#pragma once
#include <napi.h>

namespace r1::testing {

/** (shape, family, SMs, choices) → plan and what else could be chosen. */
Napi::Value linear_plan(const Napi::CallbackInfo& info);

}  // namespace r1::testing
