/** Messages to prompt ids through the folder's chat template. */
import { Template } from "@huggingface/jinja";
import { R1Error } from "../errors";
import { checkMessages, checkTools, escaped, Marker, unusedCharacter } from "./messages";
import { type ReasoningStart, reasoningStart, thinkTags } from "./reasoning-splitter";
import type { Tokenizer } from "./tokenizer";

export interface ChatPromptOptions {
  /** Functions that the model may call, in OpenAI's shape: `{ type: "function", function: { name, … } }`. */
  tools?: unknown;
  /** Ends with the opening of the assistant's turn. Default: true. */
  addGenerationPrompt?: boolean;
  /** `false` ends the prompt behind an empty think block, where the template has reasoning. Default: true. */
  reasoning?: boolean;
  /** Further variables of the template. */
  variables?: Readonly<Record<string, unknown>>;
  signal?: AbortSignal;
}

/** A rendered conversation. */
export interface ChatPrompt {
  ids: number[];
  /** Whether the model's answer begins inside its reasoning. */
  reasoning: ReasoningStart;
}

type Json = Record<string, unknown>;

/** How a conversation is rendered. */
interface Form {
  /** The character that {@link Marker} puts into what callers wrote. */
  marker: string;
  /** A character that occurs nowhere else. */
  placeholder: string;
  /** The template's text, marks included. @throws R1Error E_BAD_INPUT, E_BAD_CHECKPOINT */
  render(messages: Json[]): string;
}

/** Names of tokens in tokenizer_config.json that templates may use. */
const tokenNames = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/**
 * The chat template of a model folder: chat_template.jinja, or `chat_template` of tokenizer_config.json, which may be
 * one template or a list of named ones ("default", and "tool_use" when tools are given).
 *
 * @example
 * const template = new ChatTemplate(tokenizer);
 * const { ids, reasoning } = await template.prompt([{ role: "user", content: "Why is the sky blue?" }]);
 */
export class ChatTemplate {
  readonly #tokenizer: Tokenizer;
  readonly #sources: ReadonlyMap<string, string>;
  readonly #parsed = new Map<string, Template>();

