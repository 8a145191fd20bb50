/** The options of requests as flags: each option of the API under its name in kebab case. */
import { checkRequestOptions, type RequestOptions } from "../options";
import { presets } from "../sampling/options";
import { type Flags, number, numbers, UsageError } from "./flags";

/** "5=-2.5,17=-Infinity" */
function biases(text: string, flag: string): Record<number, number> {
  const entries = text.split(",").map((pair) => {
    const [token, bias, ...rest] = pair.split("=");
    if (bias === undefined || rest.length > 0)
      throw new UsageError(`${flag} must be TOKEN=BIAS pairs such as 17=-2.5, found ${JSON.stringify(pair)}.`);
    return [number(token, flag), number(bias, flag)];
  });
  return Object.fromEntries(entries);
}

export const requestFlags: Flags = {
  "max-new-tokens": {
    value: "N",
    parse: number,
    help: "tokens to generate at most (default: what the context leaves, up to 32768)",
  },
  "min-new-tokens": { value: "N", parse: number, help: "tokens before which nothing ends the answer" },
  preset: { value: "NAME", help: `sampling settings: ${Object.keys(presets).join(", ")}` },
  temperature: { value: "T", parse: number, help: "0 takes the best token, higher is more varied (default 0.6)" },
  "top-k": { value: "K", parse: number, help: "only the K best tokens; 0 is off" },
  "top-p": {
    value: "P",
    parse: number,
    help: "only the best tokens with this share of the probability (default 0.95)",
  },
  "min-p": { value: "P", parse: number, help: "only tokens this probable beside the best one; 0 is off" },
  "repetition-penalty": { value: "R", parse: number, help: "above 1 disfavours tokens of prompt and answer" },
  "presence-penalty": { value: "X", parse: number, help: "subtracted from logits of tokens the answer has, -2 to 2" },
  "frequency-penalty": {
    value: "X",
    parse: number,
    help: "subtracted for each time the answer has the token, -2 to 2",
  },
  "logit-bias": { value: "ID=B,…", parse: biases, help: "added to logits by token id; -Infinity bans" },
  "allow-tokens": { value: "ID,…", parse: numbers, help: "only these token ids" },
  "ban-tokens": { value: "ID,…", parse: numbers, help: "never these token ids" },
  seed: { value: "N", parse: number, help: "fixes the draws: the same seed gives the same text" },
  n: { value: "N", short: "n", parse: number, help: "answers to generate" },
  logprobs: { value: "N", parse: number, help: "with --json: log-probabilities, and the N best of each token" },
  stop: { value: "TEXT", multiple: true, help: "ends the answer before this text (may be repeated)" },
  "stop-tokens": {
    value: "ID,…",
    parse: numbers,
    help: 'ids that end the answer, instead of the model\'s; "" is none',
  },
  "ignore-eos": { help: "does not stop at the model's own end tokens" },
  "no-reasoning": { help: "answers without thinking first: the prompt ends with an empty think block" },
  priority: { value: "N", parse: number, help: "0 to 9 (default 5)" },
  "timeout-ms": { value: "MS", parse: number, help: "gives up after so many milliseconds" },
  "no-special-tokens": { help: "with --raw: adds no BOS" },
  "parse-special": { help: "with --raw: reads control tokens in the text as such" },
};

/** Flags that turn an option off. */
const negations: Readonly<Record<string, keyof RequestOptions>> = {
  "no-reasoning": "reasoning",
  "no-special-tokens": "addSpecialTokens",
};

const camel = (flag: string): string => flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

/** The options that were given. @throws UsageError for values out of range, before anything is loaded */
export function requestOptions(values: Readonly<Record<string, unknown>>): RequestOptions {
  const options: Record<string, unknown> = {};
  for (const flag of Object.keys(requestFlags)) {
    if (values[flag] === undefined) continue;
    if (Object.hasOwn(negations, flag)) options[negations[flag]] = false;
    else options[camel(flag)] = values[flag];
  }
  checked(() => checkRequestOptions(options), requestFlags);
  return options as RequestOptions;
}

/** Runs a check of the API and names flags in its message. @throws UsageError */
export function checked<T>(check: () => T, flags: Flags): T {
  try {
    return check();
  } catch (error) {
    throw asUsageError(error, flags);
  }
}

/** What the API says of bad arguments, with the names of flags; other errors as they are. */
export function asUsageError(error: unknown, flags: Flags): unknown {
  if (!(error instanceof TypeError || error instanceof RangeError)) return error;
  let { message } = error;
  for (const flag of Object.keys(flags)) message = message.replace(new RegExp(`\\b${camel(flag)}\\b`), `--${flag}`);
  return new UsageError(message);
}
