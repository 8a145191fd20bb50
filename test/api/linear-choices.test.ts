/** Files of choices: what they may say, which goes over which, and what is written. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { randomCheckpoint } from "../../lib/checkpoint/random";
import {
  formatChoices,
  keyOf,
  linearChoices,
  mergeChoices,
  noChoices,
  parseChoices,
  readChoices,
  withoutChoices,
} from "../../lib/linear-choices";
import { loadSpec } from "../../lib/load-spec";
import { binding, type NativeLinearChoices, type NativeStreamChoice } from "../../lib/native";
import { devices } from "../support/devices";

const stream: NativeStreamChoice = {
  ...{ numericClass: "decode", sms: 132, storedRows: 64, k: 72, tokens: 8, paired: false, tileRows: 64, stages: 5 },
};
const all: NativeLinearChoices = {
  stream: [stream, { ...stream, k: 1024 }, { ...stream, numericClass: "prefill" }],
  tile: [{ sms: 132, storedRows: 64, k: 72, rows: 128, paired: true, columns: 64, band: 2 }],
  splits: [{ family: "sm80", storedRows: 64, k: 720, splits: 3 }],
};
const folder = mkdtempSync(join(tmpdir(), "r1-choices-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (text: string) => {
  const path = join(folder, "choices.json");
  writeFileSync(path, text);
  return path;
};

describe("a file of choices", () => {
  it("is read as it was written, its rows in the order of their keys", () => {
    const about = ['7b: "NVIDIA H200"', "1.5b"];
    const path = file(formatChoices({ about, ...all }));
    const { stream: read, ...rest } = readChoices(path);
    expect(rest).toEqual({ about, tile: all.tile, splits: all.splits });
    expect(read).toEqual(all.stream); // k 72 before 1024, as numbers
    expect(formatChoices({ about, ...all, stream: [...all.stream].reverse() })).toBe(readFileSync(path, "utf8"));
    expect(parseChoices({}, "x")).toEqual({ about: [], ...noChoices });
  });
  it("is, built in, one that the tuner would write", () => {
    const path = join(__dirname, "../../lib/linear-choices.json");
    expect(readFileSync(path, "utf8")).toBe(formatChoices(readChoices(path)));
  });

  const wrong: [string, unknown, string][] = [
    ["no object", [], "the file must be an object, found an array"],
    ["another list", { streams: [] }, 'there is no list "streams"'],
    ["a list that is none", { tile: {} }, "tile must be an array"],
    ["notes that are none", { about: "7b" }, "about must be an array of strings"],
    ["a row that is none", { stream: [7] }, "stream[0] must be an object, found 7"],
    ["a field too few", { stream: [stream, { ...stream, stages: undefined }] }, "stream[1].stages must be an integer"],
    ["a field too many", { stream: [{ ...stream, band: 1 }] }, 'stream[0] has no field "band"'],
    ["a wrong type", { stream: [{ ...stream, paired: 1 }] }, "stream[0].paired must be true or false, found 1"],
    ["half a row", { stream: [{ ...stream, k: 1.5 }] }, "stream[0].k must be an integer from 1 to"],
    ["no stages", { stream: [{ ...stream, stages: 1 }] }, "stream[0].stages must be an integer from 2 to 16, found 1"],
    ["another class", { stream: [{ ...stream, numericClass: "both" }] }, 'one of "prefill", "decode", found "both"'],
    ["another family", { splits: [{ ...all.splits[0], family: "sm70" }] }, 'splits[0].family must be one of "sm75"'],
    [
      "too many splits",
      { splits: [{ ...all.splits[0], splits: 9 }] },
      "splits[0].splits must be an integer from 1 to 8",
    ],
    [
      "two of a key",
      { stream: [stream, { ...stream, stages: 6 }] },
      "stream[1] is for the same as stream[0]: stream, numericClass",
    ],
  ];
  it.each(wrong)("is refused: %s", (_, json, message) => {
    expect(() => parseChoices(json, "x.json")).toThrow(message);
    expect(() => parseChoices(json, "x.json")).toThrow(/^x\.json: .* `r1 bench tune --out`/);
    expect(() => parseChoices(json, "x.json")).toThrow(expect.objectContaining({ code: "E_BAD_INPUT" }));
  });
});

describe("R1_LINEAR_CHOICES", () => {
  const loaded = (path?: string) => linearChoices(path ? { R1_LINEAR_CHOICES: path } : {});
  it("goes over the built-in rows, key by key", () => {
    const builtIn = loaded();
    expect(loaded(file("{}"))).toEqual(builtIn);
    expect(loaded(file(JSON.stringify(all)))).toEqual(mergeChoices(builtIn, all));
    const [first] = builtIn.stream;
    if (first) {
      const other = { ...first, stages: first.stages === 2 ? 3 : 2 };
      const merged = loaded(file(JSON.stringify({ stream: [other] })));
      expect(merged.stream).toHaveLength(builtIn.stream.length);
      expect(merged.stream).toContainEqual(other);
      expect(merged.stream).not.toContainEqual(first);
    }
  });
  it("is in what engines are made of, unless a caller has choices or the device has none", () => {
    const checkpoint = randomCheckpoint("smollm2");
    process.env.R1_LINEAR_CHOICES = file(JSON.stringify(all));
    try {
      const spec = (options: object) => loadSpec(checkpoint, { device: "cuda", ...options }).linearChoices;
      expect(spec({})).toEqual(mergeChoices(loaded(), all));
      expect(spec({ linearChoices: noChoices })).toEqual(noChoices);
      expect(spec({ device: "cpu" })).toEqual(noChoices);
    } finally {
      delete process.env.R1_LINEAR_CHOICES;
    }
  });
  it("says what is wrong with its file", () => {
    const error = (code: string, message: string) =>
      expect.objectContaining({ code, message: expect.stringContaining(message) });
    expect(() => loaded(join(folder, "absent"))).toThrow(error("E_NOT_FOUND", "R1_LINEAR_CHOICES: "));
    expect(() => loaded(folder)).toThrow(error("E_FILE", `R1_LINEAR_CHOICES: ${folder} cannot be read`));
    expect(() => loaded(file("{"))).toThrow(error("E_BAD_INPUT", "choices.json is no JSON"));
    expect(() => loaded(file('{"tile":1}'))).toThrow(error("E_BAD_INPUT", "choices.json: tile must be an array"));
  });
  it.skipIf(!devices.includes("cuda"))("fails the load where no kernel can do it", async () => {
    const bad = { ...noChoices, stream: [{ ...stream, tileRows: 65 }] };
    const options = { device: "cuda", contextLength: 64, linearChoices: bad } as const;
    const step = { numericClass: "decode", sequences: 1, length: 5, promptRows: 0, classes: null } as const;
    const timed = binding().timeSteps(loadSpec(randomCheckpoint("smollm2"), options), [step], 1);
    await expect(timed).rejects.toMatchObject({ code: "E_BAD_INPUT", message: expect.stringContaining("65") });
  });
});

describe("tables", () => {
  it("are merged and taken apart by key", () => {
    const over = { ...noChoices, stream: [{ ...stream, stages: 9 }] };
    const merged = mergeChoices(all, over);
    expect(merged).toEqual({ ...all, stream: [...all.stream.slice(1), ...over.stream] });
    expect(withoutChoices(merged, new Set([keyOf("stream", stream)]))).toEqual({ ...all, stream: all.stream.slice(1) });
  });
});
