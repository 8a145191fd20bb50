/** `r1 info`: what a model folder holds and needs. */
import { type ModelInfo, modelInfo } from "../checkpoint/info";
import { embeddedModel } from "../embedded";
import type { Precision } from "../native";
import { ChatTemplate } from "../text/chat-template";
import { thinkTags } from "../text/reasoning-splitter";
import { Tokenizer } from "../text/tokenizer";
import { type Command, exitCodes } from "./command";
import { modelFolder } from "./load";
import { bytes, columns } from "./terminal";

export const info: Command = {
  summary: "describe a model folder: architecture, parameters, memory, context",
  usage: "info [DIR] [flags]",
  flags: {
    model: { value: "DIR", short: "m", help: `the folder, instead of DIR (default: the embedded ${embeddedModel})` },
    json: { help: "writes JSON" },
  },
  maxPositionals: 1,
  async run({ values, positionals }, io) {
    const { out } = io;
    const folder = await modelFolder(positionals[0] ?? (values.model as string | undefined), io);
    const model = await modelInfo(folder);
    const text = describeText(await Tokenizer.load(folder));
    if (values.json) await out.line(JSON.stringify({ ...model, text }, null, 2));
    else await out.line(columns([...rows(model), ...textRows(text)].map(([left, right]) => [left, right])));
    return exitCodes.ok;
  },
};

interface TextInfo {
  tokens: number;
  bos: string | null;
  eos: string | null;
  chatTemplate: boolean;
  reasoning: boolean;
}

function describeText(tokenizer: Tokenizer): TextInfo {
  return {
    tokens: tokenizer.size,
    bos: tokenizer.namedToken("bos_token") ?? null,
    eos: tokenizer.namedToken("eos_token") ?? null,
    chatTemplate: new ChatTemplate(tokenizer).exists,
    reasoning: thinkTags(tokenizer) !== undefined,
  };
}

const count = (value: number): string => value.toLocaleString("en-US");

function rows(model: ModelInfo): [string, string][] {
  const { rope, slidingWindow, generation, memory } = model;
  const precisions = Object.keys(memory) as Precision[];
  return [
    ["architecture", model.family],
    ["parameters", `${count(model.parameters)} (${scaled(model.parameters)})`],
    ["stored as", `${model.storedTypes.join(", ")} in ${model.files} ${model.files === 1 ? "file" : "files"}`],
    ["layers", count(model.layers)],
    ["hidden size", `${count(model.hidden)}, MLP ${count(model.intermediate)}`],
    ["attention", `${model.heads} heads, ${model.kvHeads} for keys and values, of ${model.headDim}`],
    ["vocabulary", `${count(model.vocab)}${model.tied ? ", embedding and head tied" : ""}`],
    ["context", `${count(model.contextLength)} tokens`],
    ["RoPE", `${rope.type}, theta ${count(rope.theta)}${rope.factor === 1 ? "" : `, factor ${rope.factor}`}`],
    ...(slidingWindow
      ? [
          ["sliding window", `${count(slidingWindow.tokens)} tokens in ${slidingWindow.layers} layers`] as [
            string,
            string,
          ],
        ]
      : []),
    ...precisions.map((precision): [string, string] => [
      `memory, ${precision}`,
      `weights ${bytes(memory[precision].weights)}, KV cache ${bytes(memory[precision].kvPerToken)} per token, ` +
        `${bytes(memory[precision].fullContext)} with a full context`,
    ]),
    ["sampling", sampling(generation)],
    ["stop ids", generation.stopTokens.join(", ") || "none"],
  ];
}

function textRows({ tokens, bos, chatTemplate, reasoning }: TextInfo): [string, string][] {
  const parts = [
    `${count(tokens)} tokens`,
    bos === null ? "no BOS" : `BOS ${bos}`,
    chatTemplate ? "chat template" : "no chat template",
    reasoning ? "reasoning tags" : "no reasoning tags",
  ];
  return [["text", parts.join(", ")]];
}

function sampling(generation: ModelInfo["generation"]): string {
  const { stopTokens: _, ...set } = generation;
  const entries = Object.entries(set).filter(([, value]) => value !== undefined);
  return entries.map(([name, value]) => `${name} ${value}`).join(", ") || "as the library's defaults";
}

/** 1543714304 is "1.54 B". */
function scaled(value: number): string {
  for (const [unit, size] of [
    ["B", 1e9],
    ["M", 1e6],
    ["K", 1e3],
  ] as const)
    if (value >= size) return `${(value / size).toPrecision(3)} ${unit}`;
  return String(value);
}
