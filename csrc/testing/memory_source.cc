#include "testing/memory_source.h"

#include <cstring>
#include <vector>

#include "backend/random_weights.h"
#include "base/tensor_file.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

class MemorySource final : public TensorSource {
 public:
  MemorySource(std::string name, DType dtype, int64_t rows, int64_t cols, std::vector<uint8_t> bytes)
      : TensorSource(std::move(name), dtype, rows, cols), bytes_(std::move(bytes)) {
    const int64_t expected = rows * cols * dtype_size(dtype);
    R1_CHECK(static_cast<int64_t>(bytes_.size()) == expected, ErrorCode::kInvalidArgument,
             this->name + " needs " + std::to_string(expected) + " bytes, found " + std::to_string(bytes_.size()));
  }

  void read(int64_t first, int64_t count, void* out) const override {
    const int64_t row_bytes = cols * dtype_size(dtype);
    R1_CHECK(first >= 0 && count >= 0 && first + count <= rows, ErrorCode::kInternal,
             "rows outside of " + name + " were asked for");
    if (count > 0) std::memcpy(out, bytes_.data() + first * row_bytes, static_cast<size_t>(count * row_bytes));
  }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace

std::shared_ptr<TensorSource> tensor_source(const Napi::Object& from) {
  const std::string name = text_or(from, "name", "a test's tensor");
  const DType dtype = dtype_named(text_or(from, "dtype", "F32"));
  const auto rows = static_cast<int64_t>(number(from, "rows"));
  const auto cols = static_cast<int64_t>(number(from, "cols"));
  if (present(from, "seed")) {
    return std::make_shared<RandomTensor>(name, dtype, rows, cols, static_cast<int64_t>(number(from, "seed")),
                                          static_cast<float>(number(from, "scale")));
  }
  const Bytes bytes = bytes_of(from.Get("data"), "data");
  return std::make_shared<MemorySource>(name, dtype, rows, cols,
                                        std::vector<uint8_t>(bytes.data, bytes.data + bytes.size));
}

WeightParts weight_parts(const Napi::Object& from) {
  WeightParts weight;
  weight.name = text_or(from, "name", "a test's weight");
  const Napi::Array list = object(from, "parts").As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) weight.parts.push_back(tensor_source(list.Get(i).ToObject()));
  R1_CHECK(!weight.parts.empty(), ErrorCode::kInvalidArgument, weight.name + " has no parts");
  return weight;
}

Napi::Value random_values(const Napi::CallbackInfo& info) {
  const auto seed = static_cast<uint64_t>(info[0].ToNumber().Int64Value());
  const float scale = info[1].ToNumber().FloatValue();
  const auto first = static_cast<uint64_t>(info[2].ToNumber().Int64Value());
  const auto count = static_cast<size_t>(info[3].ToNumber().Int64Value());
  auto out = Napi::Float32Array::New(info.Env(), count);
  for (size_t i = 0; i < count; ++i) out.Data()[i] = random_weight(seed, first + i, scale);
  return out;
}

}  // namespace r1::testing
