// The table of one instruction set. Included last by a kernels_*.cc.
#pragma once
#include "backend/cpu/pack_impl.h"
#include "backend/cpu/rows_impl.h"
#include "backend/cpu/tile_impl.h"

namespace r1::cpu {
namespace {

constexpr Kernels make_kernels(std::string_view family, std::string_view detail) {
  Kernels k{};
  k.family = family;
  k.detail = detail;
  k.row_block = kRowBlock;
  k.tile[static_cast<int>(Format::kF32xBF16)] = tile<F32xBF16>;
  k.tile[static_cast<int>(Format::kF32xF32)] = tile<F32xF32>;
  k.tile[static_cast<int>(Format::kF32xF16)] = tile<F32xF16>;
  k.tile[static_cast<int>(Format::kF32xRows)] = tile<F32xRows>;
  k.norm_row = norm_row;
  k.store_tile = store_tile;
  k.add_tile = add_tile;
  k.swiglu_tile = swiglu_tile;
  k.softmax = softmax;
  k.rope_head = rope_head;
  k.scale_row = scale_row;
  k.convert_row = convert_row;
  k.expand_row = expand_row;
  k.pack_keys = pack_keys;
  k.pack_values_bf16 = pack_values_bf16;
  k.expand_panel = expand_panel;
  k.row_max = row_max;
  k.sum_exp = sum_exp;
  k.weigh = weigh;
  k.stream_read = stream_read;
  k.spin_f32 = spin_f32_chains<kSpinChains>;
  return k;
}

}  // namespace
}  // namespace r1::cpu
