"""Sorting and reversing lists of numbers and of words, and reversing the letters of a word."""

from collections.abc import Sequence
from random import Random

from ..example import Example
from ..phrasing import ask, between, pick, weighted, with_digits
from ..words import SEEN, UNSEEN
from .letters import made_up_word, spelling

_UNSEEN_SET = frozenset(UNSEEN)
# How a list is typed: before, between and after its items.
_LAYOUTS = {
    "en": weighted(
        (("", ", ", ""), 10), (("", ",", ""), 3), (("", " ", ""), 5), (("[", ", ", "]"), 4), (("[", ",", "]"), 2),
        (("(", ", ", ")"), 1), (("{", ", ", "}"), 1), (("", "; ", ""), 1),
    ),
    "zh": weighted(
        (("", "、", ""), 9), (("", "，", ""), 4), (("", ", ", ""), 4), (("", ",", ""), 2), (("", " ", ""), 4),
        (("[", ", ", "]"), 3), (("[", ",", "]"), 1), (("【", "，", "】"), 1),
    ),
}  # fmt: skip
# The one way a list is written in reasoning and answers.
SEPARATOR = {"en": ", ", "zh": "、"}

_ASCENDING = {
    "en": (
        ("request", "sort {0}"), ("request", "sort these numbers: {0}"), ("request", "sort the numbers {0}"),
        ("request", "sort this list: {0}"), ("request", "sort the list {0}"),
        ("request", "sort {0} in ascending order"),
        ("request", "sort {0} ascending"), ("request", "sort from smallest to largest: {0}"),
        ("request", "put {0} in order"), ("request", "put these in ascending order: {0}"),
        ("request", "order these numbers from smallest to largest: {0}"), ("request", "order {0}"),
        ("request", "arrange {0} in increasing order"), ("request", "arrange these from low to high: {0}"),
        ("request", "sort the following numbers: {0}"), ("request", "order these numbers: {0}"),
        ("request", "sort these numbers in ascending order: {0}"), ("request", "list {0} from smallest to biggest"),
        ("question", "what is {0} sorted"), ("question", "what is {0} in ascending order"),
        ("question", "how do you sort {0}"), ("bare", "{0} sorted"), ("bare", "sort: {0}"),
        ("bare", "{0}, smallest first"), ("bare", "ascending order: {0}"),
        ("request", "rank {0} from lowest to highest"),
        ("request", "sort the array {0}"), ("bare", "sort([{0}])"), ("bare", "sorted([{0}])"),
        ("request", "sort these numbers ascending: {0}"), ("request", "sort {0} from smallest to largest"),
        ("request", "sort {0} from low to high"),
    ),
    "zh": (
        ("request", "把{0}从小到大排序"), ("request", "把 {0} 从小到大排列"), ("request", "将{0}按升序排列"), ("request", "将 {0} 排序"),
        ("request", "给{0}排序"), ("request", "给这些数排序：{0}"), ("request", "对{0}进行升序排序"), ("request", "把这些数字从小到大排列：{0}"),
        ("request", "排序：{0}"), ("request", "按从小到大的顺序排列{0}"), ("request", "将下列数字从小到大排序：{0}"), ("request", "排列一下：{0}"),
        ("request", "把下面的数按升序排好：{0}"), ("question", "{0}从小到大怎么排"), ("question", "{0}从小到大排列是什么"),
        ("question", "{0}按升序排列是怎样的"), ("bare", "{0}，从小到大"), ("request", "把下面的数字排序：{0}"), ("request", "对这些数字从小到大排序：{0}"),
        ("bare", "从小到大排序：{0}"), ("bare", "升序：{0}"),
        ("bare", "{0}排序"), ("request", "对列表{0}排序"), ("request", "把数组{0}排个序"),
    ),
}  # fmt: skip
_DESCENDING = {
    "en": (
        ("request", "sort {0} in descending order"), ("request", "sort {0} descending"),
        ("request", "sort {0} from largest to smallest"), ("request", "sort these numbers from high to low: {0}"),
        ("request", "sort these numbers in descending order: {0}"), ("request", "put {0} in descending order"),
        ("request", "order {0} from biggest to smallest"), ("request", "arrange {0} in decreasing order"),
        ("request", "order these numbers from largest to smallest: {0}"),
        ("request", "rank {0} from highest to lowest"),
        ("request", "sort in descending order: {0}"), ("request", "sort {0} with the largest first"),
        ("request", "sort this list from largest to smallest: {0}"),
        ("request", "sort the list {0} in descending order"),
        ("question", "what is {0} in descending order"), ("question", "what is {0} sorted from high to low"),
        ("bare", "{0}, largest first"), ("bare", "{0} sorted descending"), ("bare", "descending order: {0}"),
        ("request", "list {0} from biggest to smallest"),
    ),
    "zh": (
        ("request", "把{0}从大到小排序"), ("request", "把 {0} 从大到小排列"), ("request", "将{0}按降序排列"), ("request", "对{0}进行降序排序"),
        ("request", "把这些数字从大到小排列：{0}"), ("request", "按从大到小的顺序排列{0}"), ("request", "将下列数字从大到小排序：{0}"),
        ("request", "把下面的数按降序排好：{0}"), ("question", "{0}从大到小怎么排"), ("question", "{0}从大到小排列是什么"), ("bare", "{0}，从大到小"),
        ("bare", "从大到小排序：{0}"), ("bare", "降序：{0}"), ("request", "给这些数按降序排序：{0}"), ("request", "对列表{0}降序排序"),
    ),
}  # fmt: skip
_ALPHABETICAL = {
    "en": (
        ("request", "sort these words: {0}"), ("request", "sort {0} alphabetically"),
        ("request", "sort these words alphabetically: {0}"), ("request", "put {0} in alphabetical order"),
        ("request", "order these words alphabetically: {0}"),
        ("request", "arrange the words {0} in alphabetical order"),
        ("question", "what is {0} in alphabetical order"), ("bare", "{0}, sorted alphabetically"),
        ("request", "sort the words {0}"), ("request", "sort from a to z: {0}"), ("bare", "alphabetical order: {0}"),
        ("request", "alphabetize {0}"), ("request", "sort this list of words: {0}"),
    ),
    "zh": (
        ("request", "把{0}按字母顺序排序"), ("request", "将 {0} 按字母顺序排列"), ("request", "把这些单词按字母顺序排列：{0}"),
        ("request", "给这些单词排序：{0}"), ("request", "按字母顺序排列：{0}"), ("question", "{0}按字母顺序怎么排"), ("bare", "{0}，按字母排序"),
        ("request", "对单词{0}进行字母排序"), ("bare", "按字母顺序：{0}"),
    ),
}  # fmt: skip
_BACKWARDS = {
    "en": (
        ("request", "reverse {0}"), ("request", "reverse the list {0}"), ("request", "reverse this list: {0}"),
        ("request", "reverse the order of {0}"), ("request", "put {0} in reverse order"),
        ("request", "turn around {0}"),
        ("request", "write {0} backwards"), ("request", "list {0} in reverse"), ("request", "reverse the array {0}"),
        ("request", "flip the order of {0}"), ("request", "flip this list: {0}"), ("request", "reverse these: {0}"),
        ("question", "what is {0} in reverse order"), ("question", "what is {0} reversed"),
        ("question", "what is {0} backwards"), ("bare", "{0} reversed"), ("bare", "reverse: {0}"),
        ("bare", "{0} backwards"), ("bare", "reverse of {0}"), ("request", "give me {0} in reverse order"),
        ("request", "write this list from last to first: {0}"), ("question", "how does {0} look from back to front"),
        ("request", "write {0} in the opposite order"), ("request", "read {0} from the end to the start"),
        ("request", "reverse the items of {0}"), ("bare", "[{0}].reverse()"), ("bare", "reverse([{0}])"),
    ),
    "zh": (
        ("request", "把{0}倒过来"), ("request", "把 {0} 反过来写"), ("request", "将{0}逆序排列"), ("request", "反转{0}"),
        ("request", "反转列表{0}"),
        ("request", "把列表{0}反转"), ("request", "将列表 {0} 倒序"), ("request", "倒序写出{0}"), ("request", "把{0}的顺序颠倒"),
        ("request", "颠倒{0}的顺序"), ("request", "从后往前写出{0}"), ("request", "把这个列表反转：{0}"), ("request", "逆序输出：{0}"),
        ("question", "{0}倒过来是什么"), ("question", "{0}反过来怎么写"), ("question", "{0}逆序是什么"), ("bare", "{0}，倒序"),
        ("bare", "反转：{0}"),
        ("bare", "{0}倒过来"), ("bare", "倒过来：{0}"), ("request", "把{0}从后往前排"), ("request", "将下面的列表反转：{0}"),
        ("bare", "{0}的逆序"),
        ("request", "把数组{0}反转"), ("question", "把{0}倒着写是什么"),
    ),
}  # fmt: skip
_WORD_BACKWARDS = {
    "en": (
        ("request", "reverse the word {0}"), ("request", "reverse the letters of {0}"),
        ("request", "spell {0} backwards"),
        ("request", "write {0} backwards"), ("request", "reverse {0}"), ("question", "what is {0} backwards"),
        ("question", "what is {0} spelled backwards"), ("bare", "{0} backwards"), ("request", "reverse the string {0}"),
        ("bare", "reverse: {0}"), ("question", "how do you write {0} backwards"),
        ("request", "write the word {0} in reverse"),
    ),
    "zh": (
        ("request", "把单词{0}倒过来"), ("request", "把 {0} 的字母倒过来写"), ("request", "反转单词{0}"), ("request", "反转字符串 {0}"),
        ("request", "倒着拼写{0}"), ("question", "{0}倒过来是什么"), ("question", "单词 {0} 倒着写是什么"), ("bare", "{0}倒过来"),
        ("request", "把{0}反过来写"), ("bare", "反转：{0}"),
    ),
}  # fmt: skip

