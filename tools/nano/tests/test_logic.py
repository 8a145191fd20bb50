"""Logic: expressions by Python's own operators, conclusions by trying out all kinds of things."""

import re
import unittest
from itertools import product

from nano.example import Example
from nano.tasks import inference, logic

from .question_checks import LANGUAGES, check_general, examples

TRUTH = {"true": True, "false": False, "真": True, "假": False, "yes": True, "no": False, "对": True, "不对": False}
TOKENS = re.compile(r"异或|[真假非且与或()^!¬∧∨⊕]|&&|\|\||&|\||true|false|not|and|or|xor|[tf01]")
PYTHON = {
    "true": "-1", "t": "-1", "1": "-1", "真": "-1", "false": "0", "f": "0", "0": "0", "假": "0", "not": "~", "!": "~",
    "¬": "~", "非": "~",
    "and": "&", "&&": "&", "&": "&", "∧": "&", "且": "&", "与": "&", "or": "|", "||": "|", "|": "|", "∨": "|", "或": "|",
    "xor": "^", "^": "^", "⊕": "^", "异或": "^", "(": "(", ")": ")",
}  # fmt: skip


def evaluated(text: str) -> bool:
    """An expression's value, with the bits of whole numbers for booleans."""
    text = text.lower().replace("（", "(").replace("）", ")")
    code = " ".join(PYTHON[token] for token in TOKENS.findall(text))
    return eval(code, {}) != 0  # noqa: S307 (the text is made of the tokens above)


class Logic(unittest.TestCase):
    """The parts of the task, each asked for alone."""

    def test_expressions(self) -> None:
        for language in LANGUAGES:
            for example in examples(logic._expression, language, 4000):
                lines = example.reasoning.split("\n")
                self.assertIn(lines[0], example.messages[0][1], example)
                for line in lines:
                    self.assertEqual(evaluated(line), TRUTH[example.answer], example)
                self.assertLessEqual(len(TOKENS.findall(lines[-1].lower())), 1)

    def test_comparisons(self) -> None:
        for language in LANGUAGES:
            for example in examples(logic._compared, language, 4000):
                *lines, last = example.reasoning.split("\n")
                if " = " not in last or not re.search("and|or|且|或", last):
                    lines.append(last)
                values = []
                for line in lines:
                    left, sign, right, word = re.match(r"(\d+) (\S) (\d+)[:：] ?(\w+)", line).groups()
                    python = {"=": "==", "≥": ">=", "≤": "<="}.get(sign, sign)
                    values.append(eval(f"{left} {python} {right}", {}))  # noqa: S307 (two numbers and a sign)
                    self.assertEqual(values[-1], TRUTH[word], example)
                    self.assertRegex(example.messages[0][1], rf"{left}\D+{right}")
                every = re.search(r" and |且", example.messages[0][1].lower().split("correct that")[-1])
                self.assertEqual(all(values) if every else any(values), TRUTH[example.answer], example)

    def conclusion(self, text: str, language: str) -> str:
        """What follows from the sentences of a question, by trying out what the one asked about may be."""
        patterns_en = (
            (r"all (\w+?)s are (\w+?)s$|(?:every|each) (\w+) is an? (\w+)$", "all"),
             (r"no (\w+?)s? (?:are|is an?) (\w+?)s?$", "none"),
            (r"some (\w+?)s are (\w+?)s$", "some"), (r"\w+ is not an? (\w+)$", "is not"), (r"\w+ is an? (\w+)$", "is"),
        )  # fmt: skip
        patterns_zh = (
            ("(?:所有的|所有|每个|凡是)(.+)都不是(.+)$|没有(.+)是(.+)$", "none"), ("(?:所有的|所有|每个|凡是)(.+)都是(.+)$", "all"),
             ("有些(.+)是(.+)$", "some"),
            (f"(?:{self.names})不是(.+)$", "is not"), (f"(?:{self.names})是(.+)$", "is"),
        )  # fmt: skip
        text = text.lower()
        if language == "zh":
            text = re.sub("^(逻辑题：|已知：|问题：|假设)|？请回答.*|[？?]$", "", text)
            *premises, question = [part for part in re.split("[，。；]", text) if part]
        else:
            text = re.sub(
                r"^(logic puzzle|question|suppose this|a riddle|given): |\?? (answer )?yes, no,? or unknown.?$", "",
                 text)
            *premises, question = [part.strip() for part in text.rstrip("?").split(".") if part.strip()]
        rules = []
        for premise in premises:
            for pattern, rule in patterns_en if language == "en" else patterns_zh:
                found = re.search(f"^(?:{pattern})", premise)
                if found:
                    rules.append((rule, *[group for group in found.groups() if group]))
                    break
            else:
                self.fail(premise)
        kinds = {kind for rule in rules for kind in rule[1:]}
        if language == "zh":
            asked = re.search("是(?:不是)?([^是]+?)吗?$", question)[1]
            subject = re.search("所有(.+)都是|任何一个(.+)会?是", question)
        else:
            asked = re.search(r"(\w+)$", question)[1]
            asked = asked if asked in kinds or not asked.endswith("s") else asked[:-1]
            subject = re.search(r"all (\w+)s |every (\w+) |any (\w+) |can an? (\w+) be|are there (\w+)s ", question)
        if subject:
            name = next(group for group in subject.groups() if group)
            rules.append(("is", name[:-1] if language == "zh" and name.endswith("会") else name))
        kinds |= {asked}
        order = sorted(kinds)
        outcomes = set()
        for bits in product((False, True), repeat=len(order)):
            one = dict(zip(order, bits, strict=True))
            fits = {
                "all": lambda a, b, one=one: not one[a] or one[b], "none": lambda a, b,
                one=one: not (one[a] and one[b]),
                "some": lambda a, b: True, "is": lambda a, one=one: one[a], "is not": lambda a, one=one: not one[a],
            }  # fmt: skip
            if all(fits[rule](*names) for rule, *names in rules):
                outcomes.add(one[asked])
        words = ("no", "yes", "unknown") if language == "en" else ("不是", "是", "无法确定")
        return words[2] if len(outcomes) > 1 else words[outcomes.pop()]

    names = "|".join(sorted({row[0] for row in inference.NAMES_ZH}, key=len, reverse=True))

    def test_conclusions(self) -> None:
        def sample(rng, language) -> Example:
            return logic._made(language, *inference.syllogism(rng, language))

        for language in LANGUAGES:
            for example in examples(sample, language, 3000):
                self.assertEqual(self.conclusion(example.messages[0][1], language), example.answer, example)

    def test_implications(self) -> None:
        def sample(rng, language) -> Example:
            return logic._made(language, *inference._truth_of_if(rng, language))

        for example in examples(sample, "en", 2000):
            found = re.search(r"condition is (\w+), the consequence is (\w+)", example.reasoning)
            self.assertEqual(not TRUTH[found[1]] or TRUTH[found[2]], TRUTH[example.answer])

    def test_languages_apart(self) -> None:
        """No question is asked in both languages, where the answers would differ."""
        english = {example.messages[0][1].lower() for example in examples(logic.logic, "en", 20000)}
        for example in examples(logic.logic, "zh", 20000):
            self.assertNotIn(example.messages[0][1].lower(), english)
            self.assertRegex(example.messages[0][1], r"[\u4e00-\u9fff]")

    def test_general(self) -> None:
        check_general(self, logic.logic, "logic")


if __name__ == "__main__":
    unittest.main()
