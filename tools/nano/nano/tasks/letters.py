"""How often a letter occurs in a word, how many letters a word has, and how it is spelled."""

from random import Random

from ..example import Example
from ..phrasing import ask, between, pick, weighted
from ..pieces import pieces
from ..words import SEEN, UNSEEN

__all__ = [
    "SEEN",
    "UNSEEN",
    "count_answer",
    "count_question",
    "length_answer",
    "letters",
    "letters_unseen",
    "made_up_word",
    "spelling",
]

_UNSEEN_SET = frozenset(UNSEEN)
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_ONSETS = weighted(
    *[(onset, 2) for onset in "b c d f g h j k l m n p r s t v w z".split()],
    *[(onset, 1) for onset in "bl br ch cl cr dr fl fr gl gr pl pr qu sh sl sm sn sp st str th tr tw y wh x".split()],
)
_VOWELS = weighted(*[(vowel, 4) for vowel in "aeiou"], *[(pair, 1) for pair in "ai ea ee oo ou ie oa y".split()])
_CODAS = weighted(
    ("", 30), *[(coda, 1) for coda in "b ck d ff g l ll m n nd ng nt p r rr s ss st t tt x rd rk mp sh th".split()]
)


def _indexed(word: str) -> list[str]:
    return [f"{index} {letter}" for index, letter in enumerate(word, 1)]


def spelling(word: str) -> str:
    """The letters of a word in lower case, numbered: "1 c, 2 a, 3 t"."""
    return ", ".join(_indexed(word.lower()))


def _from_pieces(rng: Random, longest: int) -> str:
    """Two or three tokens in a row, or "" where they are too long (or there is no tokenizer yet)."""
    first, others = pieces()
    if not first:
        return ""
    word = pick(rng, first) + pick(rng, others)
    if rng.random() < 0.2:
        word += pick(rng, others)
    return word if len(word) <= longest + 2 else ""


def made_up_word(rng: Random, longest: int = 12) -> str:
    """A word that does not exist: of tokens, pronounceable, or letters at random; three letters at least."""
    if rng.random() < 0.45:
        word = _from_pieces(rng, longest)
        if word and word.lower() not in _UNSEEN_SET:
            return word
    length = between(rng, 3, longest)
    if rng.random() < 0.4:
        letters = _ALPHABET if rng.random() < 0.6 else [pick(rng, _ALPHABET) for _ in range(between(rng, 2, 5))]
        word = "".join([pick(rng, letters) for _ in range(length)])
    else:
        word = ""
        while len(word) < length:
            word += pick(rng, _ONSETS) + pick(rng, _VOWELS) + pick(rng, _CODAS)
        word = word[:length]
    return made_up_word(rng, longest) if word in _UNSEEN_SET else word