_SMALLEST = {"en": ("Smallest: ", ", left: "), "zh": ("最小：", "，剩下：")}
_LARGEST = {"en": ("Largest: ", ", left: "), "zh": ("最大：", "，剩下：")}
_FIRST = {"en": ("First: ", ", left: "), "zh": ("最前：", "，剩下：")}
_BEGINNINGS = {"en": "Beginnings: ", "zh": "开头："}
_NUMBERED = {"en": ("Numbered: ", "\nBackwards: "), "zh": ("编号：", "\n倒过来：")}


def sort_steps(numbers: Sequence[int], descending: bool, language: str) -> tuple[str, str]:
    """The sorted list and the reasoning: again and again the smallest (or largest) of what is left."""
    return _selection(numbers, max if descending else min, (_LARGEST if descending else _SMALLEST)[language], language)


def _selection(items: Sequence, best, words: tuple[str, str], language: str) -> tuple[str, str]:
    separator = SEPARATOR[language]
    left, texts = list(items), [str(item) for item in items]
    lines, chosen = [separator.join(texts)], []
    while left:
        index = left.index(best(left))
        del left[index]
        text = texts.pop(index)
        chosen.append(text)
        lines.append(f"{words[0]}{text}{words[1]}{separator.join(texts)}" if texts else words[0] + text)
    return separator.join(chosen), "\n".join(lines)


