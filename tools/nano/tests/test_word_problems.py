"""Word problems: every line is right and takes its numbers from the question or from the lines before."""

import re
import unittest
from random import Random

from nano.example import Example
from nano.tasks import word_problems, word_problems_en, word_problems_zh

from .question_checks import LANGUAGES, check_general, examples

STEP = re.compile(r"(\d+) ([+−×÷]) (\d+) = (\d+)")
DIVISION = re.compile(r"(\d+) ÷ (\d+) (?:gives|商) (\d+)")
WORDS = {word: value for value, word in enumerate(word_problems_en.WORDS)} | {
    word: value for value, word in enumerate(word_problems_zh.WORDS)
}
# Factors that a story implies: a half, two and four legs, three days, one more car.
IMPLIED = {1, 2, 3, 4}


def numbers_of(question: str) -> set[int]:
    """All numbers of a question, in digits or in words."""
    found = {int(number) for number in re.findall(r"\d+", question)}
    found |= {WORDS[word] for word in re.findall(r"[a-z]+", question.lower()) if word in WORDS}
    return found | {WORDS[word] for word in re.findall("十[一二]|[零一两三四五六七八九十]", question)}


class WordProblems(unittest.TestCase):
    """The task in both languages."""

    def check_steps(self, example: Example) -> None:
        known = numbers_of(example.messages[0][1]) | IMPLIED
        last = -1
        for line in example.reasoning.split("\n"):
            for a, b, quotient in DIVISION.findall(line):
                self.assertTrue({int(a), int(b)} <= known, example)
                self.assertEqual(int(a) // int(b), int(quotient), example)
                known.add(int(quotient))
            for left, sign, right, result in STEP.findall(line):
                a, b, last = int(left), int(right), int(result)
                self.assertTrue({a, b} <= known, (a, b, example))
                expected = {"+": a + b, "−": a - b, "×": a * b}
                self.assertEqual(last * b if sign == "÷" else expected[sign], a if sign == "÷" else last, example)
                known.add(last)
        number = int(re.findall(r"\d+", example.answer)[0])
        if re.search("cars$|辆车$", example.answer) and last == 0:
            last = number
        self.assertEqual(number, last, example)

    def test_steps_and_answers(self) -> None:
        for language in LANGUAGES:
            for example in examples(word_problems.word_problems, language, 6000):
                self.check_steps(example)
                self.assertNotRegex(example.messages[0][1] + example.reasoning + example.answer, r"[{}~@]")

    def test_whole_cars(self) -> None:
        for example in examples(word_problems.word_problems, "en", 20000, seed=9):
            if "cars are needed" in example.messages[0][1]:
                a, b = (int(number) for number in re.findall(r"(\d+) ÷ (\d+)", example.reasoning)[0])
                self.assertEqual(example.answer, f"{-(-a // b)} cars", example)

    def test_every_scenario_can_be_told(self) -> None:
        for scenarios in (word_problems._EN, word_problems._ZH):
            self.assertGreaterEqual(len(scenarios), 40)
            for scenario in scenarios:
                for seed in range(50):
                    numbers = scenario.numbers(Random(seed))
                    self.assertTrue(all(0 <= value <= 2000 for value in numbers.values()), numbers)

    def test_variety(self) -> None:
        for tables in (word_problems_en, word_problems_zh):
            self.assertGreaterEqual(len({row[0] for row in tables.NAMES}), 60)
            self.assertGreaterEqual(len({row[0] for things in tables.THINGS.values() for row in things}), 80)

    def test_general(self) -> None:
        check_general(self, word_problems.word_problems, "word-problems")


if __name__ == "__main__":
    unittest.main()
