"""Conversations of two or three turns whose last question refers to an earlier result, list or word."""

from random import Random

from ..columns import equation, operation_steps
from ..example import Example
from ..phrasing import ask, between, pick, weighted, with_digits
from ..words import SEEN
from .arithmetic import expression_question
from .comparison import comparison_answer
from .letters import count_answer, count_question, length_answer, made_up_word, some_letter
from .lists import SEPARATOR, number_list, reverse_question, reverse_steps, sort_question, sort_steps

Turns = list[tuple[str, str]]

# How the next operation on a result is asked for; {0} is the number.
_NEXT = {
    ("en", "+"): (
        ("bare", "plus {0}"), ("bare", "+ {0}"), ("bare", "and plus {0}"), ("request", "add {0}"),
        ("request", "now add {0}"), ("request", "add {0} to that"), ("request", "add {0} to it"),
        ("request", "add {0} to the result"), ("request", "add another {0}"), ("request", "add {0} more"),
        ("question", "what if i add {0}"), ("question", "and if you add {0}"), ("question", "what is that plus {0}"),
        ("question", "what's that + {0}"), ("request", "increase that by {0}"), ("request", "then add {0}"),
        ("bare", "that plus {0}"), ("bare", "{0} more"), ("request", "increase the result by {0}"),
    ),
    ("en", "-"): (
        ("bare", "minus {0}"), ("bare", "- {0}"), ("bare", "and minus {0}"), ("request", "subtract {0}"),
        ("request", "now subtract {0}"), ("request", "subtract {0} from that"), ("request", "take away {0}"),
        ("request", "take {0} away from it"), ("request", "subtract {0} from the result"), ("bare", "{0} less"),
        ("question", "what if i subtract {0}"), ("question", "and if you take away {0}"),
        ("question", "what is that minus {0}"), ("question", "what's that - {0}"), ("request", "then subtract {0}"),
        ("request", "decrease that by {0}"), ("bare", "that minus {0}"), ("request", "reduce it by {0}"),
    ),
    ("en", "×"): (
        ("bare", "times {0}"), ("bare", "and times {0}"), ("bare", "* {0}"), ("bare", "x {0}"), ("bare", "× {0}"),
        ("request", "multiply it by {0}"), ("request", "multiply that by {0}"), ("request", "now multiply by {0}"),
        ("request", "multiply the result by {0}"), ("bare", "now times {0}"), ("question", "what is that times {0}"),
        ("question", "what if i multiply it by {0}"), ("question", "and if you multiply by {0}"),
        ("request", "then multiply by {0}"), ("bare", "that times {0}"), ("question", "what's {0} times that"),
    ),
    ("zh", "+"): (
        ("bare", "再加{0}"), ("bare", "再加 {0}"), ("bare", "加{0}"), ("bare", "加上{0}"), ("question", "再加{0}是多少"),
        ("question", "再加上{0}等于多少"), ("question", "那加{0}呢"), ("question", "那再加 {0} 呢"), ("request", "把结果加上{0}"),
        ("request", "把它加{0}"), ("question", "如果再加{0}呢"), ("bare", "+{0}"), ("request", "再加上{0}"),
        ("request", "给结果加上{0}"),
        ("question", "上面的结果加{0}是多少"), ("question", "这个数加{0}等于几"),
    ),
    ("zh", "-"): (
        ("bare", "再减{0}"), ("bare", "再减 {0}"), ("bare", "减{0}"), ("bare", "减去{0}"), ("question", "再减{0}是多少"),
        ("question", "再减去{0}等于多少"), ("question", "那减{0}呢"), ("question", "那再减 {0} 呢"), ("request", "把结果减去{0}"),
        ("request", "把它减{0}"), ("question", "如果再减{0}呢"), ("bare", "-{0}"), ("request", "再减去{0}"),
        ("request", "从结果里减去{0}"),
        ("question", "上面的结果减{0}是多少"), ("question", "这个数减{0}等于几"),
    ),
    ("zh", "×"): (
        ("bare", "再乘{0}"), ("bare", "乘以{0}"), ("bare", "乘 {0}"), ("question", "再乘以{0}是多少"), ("question", "再乘{0}等于多少"),
        ("question", "那乘以{0}呢"), ("question", "那乘以 {0} 呢"), ("request", "把结果乘以{0}"), ("request", "把它乘以{0}"),
        ("question", "如果再乘以{0}呢"), ("bare", "×{0}"), ("bare", "* {0}"), ("question", "它的{0}倍是多少"),
        ("request", "再乘上{0}"),
        ("question", "上面的结果乘以{0}是多少"), ("question", "这个数乘{0}等于几"),
    ),
}  # fmt: skip
# Words that stand for a factor.
_MULTIPLES = {
    "en": (
        (2, ("request", "double that")), (2, ("request", "double it")), (2, ("bare", "and times two")),
        (2, ("bare", "times two")), (2, ("question", "what is twice that")), (2, ("bare", "and doubled")),
        (3, ("request", "triple it")), (3, ("request", "triple that")), (3, ("bare", "times three")),
        (2, ("request", "now double the result")), (10, ("bare", "and ten times that")), (2, ("bare", "twice that")),
    ),
    "zh": (
        (2, ("question", "它的两倍是多少")), (2, ("question", "两倍是多少")), (2, ("question", "那两倍呢")), (2, ("bare", "再乘二")),
        (2, ("request", "把结果翻倍")), (3, ("question", "三倍是多少")), (3, ("question", "那三倍呢")), (2, ("bare", "乘以二")),
        (10, ("question", "那十倍呢")), (2, ("request", "把它翻一倍")),
    ),
}  # fmt: skip
_RECALLS = {
    "en": {
        "first": (
            ("question", "what was the first number i gave you"), ("question", "which number did i give you first"),
            ("question", "what was my first number"), ("question", "what was the first number"),
            ("question", "do you remember the first number"), ("request", "repeat the first number"),
            ("request", "tell me the first number again"),
        ),
        "second": (
            ("question", "what was the second number i gave you"), ("question", "what was my second number"),
            ("question", "what was the second number"), ("question", "do you remember the second number"),
            ("request", "repeat the second number"), ("request", "tell me the second number again"),
        ),
        "result": (
            ("question", "what was the result again"), ("question", "what was the result"),
            ("request", "repeat the result"), ("request", "say the result again"),
            ("request", "just give me the number"),
            ("question", "so what is the result"), ("request", "give me only the result"),
        ),
    },
    "zh": {
        "first": (
            ("question", "我给你的第一个数是什么"), ("question", "我说的第一个数是多少"), ("question", "第一个数是多少"), ("question", "你还记得第一个数吗"),
            ("request", "重复一下第一个数"), ("request", "再说一遍第一个数"),
        ),
        "second": (
            ("question", "我给你的第二个数是什么"), ("question", "我说的第二个数是多少"), ("question", "第二个数是多少"), ("question", "你还记得第二个数吗"),
            ("request", "重复一下第二个数"), ("request", "再说一遍第二个数"),
        ),
        "result": (
            ("question", "刚才的结果是多少"), ("question", "结果是多少来着"), ("request", "重复一下结果"), ("request", "再说一遍结果"),
            ("request", "只告诉我结果"), ("question", "所以结果是多少"),
        ),
    },
}  # fmt: skip
_RECALLED = {
    "en": {"first": "The first number was {0}.", "second": "The second number was {0}.",
    "result": "The result is {0}."},
    "zh": {"first": "第一个数是 {0}。", "second": "第二个数是 {0}。", "result": "结果是 {0}。"},
}
_LAST_RESULT = {"en": "The last result is {0}.\n", "zh": "上一个结果是 {0}。\n"}
_YOUR_QUESTION = {"en": "The first question was about {0} and {1}.", "zh": "第一个问题里的数是 {0} 和 {1}。"}

