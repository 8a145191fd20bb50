// Work on a thread of libuv's pool that settles a Promise: measurements, which may take seconds.
#pragma once
#include <napi.h>

#include <utility>

#include "base/error.h"
#include "binding/events_to_js.h"

namespace r1 {

/** Resolves with `to_js` of what `work` returns, or rejects with its failure. Deletes itself when it is done. */
template <class Work, class ToJs>
class PromiseWorker final : public Napi::AsyncWorker {
 public:
  PromiseWorker(Napi::Env env, Work work, ToJs to_js)
      : Napi::AsyncWorker(env),
        work_(std::move(work)),
        to_js_(std::move(to_js)),
        deferred_(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 private:
  void Execute() override {
    try {
      result_ = work_();
    } catch (const Error& error) {
      fail({error.code(), error.what()});
    } catch (const std::exception& error) {
      fail({ErrorCode::kInternal, error.what()});
    }
  }
  void fail(Failure failure) {
    failure_ = std::move(failure);
    SetError(failure_.message);
  }
  void OnOK() override { deferred_.Resolve(to_js_(Env(), result_)); }
  void OnError(const Napi::Error&) override { deferred_.Reject(error_to_js(Env(), failure_).Value()); }

  Work work_;
  ToJs to_js_;
  Napi::Promise::Deferred deferred_;
  decltype(std::declval<Work&>()()) result_{};
  Failure failure_{ErrorCode::kInternal, ""};
};

template <class Work, class ToJs>
Napi::Promise in_background(Napi::Env env, Work work, ToJs to_js) {
  auto* worker = new PromiseWorker<Work, ToJs>(env, std::move(work), std::move(to_js));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace r1
