/** config.json, normalised into what the engine understands. Absent keys mean what transformers' config classes say. */
import { R1Error } from "../errors";
import type { NativeModelConfig } from "../native";
import { type Biases, type Family, families } from "./families";
import { Fields, OptionFields } from "./fields";
import { type JsonObject, kindOf } from "./json";
import { type Rope, readRope } from "./rope";

const maxLayers = 1024;

export interface ModelConfig {
  /** `model_type`. */
  family: string;
  native: NativeModelConfig;
  biases: Biases;
  tied: boolean;
  rope: Rope;
  /** Tokens the model was made for. */
  contextLength: number;
  /** `eos_token_id`, for folders without a generation_config.json. */
  stopTokens: number[];
}

/**
 * @param file named in errors
 * @param ropeScaling replaces the file's `rope_scaling`
 * @throws R1Error E_BAD_CHECKPOINT, E_UNSUPPORTED; RangeError for a bad `ropeScaling`
 */
export function parseConfig(json: JsonObject, file: string, ropeScaling?: JsonObject): ModelConfig {
  const config = new Fields(json, file);
  const modelType = config.string("model_type");
  const family = Object.hasOwn(families, modelType) ? families[modelType] : undefined;
  const supported = Object.keys(families).join(", ");
  if (!family) unsupported(file, `model_type ${kindOf(modelType)} is not supported; supported: ${supported}.`);
  refuseVariants(config);

  const maxPositions = config.integer("max_position_embeddings", family.defaults.maxPositions);
  const shape = readShape(config, family);
  const override = ropeScaling && new OptionFields(ropeScaling, "ropeScaling");
  const rope = readRope(config, shape.headDim, maxPositions, override);
  const native: NativeModelConfig = {
    architecture: family.architecture,
    ...shape,
    normEps: config.number("rms_norm_eps", 1e-6, 0, 1),
    qkNorm: family.qkNorm,
    invFreq: rope.invFreq,
    ropeScale: rope.scale,
    windows: family.slidingWindow ? readWindows(config, shape.layers) : new Int32Array(shape.layers),
  };
  return {
    family: modelType,
    native,
    biases: family.biases(config),
    tied: config.boolean("tie_word_embeddings", false),
    rope,
    contextLength: Math.max(maxPositions, Math.floor(rope.scaledContext)),
    stopTokens: config.integers("eos_token_id"),
  };
}

function unsupported(file: string, message: string): never {
  throw new R1Error("E_UNSUPPORTED", `${file}: ${message}`);
}

function refuseVariants(config: Fields): void {
  const activation = config.string("hidden_act", "silu");
  if (activation !== "silu" && activation !== "swish")
    unsupported(config.where, `hidden_act "${activation}" is not supported; supported: silu.`);
  if (config.has("quantization_config")) {
    const method = config.nested("quantization_config")?.object.quant_method;
    unsupported(
      config.where,
      `the weights are quantized (quantization_config, quant_method ${kindOf(method)}); ` +
        "use the original BF16, F16 or F32 checkpoint.",
    );
  }
}

type Shape = Pick<NativeModelConfig, "vocab" | "hidden" | "layers" | "heads" | "kvHeads" | "headDim" | "intermediate">;

function readShape(config: Fields, family: Family): Shape {
  const { defaults } = family;
  const hidden = config.integer("hidden_size", 4096, 1, 2 ** 20);
  const heads = config.integer("num_attention_heads", 32, 1, 2 ** 16);
  const kvHeads = readKvHeads(config, heads, defaults.kvHeads);
  const shape: Shape = {
    vocab: config.integer("vocab_size", defaults.vocab, 1, 2 ** 24),
    hidden,
    layers: config.integer("num_hidden_layers", 32, 1, maxLayers),
    heads,
    kvHeads,
    headDim: config.integer("head_dim", defaults.headDim ?? Math.floor(hidden / heads), 0, 2 ** 16),
    intermediate: config.integer("intermediate_size", defaults.intermediate, 1, 2 ** 22),
  };
  if (heads % kvHeads !== 0) config.fail("num_key_value_heads", `a divisor of num_attention_heads (${heads})`);
  if (shape.headDim !== 64 && shape.headDim !== 128)
    unsupported(
      config.where,
      `head_dim ${shape.headDim} ${config.has("head_dim") ? "" : `(hidden_size ${hidden} / num_attention_heads ${heads}) `}` +
        "is not supported; supported: 64, 128.",
    );
  for (const [key, value] of [
    ["hidden_size", hidden],
    ["intermediate_size", shape.intermediate],
  ] as const)
    if (value % 8 !== 0) unsupported(config.where, `${key} ${value} is not supported: it must be divisible by 8.`);
  return shape;
}

/** An absent key means the config class's default where that can be (Qwen: 32), null means one KV head per query head. */
function readKvHeads(config: Fields, heads: number, fallback: number | undefined): number {
  const absent = config.object.num_key_value_heads === undefined;
  return config.integer(
    "num_key_value_heads",
    absent && fallback && heads % fallback === 0 ? fallback : heads,
    1,
    2 ** 16,
  );
}

/** [layers] window in tokens, 0 for none. `sliding_window` counts only where `use_sliding_window` says so. */
function readWindows(config: Fields, layers: number): Int32Array {
  const types = config.strings("layer_types");
  if (types && types.length !== layers)
    config.fail("layer_types", `a list with one entry for each of the ${layers} layers`);
  const unknown = types?.find((type) => type !== "full_attention" && type !== "sliding_attention");
  if (unknown !== undefined)
    unsupported(config.where, `layer_types has ${kindOf(unknown)}; supported: "full_attention", "sliding_attention".`);
  if (!config.boolean("use_sliding_window", false) || config.object.sliding_window === null)
    return new Int32Array(layers);
  const window = config.integer("sliding_window", 4096);
  const first = config.integer("max_window_layers", 28, 0);
  return Int32Array.from({ length: layers }, (_, i) =>
    (types ? types[i] === "sliding_attention" : i >= first) ? window : 0,
  );
}
