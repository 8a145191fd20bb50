/** generation_config.json: when the model's authors say to stop, and how to sample. */
import { Fields } from "./fields";
import type { JsonObject } from "./json";

/** Options are undefined where the file does not set them. */
export interface GenerationDefaults {
  /** Ids that end the answer. */
  stopTokens: number[];
  temperature?: number;
  topP?: number;
  topK?: number;
  minP?: number;
  repetitionPenalty?: number;
}

/**
 * @param json absent: there is no generation_config.json
 * @param configStopTokens config.json's, which count only where generation_config.json names none
 * @throws R1Error E_BAD_CHECKPOINT
 */
export function readGeneration(
  json: JsonObject | undefined,
  file: string,
  configStopTokens: number[],
  vocab: number,
): GenerationDefaults {
  const config = new Fields(json ?? {}, file);
  const optional = (key: string, min: number, max: number) =>
    config.has(key) ? config.number(key, undefined, min, max) : undefined;
  const own = config.integers("eos_token_id");
  const defaults: GenerationDefaults = {
    // Ids outside the vocabulary (-1 is in use for "none") can never be sampled.
    stopTokens: [...new Set(own.length > 0 ? own : configStopTokens)].filter((id) => id >= 0 && id < vocab),
    temperature: optional("temperature", 0, 100),
    topP: optional("top_p", 0, 1),
    topK: config.has("top_k") ? config.integer("top_k", undefined, 0) : undefined,
    minP: optional("min_p", 0, 1),
    repetitionPenalty: optional("repetition_penalty", 1e-3, 100),
  };
  if (config.has("do_sample") && !config.boolean("do_sample", false)) defaults.temperature = 0;
  return defaults;
}
