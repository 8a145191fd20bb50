// What a checkpoint's config says, already normalised by lib/checkpoint: no Hugging Face names reach C++.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace r1 {

struct ModelConfig {
  std::string architecture;  // a row of model/model.cc's table: "dense" (qwen2, llama, qwen3)
  int vocab = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, intermediate = 0;
  float norm_eps = 1e-6f;
  bool qk_norm = false;          // weights layers.N.q_norm / k_norm exist
  std::vector<float> inv_freq;   // [head_dim/2] RoPE frequencies, scaling applied
  float rope_scale = 1;          // multiplies cos and sin (YaRN's attention factor)
  std::vector<int32_t> windows;  // [layers] sliding window, 0 for none
};

}  // namespace r1
