#include "backend/cuda/tensor_map.h"

#include <algorithm>

#include "backend/cuda/driver.h"

namespace r1::cuda {
namespace {

constexpr int kBoxBytes = 128;  // of a row: what is swizzled

}  // namespace

size_t TensorMapCache::Hash::operator()(const Key& key) const {
  uint64_t h = reinterpret_cast<uintptr_t>(key.data);
  for (const int64_t part :
       {key.rows, key.cols, key.ld, int64_t{key.box_rows}, int64_t{key.head_dim}, int64_t{key.element_bytes}}) {
    h = (h ^ static_cast<uint64_t>(part)) * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
  }
  return h;
}

const CUtensorMap& TensorMapCache::get(const void* data, int64_t rows, int64_t cols, int64_t ld, int box_rows) {
  return find({data, rows, cols, ld, box_rows, 0, 2}, {{rows, ld * 2, box_rows}});
}

const CUtensorMap& TensorMapCache::get_f32(const void* data, int64_t rows, int64_t cols, int64_t ld, int box_rows) {
  return find({data, rows, cols, ld, box_rows, 0, 4}, {{rows, ld * 4, box_rows}});
}

const CUtensorMap& TensorMapCache::get_pairs(const void* data, int64_t rows, int64_t cols, int64_t ld, int box_rows,
                                             int head_dim) {
  const int64_t row = ld * 2;
  const int groups = head_dim / 16, box_groups = box_rows / 16;
  return find({data, rows, cols, ld, box_rows, head_dim, 2},
              {{8, row, 8},
               {2, head_dim / 2 * row, 2},
               {groups, 8 * row, std::min(groups, box_groups)},
               {rows / head_dim, head_dim * row, std::max(1, box_groups / groups)}});
}

const CUtensorMap& TensorMapCache::find(const Key& key, std::initializer_list<Dimension> outer) {
  const auto known = maps_.find(key);
  if (known != maps_.end()) return known->second;
  R1_CHECK(driver().tensor_map_encode_tiled, ErrorCode::kUnsupported,
           "the driver has no tensor maps; install driver 525 or newer, or force the kernel family sm80.");
  constexpr size_t kMost = 8192;  // prompts of many lengths must not make the cache grow for ever
  if (maps_.size() >= kMost) maps_.clear();
  constexpr int kMostDimensions = 5;
  uint64_t dims[kMostDimensions] = {static_cast<uint64_t>(key.cols)}, strides[kMostDimensions - 1];
  uint32_t box[kMostDimensions] = {static_cast<uint32_t>(kBoxBytes / key.element_bytes)},
           element_strides[kMostDimensions] = {1};
  uint32_t rank = 1;
  for (const Dimension& d : outer) {
    dims[rank] = static_cast<uint64_t>(d.size), strides[rank - 1] = static_cast<uint64_t>(d.stride);
    box[rank] = static_cast<uint32_t>(d.box), element_strides[rank] = 1;
    ++rank;
  }
  CUtensorMap map;
  const int type = key.element_bytes == 4 ? kTensorMapFloat32 : kTensorMapBFloat16;
  R1_CUDA(tensor_map_encode_tiled(&map, type, rank, const_cast<void*>(key.data), dims, strides, box, element_strides,
                                  kTensorMapInterleaveNone, kTensorMapSwizzle128B, kTensorMapL2Promotion128B,
                                  kTensorMapOobFillNone));
  return maps_.emplace(key, map).first->second;
}

}  // namespace r1::cuda
