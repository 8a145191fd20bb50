"""What a task produces: one question, how it is reasoned about, and its answer."""

import hashlib
import json
import re
from dataclasses import dataclass, field

# Of every HELD_OUT_OF questions, told apart by a hash of their text, one is never trained on.
HELD_OUT_OF = 16


@dataclass(frozen=True)
class Example:
    """A chat question (`messages`) or code with a hole (`prefix` and `suffix`).

    task       name in tasks.TASKS
    language   "en" or "zh"; of a hole, the programming language's name
    messages   (role, text) pairs, the last one from the user; earlier answers are final answers, without reasoning
    reasoning  what stands between <think> and </think>, without the newlines around it; "" for a hole
    answer     the exact final answer, or the exact middle of a hole
    """

    task: str
    language: str
    reasoning: str
    answer: str
    messages: tuple[tuple[str, str], ...] = field(default=())
    prefix: str | None = None
    suffix: str | None = None

    @property
    def question(self) -> str:
        """The question alone, as one text."""
        if self.prefix is not None:
            return json.dumps([self.prefix, self.suffix], ensure_ascii=False)
        return json.dumps(self.messages, ensure_ascii=False)

    @property
    def held_out(self) -> bool:
        """Whether the question belongs to the held-out side; letter case and white space do not count."""
        text = re.sub(r"\s+", " ", self.question.lower())
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") % HELD_OUT_OF == 0

    def record(self) -> dict:
        """The example as a line of a held-out file."""
        if self.prefix is not None:
            question = {"prefix": self.prefix, "suffix": self.suffix}
        else:
            question = {"messages": [{"role": role, "content": text} for role, text in self.messages]}
        return {"task": self.task, "language": self.language, **question, "answer": self.answer}
