/**
 * The one table of model families: what a `model_type` changes against the dense decoder. A further dense family is one more
 * row; a family with other weights adds a tensor list of its own beside `denseTensors` and an architecture in csrc/model.
 */
import type { NativeModelConfig } from "../native";
import type { Fields } from "./fields";

/** Linear layers of a block that have a bias. */
export interface Biases {
  qkv: boolean;
  o: boolean;
  mlp: boolean;
}

export interface Family {
  /** The forward pass, csrc/model. */
  architecture: "dense";
  tensors: (config: NativeModelConfig, biases: Biases, tied: boolean) => TensorSpec[];
  biases: (config: Fields) => Biases;
  /** Per-head RMSNorm of queries and keys. */
  qkNorm: boolean;
  /** Whether the config's sliding_window keys mean anything. */
  slidingWindow: boolean;
  /** What transformers' config class fills in for absent keys. */
  defaults: {
    vocab: number;
    intermediate: number;
    maxPositions: number;
    /** undefined: hidden / heads */
    headDim?: number;
    /** undefined: heads */
    kvHeads?: number;
  };
}

/** An engine weight and the checkpoint tensors it is concatenated from. */
export interface TensorSpec {
  name: string;
  parts: { name: string; shape: number[] }[];
}

const qwen = { vocab: 151936, intermediate: 22016, maxPositions: 32768, kvHeads: 32 };

export const families: Readonly<Record<string, Family>> = {
  qwen2: {
    architecture: "dense",
    tensors: denseTensors,
    biases: () => ({ qkv: true, o: false, mlp: false }),
    qkNorm: false,
    slidingWindow: true,
    defaults: qwen,
  },
  llama: {
    architecture: "dense",
    tensors: denseTensors,
    biases: (config) => {
      const attention = config.boolean("attention_bias", false);
      return { qkv: attention, o: attention, mlp: config.boolean("mlp_bias", false) };
    },
    qkNorm: false,
    slidingWindow: false,
    defaults: { vocab: 32000, intermediate: 11008, maxPositions: 2048 },
  },
  qwen3: {
    architecture: "dense",
    tensors: denseTensors,
    biases: (config) => {
      const attention = config.boolean("attention_bias", false);
      return { qkv: attention, o: attention, mlp: false };
    },
    qkNorm: true,
    slidingWindow: true,
    defaults: { ...qwen, headDim: 128 },
  },
};

/** Tensors of a family that are known to lie in some checkpoints and carry nothing: buffers of old transformers versions. */
export const ignoredTensors =
  /(?:^|\.)(?:rotary_emb\.(?:inv_freq|cos_cached|sin_cached)|position_ids|masked_bias|attn\.bias)$/;

function denseTensors(c: NativeModelConfig, biases: Biases, tied: boolean): TensorSpec[] {
  const { vocab, hidden, headDim, intermediate } = c;
  const q = c.heads * headDim;
  const kv = c.kvHeads * headDim;
  const specs: TensorSpec[] = [];
  const add = (name: string, ...parts: [string, ...number[]][]) =>
    specs.push({ name, parts: parts.map(([part, ...shape]) => ({ name: part, shape })) });

  add("embed", ["model.embed_tokens.weight", vocab, hidden]);
  for (let n = 0; n < c.layers; n++) {
    const at = `model.layers.${n}`;
    const attention = `${at}.self_attn`;
    const mlp = `${at}.mlp`;
    add(`layers.${n}.attn_norm`, [`${at}.input_layernorm.weight`, hidden]);
    add(
      `layers.${n}.qkv`,
      [`${attention}.q_proj.weight`, q, hidden],
      [`${attention}.k_proj.weight`, kv, hidden],
      [`${attention}.v_proj.weight`, kv, hidden],
    );
    if (biases.qkv)
      add(
        `layers.${n}.qkv_bias`,
        [`${attention}.q_proj.bias`, q],
        [`${attention}.k_proj.bias`, kv],
        [`${attention}.v_proj.bias`, kv],
      );
    if (c.qkNorm) {
      add(`layers.${n}.q_norm`, [`${attention}.q_norm.weight`, headDim]);
      add(`layers.${n}.k_norm`, [`${attention}.k_norm.weight`, headDim]);
    }
    add(`layers.${n}.o`, [`${attention}.o_proj.weight`, hidden, q]);
    if (biases.o) add(`layers.${n}.o_bias`, [`${attention}.o_proj.bias`, hidden]);
    add(`layers.${n}.mlp_norm`, [`${at}.post_attention_layernorm.weight`, hidden]);
    add(
      `layers.${n}.gate_up`,
      [`${mlp}.gate_proj.weight`, intermediate, hidden],
      [`${mlp}.up_proj.weight`, intermediate, hidden],
    );
    if (biases.mlp)
      add(`layers.${n}.gate_up_bias`, [`${mlp}.gate_proj.bias`, intermediate], [`${mlp}.up_proj.bias`, intermediate]);
    add(`layers.${n}.down`, [`${mlp}.down_proj.weight`, hidden, intermediate]);
    if (biases.mlp) add(`layers.${n}.down_bias`, [`${mlp}.down_proj.bias`, hidden]);
  }
  add("final_norm", ["model.norm.weight", hidden]);
  if (!tied) add("head", ["lm_head.weight", vocab, hidden]);
  return specs;
}
