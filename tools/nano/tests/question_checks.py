"""What holds of every task's examples, whatever the task."""

import time
import unittest
from collections.abc import Callable, Iterator
from random import Random

from nano.example import Example

LANGUAGES = ("en", "zh")


def examples(sample: Callable[[Random, str], Example], language: str, count: int, seed: int = 1) -> Iterator[Example]:
    """Examples of a fixed seed."""
    rng = Random(seed)
    for _ in range(count):
        yield sample(rng, language)


def check_general(
    test: unittest.TestCase,
    sample: Callable[[Random, str], Example],
    task: str,
    longest: int = 900,
    distinct: int = 5000,
) -> None:
    """Names, sizes, one answer per question, many wordings, and speed."""
    for language in LANGUAGES:
        start = time.perf_counter()
        made = list(examples(sample, language, 8000, seed=3))
        seconds = (time.perf_counter() - start) / len(made)
        test.assertLess(seconds, 400e-6, "far slower than generating a training set allows")
        answers: dict[str, str] = {}
        openings = set()
        for example in made:
            test.assertEqual((example.task, example.language), (task, language))
            test.assertEqual(example.messages[-1][0], "user")
            roles = [role for role, _ in example.messages]
            test.assertEqual(roles, [("user", "assistant")[index % 2] for index in range(len(roles))])
            test.assertLessEqual(len(example.reasoning), longest, example.reasoning)
            for text in (example.reasoning, example.answer, *[text for _, text in example.messages]):
                test.assertTrue(text)
                test.assertEqual(text, text.strip())
                test.assertNotIn("@", text)
            question = " ".join(example.question.split())
            test.assertEqual(answers.setdefault(question, example.answer), example.answer, question)
            openings.add("".join(letter for letter in example.messages[-1][1].lower() if not letter.isdigit())[:14])
        test.assertGreater(len(answers), distinct)
        test.assertGreater(len(openings), 100)
