// Descriptions of matrices for the copy engine of sm_90.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <unordered_map>

#include "backend/cuda/driver_api.h"

namespace r1::cuda {

/** Tensor maps by what they describe. A map depends on its key alone, so one that is found is never stale. */
class TensorMapCache {
 public:
  /** Boxes of 64 columns x box_rows of bf16 [rows][ld], of which `cols` count; zeros outside. */
  const CUtensorMap& get(const void* data, int64_t rows, int64_t cols, int64_t ld, int box_rows);
  /** Boxes of 32 columns x box_rows of f32 [rows][ld], of which `cols` count; zeros outside. */
  const CUtensorMap& get_f32(const void* data, int64_t rows, int64_t cols, int64_t ld, int box_rows);
  /**
   * As get(), of heads of head_dim (64 or 128) rows each, in pairs: 8 rows i, then their partners i + head_dim / 2,
   * then the next 8. Coordinates are (column, 0, 0, group of 8 pairs, head); a box starts at a multiple of its groups.
   */
  const CUtensorMap& get_pairs(const void* data, int64_t rows, int64_t cols, int64_t ld, int box_rows, int head_dim);

 private:
  /** Elements, bytes from one to the next, elements of a box. */
  struct Dimension {
    int64_t size, stride;
    int box;
  };
  struct Key {
    const void* data;
    int64_t rows, cols, ld;
    int box_rows, head_dim;  // 0: rows in order
    int element_bytes;       // 2: bf16, 4: f32
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const;
  };
  const CUtensorMap& find(const Key& key, std::initializer_list<Dimension> outer);

  std::unordered_map<Key, CUtensorMap, Hash> maps_;
};

}  // namespace r1::cuda
