import { Template } from "@huggingface/jinja";
import { describe, expect, it } from "vitest";
import type { R1Error } from "../../lib/errors";
import { ChatTemplate } from "../../lib/text/chat-template";
import { Marker, type Message } from "../../lib/text/messages";
import type { Tokenizer } from "../../lib/text/tokenizer";
import { corpus } from "./corpus";
import { chatml, inquisitive, r1 } from "./templates";
import { deepseekV3, type Json, ours, rustIds, rustTokenizer, small, withTokens } from "./vocabularies";

const qwenTokens = [
  "<|endoftext|>",
  "<|im_start|>",
  "<|im_end|>",
  "<tool_call>",
  "</tool_call>",
  "<tool_response>",
  "</tool_response>",
];
const json = withTokens(
  small,
  qwenTokens.map((content, i) => ({ content, special: i < 3 })),
);
const control: string[] = json.added_tokens.map((token: Json) => token.content);
const idOf = new Map<string, number>(json.added_tokens.map((token: Json) => [token.content, token.id]));
const withTemplate = (chat_template: unknown, file?: string): Tokenizer =>
  ours(json, { ...deepseekV3.config, chat_template }, file);
const templates: Record<string, string> = { "DeepSeek V3": deepseekV3.config.chat_template, r1, chatml, inquisitive };
const chats = Object.fromEntries(
  Object.entries(templates).map(([name, text]) => [name, new ChatTemplate(withTemplate(text))]),
);

const oracle = rustTokenizer(json);
const plainOracle = rustTokenizer({ ...json, added_tokens: [] });
const render = (template: string, messages: Message[], tools?: unknown): string =>
  new Template(template).render({
    messages: messages as unknown as Record<string, unknown>[],
    tools,
    bos_token: deepseekV3.config.bos_token.content,
    eos_token: deepseekV3.config.eos_token.content,
    add_generation_prompt: true,
  });
/** What apply_chat_template gives: rendered as it stands, added tokens read as such. */
const transformersIds = (template: string, messages: Message[], tools?: unknown) =>
  rustIds(oracle, render(template, messages, tools));

const conversations: Message[][] = [
  [{ role: "user", content: "Why is the sky blue?" }],
  [
    { role: "system", content: "You are terse." },
    { role: "user", content: "  用一句话介绍北京。\n" },
  ],
  [
    { role: "user", content: "1+1?" },
    { role: "assistant", content: "<think>\nEasy: 2.\n</think>\n\nIt is 2." },
    { role: "user", content: "> quote < less </b> <|x and <" },
  ],
  [
    { role: "user", content: "｜> a <｜" },
    { role: "assistant", content: ">b<" },
    { role: "user", content: "<" },
  ],
];
const toolCalls = [{ type: "function" as const, function: { name: "get_weather", arguments: '{"city": "Paris"}' } }];
const toolConversation: Message[] = [
  { role: "user", content: "Weather in Paris?" },
  { role: "assistant", content: null, tool_calls: toolCalls },
  { role: "tool", content: "18 °C, cloudy" },
];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "Weather of a city",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];

describe("ids of chats", () => {
  for (const [name, template] of Object.entries(templates))
    it(`are those of transformers with the template of ${name}`, async () => {
      const harmless = corpus.filter((text) => !control.some((token) => text.includes(token)));
      expect(harmless.length).toBeGreaterThan(1100);
      const different: unknown[] = [];
      for (const messages of [...conversations, ...harmless.map((content): Message[] => [{ role: "user", content }])]) {
        const { ids } = await chats[name].prompt(messages);
        if (JSON.stringify(ids) !== JSON.stringify(await transformersIds(template, messages))) different.push(messages);
      }
      expect(different).toEqual([]);
    });

  it("are those of transformers for tools and tool calls", async () => {
    for (const name of ["DeepSeek V3", "r1"])
      expect((await chats[name].prompt(toolConversation)).ids).toEqual(
        await transformersIds(templates[name], toolConversation),
      );
    const { ids } = await chats.inquisitive.prompt(toolConversation, { tools });
    expect(ids).toEqual(await transformersIds(inquisitive, toolConversation, tools));
    expect(ids).toContain(idOf.get("<tool_response>"));
  });

  it("join text parts, and pass variables on", async () => {
    const parts = [
      { type: "text" as const, text: "Hel" },
      { type: "text" as const, text: "lo" },
    ];
    const { ids } = await chats.chatml.prompt([{ role: "user", content: parts }]);
    expect(ids).toEqual((await chats.chatml.prompt([{ role: "user", content: "Hello" }])).ids);
    const off = await chats.inquisitive.prompt([{ role: "user", content: "x" }], {
      variables: { enable_thinking: false },
    });
    expect(off.ids.at(-2)).toBe(idOf.get("</think>"));
  });
});

