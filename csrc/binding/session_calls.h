// The arguments of lib/native.ts's session methods as plain structs, or a TypeError (RangeError for a number out of its
// range).
#pragma once
#include <napi.h>

#include "engine/session_call.h"

namespace r1 {

/** A request's or session's id, or a token; -1, which none has, for anything else. */
int64_t id_argument(const Napi::Value& value);

SessionCall state_call(const Napi::CallbackInfo& info);  // (id)
SessionCall read_call(const Napi::CallbackInfo& info);   // (id, layer, first, count)
SessionCall fill_call(const Napi::CallbackInfo& info);   // (id, tokens, decoded)
SessionCall write_call(const Napi::CallbackInfo& info);  // (id, layer, first, count, data)
SessionCall seal_call(const Napi::CallbackInfo& info);   // (id)

}  // namespace r1