  /** @throws R1Error E_BAD_CHECKPOINT when `chat_template` is neither text nor a list of templates */
  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#sources = sources(tokenizer);
  }

  /** Whether the folder has a template. */
  get exists(): boolean {
    return this.#sources.size > 0;
  }

  /**
   * Renders and encodes. What the callers wrote never becomes a control token; without such text the ids are those of
   * transformers' `apply_chat_template`.
   * @throws TypeError for messages of a wrong shape; R1Error E_BAD_INPUT when there is no template or it refuses them
   */
  async prompt(messages: unknown, options: ChatPromptOptions = {}): Promise<ChatPrompt> {
    const checked = checkMessages(messages);
    const form = this.#form(checked, options);
    return this.#encoded(form.render(checked), form, options.signal);
  }

  /**
   * What follows an answer when further messages come behind it: from the end of the answer's text, the token with
   * which the template ends it first, to the opening of the next answer. Ids that a model has generated can be
   * continued with it without encoding them anew.
   *
   * @param before a conversation that ends with the answer, an assistant's
   * @throws TypeError for messages of a wrong shape; R1Error E_UNSUPPORTED for a template that does not write answers as
   *   they are, E_BAD_INPUT as {@link prompt} and where the template writes `after` in front of the answer
   */
  async continuation(before: unknown, after: unknown, options: ChatPromptOptions = {}): Promise<ChatPrompt> {
    const [earlier, further] = [checkMessages(before).slice(0, -1), checkMessages(after)];
    const form = this.#form([...earlier, ...further], options);
    const answer = { role: "assistant", content: form.placeholder };
    const behind = (messages: Json[]): { head: string; tail: string } => {
      const [head, tail, ...more] = form.render([...earlier, answer, ...messages]).split(form.placeholder);
      if (tail !== undefined && more.length === 0) return { head, tail };
      throw new R1Error(
        "E_UNSUPPORTED",
        "The chat template of this model does not write each answer once and as it is, so that an answer cannot be " +
          "continued with its reasoning. Leave keepReasoning out.",
      );
    };
    const { head, tail } = behind(further);
    if (head !== behind([{ role: "user", content: "" }]).head)
      throw new R1Error(
        "E_BAD_INPUT",
        `The chat template writes something of these messages (${further.map(({ role }) => role).join(", ")}) in front ` +
          "of earlier answers, where a conversation with keepReasoning cannot change any more. Give system messages at " +
          "its start, or leave keepReasoning out.",
      );
    return this.#encoded(tail, form, options.signal, false);
  }

  /** Everything that a rendering takes beside the messages, and marks that occur in none of its texts. */
  #form(messages: Json[], options: ChatPromptOptions): Form {
    const tools = checkTools(options.tools);
    const name = tools && this.#sources.has("tool_use") ? "tool_use" : "default";
    const source = this.#sources.get(name);
    if (source === undefined)
      throw new R1Error(
        "E_BAD_INPUT",
        "This model has no chat template. Use generate() (r1 generate --raw) on a text.",
      );
    const { reasoning = true } = options;
    const variables = { ...(reasoning ? {} : { enable_thinking: false }), ...options.variables };
    const tokens = this.#namedTokens();
    const texts = [source, stringify([messages, tools, variables, tokens])];
    const marker = new Marker(this.#tokenizer.added, texts);
    const fixed = {
      ...tokens,
      ...(marker.deep(variables) as object),
      tools: tools ? marker.deep(tools) : undefined,
      add_generation_prompt: options.addGenerationPrompt ?? true,
    };
    const open = !reasoning && thinkTags(this.#tokenizer) !== undefined;
    return {
      marker: marker.character,
      placeholder: unusedCharacter([...texts, marker.character]),
      render: (given) => {
        const marked = given.map((message) => marker.message(message));
        const rendered = this.#render(name, source, { ...fixed, messages: marked });
        return open ? withoutReasoning(rendered) : rendered;
      },
    };
  }

  /** @param atStart whether the text begins a prompt */
  async #encoded(rendered: string, { marker }: Form, signal?: AbortSignal, atStart = true): Promise<ChatPrompt> {
    const { text, barriers } = withoutMarkers(rendered, marker);
    const ids = await this.#tokenizer.encodeStretchesAsync(text, barriers, signal, atStart);
    return { ids, reasoning: reasoningStart(this.#tokenizer, ids) };
  }

  #namedTokens(): Record<string, string> {
    const tokens = tokenNames.flatMap((name) => {
      const text = this.#tokenizer.namedToken(name);
      return text === undefined ? [] : [[name, text]];
    });
    return Object.fromEntries(tokens);
  }

  #render(name: string, source: string, variables: Record<string, unknown>): string {
    let template = this.#parsed.get(name);
    if (!template) {
      try {
        template = new Template(source);
      } catch (cause) {
        throw new R1Error("E_BAD_CHECKPOINT", `The chat template cannot be parsed: ${(cause as Error).message}`, {
          cause,
        });
      }
      this.#parsed.set(name, template);
    }
    try {
      return template.render(variables);
    } catch (cause) {
      throw new R1Error("E_BAD_INPUT", `The chat template refused the messages: ${(cause as Error).message}`, {
        cause,
      });
    }
  }
}

function sources(tokenizer: Tokenizer): Map<string, string> {
  const config = tokenizer.config.chat_template;
  const value = tokenizer.chatTemplateFile ?? config;
  if (value === undefined || value === null) return new Map();
  if (typeof value === "string") return new Map([["default", value]]);
  const bad = () =>
    new R1Error(
      "E_BAD_CHECKPOINT",
      "tokenizer_config.json: chat_template must be a string or a list of { name, template }.",
    );
  if (!Array.isArray(value)) throw bad();
  return new Map(
    value.map((entry: { name?: unknown; template?: unknown } | null) => {
      if (typeof entry?.name !== "string" || typeof entry.template !== "string") throw bad();
      return [entry.name, entry.template];
    }),
  );
}

function stringify(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new TypeError(`messages and tools must be plain data: ${(cause as Error).message}`, { cause });
  }
}

/**
 * A prompt that ends inside an open think block, with an empty block instead. The caller's text has marks in its tags,
 * so that only the template's own are met; the block is text that is encoded in one piece, as a model saw it in
 * training.
 */
function withoutReasoning(rendered: string): string {
  return rendered.replace(/<think>\n?$/, "<think>\n\n</think>\n\n");
}

/** The text without its markers, and where they were: offsets in that text. A template may have written them as \uXXXX. */
function withoutMarkers(rendered: string, marker: string): { text: string; barriers: Set<number> } {
  const barriers = new Set<number>();
  let text = "";
  for (const piece of rendered.replaceAll(escaped(marker), marker).split(marker)) {
    barriers.add(text.length);
    text += piece;
  }
  barriers.delete(0);
  return { text, barriers };
}
