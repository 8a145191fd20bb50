// Descriptions of matrices for the copy engine of sm_90.
#pragma once
#include <cstdint>
#include <unordered_map>

#include "backend/cuda/driver_api.h"

namespace r1::cuda {

/** Tensor maps by what they describe. A map depends on its key alone, so one that is found is never stale. */
class TensorMapCache {
 public:
  /** Boxes of 64 columns x box_rows of bf16 [rows][ld], of which `cols` count; zeros outside. */
  const CUtensorMap& get(const void* data, int64_t rows, int64_t cols, int64_t ld, int box_rows);

 private:
  struct Key {
    uint64_t data;
    int64_t rows, cols, ld;
    int box_rows;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const;
  };
  std::unordered_map<Key, CUtensorMap, Hash> maps_;
};

}  // namespace r1::cuda