# What can be asked about a list of numbers after it has been sorted or reversed.
_LIST_NEXT = {
    "en": {
        "descending": (
            ("bare", "and in descending order"), ("request", "now sort it in descending order"),
            ("bare", "now descending"), ("bare", "and from largest to smallest"), ("bare", "in descending order"),
            ("bare", "now from high to low"), ("question", "what about descending"), ("bare", "biggest first"),
            ("request", "sort them from largest to smallest"), ("bare", "descending"),
        ),
        "ascending": (
            ("bare", "and in ascending order"), ("request", "now sort it in ascending order"),
            ("bare", "now ascending"),
            ("bare", "and from smallest to largest"), ("bare", "in ascending order"), ("bare", "now from low to high"),
            ("question", "what about ascending"), ("bare", "smallest first"),
            ("bare", "now the other way, from smallest to largest"),
            ("request", "sort them from smallest to largest"),
        ),
        "reverse": (
            ("request", "reverse it"), ("request", "now reverse it"), ("request", "reverse that"),
            ("bare", "and reversed"),
            ("request", "reverse the result"), ("bare", "and backwards"), ("request", "turn it around"),
            ("question", "what is that reversed"), ("request", "reverse that list"), ("request", "flip it"),
        ),
        "largest": (
            ("question", "which one is the largest"), ("question", "what is the largest one"),
            ("question", "which is the biggest"), ("bare", "and the largest"), ("bare", "the biggest one"),
            ("question", "what's the maximum"), ("request", "give me the largest number"),
        ),
        "smallest": (
            ("question", "which one is the smallest"), ("question", "what is the smallest one"),
            ("question", "which is the lowest"), ("bare", "and the smallest"), ("bare", "the smallest one"),
            ("question", "what's the minimum"), ("request", "give me the smallest number"),
        ),
        "count": (
            ("question", "how many numbers are there"), ("question", "how many numbers is that"),
            ("question", "how many numbers are in the list"), ("request", "count them"),
            ("question", "how long is the list"), ("question", "how many are there"),
        ),
        "first": (
            ("question", "what was the first number i gave you"), ("question", "which number did i give you first"),
            ("question", "what was the first number in my list"), ("question", "what was my first number"),
        ),
        "last": (
            ("question", "what was the last number i gave you"), ("question", "which number did i give you last"),
            ("question", "what was the last number in my list"), ("question", "what was my last number"),
        ),
    },
    "zh": {
        "descending": (
            ("question", "那从大到小呢"), ("bare", "从大到小"), ("request", "再从大到小排序"), ("question", "降序呢"), ("request", "改成降序"),
            ("request", "按降序排列"), ("question", "从大到小怎么排"), ("request", "现在从大到小排"),
        ),
        "ascending": (
            ("question", "那从小到大呢"), ("bare", "从小到大"), ("request", "再从小到大排序"), ("question", "升序呢"), ("request", "改成升序"),
            ("request", "按升序排列"), ("question", "从小到大怎么排"), ("request", "现在从小到大排"),
        ),
        "reverse": (
            ("request", "把它倒过来"), ("request", "把结果反转"), ("request", "反转它"), ("question", "倒过来呢"), ("question", "那反过来呢"),
            ("question", "倒过来是什么"), ("request", "把这个列表反转"), ("request", "再倒过来"),
        ),
        "largest": (
            ("question", "最大的是哪个"), ("question", "哪个最大"), ("question", "其中最大的数是多少"), ("question", "最大的呢"),
            ("request", "说出最大的数"),
        ),
        "smallest": (
            ("question", "最小的是哪个"), ("question", "哪个最小"), ("question", "其中最小的数是多少"), ("question", "最小的呢"),
            ("request", "说出最小的数"),
        ),
        "count": (
            ("question", "一共有几个数"), ("question", "列表里有多少个数"), ("question", "有几个数字"), ("request", "数一下有几个数"),
            ("question", "这个列表有多长"),
        ),
        "first": (
            ("question", "我给你的第一个数是什么"), ("question", "我列出的第一个数是多少"), ("question", "我最先给你的数是哪个"),
        ),
        "last": (
            ("question", "我给你的最后一个数是什么"), ("question", "我列出的最后一个数是多少"), ("question", "我最后给你的数是哪个"),
        ),
    },
}  # fmt: skip
_YOUR_LIST = {"en": "Your list: ", "zh": "你的列表："}
_LAST_LIST = {"en": "The last list: ", "zh": "上一个列表："}
_LIST_ANSWERS = {
    "en": {
        "largest": "{0} is the largest.", "smallest": "{0} is the smallest.", "count": "There are {0} numbers.",
        "first": "The first number was {0}.", "last": "The last number was {0}.",
    },
    "zh": {
        "largest": "{0} 最大。", "smallest": "{0} 最小。", "count": "一共有 {0} 个数。", "first": "第一个数是 {0}。",
        "last": "最后一个数是 {0}。",
    },
}  # fmt: skip

