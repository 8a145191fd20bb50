// The arithmetic of backend/sample_math.h for JavaScript.
#pragma once
#include <napi.h>

namespace r1::testing {

Napi::Object sampling_math(Napi::Env env);

}  // namespace r1::testing
