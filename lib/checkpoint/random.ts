/** Made-up checkpoints in the shapes of real models: benches and tests need no files. */
import { R1Error } from "../errors";
import type { NativePart, StoredType } from "../native";
import { type Checkpoint, countValues } from "./checkpoint";
import { parseConfig } from "./config";
import { families } from "./families";
import type { JsonObject } from "./json";

const distillQwen = { model_type: "qwen2", max_position_embeddings: 131072, rope_theta: 1e4, rms_norm_eps: 1e-6 };

/** config.json of each shape, as published. */
export const shapes: Readonly<Record<string, JsonObject>> = {
  "0.5b": {
    ...{ model_type: "qwen2", max_position_embeddings: 32768, rope_theta: 1e6, rms_norm_eps: 1e-6 },
    ...{ num_hidden_layers: 24, hidden_size: 896, num_attention_heads: 14, num_key_value_heads: 2 },
    ...{ intermediate_size: 4864, vocab_size: 151936, tie_word_embeddings: true },
  },
  "1.5b": {
    ...{ ...distillQwen, num_hidden_layers: 28, hidden_size: 1536, num_attention_heads: 12, num_key_value_heads: 2 },
    ...{ intermediate_size: 8960, vocab_size: 151936 },
  },
  "7b": {
    ...{ ...distillQwen, num_hidden_layers: 28, hidden_size: 3584, num_attention_heads: 28, num_key_value_heads: 4 },
    ...{ intermediate_size: 18944, vocab_size: 152064 },
  },
  "14b": {
    ...{ ...distillQwen, num_hidden_layers: 48, hidden_size: 5120, num_attention_heads: 40, num_key_value_heads: 8 },
    ...{ intermediate_size: 13824, vocab_size: 152064, rope_theta: 1e6, rms_norm_eps: 1e-5 },
  },
  "32b": {
    ...{ ...distillQwen, num_hidden_layers: 64, hidden_size: 5120, num_attention_heads: 40, num_key_value_heads: 8 },
    ...{ intermediate_size: 27648, vocab_size: 152064, rope_theta: 1e6, rms_norm_eps: 1e-5 },
  },
  "llama-8b": {
    ...{ model_type: "llama", max_position_embeddings: 131072, rope_theta: 5e5, rms_norm_eps: 1e-5 },
    ...{ num_hidden_layers: 32, hidden_size: 4096, num_attention_heads: 32, num_key_value_heads: 8 },
    ...{ intermediate_size: 14336, vocab_size: 128256 },
    rope_scaling: {
      ...{ rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
      original_max_position_embeddings: 8192,
    },
  },
  "qwen3-8b": {
    ...{ model_type: "qwen3", max_position_embeddings: 131072, rope_theta: 1e6, rms_norm_eps: 1e-6, head_dim: 128 },
    ...{ num_hidden_layers: 36, hidden_size: 4096, num_attention_heads: 32, num_key_value_heads: 8 },
    ...{ intermediate_size: 12288, vocab_size: 151936 },
    rope_scaling: {
      ...{ rope_type: "yarn", factor: 4, attn_factor: 0.8782488562869419 },
      original_max_position_embeddings: 32768,
    },
  },
  smollm2: {
    ...{ model_type: "llama", max_position_embeddings: 8192, rope_theta: 1e5, rms_norm_eps: 1e-5 },
    ...{ num_hidden_layers: 30, hidden_size: 576, num_attention_heads: 9, num_key_value_heads: 3 },
    ...{ intermediate_size: 1536, vocab_size: 49152, tie_word_embeddings: true },
  },
};

export interface RandomOptions {
  /** Type the weights are "stored" in; BF16 by default. */
  storedType?: StoredType;
  seed?: number;
}

/**
 * A checkpoint whose weights the engine makes up while it loads.
 *
 * @param shape a name in {@link shapes} or a config.json of one's own
 * @throws R1Error E_NOT_FOUND for an unknown name
 */
export function randomCheckpoint(shape: string | JsonObject, options: RandomOptions = {}): Checkpoint {
  const { storedType = "BF16", seed = 0 } = options;
  const json = typeof shape === "string" ? shapeNamed(shape) : shape;
  const { family, native, biases, tied, rope, contextLength } = parseConfig(json, "random weights");
  let next = seed * 2 ** 20;
  const weights = families[family].tensors(native, biases, tied).map((spec) => ({
    name: spec.name,
    parts: spec.parts.map((part) => randomPart(spec.name, part.name, part.shape, storedType, next++, tied)),
  }));
  const generation = { stopTokens: [] };
  return { family, config: native, weights, files: [], generation, contextLength, ...countValues(weights), tied, rope };
}

function shapeNamed(name: string): JsonObject {
  if (!Object.hasOwn(shapes, name))
    throw new R1Error(
      "E_NOT_FOUND",
      `Shape "${name}" is not known; expected one of ${Object.keys(shapes).join(", ")}.`,
    );
  return shapes[name];
}

/**
 * Uniform in ±scale has the standard deviation scale / √3. Gains and embeddings have an RMS of 1 (gains with random
 * signs), matrices 1 / √K, so that every product keeps the RMS of its input and no layer drowns or explodes; a tied
 * embedding is a matrix too.
 */
function randomPart(
  weight: string,
  name: string,
  shape: number[],
  dtype: StoredType,
  seed: number,
  tied: boolean,
): NativePart {
  const [rows, cols = 1] = shape;
  const matrix = cols > 1 && (weight !== "embed" || tied);
  const rms = matrix ? 1 / Math.sqrt(cols) : weight.endsWith("_bias") ? 0.2 : 1;
  return { name, dtype, rows, cols, seed, scale: Math.sqrt(3) * rms };
}
