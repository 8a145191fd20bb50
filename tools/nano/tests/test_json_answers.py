"""JSON answers: they parse, they are written as Python writes them, and their values come from the question."""

import json
import re
import unittest
from random import Random

from nano.example import Example
from nano.tasks import json_answers, json_tables

from .question_checks import LANGUAGES, check_general, examples

STEP = re.compile(r"(\d+) ([+−×]) (\d+) = (-?\d+)")


def leaves(value: object) -> list:
    """The keys and values of a JSON value, however deep."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in [key, *leaves(inner)]]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


def without_addresses(rng: Random, language: str) -> Example:
    """An example without an e-mail address."""
    while True:
        example = json_answers.json_answers(rng, language)
        if "@" not in example.question:
            return example


class JsonAnswers(unittest.TestCase):
    """The task in both languages."""

    def test_form_and_values(self) -> None:
        for language in LANGUAGES:
            for example in examples(json_answers.json_answers, language, 8000):
                value = json.loads(example.answer)
                self.assertEqual(json.dumps(value, ensure_ascii=False), example.answer)
                question = example.messages[0][1]
                for leaf in leaves(value):
                    if isinstance(leaf, str):
                        self.assertIn(leaf, question, example)
                    elif isinstance(leaf, float):
                        self.assertIn(str(leaf), question, example)
                    elif isinstance(leaf, int) and not isinstance(leaf, bool):
                        self.assertTrue(str(leaf) in question or f"= {leaf}" in example.reasoning, example)
                    self.assertIn(json.dumps(leaf, ensure_ascii=False).strip('"'), example.reasoning, example)

    def test_sums(self) -> None:
        for language in LANGUAGES:
            for example in examples(json_answers._compute, language, 4000):
                a, b = (int(number) for number in re.findall(r"\d+", example.messages[0][1])[:2])
                expected = {
                    "sum": a + b, "和": a + b, "product": a * b, "积": a * b, "difference": a - b, "差": a - b,
                    "max": max(a, b), "最大值": max(a, b), "min": min(a, b), "最小值": min(a, b),
                }  # fmt: skip
                for key, value in json.loads(example.answer).items():
                    self.assertEqual(value, expected[key], example)
                for left, sign, right, result in STEP.findall(example.reasoning):
                    x, y = int(left), int(right)
                    self.assertEqual({"+": x + y, "−": x - y, "×": x * y}[sign], int(result))

    def test_checks(self) -> None:
        for language in LANGUAGES:
            for example in examples(json_answers._checks, language, 2000):
                number = int(re.findall(r"-?\d+", example.messages[0][1])[0])
                truth = {
                    "even": number % 2 == 0, "odd": number % 2 == 1, "positive": number > 0, "negative": number < 0,
                    "zero": number == 0, "two_digits": len(str(abs(number))) == 2,
                }  # fmt: skip
                for key, value in json.loads(example.answer).items():
                    name = next((name for name, row in json_answers._CHECKS.items() if row[0] == key), key)
                    self.assertIs(value, truth[name], example)

    def test_tables(self) -> None:
        """Every slot of a sentence is a field, and every field has a Chinese name."""
        for domains in (json_tables.DOMAINS_EN, json_tables.DOMAINS_ZH):
            self.assertEqual(len(domains), 8)
            for fields, sentences in domains:
                for sentence in sentences:
                    self.assertTrue(set(re.findall(r"{(\w+)}", sentence)) <= set(fields), sentence)
        for fields, _ in json_tables.DOMAINS_ZH:
            self.assertTrue(set(fields) <= set(json_tables.CHINESE_KEYS), fields)

    def test_general(self) -> None:
        check_general(self, without_addresses, "json")


if __name__ == "__main__":
    unittest.main()
