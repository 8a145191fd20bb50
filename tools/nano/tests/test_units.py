"""Units: the answer is worth as much as the amount in the question, by a table of its own."""

import re
import unittest
from decimal import Decimal

from nano.example import Example
from nano.tasks import units

from .question_checks import LANGUAGES, check_general, examples

# By dimension: spellings and what one is worth.
TABLE: dict[str, dict[str, str]] = {
    "length": {
        "km kilometer kilometers kilometre kilometres 千米 公里": "1000000", "m meter meters metre metres 米": "1000",
        "dm decimeter decimeters decimetre decimetres 分米": "100",
        "mm millimeter millimeters millimetre millimetres 毫米": "1",
        "cm centimeter centimeters centimetre centimetres 厘米": "10",
    },
    "mass": {
        "t ton tons 吨": "1000000000", "kg kilogram kilograms 千克 公斤": "1000000", "g gram grams 克": "1000",
        "mg milligram milligrams 毫克": "1",
    },
    "volume": {
        "l liter liters litre litres 升": "1000", "dl deciliter deciliters decilitre decilitres 分升": "100",
        "ml milliliter milliliters millilitre millilitres 毫升": "1",
    },
    "time": {
        "week weeks 周 星期 个星期": "604800", "day days 天": "86400", "h hr hrs hour hours 小时 个小时": "3600",
        "min mins minute minutes 分钟 分": "60", "s sec secs second seconds 秒 秒钟": "1",
    },
    "months": {"year years 年": "12", "month months 个月": "1"},
    "dozens": {"dozen 打": "12", "piece pieces 个": "1"},
    "dollars": {"dollar dollars euro euros $ €": "100", "cent cents": "1"},
    "yuan": {"元 块": "100", "角 毛": "10", "分": "1"},
}  # fmt: skip
WORTH = {
    dimension: {name: Decimal(value) for names, value in rows.items() for name in names.split()}
    for dimension, rows in TABLE.items()
}


def worth(text: str, dimension: str) -> Decimal | None:
    """What the amounts in a text are worth together; nothing if a unit is of another dimension."""
    names = sorted(WORTH[dimension], key=len, reverse=True)
    pattern = rf"(\d+(?:\.\d+)?)\s*({'|'.join(map(re.escape, names))})(?![a-z])"
    text = re.sub(r"([$€])(\d+(?:\.\d+)?)", r"\2 \1", text.lower())
    found = re.findall(pattern, text)
    if not found or len(found) != len(re.findall(r"\d+(?:\.\d+)?", text)):
        return None
    return sum((Decimal(number) * WORTH[dimension][unit] for number, unit in found), Decimal(0))


class Units(unittest.TestCase):
    """The task in both languages."""

    def check(self, example: Example) -> str:
        question, answer = example.messages[0][1], example.answer
        if answer.endswith(("°F", "°C")):
            number = int(re.findall(r"-?\d+", question)[0])
            result = int(re.findall(r"-?\d+", answer)[0])
            celsius, fahrenheit = (result, number) if answer.endswith("°C") else (number, result)
            self.assertEqual(fahrenheit * 5, celsius * 9 + 160, example)
            return "temperature"
        for dimension in WORTH:
            value = worth(answer, dimension)
            asked = worth(question.replace("一部", "").replace("一共", ""), dimension) if value is not None else None
            if value is not None and asked is not None:
                self.assertEqual(value, asked, example)
                return dimension
        self.fail(f"not understood: {example}")

    def test_worth(self) -> None:
        for language in LANGUAGES:
            seen: set[str] = set()
            for example in examples(units.units, language, 8000):
                seen.add(self.check(example))
                self.assertIn(re.findall(r"[\d.]*\d", example.answer)[-1], example.reasoning)
            self.assertEqual(len(seen), 8, seen)

    def test_decimals(self) -> None:
        self.assertEqual(units._fraction(5, 3), "0.005")
        self.assertEqual(units._fraction(1200, 2), "12")
        self.assertEqual(units._fraction(1250, 3), "1.25")

    def test_languages_apart(self) -> None:
        """No question is asked in both languages, where the answers would differ."""
        english = {example.messages[0][1].lower() for example in examples(units.units, "en", 20000)}
        for example in examples(units.units, "zh", 20000):
            self.assertNotIn(example.messages[0][1].lower(), english)
            self.assertRegex(example.messages[0][1], r"[\u4e00-\u9fff]")

    def test_general(self) -> None:
        check_general(self, units.units, "units")


if __name__ == "__main__":
    unittest.main()
