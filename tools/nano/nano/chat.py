"""R1's chat format: control tokens, the template, and examples as token ids."""

from dataclasses import dataclass

from tokenizers import Tokenizer

from .example import Example

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
FIM_BEGIN, FIM_HOLE, FIM_END = "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"
THINK, END_THINK = "<think>", "</think>"
CONTROL = (BOS, EOS, PAD, USER, ASSISTANT, FIM_BEGIN, FIM_HOLE, FIM_END, THINK, END_THINK)

# As R1's: no system role of its own, earlier answers lose their reasoning, and an answer starts inside the reasoning.
TEMPLATE = (
    "{% if add_generation_prompt is not defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}"
    "{% elif message['role'] == 'assistant' %}"
    "{% set answer = message['content'] %}"
    "{% if '</think>' in answer %}{% set answer = answer.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
    "{{ '<｜Assistant｜>' + answer + '<｜end▁of▁sentence｜>' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Encoded:
    """`prompt` is given, `completion` is learnt; both are token ids."""

    prompt: list[int]
    completion: list[int]


def stretches(example: Example, reasoning: bool) -> tuple[list[str], list[str]]:
    """Prompt and completion as control tokens and the texts between them, in turn.

    Every text is encoded in one piece, as r1-native does. With `reasoning` false the prompt ends with an empty think block.
    """
    if example.prefix is not None:
        prompt = [BOS, FIM_BEGIN, example.prefix, FIM_HOLE, example.suffix, FIM_END]
        return prompt, [example.answer, EOS]
    prompt = [BOS]
    for role, text in example.messages:
        prompt += [USER, text] if role == "user" else [ASSISTANT, text, EOS]
    prompt += [ASSISTANT, THINK]
    if reasoning:
        return [*prompt, "\n"], [example.reasoning + "\n", END_THINK, "\n\n" + example.answer, EOS]
    return [*prompt, "\n\n", END_THINK, "\n\n"], [example.answer, EOS]


class Encoder:
    """Many examples to ids at once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._control = {token: tokenizer.token_to_id(token) for token in CONTROL}

    def encode(self, examples: list[tuple[Example, bool]]) -> list[Encoded]:
        """Examples, each with whether it is reasoned about."""
        parts = [stretches(example, reasoning) for example, reasoning in examples]
        texts = [t for sides in parts for side in sides for t in side if t not in self._control]
        ids = iter(self._tokenizer.encode_batch_fast(texts, add_special_tokens=False))
        out = []
        for sides in parts:
            encoded = []
            for side in sides:
                row: list[int] = []
                for text in side:
                    control = self._control.get(text)
                    if control is None:
                        row += next(ids).ids
                    else:
                        row.append(control)
                encoded.append(row)
            out.append(Encoded(*encoded))
        return out