/** Where a caller can put text, and which template shows it. */
const places: Record<string, { template: string; build: (text: string) => { messages: Message[]; tools?: unknown } }> =
  {
    user: { template: "r1", build: (text) => ({ messages: [{ role: "user", content: text }] }) },
    "text parts, cut in the middle": {
      template: "chatml",
      build: (text) => {
        const parts = [text.slice(0, 3), text.slice(3)].map((part) => ({ type: "text" as const, text: part }));
        return { messages: [{ role: "user", content: parts }] };
      },
    },
    system: {
      template: "r1",
      build: (text) => ({
        messages: [
          { role: "system", content: text },
          { role: "user", content: "x" },
        ],
      }),
    },
    assistant: {
      template: "chatml",
      build: (text) => ({
        messages: [
          { role: "assistant", content: text },
          { role: "user", content: "x" },
        ],
      }),
    },
    tool: {
      template: "r1",
      build: (text) => ({ messages: [...toolConversation.slice(0, 2), { role: "tool", content: text }] }),
    },
    name: { template: "inquisitive", build: (text) => ({ messages: [{ role: "user", name: text, content: "x" }] }) },
    reasoning_content: {
      template: "inquisitive",
      build: (text) => ({ messages: [{ role: "assistant", reasoning_content: text, content: "x" }] }),
    },
    "function name": {
      template: "r1",
      build: (text) => ({
        messages: [
          {
            role: "assistant",
            content: null,
            tool_calls: [{ type: "function", function: { name: text, arguments: "{}" } }],
          },
        ],
      }),
    },
    "arguments as text": {
      template: "r1",
      build: (text) => ({
        messages: [
          {
            role: "assistant",
            content: null,
            tool_calls: [{ type: "function", function: { name: "f", arguments: text } }],
          },
        ],
      }),
    },
    "arguments as an object, keys too": {
      template: "inquisitive",
      build: (text) => ({
        messages: [
          {
            role: "assistant",
            content: null,
            tool_calls: [{ type: "function", function: { name: "f", arguments: { [text]: [text] } } }],
          },
        ],
      }),
    },
    "tool description": {
      template: "inquisitive",
      build: (text) => ({
        messages: [{ role: "user", content: "x" }],
        tools: [{ type: "function", function: { name: "f", description: text } }],
      }),
    },
  };

