// What JavaScript asks of a session between requests: plain values, one to one with lib/native.ts's NativeEngine.
#pragma once
#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

namespace r1 {

struct SessionCall {
  struct State {};
  struct Read {
    int32_t layer, first, count;
  };
  struct Fill {
    std::vector<int32_t> tokens;
    std::vector<int32_t> decoded;  // begin and end of each range
  };
  struct Write {
    int32_t layer, first, count;
    std::vector<std::byte> data;  // [token][K, V][kv_head][head_dim]
  };
  struct Seal {};

  int64_t call = 0;  // the answer names it
  int64_t session = 0;
  std::variant<State, Read, Fill, Write, Seal> what;
};

}  // namespace r1
