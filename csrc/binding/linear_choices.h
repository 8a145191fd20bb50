// lib/linear-choices.ts's rows as plain structs, and back.
#pragma once
#include "backend/backend.h"
#include "binding/js_read.h"

namespace r1 {

/** Whether rows make sense together, and for the kernels there are, is checked by the backend that takes them. */
LinearChoices parse_linear_choices(const JsObject& from);

Napi::Object to_js(Napi::Env env, const LinearOptions& options);

}  // namespace r1
