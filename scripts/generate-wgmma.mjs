#!/usr/bin/env node
// Writes cuda/wgmma_shapes.cuh: one wrapper of the wgmma instruction for each width N that the kernels use.
import { writeFileSync } from "node:fs";

const widths = [8, 16, 32, 64, 96, 128, 192, 224, 256];
const attentionWidths = [64, 128]; // with sums of 8 columns apart

const list = (count, item) => Array.from({ length: count }, (_, i) => item(i));
const rows = (items, perRow, separator) => {
  const lines = [];
  for (let i = 0; i < items.length; i += perRow) lines.push(items.slice(i, i + perRow).join(", "));
  return lines.join(separator);
};

const flat = (i) => `"+f"(d[${i}])`;
const grouped = (i) => `"+f"(d[${Math.floor(i / 4)}][${i % 4}])`;

/** The first of a sum: what D held does not count, so its registers are free until then. */
const firstMethod = (n) => {
  const registers = n / 2;
  return `  static R1_DEVICE void multiply(float (&d)[${n / 8}][4], uint64_t a, uint64_t b) {
    asm volatile(
        "{\\n.reg .pred p;\\nsetp.ne.b32 p, 0, 0;\\n"
        "wgmma.mma_async.sync.aligned.m64n${n}k16.f32.bf16.bf16 {"
        "${rows(
          list(registers, (i) => `%${i}`),
          16,
          ', "\n        "',
        )}"
        "}, %${registers}, %${registers + 1}, p, 1, 1, 0, 0;\\n}"
        : ${rows(
          list(registers, (i) => grouped(i).replace("+", "=")),
          8,
          ",\n          ",
        )}
        : "l"(a), "l"(b));
  }
`;
};

/** With A and B in shared memory. */
const method = (n, type, operand) => {
  const registers = n / 2;
  return `  static R1_DEVICE void multiply_add(float ${type}, uint64_t a, uint64_t b, int keep) {
    asm volatile(
        "{\\n.reg .pred p;\\nsetp.ne.b32 p, %${registers + 2}, 0;\\n"
        "wgmma.mma_async.sync.aligned.m64n${n}k16.f32.bf16.bf16 {"
        "${rows(
          list(registers, (i) => `%${i}`),
          16,
          ', "\n        "',
        )}"
        "}, %${registers}, %${registers + 1}, p, 1, 1, 0, 0;\\n}"
        : ${rows(list(registers, operand), 8, ",\n          ")}
        : "l"(a), "l"(b), "r"(keep));
  }
`;
};

const wrapper = (n) => `template <>
struct Wgmma<${n}> {
${method(n, `(&d)[${n / 2}]`, flat)}${attentionWidths.includes(n) ? firstMethod(n) + method(n, `(&d)[${n / 8}][4]`, grouped) : ""}};
`;

/** With A in registers and B's rows one after the other. */
const valueWrapper = (n) => {
  const registers = n / 2;
  const names = list(registers, (i) => `%${i}`);
  const a = list(4, (i) => `%${registers + i}`);
  return `template <>
struct WgmmaValues<${n}> {
  static R1_DEVICE void multiply_add(float (&d)[${n / 8}][4], const uint32_t (&a)[4], uint64_t b) {
    asm volatile(
        "{\\n.reg .pred p;\\nsetp.ne.b32 p, 1, 0;\\n"
        "wgmma.mma_async.sync.aligned.m64n${n}k16.f32.bf16.bf16 {"
        "${rows(names, 16, ', "\n        "')}"
        "}, {${a.join(", ")}}, %${registers + 4}, p, 1, 1, 1;\\n}"
        : ${rows(list(registers, grouped), 8, ",\n          ")}
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
  }
};
`;
};

const text = `// Written by scripts/generate-wgmma.mjs; included by wgmma.cuh only.
// clang-format off

${[...widths.map(wrapper), ...attentionWidths.map(valueWrapper)].join("\n")}`;

writeFileSync(new URL("../cuda/wgmma_shapes.cuh", import.meta.url), text);
