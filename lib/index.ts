export type { LoadProgress } from "./engine-client";
export { AbortError, errorCodes, R1Error, type R1ErrorCode } from "./errors";
export type { LoadOptions, Warning } from "./load-options";
export type { ModelDetails } from "./loading";
export { DeepSeekR1 } from "./model";
export type { NativeGpuStatus as GpuStatus, Precision } from "./native";
export type { LogprobsOptions, PromptOptions, RequestOptions, RunOptions } from "./options";
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
export type { ModelEvent, ModelEvents, Pressure } from "./serving/events";
export type { MemoryStep, MonitorOptions, ResultCacheOptions } from "./serving/options";
export type { Percentiles } from "./serving/percentiles";
export type { ResultCacheStats } from "./serving/result-cache";
export type { ModelStats } from "./serving/stats";
export type { Measure, ThresholdChange, ThresholdState } from "./serving/thresholds";
export type { SessionOptions, TurnOptions, TurnPrompt } from "./session/options";
export type { Session } from "./session/session";
export type { Message, TextContent, ToolCall } from "./text/messages";
export type { DecodeOptions, EncodeOptions, Tokenizer } from "./text/tokenizer";
