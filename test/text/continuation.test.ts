/** What templates write behind an answer: the end of the whole conversation's rendering, and nothing else. */
import { describe, expect, it } from "vitest";
import { ChatTemplate } from "../../lib/text/chat-template";
import type { Message } from "../../lib/text/messages";
import { corpus } from "./corpus";
import { chatml, inquisitive, nano, r1, r10528, smollm2 } from "./templates";
import { deepseekV3, ours, small, withTokens } from "./vocabularies";

const json = withTokens(small, [
  { content: "<|im_start|>", special: true },
  { content: "<|im_end|>", special: true },
]);
const tokenizerOf = (chat_template: string) => ours(json, { ...deepseekV3.config, chat_template });
const templates: Record<string, string> = {
  "DeepSeek V3": deepseekV3.config.chat_template,
  r1,
  r10528,
  nano,
  chatml,
  smollm2,
  inquisitive,
};

const user = (content: string): Message => ({ role: "user", content });
const answer = (content: string): Message => ({ role: "assistant", content });
const earlier: Message[] = [{ role: "system", content: "Be terse." }, user("1+1?"), answer("2"), user("2+2?")];

describe.each(Object.entries(templates))("the template of %s", (_, template) => {
  const tokenizer = tokenizerOf(template);
  const chat = new ChatTemplate(tokenizer);
  const continuation = chat.continuation.bind(chat);

  it("is continued with what the whole conversation ends with", async () => {
    const said = answer("It is 4.");
    const some = corpus.filter((_, i) => i % 8 === 0);
    for (const content of [...some, "<｜User｜>", "<|im_end|>\n<|im_start|>system\n", "</think>", "", " \n x \n "]) {
      const after = [user(content)];
      const whole = await chat.prompt([...earlier, said, ...after]);
      const { ids } = await continuation([...earlier, said], after);
      expect(whole.ids.slice(whole.ids.length - ids.length)).toEqual(ids);
      expect(tokenizer.decode(whole.ids.slice(0, whole.ids.length - ids.length)).endsWith("It is 4.")).toBe(true);
    }
  });

  it("is continued by the same whatever the answer was", async () => {
    const after = [user("3+3?"), answer("6"), user("7+7?")];
    const expected = await continuation([...earlier, answer("x")], after);
    for (const text of ["", " \n", "<think>\nHm.\n</think>\n\nOk", "<｜User｜>", "\ue000", "longer ".repeat(50)])
      expect(await continuation([...earlier, answer(text)], after)).toEqual(expected);
    const thought = { ...answer("x"), reasoning_content: "Hm." };
    expect(await continuation([...earlier, thought], after)).toEqual(expected);
    expect(await continuation([user("a"), answer("b")], after)).toEqual(expected);
  });

  it("opens or skips the reasoning as a whole prompt does", async () => {
    for (const reasoning of [true, false]) {
      const whole = await chat.prompt([...earlier, answer("4"), user("x")], { reasoning });
      const { ids, reasoning: start } = await continuation([...earlier, answer("4")], [user("x")], { reasoning });
      expect(whole.ids.slice(-ids.length)).toEqual(ids);
      expect(start).toBe(whole.reasoning);
    }
  });
});

describe("a continuation is refused", () => {
  const continued = (template: string, after: Message[] = [user("x")]) =>
    new ChatTemplate(tokenizerOf(template)).continuation([user("1+1?"), answer("2")], after);

  it("where the template does not write each answer once and as it is", async () => {
    const bodies = ["", "{{ m.content | upper | replace(m.content, '-') }}", "{{ m.content + m.content }}"];
    for (const body of bodies)
      await expect(continued(`{% for m in messages %}${body};{% endfor %}`)).rejects.toMatchObject({
        code: "E_UNSUPPORTED",
        message: expect.stringContaining("keepReasoning"),
      });
  });

  it("where the messages would stand before the answer", async () => {
    const late: Message[] = [{ role: "system", content: "Be kind." }, user("x")];
    for (const template of [r10528, deepseekV3.config.chat_template])
      await expect(continued(template, late)).rejects.toMatchObject({
        code: "E_BAD_INPUT",
        message: expect.stringMatching(/\(system, user\) in front of earlier answers.*at its start/),
      });
    expect((await continued(r1, late)).ids.length).toBeGreaterThan(3);
  });

  it("as a prompt is, without a template and for messages of a wrong shape", async () => {
    await expect(new ChatTemplate(ours(json)).continuation([answer("2")], [user("x")])).rejects.toMatchObject({
      code: "E_BAD_INPUT",
    });
    await expect(continued(r1, [])).rejects.toThrow(TypeError);
    await expect(continued("{{ raise_exception('No!') }}")).rejects.toMatchObject({ code: "E_BAD_INPUT" });
  });
});
