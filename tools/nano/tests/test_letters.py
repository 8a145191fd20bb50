"""Letters of words: the answer by counting in the word itself."""

import re
import unittest

from nano.example import Example
from nano.tasks import letters
from nano.words import SEEN, UNSEEN, WORDS

from .question_checks import LANGUAGES, check_general, examples

ANSWERS = {
    "en": re.compile(r"There (?:is|are) (?P<hits>\d+) (?P<letter>[a-z])(?:'s)? in (?P<word>[A-Za-z]+)\.$"),
    "zh": re.compile(r"(?P<word>[A-Za-z]+) 里有 (?P<hits>\d+) 个 (?P<letter>[a-z])。$"),
}
LENGTHS = {"en": re.compile(r"([A-Za-z]+) has (\d+) letters\.$"), "zh": re.compile(r"([A-Za-z]+) 有 (\d+) 个字母。$")}
POSITIONS = {"en": re.compile(r"The (\w+) letter is ([a-z])\.$"), "zh": re.compile(r"(.+)字母是 ([a-z])。$")}


class Letters(unittest.TestCase):
    """The task, and its twin of unseen words."""

    def word_of(self, example: Example) -> str:
        """The word in the question, found by the spelled reasoning."""
        spelled = "".join(re.findall(r"\d+ ([a-z])", example.reasoning.split("\n")[1]))
        self.assertIn(spelled, example.messages[0][1].lower())
        return spelled

    def check(self, example: Example) -> str:
        word, question = self.word_of(example), example.messages[0][1]
        found = ANSWERS[example.language].match(example.answer)
        if found:
            self.assertEqual(found["word"].lower(), word)
            self.assertEqual(int(found["hits"]), word.count(found["letter"]), example.answer)
            self.assertIn(found["letter"], question.lower().replace(word, "", 1))
            return "count"
        found = LENGTHS[example.language].match(example.answer)
        if found:
            self.assertEqual((found[1].lower(), int(found[2])), (word, len(word)))
            return "length"
        found = POSITIONS[example.language].match(example.answer)
        if found:
            names = [*letters._ORDINALS[example.language]]
            index = names.index(found[1]) if found[1] in names else len(word) - 1
            self.assertEqual(word[index], found[2])
            return "position"
        self.assertEqual(example.answer, "-".join(word))
        return "spelling"

    def test_answers(self) -> None:
        for language in LANGUAGES:
            kinds = [self.check(example) for example in examples(letters.letters, language, 6000)]
            self.assertEqual(set(kinds), {"count", "length", "position", "spelling"})
            self.assertGreater(kinds.count("count"), 3600)

    def test_unseen(self) -> None:
        self.assertFalse(set(SEEN) & set(UNSEEN))
        self.assertEqual(set(SEEN) | set(UNSEEN), set(WORDS))
        self.assertTrue(0.12 < len(UNSEEN) / len(WORDS) < 0.18)
        self.assertIn("strawberry", SEEN)
        unseen = frozenset(UNSEEN)
        for language in LANGUAGES:
            for example in examples(letters.letters_unseen, language, 3000):
                self.assertIn(self.word_of(example), unseen)
                self.check(example)
            for example in examples(letters.letters, language, 20000):
                self.assertNotIn(self.word_of(example), unseen)

    def test_strawberry(self) -> None:
        answer, steps = letters.count_answer("strawberry", "r", "en")
        self.assertEqual(answer, "There are 3 r's in strawberry.")
        self.assertIn("3 r (1), 4 a, 5 w, 6 b, 7 e, 8 r (2), 9 r (3), 10 y", steps)

    def test_general(self) -> None:
        check_general(self, letters.letters, "letters", 260)
        check_general(self, letters.letters_unseen, "letters-unseen", 260, 3000)


if __name__ == "__main__":
    unittest.main()