# A second question about letters: another word, another letter, the length.
_LETTER_NEXT = {
    "en": {
        "word": (
            ("bare", "and in {1}"), ("question", "and in {1}"), ("question", "what about {1}"),
            ("question", "how about {1}"),
            ("bare", "in {1}"), ("question", "how many {0}'s in {1} then"), ("question", "and how many are in {1}"),
            ("question", "and how many in {1}"), ("question", "how many does {1} have"), ("bare", "now in {1}"),
        ),
        "letter": (
            ("question", "and how many {0}'s"), ("question", "how many {0}'s does it have"), ("bare", "and {0}"),
            ("question", "what about {0}"), ("question", "and the letter {0}"),
            ("question", "how many {0}'s are in it"),
            ("question", "how about the letter {0}"), ("request", "now count the {0}'s"),
        ),
        "length": (
            ("question", "and how many letters does it have"), ("question", "how many letters is that in total"),
            ("question", "how many letters does the word have"), ("question", "how long is the word"),
            ("question", "how many letters are in it"), ("request", "count all its letters"),
        ),
    },
    "zh": {
        "word": (
            ("question", "那{1}呢"), ("question", "那么 {1} 呢"), ("question", "{1}里呢"), ("question", "{1}里有几个"),
            ("question", "换成{1}呢"),
            ("question", "那{1}里有几个{0}"), ("question", "在{1}里呢"),
        ),
        "letter": (
            ("question", "那{0}呢"), ("question", "那有几个{0}"), ("question", "字母{0}呢"), ("question", "里面有几个{0}"),
            ("question", "那么 {0} 有几个"),
            ("request", "再数一下{0}"),
        ),
        "length": (
            ("question", "它有几个字母"), ("question", "这个词一共有几个字母"), ("question", "那它有多少个字母"), ("question", "单词有多长"),
            ("question", "一共有多少个字母"),
        ),
    },
}  # fmt: skip
_COMPARE_NEXT = {
    "en": {
        "smaller": (
            ("bare", "and the smaller one"), ("question", "which one is smaller"), ("question", "and which is smaller"),
            ("question", "what is the smaller one"), ("question", "which is less"), ("bare", "the smaller one"),
        ),
        "larger": (
            ("bare", "and the larger one"), ("question", "which one is larger"), ("question", "and which is bigger"),
            ("question", "what is the larger one"), ("question", "which is greater"), ("bare", "the bigger one"),
        ),
    },
    "zh": {
        "smaller": (("question", "那哪个小"), ("question", "哪个更小"), ("question", "较小的是哪个"), ("question", "那小的呢"),
        ("question", "较小的呢")),
        "larger": (("question", "那哪个大"), ("question", "哪个更大"), ("question", "较大的是哪个"), ("question", "那大的呢"),
        ("question", "较大的呢")),
    },
}  # fmt: skip
_NUMBERS_WERE = {"en": "The numbers are {0} and {1}.\n", "zh": "这两个数是 {0} 和 {1}。\n"}