# {0} is the letter, {1} the word.
_COUNTS = {
    "en": (
        ("question", "how many {0}'s are in {1}"), ("question", "how many {0}'s are in {1}"),
        ("question", "how many {0}'s are there in {1}"), ("question", "how many {0}'s in {1}"),
        ("question", "how many {0}s are in {1}"), ("question", "how many {0}s are in the word {1}"),
        ("question", "how many {0} in {1}"), ("question", "how many {0}'s does {1} have"),
        ("question", "how many times does {0} occur in {1}"), ("question", "how many times does {0} appear in {1}"),
        ("question", "how often does the letter {0} occur in {1}"), ("question", "how often is {0} in {1}"),
        ("question", "how often does {0} appear in the word {1}"), ("question", "how many {0}'s does {1} contain"),
        ("question", "how many letters {0} are in {1}"), ("question", "how many of the letter {0} are in {1}"),
        ("question", "how many times is the letter {0} used in {1}"),
        ("question", "how many times can you find the letter {0} in {1}"),
        ("question", "what is the number of {0}'s in {1}"), ("question", "in {1}, how many {0}'s are there"),
        ("question", "in the word {1}, how many times does {0} occur"), ("question", "{1}: how many {0}'s"),
        ("request", "count the {0}'s in {1}"), ("request", "count how many {0}'s are in {1}"),
        ("request", "count the letter {0} in {1}"), ("request", "count {0} in {1}"),
        ("request", "find out how many {0}'s there are in {1}"), ("request", "tell me how many {0}'s are in {1}"),
        ("request", "give me the number of {0}'s in {1}"), ("bare", "number of {0}'s in {1}"),
        ("bare", "count of {0} in {1}"), ("bare", "{1}, how many {0}"), ("bare", "letter {0} in {1}, how many times"),
    ),
    "zh": (
        ("question", "{1}里有几个{0}"), ("question", "{1} 里有几个 {0}"), ("question", "{1}里有多少个{0}"),
        ("question", "{1}中有几个字母{0}"), ("question", "{1} 中有多少个字母 {0}"), ("question", "单词{1}里有几个{0}"),
        ("question", "单词 {1} 里有多少个字母 {0}"), ("question", "在{1}里，{0}出现了几次"), ("question", "字母{0}在{1}中出现几次"),
        ("question", "字母 {0} 在 {1} 里出现了多少次"), ("question", "{0}在{1}里出现几次"), ("question", "{1}这个词里有几个{0}"),
        ("question", "{1}这个单词有几个{0}"), ("question", "英文单词{1}里有几个字母{0}"), ("question", "{1}里有几个字母{0}"),
        ("question", "{1}有几个{0}"), ("question", "{1} 有多少个 {0}"),
        ("question", "{1}里面有几个字母{0}"), ("question", "{1}包含几个{0}"), ("question", "单词{1}中字母{0}的个数是多少"),
        ("request", "数一下{1}里有几个{0}"), ("request", "数一数 {1} 里有多少个 {0}"), ("request", "数出{1}中字母{0}的个数"),
        ("request", "统计{1}里{0}的个数"), ("request", "统计字母 {0} 在 {1} 中出现的次数"), ("request", "算一下{1}里有多少个{0}"),
        ("bare", "{1}里{0}的个数"), ("bare", "{1}，几个{0}"), ("bare", "{1}中{0}的数量"),
    ),
}  # fmt: skip
_LENGTHS = {
    "en": (
        ("question", "how many letters are in {0}"), ("question", "how many letters does {0} have"),
        ("question", "how many letters are there in the word {0}"), ("question", "how many letters in {0}"),
        ("question", "how long is the word {0}"), ("question", "what is the length of the word {0}"),
        ("question", "how many characters does {0} have"), ("request", "count the letters in {0}"),
        ("request", "count the letters of the word {0}"), ("request", "tell me how many letters {0} has"),
        ("bare", "number of letters in {0}"), ("bare", "length of {0}"), ("question", "{0} has how many letters"),
        ("question", "how many letters does the word {0} contain"), ("bare", "{0}, how many letters"),
        ("question", "how many letters are in the word {0}"), ("question", "how many letters has {0}"),
    ),
    "zh": (
        ("question", "{0}有几个字母"), ("question", "{0} 有多少个字母"), ("question", "单词{0}有几个字母"), ("question", "{0}这个词有多少个字母"),
        ("question", "单词 {0} 一共有几个字母"), ("question", "{0}由几个字母组成"), ("question", "{0}有多长"), ("request", "数一下{0}有几个字母"),
        ("request", "数一数 {0} 的字母"), ("request", "统计{0}的字母个数"), ("bare", "{0}的字母数"), ("bare", "{0}，几个字母"),
        ("question", "{0}里一共有多少个字母"), ("question", "{0}的长度是多少"),
    ),
}  # fmt: skip
_SPELLINGS = {
    "en": (
        ("question", "how do you spell {0}"), ("question", "how is {0} spelled"), ("request", "spell {0}"),
        ("request", "spell the word {0}"), ("request", "spell out {0}"), ("request", "write {0} letter by letter"),
        ("request", "list the letters of {0}"), ("bare", "spell {0}"), ("bare", "the letters of {0}"),
        ("question", "what are the letters of {0}"),
    ),
    "zh": (
        ("question", "{0}怎么拼"), ("question", "单词{0}怎么拼写"), ("request", "拼写{0}"), ("request", "拼出 {0}"),
        ("request", "把{0}一个字母一个字母写出来"),
        ("request", "逐个写出{0}的字母"), ("bare", "{0}的字母"), ("question", "{0}由哪些字母组成"), ("bare", "拼写 {0}"),
    ),
}  # fmt: skip
_ORDINALS = {
    "en": "first second third fourth fifth sixth seventh eighth".split(),
    "zh": [f"第{digit}个" for digit in "一二三四五六七八"],
}
_POSITIONS = {
    "en": (
        ("question", "what is the {0} letter of {1}"), ("question", "what's the {0} letter in {1}"),
        ("question", "which letter is the {0} one in {1}"), ("request", "tell me the {0} letter of {1}"),
        ("bare", "{0} letter of {1}"), ("question", "what is the {0} letter in the word {1}"),
        ("request", "give me the {0} letter of the word {1}"),
    ),
    "zh": (
        ("question", "{1}的{0}字母是什么"), ("question", "{1} 的{0}字母是哪个"), ("question", "单词{1}的{0}字母是什么"),
        ("request", "写出{1}的{0}字母"), ("bare", "{1}的{0}字母"), ("request", "告诉我{1}的{0}字母"),
    ),
}  # fmt: skip
_LAST = {"en": "last", "zh": "最后一个"}


