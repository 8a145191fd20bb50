"""The sums, differences and products: answers by decimal arithmetic, and every line of the working."""

import re
import unittest
from decimal import Decimal

from nano import columns
from nano.example import Example
from nano.phrasing import EN_NUMBERS, ZH_NUMBERS
from nano.tasks import arithmetic

from .question_checks import LANGUAGES, check_general, examples

NUMBER = r"\(?-?\d[\d,]*(?:\.\d+)?\)?"
# "7+6=13", "13-7-1=5", "7×6=42": the small facts that the working consists of.
FACT = re.compile(r"(?<![\d.])(\d+(?:[-+×]\d+)+)=(\d+)")


def value(text: str) -> Decimal:
    """A written number, with or without brackets and separators."""
    return Decimal(text.strip("()").replace(",", ""))


def evaluate(equation: str) -> tuple[Decimal, Decimal]:
    """The two sides of "12 + (-5) = 7"."""
    left, _, right = equation.partition(" = ")
    first, *rest = left.split(" ")
    total = value(first)
    for operator, number in zip(rest[::2], rest[1::2]):
        if operator == "×":
            total *= value(number)
        else:
            total += value(number) if operator == "+" else -value(number)
    return total, value(right)


def check_facts(test: unittest.TestCase, reasoning: str) -> None:
    """Every small fact in a text of working is right."""
    for left, right in FACT.findall(reasoning):
        test.assertEqual(fact(left), int(right), f"{left}={right}")


def fact(text: str) -> int:
    """The value of digits joined by one kind of operator."""
    for sign in "×+-":
        if sign in text:
            first, *rest = [int(part) for part in text.split(sign)]
            for number in rest:
                first = first * number if sign == "×" else first + number if sign == "+" else first - number
            return first
    return int(text)


class Arithmetic(unittest.TestCase):
    """The three tasks."""

    def check(self, example: Example, operator: str) -> None:
        left, right = evaluate(example.answer)
        self.assertEqual(left, right, example.answer)
        self.assertEqual(example.reasoning.split("\n")[-1], example.answer)
        check_facts(self, example.reasoning)
        asked = example.messages[0][1]
        operands = [text.strip("()") for text in re.findall(NUMBER, example.answer.partition(" = ")[0])]
        typed = asked.replace(",", "") if re.search(r"\d,\d{3}", asked) else asked
        words = EN_NUMBERS if example.language == "en" else ZH_NUMBERS
        for operand in operands:
            spelled = operand.isdigit() and int(operand) <= 100 and words[int(operand)] in asked
            self.assertTrue(operand.lstrip("-") in typed or spelled, (asked, example.answer))
        self.assertIn(f" {operator} ", example.answer)

    def test_addition(self) -> None:
        for language in LANGUAGES:
            for example in examples(arithmetic.addition, language, 6000):
                self.check(example, "+")

    def test_subtraction(self) -> None:
        for language in LANGUAGES:
            for example in examples(arithmetic.subtraction, language, 6000):
                self.check(example, "-")

    def test_multiplication(self) -> None:
        for language in LANGUAGES:
            for example in examples(arithmetic.multiplication, language, 6000):
                self.check(example, "×")

    def test_general(self) -> None:
        check_general(self, arithmetic.addition, "addition", 420)
        check_general(self, arithmetic.subtraction, "subtraction", 420)
        check_general(self, arithmetic.multiplication, "multiplication", 760)

    def test_sizes(self) -> None:
        """Every size of operand occurs, and differences of either sign."""
        for sample in (arithmetic.addition, arithmetic.subtraction):
            made = list(examples(sample, "en", 4000))
            sizes = {len(re.match(r"\d+", example.answer).group()) for example in made if example.answer[0] != "-"}
            self.assertEqual(sizes, {1, 2, 3, 4, 5, 6})
        self.assertGreater(sum("= -" in example.answer for example in made), 400)
        self.assertGreater(sum(example.answer.endswith("= 0") for example in made), 50)


class Steps(unittest.TestCase):
    """The working itself."""

    def test_last_line_of_columns_is_the_result(self) -> None:
        self.assertEqual(
            columns.add_steps(4827, 596, "en"),
            "4827 + 0596\n7+6=13 carry 1: 3\n2+9+1=12 carry 1: 23\n8+5+1=14 carry 1: 423\n4+0+1=5: 5423\n"
            "4827 + 596 = 5423",
        )
        self.assertEqual(columns.add_steps(8, 7, "zh"), "8 + 7 = 15")

    def test_written_digits_are_the_value(self) -> None:
        for first in (0, 1, 9, 10, 99, 100, 999, 1000, 4827, 90909):
            for second in (0, 1, 9, 10, 99, 101, 999, 1001, 98765):
                _, written = columns.sum_columns((first, second), "en")
                self.assertEqual(int(written), first + second)
                _, written = columns.difference_columns(first, second, "zh")
                self.assertEqual(int(written), abs(first - second))

    def test_signs(self) -> None:
        for first in (-12, -7, -1, 0, 5, 31):
            for second in (-40, -12, -3, 0, 7, 12):
                for operator in "+-×":
                    steps = columns.operation_steps(first, operator, second, "en")
                    left, right = evaluate(columns.equation(first, operator, second))
                    self.assertEqual(left, right)
                    self.assertEqual(steps.split("\n")[-1], columns.equation(first, operator, second))


if __name__ == "__main__":
    unittest.main()