def _result(first: int, operator: str, second: int) -> int:
    return first + second if operator == "+" else first - second if operator == "-" else first * second


def _first_numbers(rng: Random) -> tuple[int, str, int]:
    operator = pick(rng, "++--××")
    if operator == "×":
        first, second = with_digits(rng, between(rng, 1, 3)), with_digits(rng, between(rng, 1, 2))
    else:
        first, second = with_digits(rng, between(rng, 1, 4)), with_digits(rng, between(rng, 1, 4))
        if operator == "-" and first < second and rng.random() < 0.85:
            first, second = second, first
    return first, operator, second


def _next_operation(rng: Random, value: int, language: str) -> tuple[str, int, str]:
    """An operator and a number for the next step with `value`, and how it is asked for."""
    size = len(str(abs(value)))
    operator = pick(rng, "+++---××××" if size < 6 else "+-")
    if operator == "×":
        if rng.random() < 0.25:
            factor, (kind, template) = pick(rng, _MULTIPLES[language])
            if factor < 10 or size <= 3:
                return operator, factor, ask(rng, language, kind, template)
        number = between(rng, 10, 99) if size <= 3 and rng.random() < 0.35 else between(rng, 2, 9)
    else:
        number = with_digits(rng, pick(rng, (1, 1, 2, 2, 2, 3, min(4, size))))
    kind, template = pick(rng, _NEXT[language, operator])
    return operator, number, ask(rng, language, kind, template, number)


