#include "backend/cuda/tensor_map.h"

#include "backend/cuda/driver.h"

namespace r1::cuda {

size_t TensorMapCache::Hash::operator()(const Key& key) const {
  uint64_t h = key.data;
  for (const int64_t part : {key.rows, key.cols, key.ld, int64_t{key.box_rows}}) {
    h = (h ^ static_cast<uint64_t>(part)) * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
  }
  return h;
}

const CUtensorMap& TensorMapCache::get(const void* data, int64_t rows, int64_t cols, int64_t ld, int box_rows) {
  const Key key{reinterpret_cast<uint64_t>(data), rows, cols, ld, box_rows};
  const auto known = maps_.find(key);
  if (known != maps_.end()) return known->second;
  R1_CHECK(driver().tensor_map_encode_tiled, ErrorCode::kUnsupported,
           "the driver has no tensor maps; install driver 525 or newer, or force the kernel family sm80.");
  constexpr int64_t kElementBytes = 2;
  constexpr size_t kMost = 8192;  // prompts of many lengths must not make the cache grow for ever
  if (maps_.size() >= kMost) maps_.clear();
  const uint64_t dims[2] = {static_cast<uint64_t>(cols), static_cast<uint64_t>(rows)};
  const uint64_t strides[1] = {static_cast<uint64_t>(ld * kElementBytes)};
  const uint32_t box[2] = {64, static_cast<uint32_t>(box_rows)};
  const uint32_t element_strides[2] = {1, 1};
  CUtensorMap map;
  R1_CUDA(tensor_map_encode_tiled(&map, kTensorMapBFloat16, 2, const_cast<void*>(data), dims, strides, box,
                                  element_strides, kTensorMapInterleaveNone, kTensorMapSwizzle128B,
                                  kTensorMapL2Promotion256B, kTensorMapOobFillNone));
  return maps_.emplace(key, map).first->second;
}

}  // namespace r1::cuda
