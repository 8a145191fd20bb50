// lib/native.ts's NativeLoadSpec as the engine takes it, for specs that tests build: nothing is validated here.
#pragma once
#include <napi.h>

#include "engine/engine_spec.h"

namespace r1::testing {

EngineSpec load_spec(const Napi::Object& from);

}  // namespace r1::testing
