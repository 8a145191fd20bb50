/** What a model takes and computes, known from its shapes alone. */
import type { NativeModelConfig, NativeWeight, Precision, StoredType } from "../native";

const storedBytes: Readonly<Record<StoredType, number>> = { F32: 4, BF16: 2, F16: 2 };
/** Bytes of an activation or a KV value. */
export const activationBytes: Readonly<Record<Precision, number>> = { f32: 4, bf16: 2, fp16: 2 };

/**
 * Bytes of all weights once loaded. Matrices keep their stored type at f32 and are converted to the 2-byte type of
 * bf16 and fp16; vectors (norm gains, biases) are float32 always. A backend's padding comes on top.
 */
export function weightBytes(weights: NativeWeight[], precision: Precision): number {
  let bytes = 0;
  for (const weight of weights) bytes += weightSize(weight, precision);
  return bytes;
}

/** Bytes of one engine weight. */
export function weightSize({ parts }: NativeWeight, precision: Precision): number {
  let bytes = 0;
  for (const { dtype, rows, cols } of parts)
    bytes += rows * cols * (cols === 1 ? 4 : precision === "f32" ? storedBytes[dtype] : 2);
  return bytes;
}

/** Bytes of K and V of one token in all layers. */
export function kvBytesPerToken(config: NativeModelConfig, precision: Precision): number {
  return 2 * config.layers * config.kvHeads * config.headDim * activationBytes[precision];
}

/** Multiply-adds of one token in the linear layers of all blocks; the head's are `vocab · hidden`. */
export function layerMacs(config: NativeModelConfig): number {
  const { layers, hidden, heads, kvHeads, headDim, intermediate } = config;
  const attention = hidden * (heads + 2 * kvHeads) * headDim + heads * headDim * hidden;
  return layers * (attention + 3 * hidden * intermediate);
}
