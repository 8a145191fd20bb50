import { describe, expect, it } from "vitest";
import { writeAnswer } from "../../lib/cli/answer";
import { measure } from "../../lib/cli/perplexity";
import { ProgressBar } from "../../lib/cli/progress";
import { bytes, Output } from "../../lib/cli/terminal";
import type { Part } from "../../lib/results";
import { sink, testIo } from "./run";

describe("colours", () => {
  const styled = (terminal: boolean, env: NodeJS.ProcessEnv) => new Output(sink(terminal), env).style("red", "x");

  it("are for terminals, unless NO_COLOR says no", () => {
    expect(styled(true, {})).toBe("\x1b[31mx\x1b[39m");
    expect(styled(true, { NO_COLOR: "" })).toBe("\x1b[31mx\x1b[39m");
    expect(styled(true, { NO_COLOR: "1" })).toBe("x");
    expect(styled(true, { TERM: "dumb" })).toBe("x");
    expect(styled(false, {})).toBe("x");
  });
});

describe("the progress bar", () => {
  it("is drawn at a terminal and taken away again", () => {
    const stream = sink(true);
    const bar = new ProgressBar(new Output(stream, { NO_COLOR: "1" }));
    bar.show("Loading", 0.5, "1 of 2 GiB");
    bar.show("Loading", 0.51, "too soon to be drawn");
    bar.show("Loading", 1, "2 of 2 GiB");
    bar.clear();
    bar.clear();
    expect(stream.text()).toBe(
      `\r\x1b[2KLoading ${"█".repeat(12)}${"░".repeat(12)}  50 %  1 of 2 GiB\r\x1b[2KLoading ${"█".repeat(24)} 100 %  2 of 2 GiB\r\x1b[2K`,
    );
  });

  it("is nothing elsewhere", () => {
    const stream = sink(false);
    const bar = new ProgressBar(new Output(stream, {}));
    bar.show("Loading", 1);
    bar.clear();
    expect(stream.text()).toBe("");
  });

  it("fits into a narrow terminal", () => {
    const stream = Object.assign(sink(true), { columns: 20 });
    new ProgressBar(new Output(stream, {})).show("Loading", 0.5, "1234567890 of 1234567890");
    expect(stream.text().replace("\r\x1b[2K", "").length).toBeLessThan(20);
  });
});

describe("output", () => {
  it("keeps from a terminal what it would obey, and changes nothing elsewhere", () => {
    const text = "a\tb\n\x1b[31mc\x07\r\x7f\x9b2J语";
    expect(new Output(sink(true), {}).printable(text)).toBe("a\tb\n[31mc2J语");
    expect(new Output(sink(false), {}).printable(text)).toBe(text);
  });

  it("waits for a reader that is slow, and not for one that has left", async () => {
    const stream = sink();
    Object.defineProperty(stream, "writableHighWaterMark", { value: 1 });
    let written = false;
    stream.write = () => false;
    const output = new Output(stream, {});
    const done = output.write("x").then(() => {
      written = true;
    });
    await new Promise(setImmediate);
    expect(written).toBe(false);
    stream.emit("drain");
    await done;
    const left = output.write("y");
    stream.destroy();
    await left;
    await output.write("z");
  });

  it("names bytes", () => {
    expect([0, 1023, 1536, 1 << 20, 1000 * 2 ** 20, 2.5 * 2 ** 30].map(bytes)).toEqual([
      "0 B",
      "1023 B",
      "1.50 KiB",
      "1.00 MiB",
      "1000 MiB",
      "2.50 GiB",
    ]);
  });

  it("counts tokens of a hidden reasoning at a terminal, and takes the count away", async () => {
    const io = testIo(true);
    async function* parts(): AsyncGenerator<Part> {
      yield { type: "reasoning", text: "Hm", tokens: [1, 2, 3] };
      yield { type: "text", text: "Yes", tokens: [4] };
    }
    const { text, reasoning } = await writeAnswer(parts(), io, false);
    expect([text, reasoning, io.stdout()]).toEqual(["Yes", "Hm", "Yes"]);
    expect(io.stderr()).toBe("\r\x1b[2Kthinking, 3 tokens\r\x1b[2K");
  });
});

describe("perplexity over windows", () => {
  /** Each id's log-probability is minus the id; ids are their position, so that windows can be told. */
  const model = (calls: number[][]) => ({
    async logprobs(ids: unknown) {
      const tokens = [...(ids as number[])];
      calls.push(tokens);
      return { tokens, logprobs: Float32Array.from(tokens, (id, i) => (i === 0 ? Number.NaN : -id)) };
    },
  });

  for (const [length, window, stride] of [
    [10, 10, 5],
    [10, 4, 2],
    [11, 4, 3],
    [2, 8, 4],
    [100, 7, 1],
    [101, 16, 15],
  ])
    it(`scores each of ${length} tokens once, in windows of ${window} every ${stride}`, async () => {
      const calls: number[][] = [];
      const ids = Array.from({ length }, (_, i) => i);
      const report = await measure(model(calls), ids, window, stride, testIo());
      const sum = (length * (length - 1)) / 2;
      expect(report.scored).toBe(length - 1);
      expect(report.meanLogprob).toBeCloseTo(-sum / (length - 1), 6);
      expect(report.perplexity).toBeCloseTo(Math.exp(sum / (length - 1)), 3);
      for (const call of calls) expect(call.length).toBeLessThanOrEqual(window);
      expect(calls[0][0]).toBe(0);
      expect(calls.at(-1)?.at(-1)).toBe(length - 1);
      for (let i = 1; i < calls.length; i++) {
        const first = (calls[i - 1].at(-1) as number) + 1;
        expect(first - calls[i][0]).toBeGreaterThanOrEqual(Math.min(window - stride, first));
      }
    });
});
