#include "backend/kv_cache.h"

#include <cstring>

namespace r1 {
namespace {

/** Calls row(plane offset, token offset, bytes) for each head's K and V of rows [slot, slot + count). */
template <class F>
void for_each_row(const KvLayout& layout, int32_t slot, int32_t count, F&& row) {
  const int64_t bytes = layout.head_dim * dtype_size(layout.dtype);
  for (int64_t token = 0; token < count; ++token) {
    for (int64_t head = 0; head < 2 * int64_t{layout.kv_heads}; ++head) {  // of K, then of V
      row((head * kKvBlockTokens + slot + token) * bytes, (token * 2 * layout.kv_heads + head) * bytes,
          static_cast<size_t>(bytes));
    }
  }
}

}  // namespace

void gather_kv(const KvLayout& layout, const void* planes, int32_t slot, int32_t count, void* tokens) {
  const auto* from = static_cast<const char*>(planes);
  auto* to = static_cast<char*>(tokens);
  for_each_row(layout, slot, count,
               [&](int64_t plane, int64_t token, size_t bytes) { std::memcpy(to + token, from + plane, bytes); });
}

void scatter_kv(const KvLayout& layout, void* planes, int32_t slot, int32_t count, const void* tokens) {
  auto* to = static_cast<char*>(planes);
  const auto* from = static_cast<const char*>(tokens);
  for_each_row(layout, slot, count,
               [&](int64_t plane, int64_t token, size_t bytes) { std::memcpy(to + plane, from + token, bytes); });
}

}  // namespace r1