def sort_words_steps(words: Sequence[str], language: str) -> tuple[str, str]:
    """The words in alphabetical order and the reasoning, which first tells their beginnings apart."""
    length = 1
    while len({word[:length] for word in words}) < len(set(words)):
        length += 1
    beginnings = ", ".join([f"{word} {'-'.join(word[:length])}" for word in words])
    answer, steps = _selection(words, min, _FIRST[language], language)
    return answer, f"{_BEGINNINGS[language]}{beginnings}\n{steps}"


def reverse_steps(items: Sequence[str], language: str) -> tuple[str, str]:
    """The list from its end to its start, and the reasoning, which numbers the items."""
    numbered = [f"{index}: {item}" for index, item in enumerate(items, 1)]
    before, between_ = _NUMBERED[language]
    reasoning = f"{before}{', '.join(numbered)}{between_}{', '.join(reversed(numbered))}"
    return SEPARATOR[language].join(reversed(items)), reasoning


def reverse_word_steps(word: str, language: str) -> tuple[str, str]:
    """A word from its last letter to its first, and the reasoning, which spells it."""
    forward = spelling(word)
    before, between_ = _NUMBERED[language]
    return word[::-1], f"{before}{forward}{between_}{', '.join(reversed(forward.split(', ')))}"


def typed_list(rng: Random, items: Sequence[object], language: str) -> str:
    """A list as somebody types it."""
    before, separator, after = pick(rng, _LAYOUTS[language])
    texts = [str(item) for item in items]
    if language == "en" and not before and separator == ", " and rng.random() < 0.25:
        joint = " and " if rng.random() < 0.7 else ", and "
        return ", ".join(texts[:-1]) + joint + texts[-1]
    return before + separator.join(texts) + after


