export { AbortError, errorCodes, R1Error, type R1ErrorCode } from "./errors";
export type { LoadProgress } from "./engine-client";
export type { ModelDetails } from "./loading";
export { DeepSeekR1, type ModelStats } from "./model";
export type { Precision } from "./native";
export type { LoadOptions, LogprobsOptions, PromptOptions, RequestOptions, RunOptions, Warning } from "./options";
export type { ChatPrompt, HolePrompt, StreamPrompt, TokenIds } from "./prompts";
export type {
  FinishPart,
  FinishReason,
  Logprobs,
  Part,
  PartialResult,
  Result,
  ScoredToken,
  TextPart,
  Timings,
  TokenLogprob,
  Usage,
} from "./results";
export { type Preset, presets, type Sampler, type SamplerContext, type SamplingOptions } from "./sampling/options";
export type { Message, TextContent, ToolCall } from "./text/messages";
export type { DecodeOptions, EncodeOptions, Tokenizer } from "./text/tokenizer";
