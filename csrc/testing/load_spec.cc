#include "testing/load_spec.h"

#include <cstring>

#include "base/tensor_file.h"
#include "testing/values.h"

namespace r1::testing {
namespace {

int integer(const Napi::Object& from, const char* name) { return static_cast<int>(number(from, name)); }

ModelConfig model_config(const Napi::Object& from) {
  ModelConfig config;
  config.architecture = text_or(from, "architecture", "");
  config.vocab = integer(from, "vocab");
  config.hidden = integer(from, "hidden");
  config.layers = integer(from, "layers");
  config.heads = integer(from, "heads");
  config.kv_heads = integer(from, "kvHeads");
  config.head_dim = integer(from, "headDim");
  config.intermediate = integer(from, "intermediate");
  config.norm_eps = static_cast<float>(number(from, "normEps"));
  config.qk_norm = from.Get("qkNorm").ToBoolean();
  const Bytes inv_freq = bytes_of(from.Get("invFreq"), "invFreq");
  config.inv_freq.resize(static_cast<size_t>(inv_freq.size / 4));
  std::memcpy(config.inv_freq.data(), inv_freq.data, static_cast<size_t>(inv_freq.size));
  config.rope_scale = static_cast<float>(number(from, "ropeScale"));
  config.windows = ints(from, "windows");
  return config;
}

using Files = std::vector<std::shared_ptr<TensorFile>>;

std::shared_ptr<TensorSource> part(const Napi::Object& from, const Files& files) {
  const std::string name = text_or(from, "name", "");
  const DType dtype = dtype_named(text_or(from, "dtype", ""));
  const auto rows = static_cast<int64_t>(number(from, "rows"));
  const auto cols = static_cast<int64_t>(number(from, "cols"));
  if (present(from, "seed")) {
    return std::make_shared<RandomTensor>(name, dtype, rows, cols, static_cast<int64_t>(number(from, "seed")),
                                          static_cast<float>(number(from, "scale")));
  }
  const auto file = static_cast<size_t>(number(from, "file"));
  R1_CHECK(file < files.size(), ErrorCode::kInvalidArgument, name + " names a file that is not in the list");
  return std::make_shared<FileTensor>(name, dtype, rows, cols, files[file],
                                      static_cast<int64_t>(number(from, "offset")));
}

}  // namespace

LoadSpec load_spec(const Napi::Object& from) {
  LoadSpec spec;
  spec.config = model_config(object(from, "config"));
  spec.options.precision = dtype_named(text_or(from, "precision", "f32"));
  spec.options.max_rows = static_cast<int32_t>(number_or(from, "prefillRows", 0));
  if (spec.options.max_rows <= 0) spec.options.max_rows = 512;
  Files files;
  const auto paths = object(from, "files").As<Napi::Array>();
  for (uint32_t i = 0; i < paths.Length(); ++i) {
    files.push_back(std::make_shared<TensorFile>(paths.Get(i).ToString().Utf8Value()));
  }
  const auto weights = object(from, "weights").As<Napi::Array>();
  for (uint32_t i = 0; i < weights.Length(); ++i) {
    const Napi::Object entry = weights.Get(i).ToObject();
    WeightParts& weight = spec.weights[text_or(entry, "name", "")];
    weight.name = text_or(entry, "name", "");
    const auto parts = object(entry, "parts").As<Napi::Array>();
    for (uint32_t p = 0; p < parts.Length(); ++p) weight.parts.push_back(part(parts.Get(p).ToObject(), files));
  }
  return spec;
}

}  // namespace r1::testing
