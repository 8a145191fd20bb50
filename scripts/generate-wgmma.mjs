#!/usr/bin/env node
// Writes cuda/wgmma_shapes.cuh: one wrapper of the wgmma instruction for each width N that the kernels use.
import { writeFileSync } from "node:fs";

const widths = [8, 16, 32, 64, 96, 128, 192, 224, 256]; // of linear layers: sums in one row
const keyWidth = 128; // attention's scores and values: sums of 8 columns apart
const valueWidths = [64, 128];

const list = (count, item) => Array.from({ length: count }, (_, i) => item(i));
const rows = (items, perRow, separator) => {
  const lines = [];
  for (let i = 0; i < items.length; i += perRow) lines.push(items.slice(i, i + perRow).join(", "));
  return lines.join(separator);
};
const flat = (i) => `d[${i}]`;
const grouped = (i) => `d[${Math.floor(i / 4)}][${i % 4}]`;

/**
 * A method around one instruction. `keep` is what the predicate that keeps D's sums compares with 0: an operand or a
 * constant; D is written only ("=") where it is 0. `inputs` are the operands behind D, `a` and `flags` as the
 * instruction has them.
 */
const method = ({ n, signature, sum, keep, a, b, flags, inputs }) => {
  const names = rows(
    list(n / 2, (i) => `%${i}`),
    16,
    ', "\n        "',
  );
  const sums = rows(
    list(n / 2, (i) => `"${keep === "0" ? "=" : "+"}f"(${sum(i)})`),
    8,
    ",\n          ",
  );
  return `  static R1_DEVICE void ${signature} {
    asm volatile(
        "{\\n.reg .pred p;\\nsetp.ne.b32 p, ${keep}, 0;\\n"
        "wgmma.mma_async.sync.aligned.m64n${n}k16.f32.bf16.bf16 {"
        "${names}"
        "}, ${a}, ${b}, p, ${flags};\\n}"
        : ${sums}
        : ${inputs});
  }
`;
};

/** A and B in shared memory; `type` is D's. */
const multiplyAdd = (n, type, sum) =>
  method({
    n,
    sum,
    signature: `multiply_add(float ${type}, uint64_t a, uint64_t b, int keep)`,
    keep: `%${n / 2 + 2}`,
    a: `%${n / 2}`,
    b: `%${n / 2 + 1}`,
    flags: "1, 1, 0, 0",
    inputs: '"l"(a), "l"(b), "r"(keep)',
  });

/** The first of a sum: what D held does not count, so its registers are free until then. */
const multiply = (n) =>
  method({
    n,
    sum: grouped,
    signature: `multiply(float (&d)[${n / 8}][4], uint64_t a, uint64_t b)`,
    keep: "0",
    a: `%${n / 2}`,
    b: `%${n / 2 + 1}`,
    flags: "1, 1, 0, 0",
    inputs: '"l"(a), "l"(b)',
  });

/** A in registers and B's rows one after the other. */
const multiplyValues = (n) =>
  method({
    n,
    sum: grouped,
    signature: `multiply_add(float (&d)[${n / 8}][4], const uint32_t (&a)[4], uint64_t b, int keep)`,
    keep: `%${n / 2 + 5}`,
    a: `{${list(4, (i) => `%${n / 2 + i}`).join(", ")}}`,
    b: `%${n / 2 + 4}`,
    flags: "1, 1, 1",
    inputs: '"r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(keep)',
  });

const wrapper = (n) => `template <>
struct Wgmma<${n}> {
${multiplyAdd(n, `(&d)[${n / 2}]`, flat)}${n === keyWidth ? multiply(n) + multiplyAdd(n, `(&d)[${n / 8}][4]`, grouped) : ""}};
`;
const valueWrapper = (n) => `template <>
struct WgmmaValues<${n}> {
${multiplyValues(n)}};
`;

const text = `// Written by scripts/generate-wgmma.mjs; included by wgmma.cuh only.
// clang-format off

${[...widths.map(wrapper), ...valueWidths.map(valueWrapper)].join("\n")}`;

writeFileSync(new URL("../cuda/wgmma_shapes.cuh", import.meta.url), text);