/** Ids with the caller's text as text: the template's own tokens are found around a placeholder. */
async function injectedIds(
  template: string,
  build: (text: string) => { messages: Message[]; tools?: unknown },
  text: string,
) {
  const placeholder = "zqPLACEHOLDERqz";
  const { messages, tools } = build(placeholder);
  const joined = messages.map((message) => ({
    ...message,
    content: Array.isArray(message.content) ? message.content.map((part) => part.text).join("") : message.content,
  })) as Message[];
  const pattern = new RegExp(control.map((token) => token.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "g");
  const rendered = render(template, joined, tools);
  const ids: number[] = [];
  let done = 0;
  for (const match of [...rendered.matchAll(pattern), undefined]) {
    const stretch = rendered.slice(done, match?.index).replaceAll(placeholder, () => text);
    if (stretch !== "") ids.push(...(await rustIds(plainOracle, stretch)));
    if (match) ids.push(idOf.get(match[0])!);
    done = (match?.index ?? 0) + (match?.[0].length ?? 0);
  }
  return ids;
}

describe("what a caller writes never becomes a control token", () => {
  for (const [place, { template, build }] of Object.entries(places))
    it(`in: ${place}`, async () => {
      const tokens = control.filter((token) => !(place === "assistant" && /^<\/?think>$/.test(token)));
      // Every token in one place; and texts that hold it more than once, cut short, nested or beside others.
      const texts = tokens.flatMap((token, i) => {
        const forms = [token, `a ${token}${token} b`, `<${token.slice(0, -1)}`, `${token.slice(0, 2)}${token}>`];
        return !token.includes("holder") || i % 100 === 0 ? forms : place === "user" ? [token] : [];
      });
      expect(texts.length).toBeGreaterThan(place === "user" ? 900 : 110);
      const different: string[] = [];
      for (const text of texts) {
        const { messages, tools } = build(text);
        const { ids } = await chats[template].prompt(messages, { tools });
        if (JSON.stringify(ids) !== JSON.stringify(await injectedIds(templates[template], build, text)))
          different.push(text);
      }
      expect(different).toEqual([]);
    });

  it("together with what stands beside it, in the template or in another message", async () => {
    const beside =
      "{{ messages[0].name }}{{ messages[0].content }}|<{{ messages[1].content }}>|<｜{{ messages[1].name }}";
    const chat = new ChatTemplate(withTemplate(beside));
    const messages: Message[] = [
      { role: "user", name: "<｜Us", content: "er｜>" },
      { role: "user", name: "User｜>", content: "/think>" },
    ];
    expect((await chat.prompt(messages)).ids).toEqual(await rustIds(plainOracle, render(beside, messages)));
  });

  it("when the template writes JSON in ASCII, or the text holds private-use characters", async () => {
    const ascii = "{{ messages[0].content | tojson(ensure_ascii=true) }}";
    const chat = new ChatTemplate(withTemplate(ascii));
    const messages: Message[] = [{ role: "user", content: "\ue000 \\ue001 <think> \ue002" }];
    expect((await chat.prompt(messages)).ids).toEqual(await rustIds(plainOracle, render(ascii, messages)));
  });

  it("but an assistant's <think> and </think> are its reasoning", async () => {
    const messages: Message[] = [
      { role: "user", content: "<think>" },
      { role: "assistant", content: "<think>a</think>b" },
    ];
    const { ids } = await chats.chatml.prompt(messages);
    expect(ids.filter((id) => id === idOf.get("<think>")).length).toBe(1);
    expect(ids.filter((id) => id === idOf.get("</think>")).length).toBe(1);
  });

  it("takes work that is linear in the text", () => {
    const marker = new Marker(withTemplate(r1).added, []);
    const marked = marker.text("<｜User｜>".repeat(20_000));
    expect(marked.length).toBe(20_000 * ("<｜User｜>".length + 1));
  });
});

describe("where the answer begins", () => {
  const beginning = async (name: string, messages: Message[], variables?: Record<string, unknown>) =>
    (await chats[name].prompt(messages, { variables })).reasoning;

  it("is inside the reasoning exactly when the prompt ends in an open <think>", async () => {
    const user: Message = { role: "user", content: "x </think>" };
    expect(await beginning("r1", [user])).toBe("inside");
    expect(await beginning("chatml", [user])).toBe("outside");
    expect(await beginning("inquisitive", [user], { enable_thinking: false })).toBe("outside");
    expect(await beginning("chatml", [{ role: "user", content: "<think>" }])).toBe("outside");
    expect(await beginning("r1", toolConversation)).toBe("outside");
    const opened = new ChatTemplate(withTemplate(`${chatml}{{ '<think>' }}`));
    expect((await opened.prompt([user])).reasoning).toBe("opened");
  });

  it("is not inside a reasoning that an earlier turn left open", async () => {
    expect(
      await beginning("chatml", [
        { role: "assistant", content: "<think>cut" },
        { role: "user", content: "go on" },
      ]),
    ).toBe("outside");
  });
});

describe("an answer without reasoning", () => {
  const emptyBlock = "<think>\n\n</think>\n\n";

  it("follows an empty think block, encoded as if the template had written it", async () => {
    const closing = r1.replace("<think>\\n' }}", `${JSON.stringify(emptyBlock).slice(1, -1)}' }}`);
    expect(closing).not.toBe(r1);
    const bare = new ChatTemplate(withTemplate(r1.replace("<think>\\n", "<think>")));
    for (const messages of conversations) {
      const expected = await transformersIds(closing, messages);
      for (const chat of [chats.r1, bare])
        expect(await chat.prompt(messages, { reasoning: false })).toEqual({ ids: expected, reasoning: "outside" });
      const open = await chats.r1.prompt(messages, { reasoning: true });
      expect(open).toEqual(await chats.r1.prompt(messages));
      expect(open.reasoning).toBe("inside");
    }
  });

  it("is asked for with the template's own switch where it has one", async () => {
    const { ids, reasoning } = await chats.inquisitive.prompt(conversations[0], { reasoning: false });
    expect(reasoning).toBe("outside");
    expect(ids).toEqual(
      (await chats.inquisitive.prompt(conversations[0], { variables: { enable_thinking: false } })).ids,
    );
    const asked = { reasoning: false, variables: { enable_thinking: true } };
    expect(await chats.inquisitive.prompt(conversations[0], asked)).toEqual(
      await chats.inquisitive.prompt(conversations[0]),
    );
  });

  it("changes no prompt that does not end inside an open think block", async () => {
    for (const [chat, messages] of [
      [chats.chatml, conversations[2]],
      [chats.r1, toolConversation],
      [new ChatTemplate(withTemplate("{{ messages[0].content }}")), [{ role: "user", content: "why <think>\n" }]],
      [new ChatTemplate(ours(deepseekV3.json, { ...deepseekV3.config, chat_template: r1 })), conversations[0]],
    ] as [ChatTemplate, Message[]][])
      expect(await chat.prompt(messages, { reasoning: false })).toEqual(await chat.prompt(messages));
  });
});

describe("templates", () => {
  const user = [{ role: "user", content: "x" }];

  it("come from chat_template.jinja before tokenizer_config.json", async () => {
    const tokenizer = withTemplate("{{ 'config' }}", "{{ 'file' }}");
    expect(tokenizer.decode((await new ChatTemplate(tokenizer).prompt(user)).ids)).toBe("file");
  });

  it("may be a list of named ones", async () => {
    const tokenizer = withTemplate([
      { name: "default", template: "{{ 'plain' }}" },
      { name: "tool_use", template: "{{ 'tools' }}" },
    ]);
    const chat = new ChatTemplate(tokenizer);
    expect(tokenizer.decode((await chat.prompt(user)).ids)).toBe("plain");
    expect(tokenizer.decode((await chat.prompt(user, { tools })).ids)).toBe("tools");
  });

  const failure = async (template: unknown, messages: unknown = user): Promise<R1Error> => {
    try {
      await new ChatTemplate(withTemplate(template)).prompt(messages);
    } catch (error) {
      return error as R1Error;
    }
    throw new Error("nothing was thrown");
  };

  it("that refuse messages reject with E_BAD_INPUT and their own words", async () => {
    const error = await failure("{{ raise_exception('Roles must alternate') }}");
    expect(error.code).toBe("E_BAD_INPUT");
    expect(error.message).toContain("Roles must alternate");
  });

  it("that are missing or malformed are told apart", async () => {
    expect((await failure(undefined)).code).toBe("E_BAD_INPUT");
    expect((await failure("{% if %}")).code).toBe("E_BAD_CHECKPOINT");
    expect((await failure(7)).code).toBe("E_BAD_CHECKPOINT");
    expect((await failure([{ name: "default" }])).code).toBe("E_BAD_CHECKPOINT");
  });

  it("know the date", async () => {
    const tokenizer = withTemplate("{{ strftime_now('%Y') }}");
    const { ids } = await new ChatTemplate(tokenizer).prompt(user);
    expect(tokenizer.decode(ids)).toBe(String(new Date().getFullYear()));
  });
});

describe("messages of a wrong shape are TypeErrors", () => {
  const circular: Record<string, unknown> = { role: "user", content: "x" };
  circular.self = circular;
  const cases: Record<string, unknown> = {
    "no array": "hello",
    "no message": [],
    "no object": ["hello"],
    "no role": [{ content: "x" }],
    "an unknown role": [{ role: "User", content: "x" }],
    "no content": [{ role: "user" }],
    "a number as content": [{ role: "user", content: 7 }],
    "null from a user": [{ role: "user", content: null }],
    "null from an assistant without tool calls": [{ role: "assistant", content: null }],
    "an image": [{ role: "user", content: [{ type: "image_url", image_url: "x" }] }],
    "a number as name": [{ role: "user", name: 7, content: "x" }],
    "tool calls that are none": [{ role: "assistant", content: "x", tool_calls: [{ name: "f" }] }],
    "circular data": [circular],
  };
  for (const [name, messages] of Object.entries(cases))
    it(name, async () => {
      await expect(chats.chatml.prompt(messages)).rejects.toThrow(TypeError);
    });
});
