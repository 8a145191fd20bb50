// The JavaScript object around an engine (lib/native.ts's NativeEngine).
#pragma once
#include <napi.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "binding/session_calls.h"
#include "engine/engine.h"

namespace r1 {

/** The way from an engine's thread to its JavaScript thread. Once closed, wake() does nothing. */
class Waker {
 public:
  Waker(Napi::Env env, const Napi::Function& callback);
  void wake();   // any thread
  void close();  // any thread, twice too
  /** Whether a wake-up that may still come keeps the process alive. JavaScript's thread. */
  void keep_alive(Napi::Env env, bool alive);

 private:
  static void call(Napi::Env env, Napi::Function callback, void* context, void* data);
  using Function = Napi::TypedThreadSafeFunction<void, void, call>;

  std::mutex mutex_;
  bool open_ = true, alive_ = true;
  Function function_;
};

/**
 * The engine's thread is always joined: when "disposed" is drained, when the object is collected undisposed, or when
 * its environment ends (process.exit, a worker's termination). The last two wait for the step or read in progress.
 */
class EngineWrap final : public Napi::ObjectWrap<EngineWrap> {
 public:
  static Napi::Function define(Napi::Env env);

  /** Arguments: NativeLoadSpec, wake. */
  explicit EngineWrap(const Napi::CallbackInfo& info);
  ~EngineWrap() override;

  /** Ends the thread and waits for it; nothing is told to JavaScript any more. */
  void shut_down();

 private:
  Napi::Value submit(const Napi::CallbackInfo& info);
  Napi::Value cancel(const Napi::CallbackInfo& info);
  Napi::Value verdict(const Napi::CallbackInfo& info);
  Napi::Value create_session(const Napi::CallbackInfo& info);
  Napi::Value fork_session(const Napi::CallbackInfo& info);
  Napi::Value drop_session(const Napi::CallbackInfo& info);
  Napi::Value session_state(const Napi::CallbackInfo& info) { return ask(info, state_call(info)); }
  Napi::Value read_session(const Napi::CallbackInfo& info) { return ask(info, read_call(info)); }
  Napi::Value fill_session(const Napi::CallbackInfo& info) { return ask(info, fill_call(info)); }
  Napi::Value write_session(const Napi::CallbackInfo& info) { return ask(info, write_call(info)); }
  Napi::Value seal_session(const Napi::CallbackInfo& info) { return ask(info, seal_call(info)); }
  Napi::Value drain(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  Napi::Value ask(const Napi::CallbackInfo& info, SessionCall call);
  void settle(Napi::Env env, const SessionReply& reply);
  void note(const Event& event);
  void update_keep_alive(Napi::Env env);

  std::shared_ptr<Waker> waker_;
  std::unique_ptr<Engine> engine_;  // null once its thread has been joined
  napi_env env_;
  bool loading_ = true, disposing_ = false;
  int64_t open_requests_ = 0;
  std::unordered_map<int64_t, Napi::Promise::Deferred> calls_;  // that have not been answered
};

}  // namespace r1