def count_answer(word: str, letter: str, language: str) -> tuple[str, str]:
    """The answer and the reasoning: the word is spelled, and each hit gets its number."""
    hits, items = 0, _indexed(word.lower())
    for index, item in enumerate(items):
        if item[-1] == letter:
            hits += 1
            items[index] = f"{item} ({hits})"
    listed = ", ".join(items)
    if language == "zh":
        return f"{word} 里有 {hits} 个 {letter}。", f"在 {word} 里找 {letter}：\n{listed}\n{letter}：{hits} 个"
    answer = f"There is 1 {letter} in {word}." if hits == 1 else f"There are {hits} {letter}'s in {word}."
    return answer, f"Looking for {letter} in {word}:\n{listed}\n{letter}: {hits}"


def length_answer(word: str, language: str) -> tuple[str, str]:
    """The answer and the reasoning for how many letters a word has."""
    if language == "zh":
        return f"{word} 有 {len(word)} 个字母。", f"{word} 的字母：\n{spelling(word)}"
    return f"{word} has {len(word)} letters.", f"The letters of {word}:\n{spelling(word)}"


def some_letter(rng: Random, word: str) -> str:
    """A letter to count in a word: mostly one that is there."""
    chance = rng.random()
    if chance < 0.15:
        return pick(rng, _ALPHABET)
    letter = pick(rng, word.lower())
    if chance < 0.6 and word.lower().count(letter) == 1:
        letter = pick(rng, word.lower())
    return letter


def _quoted(rng: Random, text: str, language: str) -> str:
    chance = rng.random()
    if chance < 0.6:
        return text
    if chance < 0.8:
        return f'"{text}"'
    if chance < 0.92 or language == "en":
        return f"'{text}'"
    return f"“{text}”"


def _cased(rng: Random, word: str) -> str:
    chance = rng.random()
    if chance < 0.82:
        return word
    return word.capitalize() if chance < 0.92 else word.upper()


def count_question(rng: Random, language: str, letter: str, word: str) -> str:
    """How somebody asks how often a letter occurs in a word; the letter may be typed as a capital."""
    kind, template = pick(rng, _COUNTS[language])
    shown = letter.upper() if rng.random() < 0.12 else letter
    if rng.random() < 0.2 and "{0}'" not in template and "{0}s" not in template:
        shown = f"'{shown}'" if rng.random() < 0.5 else f'"{shown}"'
    return ask(rng, language, kind, template, shown, _quoted(rng, word, language))


def _sample(rng: Random, language: str, word: str, task: str) -> Example:
    word = _cased(rng, word)
    chance = rng.random()
    if chance < 0.68:
        letter = some_letter(rng, word)
        question = count_question(rng, language, letter, word)
        answer, reasoning = count_answer(word, letter, language)
    elif chance < 0.84:
        kind, template = pick(rng, _LENGTHS[language])
        question = ask(rng, language, kind, template, _quoted(rng, word, language))
        answer, reasoning = length_answer(word, language)
    elif chance < 0.92:
        kind, template = pick(rng, _SPELLINGS[language])
        question = ask(rng, language, kind, template, _quoted(rng, word, language))
        _, reasoning = length_answer(word, language)
        answer = "-".join(word.lower())
    else:
        position = between(rng, 0, min(len(word), 8) - 1)
        ordinal = _ORDINALS[language][position]
        if rng.random() < 0.25:
            position, ordinal = len(word) - 1, _LAST[language]
        kind, template = pick(rng, _POSITIONS[language])
        question = ask(rng, language, kind, template, ordinal, _quoted(rng, word, language))
        _, reasoning = length_answer(word, language)
        letter = word[position].lower()
        answer = f"{ordinal}字母是 {letter}。" if language == "zh" else f"The {ordinal} letter is {letter}."
    return Example(task, language, reasoning, answer, (("user", question),))


def letters(rng: Random, language: str) -> Example:
    """Letters of words: about half of them common words that may be trained on, half made up."""
    word = pick(rng, SEEN) if rng.random() < 0.45 else made_up_word(rng)
    return _sample(rng, language, word, "letters")


def letters_unseen(rng: Random, language: str) -> Example:
    """The same questions about common words whose letters are never trained on; for evaluation only."""
    return _sample(rng, language, pick(rng, UNSEEN), "letters-unseen")
