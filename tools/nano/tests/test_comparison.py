"""Comparisons: the answer by decimal arithmetic from the numbers of the question."""

import re
import unittest
from decimal import Decimal

from nano.example import Example
from nano.tasks import comparison

from .question_checks import LANGUAGES, check_general, examples

NUMBER = re.compile(r"-?\d{1,3}(?:,\d{3})+(?!\d)|-?\d+(?:\.\d+)?")
SENSES = {
    "en": {
        "largest": "largest|biggest|greatest|max",
        "smallest": "smallest|lowest|min",
        "=": "equal|same|=",
        ">": "(is|if|whether|that|say|false:) NUM (is )?(larger|bigger|greater|more|higher|>)|NUM (>|is bigger)",
        "<": "(is|if|whether|that|false:) NUM (is )?(smaller|less|lower|<)|NUM (<|is less)",
        "larger": "larger|bigger|greater|more|higher|max",
        "smaller": "smaller|less|lower|lesser|min",
    },
    "zh": {
        "largest": "最大|max",
        "smallest": "最小|min",
        "=": "相等|一样|等于|=|同一个",
        ">": "是否大于|大于|>|比 ?NUM ?(更|要)?大|是不是比NUM大",
        "<": "是否小于|小于|<|比 ?NUM ?(更|要)?小|是不是比NUM小",
        "larger": "大|max",
        "smaller": "小|min",
    },
}


def sense_of(example: Example, count: int) -> str:
    """What a question asks for, read from its words."""
    text = NUMBER.sub("NUM", example.messages[0][1]).lower().replace("one more", "next").replace("num", "NUM")
    wanted = ("largest", "smallest") if count == 3 else ("=", ">", "<", "larger", "smaller")
    if count == 2 and example.language == "zh" and ("还是" in text or "NUM大还" in text or "NUM小还" in text):
        wanted = ("larger", "smaller")
    for sense in wanted:
        if sense == "larger" and "小" in text and "大" not in text:
            continue
        if re.search(SENSES[example.language][sense], text):
            return sense
    raise AssertionError(text)


def expected(sense: str, texts: list[str], language: str) -> str:
    """The right answer, computed with decimals."""
    values = [Decimal(text) for text in texts]
    chinese = language == "zh"
    if sense in ("largest", "smallest", "larger", "smaller"):
        if len(values) == 2 and values[0] == values[1]:
            return "两个数相等。" if chinese else "They are equal."
        best = texts[values.index((max if sense in ("largest", "larger") else min)(values))]
        if chinese:
            words = {"largest": "最大", "smallest": "最小", "larger": "更大", "smaller": "更小"}
            return f"{best} {words[sense]}。"
        return f"{best} is {'the ' if sense.endswith('est') else ''}{sense}."
    first, second = values
    relation = "=" if first == second else "<" if first < second else ">"
    if chinese:
        word = "是的" if relation == sense else "不"
        tail = {"=": "两个数相等", "<": f"{texts[0]} 小于 {texts[1]}", ">": f"{texts[0]} 大于 {texts[1]}"}[relation]
        return f"{word}，{tail}。"
    word = "Yes" if relation == sense else "No"
    size = {"<": "smaller", ">": "larger"}.get(relation)
    return f"{word}, {texts[0]} is {size} than {texts[1]}." if size else f"{word}, they are equal."


class Comparison(unittest.TestCase):
    """The task and its working."""

    def test_answers(self) -> None:
        for language in LANGUAGES:
            for example in examples(comparison.comparison, language, 8000):
                texts = [text.replace(",", "") for text in NUMBER.findall(example.messages[0][1])]
                sense = sense_of(example, len(texts))
                self.assertEqual(example.answer, expected(sense, texts, language), example.messages[0][1])

    def test_reasoning_is_right(self) -> None:
        pattern = re.compile(r"(-?\d+(?:\.\d+)?) ([<>=]) (-?\d+(?:\.\d+)?)")
        digits = re.compile(r"(\d)([<>=])(\d)")
        for language in LANGUAGES:
            for example in examples(comparison.comparison, language, 4000, seed=2):
                found = pattern.findall(example.reasoning)
                self.assertTrue(found)
                for left, relation, right in found + digits.findall(example.reasoning):
                    self.assertTrue({
                        "<": Decimal(left) < Decimal(right), ">": Decimal(left) > Decimal(right),
                        "=": Decimal(left) == Decimal(right),
                    }[relation], example.reasoning)  # fmt: skip

    def test_famous_trap(self) -> None:
        answer, steps = comparison.comparison_answer("larger", ("9.11", "9.9"), "en")
        self.assertEqual(answer, "9.9 is larger.")
        self.assertTrue(steps.endswith("9=9, 1<9, so 9.11 < 9.9"))
        self.assertEqual(comparison.comparison_answer(">", ("9.11", "9.9"), "zh")[0], "不，9.11 小于 9.9。")

    def test_general(self) -> None:
        check_general(self, comparison.comparison, "comparison", 420)


if __name__ == "__main__":
    unittest.main()
