#include "testing/nvml.h"

#include "backend/cuda/nvml.h"

namespace r1::testing {
namespace {

template <class T>
void set(Napi::Object to, const char* key, const std::optional<T>& value) {
  if (value) {
    to.Set(key, static_cast<double>(*value));
  } else {
    to.Set(key, to.Env().Null());
  }
}

}  // namespace

Napi::Value nvml_status(const Napi::CallbackInfo& info) {
  const cuda::Nvml nvml(info[0].ToString().Utf8Value());
  const auto status = nvml.status({.pci_bus_id = info[1].ToString(), .index = info[2].ToNumber().Int32Value()});
  if (!status) return info.Env().Null();
  auto to = Napi::Object::New(info.Env());
  set(to, "utilization", status->utilization);
  set(to, "memoryUsed", status->memory_used);
  set(to, "memoryTotal", status->memory_total);
  set(to, "temperature", status->temperature);
  set(to, "power", status->power);
  return to;
}

}  // namespace r1::testing
