"""Requests outside the tasks: one answer per kind, thousands of questions, none that another task answers."""

import re
import time
import unittest
from collections import defaultdict
from random import Random

from nano.tasks.outside import ANSWERS, outside

COUNT = 20000


class OutsideTest(unittest.TestCase):
    """The questions and their canonical answers."""

    def test_one_answer_per_question(self) -> None:
        for language in ("en", "zh"):
            rng, answers, starts = Random(3), defaultdict(set), set()
            for _ in range(COUNT):
                example = outside(rng, language)
                answers[re.sub(r"\W+", " ", example.messages[-1][1].lower()).strip()].add(example.answer)
                starts.add(example.messages[-1][1][:8].lower())
                self.assertIn(example.answer, ANSWERS[language].values())
                self.assertTrue(example.reasoning)
                self.assertNotRegex(example.messages[-1][1], r"[{}]")
                self.assertEqual(example.messages[-1][1], example.messages[-1][1].strip())
            self.assertEqual([text for text, found in answers.items() if len(found) > 1], [])
            self.assertGreater(len(answers), 5000)
            self.assertGreater(len(starts), 500)

    def test_nothing_that_another_task_answers(self) -> None:
        inside = re.compile(
            r"(?<!\^)\b\d+ ?[-+*/] ?\d+ ?(=|\?|？|$)|\bsort the|\breverse the|how many .{0,3}'?s are in|有几个字母|多少个字母|"
            r"\d+ (km|cm|kg|m|g) |\d+ ?(plus|times|minus) ?\d+",
            re.IGNORECASE,
        )
        fractions = re.compile(r"\d+/\d+ ?(or|和|\+) ?\d+/\d+", re.IGNORECASE)  # no task has them
        for language in ("en", "zh"):
            rng = Random(4)
            found = [outside(rng, language).messages[-1][1] for _ in range(COUNT)]
            found = [fractions.sub("fractions", text) for text in found]
            self.assertEqual([text for text in found if inside.search(text)], [])

    def test_every_kind_occurs(self) -> None:
        for language in ("en", "zh"):
            rng = Random(5)
            found = {outside(rng, language).answer for _ in range(COUNT)}
            self.assertEqual(found, set(ANSWERS[language].values()))

    def test_speed(self) -> None:
        rng, start = Random(1), time.perf_counter()
        for _ in range(COUNT):
            outside(rng, "en")
        self.assertLess((time.perf_counter() - start) / COUNT, 400e-6)


if __name__ == "__main__":
    unittest.main()
