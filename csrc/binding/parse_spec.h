// lib/native.ts's specs and requests as plain structs. Whatever JavaScript passes, the outcome is a struct or a
// TypeError (RangeError for a number out of its range).
#pragma once
#include <napi.h>

#include "engine/engine_spec.h"
#include "engine/request.h"

namespace r1 {

EngineSpec parse_load_spec(const Napi::Value& value);
DeviceSpec parse_device_spec(const Napi::Value& value);
Request parse_request(const Napi::Value& value);

}  // namespace r1
