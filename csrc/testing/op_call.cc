#include "testing/op_call.h"

#include "testing/values.h"

namespace r1::testing {

OpCall::OpCall(Backend& backend, DType precision, const Loaded& loaded, const StepView& step, Napi::Object params)
    : backend_(backend), precision_(precision), loaded_(loaded), step_(step), params_(params) {}

int32_t OpCall::integer(const char* name) const { return static_cast<int32_t>(number(params_, name)); }
float OpCall::real(const char* name) const { return static_cast<float>(number(params_, name)); }

const Matrix* OpCall::matrix(const char* name) const {
  const auto found = loaded_.matrices.find(integer(name));
  R1_CHECK(found != loaded_.matrices.end(), ErrorCode::kInvalidArgument, std::string("no such matrix: ") + name);
  return found->second.get();
}

const KvPool* OpCall::kv(const char* name) const {
  const auto found = loaded_.pools.find(integer(name));
  R1_CHECK(found != loaded_.pools.end(), ErrorCode::kInvalidArgument, std::string("no such KV pool: ") + name);
  return found->second.get();
}

Guarded& OpCall::take(const char* name, DType dtype, int64_t capacity, bool output) {
  const Napi::Value value = params_.Get(name);
  const Bytes given = bytes_of(value, name);
  const bool floats = value.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array;
  std::vector<uint8_t> bytes = floats ? convert(reinterpret_cast<const float*>(given.data), given.size / 4, dtype)
                                      : std::vector<uint8_t>(given.data, given.data + given.size);
  const auto size = static_cast<int64_t>(bytes.size());
  auto memory = std::make_unique<Guarded>(backend_, std::max(size, capacity * dtype_size(dtype)));
  memory->write(bytes.data(), size);
  if (output) bytes.clear();
  arrays_.push_back({name, std::move(memory), dtype, size / dtype_size(dtype), std::move(bytes), output});
  return *arrays_.back().memory;
}

Guarded& OpCall::create(const char* name, DType dtype, int64_t elements, int64_t capacity) {
  auto memory = std::make_unique<Guarded>(backend_, capacity * dtype_size(dtype));
  arrays_.push_back({name, std::move(memory), dtype, elements, {}, true});
  return *arrays_.back().memory;
}

const float* OpCall::vector(const char* name) {
  if (!present(params_, name)) return nullptr;
  return static_cast<const float*>(take(name, DType::kF32, 0, false).data());
}
const float* OpCall::f32_input(const char* name, int64_t cols) {
  return static_cast<const float*>(take(name, DType::kF32, step_.rows * cols, false).data());
}
const void* OpCall::act_input(const char* name, int64_t cols) {
  return take(name, precision_, step_.rows * cols, false).data();
}
float* OpCall::f32_inout(const char* name, int64_t cols) {
  return static_cast<float*>(take(name, DType::kF32, step_.rows * cols, true).data());
}
void* OpCall::act_inout(const char* name, int64_t cols) {
  return take(name, precision_, step_.rows * cols, true).data();
}
float* OpCall::f32_output(const char* name, int64_t cols, int64_t rows) {
  const int64_t own = rows < 0 ? integer("rows") : rows;
  return static_cast<float*>(create(name, DType::kF32, own * cols, std::max<int64_t>(own, step_.rows) * cols).data());
}
void* OpCall::act_output(const char* name, int64_t cols) {
  return create(name, precision_, integer("rows") * cols, step_.rows * cols).data();
}

Napi::Object OpCall::collect() {
  Napi::Env env = params_.Env();
  Napi::Object outputs = Napi::Object::New(env);
  for (const Array& array : arrays_) {
    const std::vector<uint8_t> bytes = array.memory->read(array.name);
    if (!array.output) {
      R1_CHECK(std::equal(array.sent.begin(), array.sent.end(), bytes.begin()), ErrorCode::kInternal,
               "the op changed its input " + array.name);
      continue;
    }
    const std::vector<float> values = to_floats(bytes.data(), array.elements, array.dtype);
    Napi::Object output = Napi::Object::New(env);
    output.Set("values", float_array(env, values.data(), array.elements));
    output.Set("bits", byte_array(env, bytes.data(), array.elements * dtype_size(array.dtype)));
    outputs.Set(array.name, output);
  }
  return outputs;
}

}  // namespace r1::testing
