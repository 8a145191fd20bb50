/** What sessions are made with and what their turns take, and the checks of both. */
import { boolean, checkOptions, checkString, wrongType } from "../arguments";
import { checkSalt, type RequestOptions } from "../options";
import { checkMessages, type Message } from "../text/messages";

/** Options of `model.createSession`. An unknown name is a `TypeError`. */
export interface SessionOptions {
  /** A system message at the start. R1 models do best without. Default: none. */
  system?: string;
  /** What has been said already. Default: nothing. */
  messages?: readonly Message[];
  /**
   * `false`, the default: every turn renders the whole conversation with the chat template, which for R1 leaves out
   * what was thought before; the last answer's tokens are read again without it. `true`: every turn goes on behind the
   * very tokens that were generated, reasoning included, and nothing is read again; the context fills sooner.
   */
  keepReasoning?: boolean;
  /** The `salt` of all its requests ({@link RequestOptions}). Default "". */
  salt?: string;
}

/** What a turn says: one user message as text, one message, or several. */
export type TurnPrompt = string | Message | readonly Message[];

/** Options of a turn: those of a request, but that it has one answer, and the session's salt. */
export type TurnOptions = Omit<RequestOptions, "n" | "salt">;

export interface CheckedSession {
  system?: string;
  messages: readonly Message[];
  keepReasoning: boolean;
  salt: string;
}

/** @throws TypeError, RangeError */
export function checkSessionOptions(options: unknown): CheckedSession {
  const {
    system,
    messages = [],
    ...rest
  } = checkOptions<Required<SessionOptions>>("options", options, {
    system: (value, name) => checkString(name, value),
    messages: checkEarlier,
    keepReasoning: boolean,
    salt: checkSalt,
  });
  return { keepReasoning: false, salt: "", ...(system === undefined ? {} : { system }), messages, ...rest };
}

function checkEarlier(value: unknown, name: string): readonly Message[] {
  if (!Array.isArray(value)) throw wrongType(name, "an array of messages", value);
  return value.length === 0 ? [] : plain(value);
}

/** @throws TypeError */
export function checkTurn(value: unknown): readonly Message[] {
  if (typeof value === "string") return [{ role: "user", content: value }];
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value))
    throw wrongType("message", "a string, a message or an array of messages", value);
  return plain(Array.isArray(value) ? value : [value]);
}

/**
 * Options of the turn's request.
 *
 * @throws TypeError for what a session decides itself
 */
export function turnOptions(options: unknown, salt: string): unknown {
  if (typeof options !== "object" || options === null) return options ?? { salt };
  const { n, salt: own } = options as RequestOptions;
  if (own !== undefined)
    throw new TypeError("options: a session has one salt for all its turns: give it to createSession.");
  if (n !== undefined && n !== 1)
    throw new TypeError(
      "options: n must be left out in a session, whose turns have one answer each; fork it for others.",
    );
  return { ...options, salt };
}

/** Copies that stay as they are whatever callers do with theirs, and that a file can hold. */
function plain(messages: readonly unknown[]): readonly Message[] {
  const checked = checkMessages(messages);
  try {
    return JSON.parse(JSON.stringify(checked)) as Message[];
  } catch (cause) {
    throw new TypeError(`messages must be plain data: ${(cause as Error).message}`, { cause });
  }
}
