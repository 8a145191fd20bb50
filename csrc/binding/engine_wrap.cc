#include "binding/engine_wrap.h"

#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#include "binding/events_to_js.h"
#include "binding/parse_spec.h"

namespace r1 {
namespace {

void on_environment_end(void* engine) { static_cast<EngineWrap*>(engine)->shut_down(); }

}  // namespace

// ---- Waker

Waker::Waker(Napi::Env env, const Napi::Function& callback)
    : function_(Function::New(env, callback, "r1-native", 0, 1)) {}

/** On JavaScript's thread. What the callback throws is an uncaught exception, as anywhere in an event loop. */
void Waker::call(Napi::Env env, Napi::Function callback, void*, void*) {
  if (static_cast<napi_env>(env) == nullptr || callback.IsEmpty()) return;  // the environment is ending
  try {
    callback.Call({});
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
  }
}

void Waker::wake() {
  const std::lock_guard lock(mutex_);
  if (open_) function_.NonBlockingCall();
}

void Waker::close() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(open_, false)) function_.Release();
}

void Waker::keep_alive(Napi::Env env, bool alive) {
  const std::lock_guard lock(mutex_);
  if (!open_ || alive == std::exchange(alive_, alive)) return;
  if (alive) {
    function_.Ref(env);
  } else {
    function_.Unref(env);
  }
}

// ---- EngineWrap

Napi::Function EngineWrap::define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {InstanceMethod("submit", &EngineWrap::submit), InstanceMethod("cancel", &EngineWrap::cancel),
                      InstanceMethod("verdict", &EngineWrap::verdict), InstanceMethod("drain", &EngineWrap::drain),
                      InstanceMethod("stats", &EngineWrap::stats), InstanceMethod("dispose", &EngineWrap::dispose),
                      InstanceMethod("createSession", &EngineWrap::create_session),
                      InstanceMethod("forkSession", &EngineWrap::fork_session),
                      InstanceMethod("dropSession", &EngineWrap::drop_session),
                      InstanceMethod("sessionState", &EngineWrap::session_state),
                      InstanceMethod("readSession", &EngineWrap::read_session),
                      InstanceMethod("fillSession", &EngineWrap::fill_session),
                      InstanceMethod("writeSession", &EngineWrap::write_session),
                      InstanceMethod("sealSession", &EngineWrap::seal_session)});
}

EngineWrap::EngineWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineWrap>(info), env_(info.Env()) {
  EngineSpec spec = parse_load_spec(info[0]);
  if (!info[1].IsFunction()) throw Napi::TypeError::New(env_, "wake must be a function");
  waker_ = std::make_shared<Waker>(env_, info[1].As<Napi::Function>());
  try {
    engine_ = std::make_unique<Engine>(std::move(spec), [waker = waker_] { waker->wake(); });
  } catch (const std::system_error& error) {
    waker_->close();
    throw error_to_js(env_,
                      {ErrorCode::kOutOfMemory, std::string("The engine's thread cannot start: ") + error.what()});
  }
  // Hooks run last to first: this one, set after the thread-safe function was made, before that one's own.
  napi_add_env_cleanup_hook(env_, on_environment_end, this);
}

EngineWrap::~EngineWrap() {
  if (!engine_) return;
  napi_remove_env_cleanup_hook(env_, on_environment_end, this);
  shut_down();
}

void EngineWrap::shut_down() {
  if (waker_) waker_->close();
  engine_.reset();
}

Napi::Value EngineWrap::submit(const Napi::CallbackInfo& info) {
  Request request = parse_request(info[0]);
  const int64_t id = engine_ ? engine_->submit(std::move(request)) : 0;
  if (id != 0) ++open_requests_;
  update_keep_alive(info.Env());
  return Napi::Number::New(info.Env(), static_cast<double>(id));
}

Napi::Value EngineWrap::cancel(const Napi::CallbackInfo& info) {
  if (engine_) engine_->cancel(id_argument(info[0]));
  return info.Env().Undefined();
}

