"""Sorted and reversed lists: the answer by Python from the list of the question."""

import re
import unittest

from nano.tasks import lists
from nano.words import UNSEEN

from .question_checks import LANGUAGES, check_general, examples

NUMBER = re.compile(r"-?\d+")
DESCENDING = re.compile(
    r"descending|decreasing|(largest|biggest|highest|high) (to|first)|largest first|从大到小|降序|the largest first", re.I
)


class Lists(unittest.TestCase):
    """Both tasks."""

    def test_sorting(self) -> None:
        words = directions = 0
        for language in LANGUAGES:
            separator = lists.SEPARATOR[language]
            for example in examples(lists.sorting, language, 6000):
                question = example.messages[0][1]
                numbers = [int(text) for text in NUMBER.findall(question)]
                if numbers:
                    descending = bool(DESCENDING.search(question))
                    directions += descending
                    right = [str(number) for number in sorted(numbers, reverse=descending)]
                else:
                    words += 1
                    right = sorted(example.answer.split(separator))
                    self.assertTrue(all(word in question for word in right))
                self.assertEqual(example.answer, separator.join(right), question)
                last = example.reasoning.split("\n")[-1]
                self.assertTrue(last.endswith(right[-1]), example.reasoning)
        self.assertGreater(words, 1000)
        self.assertGreater(directions, 3000)

    def test_reversing(self) -> None:
        single = 0
        for language in LANGUAGES:
            separator = lists.SEPARATOR[language]
            for example in examples(lists.reversing, language, 6000):
                question = example.messages[0][1]
                numbers = NUMBER.findall(question)
                if numbers:
                    self.assertEqual(example.answer, separator.join(reversed(numbers)), question)
                    continue
                items = example.answer.split(separator)
                if len(items) == 1:
                    single += 1
                    self.assertIn(example.answer[::-1], question)
                    continue
                forward = r"\W+(?:and\W+)?".join(reversed(items))
                self.assertTrue(re.search(forward, question), question)
        self.assertGreater(single, 1500)

    def test_no_unseen_word(self) -> None:
        """Words that are kept for the evaluation of spelling are not spelled here either."""
        unseen = frozenset(UNSEEN)
        for sample in (lists.sorting, lists.reversing):
            for example in examples(sample, "en", 6000):
                self.assertFalse(unseen & set(re.findall("[a-z]+", example.answer)), example.answer)

    def test_general(self) -> None:
        check_general(self, lists.sorting, "sorting", 640)
        check_general(self, lists.reversing, "reversing", 260)


if __name__ == "__main__":
    unittest.main()
