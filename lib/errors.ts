import type { PartialResult } from "./results";

/** Every code an {@link R1Error} can carry, and what it means. */
export const errorCodes = {
  E_ABORTED: "the caller's AbortSignal fired",
  E_BAD_CHECKPOINT: "a model file is malformed, truncated or does not fit its config",
  E_BAD_INPUT:
    "a prompt cannot be rendered from this input, a session has an open turn, or a session file or R1_LINEAR_CHOICES is damaged",
  E_BINDING: "the native addon could not be loaded",
  E_CONTEXT_OVERFLOW: "the prompt and the tokens asked for do not fit the context",
  E_DEVICE_LOST: "the device reported an error it cannot recover from; this model must be disposed and loaded again",
  E_DEVICE_UNAVAILABLE: "no usable GPU: no driver, a driver that is too old, or an unsupported card",
  E_DISPOSED: "the model or the session was disposed",
  E_INTERNAL: "a bug in r1-native",
  E_FILE: "the operating system refused to write or read a file",
  E_INVALID_ARGUMENT: "the native layer was given something TypeScript should have refused",
  E_NOT_FOUND: "a file or folder does not exist",
  E_OUT_OF_MEMORY: "host or device memory does not suffice",
  E_OVERLOADED: "more requests wait than the model's queue may hold",
  E_SAMPLING: "no token can be drawn: nothing is allowed, or the logits are not finite",
  E_SESSION_MISMATCH: "a saved session belongs to another model, precision or version",
  E_TIMEOUT: "the request took longer than its timeoutMs, or waited longer than its queueTimeoutMs",
  E_UNSUPPORTED: "well-formed, but not something this version, build or device can do",
} as const;

export type R1ErrorCode = keyof typeof errorCodes;

/**
 * The one error class of r1-native. The message says what was expected, what was found and what to do.
 * Bad arguments are plain `TypeError`s and `RangeError`s instead, thrown before any work starts; an aborted request
 * rejects with an {@link AbortError}.
 *
 * @example
 * try { await DeepSeekR1.load({ modelPath }); }
 * catch (error) { if (error instanceof R1Error && error.code === "E_NOT_FOUND") … }
 */
export class R1Error extends Error {
  readonly code: R1ErrorCode;

  constructor(code: R1ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "R1Error";
    this.code = code;
  }
}

/**
 * A request or a load stopped by its AbortSignal: `cause` is `signal.reason`.
 *
 * @example
 * try { await model.chat(messages, { signal }); }
 * catch (error) { if (error instanceof AbortError) console.log(error.partial?.text); }
 */
export class AbortError extends R1Error {
  /** What had been generated; undefined for `load` and `logprobs`, which generate nothing. */
  readonly partial: PartialResult | undefined;

  constructor(reason: unknown, partial: PartialResult | undefined) {
    super("E_ABORTED", "The request was aborted by its signal.", { cause: reason });
    this.name = "AbortError";
    this.partial = partial;
  }
}
