"""Quotients and remainders, checked by Python's divmod."""

import re
import unittest

from nano.phrasing import EN_NUMBERS, ZH_NUMBERS
from nano.tasks.division import divide_steps, division

from .question_checks import LANGUAGES, check_general, examples

FACT = re.compile(r"(?<![\d.])(\d+)([-×])(\d+)=(\d+)")


class Division(unittest.TestCase):
    def test_general(self) -> None:
        check_general(self, division, "division", 420)

    def test_answers(self) -> None:
        kinds = set()
        for language in LANGUAGES:
            words = EN_NUMBERS if language == "en" else ZH_NUMBERS
            for example in examples(division, language, 6000):
                if example.answer == example.reasoning:
                    kinds.add("zero")
                    continue
                equation = example.reasoning.split("\n")[-1]
                found = [int(text) for text in re.findall(r"\d+", equation)]
                first, second = found[:2]
                quotient, rest = divmod(first, second)
                self.assertEqual(found[2:], [quotient, rest] if rest else [quotient], equation)
                for left, operator, right, result in FACT.findall(example.reasoning):
                    expected = int(left) * int(right) if operator == "×" else int(left) - int(right)
                    self.assertEqual(expected, int(result), example.reasoning)
                asked = example.messages[0][1].replace(",", "")
                self.assertTrue(str(first) in asked or words[first] in asked, (asked, equation))
                self.assertIn(str(second), asked)
                if "÷" in example.answer:
                    kinds.add("quotient")
                    self.assertEqual(example.answer, equation)
                elif "remainder" in example.answer or "余数" in example.answer:
                    kinds.add("remainder")
                    self.assertEqual(int(re.findall(r"\d+", example.answer)[0]), rest)
                else:
                    kinds.add("divisible")
                    negative = "not" in example.answer or "不能" in example.answer
                    self.assertEqual(negative, rest != 0)
        self.assertEqual(kinds, {"zero", "quotient", "remainder", "divisible"})

    def test_steps(self) -> None:
        self.assertEqual(
            divide_steps(936, 4, "en"),
            "9: 2×4=8, 9-8=1: 2\n13: 3×4=12, 13-12=1: 23\n16: 4×4=16, 16-16=0: 234\n936 ÷ 4 = 234",
        )


if __name__ == "__main__":
    unittest.main()
