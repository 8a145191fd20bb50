"""What training draws from: the tasks by their weights, both languages, held-out questions left out."""

from collections.abc import Sequence
from random import Random

from .example import Example
from .tasks import Task

LANGUAGES = ("en", "zh")


def sample_example(rng: Random, tasks: Sequence[Task], weights: Sequence[float] | None = None) -> Example:
    """One example of the training side."""
    while True:
        (task,) = rng.choices(tasks, weights)
        example = task.sample(rng, LANGUAGES[rng.random() < 0.5])
        if not example.held_out:
            return example
