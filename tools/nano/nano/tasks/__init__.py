"""The tasks: each is a function of a random generator and a language that makes one example."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from random import Random

from ..example import Example


@dataclass(frozen=True)
class Task:
    """`make(rng, language)` makes an example in "en" or "zh"; `weight` is its share of the training examples."""

    name: str
    make: Callable[[Random, str], Example]
    weight: float

    def sample(self, rng: Random, language: str) -> Example:
        """An example whose language can be told: a chat in Chinese has a Chinese character in what is asked."""
        while True:
            example = self.make(rng, language)
            if language == "en" or example.prefix is not None or _is_chinese(example.messages[-1][1]):
                return example


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def _table() -> dict[str, Task]:
    rows = [
        # name, module, function, weight
        ("addition", "arithmetic", "addition", 1.0),
        ("subtraction", "arithmetic", "subtraction", 1.0),
        ("multiplication", "arithmetic", "multiplication", 1.5),
        ("division", "division", "division", 1.2),
        ("comparison", "comparison", "comparison", 0.7),
        ("sorting", "lists", "sorting", 1.2),
        ("reversing", "lists", "reversing", 0.6),
        ("letters", "letters", "letters", 1.6),
        ("follow-up", "follow_up", "follow_up", 1.2),
        ("word-problems", "word_problems", "word_problems", 1.5),
        ("units", "units", "units", 1.0),
        ("calendar", "calendar", "calendar", 1.0),
        ("logic", "logic", "logic", 0.8),
        ("json", "json_answers", "json_answers", 1.0),
        ("code", "code", "code", 0.8),
        ("fim", "code", "fill_in_the_middle", 0.8),
        ("outside", "outside", "outside", 1.0),
    ]
    return {
        name: Task(name, getattr(import_module(f".{module}", __name__), function), weight)
        for name, module, function, weight in rows
    }


TASKS = _table()

# What is asked in an evaluation: the tasks and what is never trained on at all.
EVALUATION_TASKS = TASKS | {
    "letters-unseen": Task("letters-unseen", import_module(".letters", __name__).letters_unseen, 0.0)
}
