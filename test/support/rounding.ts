/** Rounding of float32 values to the types that weights, activations and the KV cache are stored in. */
import type { Precision, StoredType } from "../../lib/native";

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Upper half of a float32, rounded to nearest even. */
export function toBf16Bits(value: number): number {
  float[0] = value;
  const u = bits[0];
  if ((u & 0x7fffffff) > 0x7f800000) return (u >>> 16) | 0x40;
  return ((u + 0x7fff + ((u >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBf16Bits(half: number): number {
  bits[0] = half << 16;
  return float[0];
}

/** Nearest half-precision value, as bits: subnormals included, beyond 65504 infinity. */
export function toF16Bits(value: number): number {
  float[0] = value;
  const sign = (bits[0] >>> 16) & 0x8000;
  const magnitude = Math.abs(float[0]);
  if (Number.isNaN(magnitude)) return sign | 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = magnitude < 2 ** -14 ? -14 : Math.floor(Math.log2(magnitude));
  // A unit in the last place is 2^(exponent − 10); scaling by a power of two is exact, so one rounding happens here.
  const scaled = magnitude / 2 ** (exponent - 10);
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const units = floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
  // units may have reached the next power of two: adding it to the exponent field carries on its own.
  return sign | (exponent === -14 && units < 1024 ? units : ((exponent + 15) << 10) + (units - 1024));
}

export function fromF16Bits(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** The value that an activation or a KV entry holds after `value` was stored at `precision`. */
export function round(value: number, precision: Precision): number {
  if (precision === "bf16") return fromBf16Bits(toBf16Bits(value));
  if (precision === "fp16") return fromF16Bits(toF16Bits(value));
  return Math.fround(value);
}

export function roundAll(values: ArrayLike<number>, precision: Precision): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = round(values[i], precision);
  return out;
}

/** Values as a stored tensor's data. */
export function encode(values: Float32Array, dtype: StoredType): Float32Array | Uint16Array {
  if (dtype === "F32") return values;
  return Uint16Array.from(values, dtype === "BF16" ? toBf16Bits : toF16Bits);
}

export const precisionOf: Record<StoredType, Precision> = { F32: "f32", BF16: "bf16", F16: "fp16" };
