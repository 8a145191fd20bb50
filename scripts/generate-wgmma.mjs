#!/usr/bin/env node
// Writes cuda/wgmma_shapes.cuh: one wrapper of the wgmma instruction for each width N that the kernels use.
import { writeFileSync } from "node:fs";

const widths = [8, 16, 32, 64, 96, 128, 192, 224, 256];

const wrapper = (n) => {
  const registers = n / 2;
  const names = Array.from({ length: registers }, (_, i) => `%${i}`);
  const operands = Array.from({ length: registers }, (_, i) => `"+f"(d[${i}])`);
  const rows = (list, perRow, separator) => {
    const lines = [];
    for (let i = 0; i < list.length; i += perRow) lines.push(list.slice(i, i + perRow).join(", "));
    return lines.join(separator);
  };
  return `template <>
struct Wgmma<${n}> {
  static R1_DEVICE void multiply_add(float (&d)[${registers}], uint64_t a, uint64_t b, int keep) {
    asm volatile(
        "{\\n.reg .pred p;\\nsetp.ne.b32 p, %${registers + 2}, 0;\\n"
        "wgmma.mma_async.sync.aligned.m64n${n}k16.f32.bf16.bf16 {"
        "${rows(names, 16, ', "\n        "')}"
        "}, %${registers}, %${registers + 1}, p, 1, 1, 0, 0;\\n}"
        : ${rows(operands, 8, ",\n          ")}
        : "l"(a), "l"(b), "r"(keep));
  }
};
`;
};

const text = `// Written by scripts/generate-wgmma.mjs; included by wgmma.cuh only.
// clang-format off

${widths.map(wrapper).join("\n")}`;

writeFileSync(new URL("../cuda/wgmma_shapes.cuh", import.meta.url), text);