def _calculation(rng: Random, language: str) -> tuple[Turns, str, str]:
    first, operator, second = _first_numbers(rng)
    value = _result(first, operator, second)
    recalls = rng.random() < 0.12
    # "Subtract 5 from 7" names the second number first, so what is recalled comes from plain wordings.
    turns = [
        ("user", expression_question(rng, language, operator, first, second, plain=recalls)),
        ("assistant", equation(first, operator, second)),
    ]
    if rng.random() < 0.3:
        operator, number, question = _next_operation(rng, value, language)
        turns += [("user", question), ("assistant", equation(value, operator, number))]
        value = _result(value, operator, number)
    if recalls:
        what = pick(rng, ("first", "second", "result")) if len(turns) == 2 else "result"
        kind, template = pick(rng, _RECALLS[language][what])
        turns.append(("user", ask(rng, language, kind, template)))
        answer = _RECALLED[language][what].format(first if what == "first" else second if what == "second" else value)
        if what == "result":
            return turns, _LAST_RESULT[language].format(value).rstrip(), answer
        return turns, _YOUR_QUESTION[language].format(first, second), answer
    operator, number, question = _next_operation(rng, value, language)
    turns.append(("user", question))
    reasoning = _LAST_RESULT[language].format(value) + operation_steps(value, operator, number, language)
    return turns, reasoning, equation(value, operator, number)


_LIST_ASKS = weighted(
    ("descending", 4), ("ascending", 4), ("reverse", 5), ("largest", 2), ("smallest", 2), ("count", 1), ("first", 1),
    ("last", 1),
)  # fmt: skip