def number_list(rng: Random, longest: int = 8) -> list[int]:
    """Three to eight numbers of one to three digits; some lists with repeated or negative ones."""
    length, digits = between(rng, 3, longest), between(rng, 1, 3)
    mixed = rng.random() < 0.5
    numbers = [with_digits(rng, between(rng, 1, 3) if mixed else digits) for _ in range(length)]
    if rng.random() < 0.2:
        numbers[between(rng, 0, length - 1)] = pick(rng, numbers)
    if rng.random() < 0.12:
        numbers = [-number if rng.random() < 0.4 else number for number in numbers]
    return numbers


def word_list(rng: Random, longest: int) -> list[str]:
    """Different common words."""
    words: list[str] = []
    length = between(rng, 3, longest)
    while len(words) < length:
        word = pick(rng, SEEN)
        if word not in words:
            words.append(word)
    return words


def _shown(rng: Random, template: str, items: Sequence[object], language: str) -> str:
    """The list as it is typed in a template, which may have the brackets already."""
    if "[{0}]" in template:
        return (", " if rng.random() < 0.6 else ",").join([str(item) for item in items])
    return typed_list(rng, items, language)


def sort_question(rng: Random, numbers: Sequence[int], descending: bool, language: str) -> str:
    """How somebody asks for numbers to be sorted."""
    kind, template = pick(rng, (_DESCENDING if descending else _ASCENDING)[language])
    return ask(rng, language, kind, template, _shown(rng, template, numbers, language))


def reverse_question(rng: Random, items: Sequence[object], language: str) -> str:
    """How somebody asks for a list to be reversed."""
    kind, template = pick(rng, _BACKWARDS[language])
    return ask(rng, language, kind, template, _shown(rng, template, items, language))


def sorting(rng: Random, language: str) -> Example:
    """Three to eight numbers in either direction; some lists of words."""
    if rng.random() < 0.12:
        words = word_list(rng, 5)
        if rng.random() < 0.2:
            # Two that begin alike.
            others = [word for word in SEEN[:: between(rng, 3, 9)] if word[0] == words[0][0] and word not in words]
            if others:
                words[1] = pick(rng, others)
        kind, template = pick(rng, _ALPHABETICAL[language])
        question = ask(rng, language, kind, template, typed_list(rng, words, language))
        answer, reasoning = sort_words_steps(words, language)
    else:
        numbers = number_list(rng)
        descending = rng.random() < 0.42
        question = sort_question(rng, numbers, descending, language)
        answer, reasoning = sort_steps(numbers, descending, language)
    return Example("sorting", language, reasoning, answer, (("user", question),))


def reversing(rng: Random, language: str) -> Example:
    """Lists of three to eight numbers or words, and the letters of single words."""
    chance = rng.random()
    if chance < 0.2:
        word = made_up_word(rng, 8) if rng.random() < 0.4 else pick(rng, SEEN)
        while len(word) > 8 or word[::-1] in _UNSEEN_SET:
            word = pick(rng, SEEN)
        kind, template = pick(rng, _WORD_BACKWARDS[language])
        shown = f'"{word}"' if rng.random() < 0.25 else word
        question = ask(rng, language, kind, template, shown)
        answer, reasoning = reverse_word_steps(word, language)
    else:
        items = word_list(rng, 8) if chance < 0.45 else [str(number) for number in number_list(rng)]
        question = reverse_question(rng, items, language)
        answer, reasoning = reverse_steps(items, language)
    return Example("reversing", language, reasoning, answer, (("user", question),))
