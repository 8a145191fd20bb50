/** What `r1 info DIR` prints. */
import type { Precision, StoredType } from "../native";
import { type Checkpoint, openCheckpoint } from "./checkpoint";
import type { GenerationDefaults } from "./generation";
import { kvBytesPerToken, weightBytes } from "./memory";

export interface ModelInfo {
  /** `model_type`: "qwen2", "llama", "qwen3". */
  family: string;
  layers: number;
  hidden: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  intermediate: number;
  vocab: number;
  tied: boolean;
  parameters: number;
  storedTypes: StoredType[];
  /** Weight files. */
  files: number;
  /** Bytes by precision: of the weights, of the KV cache per token, and of both with a full context of one sequence. */
  memory: Record<Precision, { weights: number; kvPerToken: number; fullContext: number }>;
  /** Tokens. */
  contextLength: number;
  rope: { type: string; theta: number; factor: number; scale: number };
  /** Sliding window in tokens and the layers that have it; undefined where every layer sees everything. */
  slidingWindow?: { tokens: number; layers: number };
  generation: GenerationDefaults;
}

/** @throws R1Error as {@link openCheckpoint} does */
export async function modelInfo(folder: string): Promise<ModelInfo> {
  return describeCheckpoint(await openCheckpoint(folder));
}

export function describeCheckpoint(checkpoint: Checkpoint): ModelInfo {
  const { config, rope, contextLength } = checkpoint;
  const { layers, hidden, heads, kvHeads, headDim, intermediate, vocab } = config;
  const memory = (precision: Precision) => {
    const weights = weightBytes(checkpoint.weights, precision);
    const kvPerToken = kvBytesPerToken(config, precision);
    return { weights, kvPerToken, fullContext: weights + kvPerToken * contextLength };
  };
  const windows = config.windows.filter((tokens) => tokens > 0);
  return {
    family: checkpoint.family,
    ...{ layers, hidden, heads, kvHeads, headDim, intermediate, vocab },
    tied: checkpoint.tied,
    parameters: checkpoint.parameters,
    storedTypes: checkpoint.storedTypes,
    files: checkpoint.files.length,
    memory: { f32: memory("f32"), bf16: memory("bf16"), fp16: memory("fp16") },
    contextLength,
    rope: { type: rope.type, theta: rope.theta, factor: rope.factor, scale: rope.scale },
    slidingWindow: windows.length > 0 ? { tokens: windows[0], layers: windows.length } : undefined,
    generation: checkpoint.generation,
  };
}
