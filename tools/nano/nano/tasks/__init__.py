"""The tasks: each is a function of a random generator and a language that makes one example."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from random import Random

from ..example import Example


@dataclass(frozen=True)
class Task:
    """`sample(rng, language)` makes an example in "en" or "zh"; `weight` is its share of the training examples."""

    name: str
    sample: Callable[[Random, str], Example]
    weight: float


def _table() -> dict[str, Task]:
    rows = [
        # name, module, function, weight
        ("addition", "arithmetic", "addition", 1.0),
        ("subtraction", "arithmetic", "subtraction", 1.0),
        ("multiplication", "arithmetic", "multiplication", 1.5),
        ("comparison", "comparison", "comparison", 0.7),
        ("sorting", "lists", "sorting", 1.0),
        ("reversing", "lists", "reversing", 0.6),
        ("letters", "letters", "letters", 1.2),
        ("follow-up", "follow_up", "follow_up", 1.2),
        ("word-problems", "word_problems", "word_problems", 1.5),
        ("units", "units", "units", 1.0),
        ("calendar", "calendar", "calendar", 1.0),
        ("logic", "logic", "logic", 0.8),
        ("json", "json_answers", "json_answers", 0.8),
        ("code", "code", "code", 0.8),
        ("fim", "code", "fill_in_the_middle", 0.8),
        ("outside", "outside", "outside", 0.8),
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
