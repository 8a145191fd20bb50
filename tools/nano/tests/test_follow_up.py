"""Follow-ups: every answer of a conversation, computed from the turns before it."""

import re
import unittest

from nano.example import Example
from nano.tasks import follow_up
from nano.tasks.lists import SEPARATOR

from .question_checks import LANGUAGES, check_general, examples
from .test_arithmetic import check_facts, evaluate

EQUATION = re.compile(r"-?\d+ [-+×] \(?-?\d+\)? = -?\d+$")
WORDS = {"two": 2, "three": 3, "ten": 10, "double": 2, "twice": 2, "triple": 3, "两": 2, "二": 2, "翻": 2, "三": 3, "十": 10}


def asked_number(text: str) -> int:
    """The number of a question such as "and times two?"."""
    found = re.search(r"\d+", text)
    if found:
        return int(found.group())
    return next(number for word, number in WORDS.items() if word in text.lower())


class FollowUp(unittest.TestCase):
    """Conversations about results, lists, words and comparisons."""

    def check_calculation(self, example: Example) -> str:
        texts = [text for _, text in example.messages]
        result = None
        for question, answer in zip(texts[::2], [*texts[1::2], example.answer]):
            if not EQUATION.match(answer):
                last = re.findall(r"-?\d+", answer)[0]
                first, _, second = texts[1].split(" = ")[0].partition(" ")
                self.assertIn(last, (str(result), first, second.partition(" ")[2].strip("()")))
                return "recall"
            left, right = evaluate(answer)
            self.assertEqual(left, right)
            if result is not None:
                self.assertTrue(answer.startswith(f"{result} "), answer)
                self.assertEqual(int(re.findall(r"\d+", answer.partition(" = ")[0])[-1]), asked_number(question))
            result = right
        self.assertEqual(example.reasoning.split("\n")[-1], example.answer)
        check_facts(self, example.reasoning)
        return "calculation"

    def check_list(self, example: Example) -> str:
        separator = SEPARATOR[example.language]
        given = [int(text) for text in re.findall(r"-?\d+", example.messages[0][1])]
        before = [int(text) for text in example.messages[1][1].split(separator)]
        self.assertEqual(sorted(given), sorted(before))
        numbers = [int(text) for text in re.findall(r"-?\d+", example.answer)]
        question = example.messages[2][1].lower()
        if len(numbers) > 1:
            if re.search("descending|high to low|largest to|biggest first|从大到小|降序", question):
                right = sorted(given, reverse=True)
            elif re.search("ascending|low to high|smallest|从小到大|升序", question):
                right = sorted(given)
            else:
                right = before[::-1]
            self.assertEqual(numbers, right, example)
            return "list"
        if re.search("largest|biggest|maximum|最大", question):
            right = max(given)
        elif re.search("smallest|lowest|minimum|最小", question):
            right = min(given)
        elif re.search("how many|how long|count|几个|多少个|多长", question):
            right = len(given)
        else:
            right = given[-1] if re.search("last|最后", question) else given[0]
        self.assertEqual(numbers, [right], example)
        return "list item"

    def check_letters(self, example: Example) -> str:
        spelled = "".join(re.findall(r"\d+ ([a-z])", example.reasoning.split("\n")[1]))
        self.assertIn(spelled, "".join(text for _, text in example.messages).lower())
        found = re.search(r"(\d+) (?:个 )?([a-z])(?:'s)?(?: in|。)", example.answer)
        number = int(re.search(r"\d+", example.answer).group())
        self.assertEqual(number, spelled.count(found[2]) if found else len(spelled), example)
        return "letters"

    def check_comparison(self, example: Example) -> str:
        first, second = re.findall(r"\d+(?:\.\d+)?", example.messages[0][1])
        smaller = "smaller" in example.answer or "小" in example.answer
        right = (min if smaller else max)((first, second), key=float)
        self.assertTrue(example.answer.startswith(f"{right} "), example)
        self.assertFalse(example.messages[1][1].startswith(f"{right} "))
        return "comparison"

    def test_answers(self) -> None:
        for language in LANGUAGES:
            kinds = []
            for example in examples(follow_up.follow_up, language, 6000):
                first = example.messages[1][1]
                if EQUATION.match(first):
                    kinds.append(self.check_calculation(example))
                elif re.match(r"[\d.]+ (?:is (?:larger|smaller)|更[大小])", first):
                    kinds.append(self.check_comparison(example))
                elif re.search("[a-z]", first):
                    kinds.append(self.check_letters(example))
                else:
                    kinds.append(self.check_list(example))
            self.assertEqual(set(kinds), {"calculation", "recall", "list", "list item", "letters", "comparison"})

    def test_general(self) -> None:
        check_general(self, follow_up.follow_up, "follow-up", 640)


if __name__ == "__main__":
    unittest.main()