def _list(rng: Random, language: str) -> tuple[Turns, str, str]:
    numbers = number_list(rng, 6)
    separator = SEPARATOR[language]
    start = pick(rng, ("ascending", "ascending", "descending", "reverse"))
    if start == "reverse":
        question, result = reverse_question(rng, numbers, language), numbers[::-1]
    else:
        question = sort_question(rng, numbers, start == "descending", language)
        result = sorted(numbers, reverse=start == "descending")
    turns = [("user", question), ("assistant", separator.join([str(number) for number in result]))]
    what = pick(rng, _LIST_ASKS)
    while what == start:
        what = pick(rng, _LIST_ASKS)
    kind, template = pick(rng, _LIST_NEXT[language][what])
    turns.append(("user", ask(rng, language, kind, template)))
    if what in ("first", "last"):
        answer = _LIST_ANSWERS[language][what].format(numbers[0 if what == "first" else -1])
        return turns, _YOUR_LIST[language] + separator.join([str(number) for number in numbers]), answer
    texts = [str(number) for number in result]
    intro = _LAST_LIST[language]
    if what == "reverse":
        answer, steps = reverse_steps(texts, language)
        return turns, f"{intro}{separator.join(texts)}\n{steps}", answer
    if what == "count":
        counted = ", ".join([f"{index}: {text}" for index, text in enumerate(texts, 1)])
        return turns, intro + counted, _LIST_ANSWERS[language][what].format(len(texts))
    if what in ("largest", "smallest"):
        best = max(result) if what == "largest" else min(result)
        return turns, intro + separator.join(texts), _LIST_ANSWERS[language][what].format(best)
    answer, steps = sort_steps(result, what == "descending", language)
    return turns, intro + steps, answer


def _word(rng: Random) -> str:
    return pick(rng, SEEN) if rng.random() < 0.6 else made_up_word(rng, 9)


def _letters(rng: Random, language: str) -> tuple[Turns, str, str]:
    word = _word(rng)
    letter = some_letter(rng, word)
    answer, _ = count_answer(word, letter, language)
    turns = [("user", count_question(rng, language, letter, word)), ("assistant", answer)]
    what = pick(rng, ("word", "word", "word", "letter", "letter", "length"))
    if what == "word":
        word = _word(rng)
    elif what == "letter":
        letter = some_letter(rng, word)
    kind, template = pick(rng, _LETTER_NEXT[language][what])
    turns.append(("user", ask(rng, language, kind, template, letter, word)))
    answer, reasoning = length_answer(word, language) if what == "length" else count_answer(word, letter, language)
    return turns, reasoning, answer


def _comparison(rng: Random, language: str) -> tuple[Turns, str, str]:
    places = between(rng, 0, 2)
    numbers: list[str] = []
    while len(numbers) < 2 or float(numbers[0]) == float(numbers[1]):
        numbers = [
            str(with_digits(rng, between(rng, 1, 4)))
            + (f".{between(rng, 0, 10**count - 1):0{count}d}" if (count := max(0, places - between(rng, 0, 1))) else "")
            for _ in range(2)
        ]
    sense, other = ("larger", "smaller") if rng.random() < 0.5 else ("smaller", "larger")
    words = _COMPARE_FIRST[language][sense]
    answer, _ = comparison_answer(sense, (numbers[0], numbers[1]), language)
    turns = [("user", ask(rng, language, "question", pick(rng, words), *numbers)), ("assistant", answer)]
    kind, template = pick(rng, _COMPARE_NEXT[language][other])
    turns.append(("user", ask(rng, language, kind, template)))
    answer, steps = comparison_answer(other, (numbers[0], numbers[1]), language)
    return turns, _NUMBERS_WERE[language].format(*numbers) + steps, answer


_COMPARE_FIRST = {
    "en": {
        "larger": ("which is larger, {0} or {1}", "which is bigger, {0} or {1}", "which is greater: {0} or {1}"),
        "smaller": ("which is smaller, {0} or {1}", "which is less, {0} or {1}", "which is lower: {0} or {1}"),
    },
    "zh": {
        "larger": ("{0}和{1}哪个大", "{0} 和 {1} 哪个更大", "哪个更大，{0}还是{1}"),
        "smaller": ("{0}和{1}哪个小", "{0} 和 {1} 哪个更小", "哪个更小，{0}还是{1}"),
    },
}
_KINDS = weighted((_calculation, 11), (_list, 4), (_letters, 4), (_comparison, 1))


def follow_up(rng: Random, language: str) -> Example:
    """A conversation that goes on from an earlier answer."""
    turns, reasoning, answer = pick(rng, _KINDS)(rng, language)
    return Example("follow-up", language, reasoning, answer, tuple(turns))
