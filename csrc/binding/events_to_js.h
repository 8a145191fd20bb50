// What the engine says, as lib/native.ts's objects.
#pragma once
#include <napi.h>

#include <vector>

#include "backend/backend.h"
#include "base/error.h"
#include "engine/events.h"
#include "engine/generator.h"

namespace r1 {

/** All but SessionReply, which is no event of JavaScript's. */
Napi::Object event_to_js(Napi::Env env, const Event& event);
/** What the call's promise resolves to; not of a Failure. */
Napi::Value reply_to_js(Napi::Env env, const SessionReply& reply);
Napi::Object stats_to_js(Napi::Env env, const EngineStats& stats);
Napi::Object ceilings_to_js(Napi::Env env, const Ceilings& ceilings);
/** A JavaScript Error with `code`. */
Napi::Error error_to_js(Napi::Env env, const Failure& failure);

}  // namespace r1
