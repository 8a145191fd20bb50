#include "binding/ceilings.h"

#include <utility>

#include "binding/events_to_js.h"
#include "binding/parse_spec.h"
#include "engine/loader.h"

namespace r1 {
namespace {

class CeilingsWorker final : public Napi::AsyncWorker {
 public:
  CeilingsWorker(Napi::Env env, DeviceSpec device)
      : Napi::AsyncWorker(env), device_(std::move(device)), deferred_(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 private:
  void Execute() override {
    try {
      // The smallest of backends: only its loops are of interest.
      const BackendOptions options{.precision = DType::kF32,
                                   .max_rows = kMaxDecodeRows,
                                   .max_sequences = 1,
                                   .max_blocks_per_sequence = 1,
                                   .max_logit_rows = kMaxLogitRows,
                                   .threads = device_.threads,
                                   .family = device_.family};
      ceilings_ = create_backend(options, device_)->measure_ceilings();
    } catch (const Error& error) {
      failure_ = {error.code(), error.what()};
      SetError(failure_.message);
    } catch (const std::exception& error) {
      failure_ = {ErrorCode::kInternal, error.what()};
      SetError(failure_.message);
    }
  }
  void OnOK() override { deferred_.Resolve(ceilings_to_js(Env(), ceilings_)); }
  void OnError(const Napi::Error&) override { deferred_.Reject(error_to_js(Env(), failure_).Value()); }

  DeviceSpec device_;
  Napi::Promise::Deferred deferred_;
  Ceilings ceilings_{};
  Failure failure_{ErrorCode::kInternal, ""};
};

}  // namespace

Napi::Value measure_ceilings(const Napi::CallbackInfo& info) {
  auto* worker = new CeilingsWorker(info.Env(), parse_device_spec(info[0]));  // deletes itself when it is done
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace r1
