/** Writing an answer as it is generated. */
import type { FinishPart, Part, Timings } from "../results";
import type { Io } from "./terminal";

/** What was written. */
export interface WrittenAnswer {
  text: string;
  reasoning: string;
  finish: FinishPart | undefined;
}

/**
 * Streams the text to standard output. Reasoning is shown, dimmed and between tags, or counted on standard error where
 * that is a terminal. What had been written when the stream failed is in `written`.
 */
export async function writeAnswer(
  parts: AsyncIterable<Part>,
  { out, err }: Io,
  showReasoning: boolean,
  written: WrittenAnswer = { text: "", reasoning: "", finish: undefined },
): Promise<WrittenAnswer> {
  let thinking = 0;
  const status = out.terminal && err.terminal;
  const hideStatus = async () => {
    if (thinking > 0 && status) await err.write("\r\x1b[2K");
    thinking = 0;
  };
  let shown = false;
  const endReasoning = async () => {
    if (shown) await out.write(out.style("dim", "\n</think>\n\n"));
    shown = false;
  };
  try {
    for await (const part of parts) {
      if (part.type === "finish") written.finish = part;
      else if (part.type === "text") {
        written.text += part.text;
        if (part.text === "") continue;
        await hideStatus();
        await endReasoning();
        await out.write(out.printable(part.text));
      } else {
        written.reasoning += part.text;
        if (showReasoning) {
          if (!shown) await out.write(out.style("dim", "<think>\n"));
          shown = true;
          await out.write(out.style("dim", out.printable(part.text)));
        } else if (status) {
          thinking += part.tokens.length;
          await err.write(`\r\x1b[2K${err.style("dim", `thinking, ${thinking} tokens`)}`);
        }
      }
    }
  } finally {
    await hideStatus();
    await endReasoning();
  }
  return written;
}

/** "214 tokens in 3.1 s, 68.9 per second, ended by length" */
export function describeFinish({ usage, timings, finishReason }: FinishPart): string {
  const { completionTokens } = usage;
  const ended = finishReason === "length" ? ", cut off by its length" : "";
  return `${completionTokens} tokens in ${seconds(timings)}, ${rate(completionTokens, timings)}${ended}`;
}

const seconds = ({ queue, prefill, decode }: Timings): string => `${((queue + prefill + decode) / 1000).toFixed(1)} s`;

/** The first token comes with the prefill. */
const rate = (tokens: number, { decode }: Timings): string =>
  tokens > 1 && decode > 0 ? `${(((tokens - 1) * 1000) / decode).toFixed(1)} per second` : "no rate";