Napi::Value EngineWrap::verdict(const Napi::CallbackInfo& info) {
  if (!engine_) return info.Env().Undefined();
  const int64_t token = id_argument(info[1]);
  engine_->verdict(id_argument(info[0]), token <= INT32_MAX ? static_cast<int32_t>(token) : -1);
  return info.Env().Undefined();
}

// ---- sessions

Napi::Value EngineWrap::create_session(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(engine_ ? engine_->create_session() : 0));
}

Napi::Value EngineWrap::fork_session(const Napi::CallbackInfo& info) {
  const int64_t from = id_argument(info[0]);
  return Napi::Number::New(info.Env(), static_cast<double>(engine_ ? engine_->fork_session(from) : 0));
}

Napi::Value EngineWrap::drop_session(const Napi::CallbackInfo& info) {
  if (engine_) engine_->drop_session(id_argument(info[0]));
  return info.Env().Undefined();
}

/** A promise, which the answer settles. */
Napi::Value EngineWrap::ask(const Napi::CallbackInfo& info, SessionCall call) {
  const Napi::Env env = info.Env();
  const auto deferred = Napi::Promise::Deferred::New(env);
  const int64_t number = engine_ ? engine_->ask(std::move(call)) : 0;
  if (number == 0) {
    deferred.Reject(error_to_js(env, {ErrorCode::kDisposed, "The model was disposed."}).Value());
    return deferred.Promise();
  }
  calls_.emplace(number, deferred);
  update_keep_alive(env);
  return deferred.Promise();
}

void EngineWrap::settle(Napi::Env env, const SessionReply& reply) {
  const auto call = calls_.find(reply.call);
  if (call == calls_.end()) return;
  const Napi::Promise::Deferred deferred = call->second;
  calls_.erase(call);
  if (const auto* failure = std::get_if<Failure>(&reply.result)) {
    deferred.Reject(error_to_js(env, *failure).Value());
  } else {
    deferred.Resolve(reply_to_js(env, reply));
  }
}

// ---- what the engine says

Napi::Value EngineWrap::drain(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto list = Napi::Array::New(env);
  if (!engine_) return list;
  bool disposed = false;
  for (const Event& event : engine_->drain()) {
    const Napi::HandleScope scope(env);
    if (const auto* reply = std::get_if<SessionReply>(&event)) {
      settle(env, *reply);
      continue;
    }
    list.Set(list.Length(), event_to_js(env, event));
    note(event);
    disposed |= std::holds_alternative<DisposedEvent>(event);
  }
  update_keep_alive(env);
  if (disposed) {  // the thread's last word: joining it takes no time
    napi_remove_env_cleanup_hook(env_, on_environment_end, this);
    shut_down();
  }
  return list;
}

/** Keeps count of what the process should stay alive for. */
void EngineWrap::note(const Event& event) {
  std::visit(
      [this](const auto& e) {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, ReadyEvent> || std::is_same_v<E, LoadFailedEvent>) loading_ = false;
        if constexpr (std::is_same_v<E, FinishEvent> || std::is_same_v<E, CancelledEvent> ||
                      std::is_same_v<E, ErrorEvent>) {
          --open_requests_;
        }
      },
      event);
}

void EngineWrap::update_keep_alive(Napi::Env env) {
  waker_->keep_alive(env, loading_ || disposing_ || open_requests_ > 0 || !calls_.empty());
}

Napi::Value EngineWrap::stats(const Napi::CallbackInfo& info) {
  return stats_to_js(info.Env(), engine_ ? engine_->stats() : EngineStats{});
}

Napi::Value EngineWrap::dispose(const Napi::CallbackInfo& info) {
  if (engine_) {
    disposing_ = true;
    engine_->dispose();
    update_keep_alive(info.Env());
  }
  return info.Env().Undefined();
}

}  // namespace r1
