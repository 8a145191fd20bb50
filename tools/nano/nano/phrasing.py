"""How people word things: openings, endings, letter case, and ways to write a number.

A task writes the heart of a question as a template in lower case without final punctuation, with its
values as {0}, {1} …; `ask` dresses it up. Values are put in last, so that they never change their case.
"""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def weighted(*pairs: tuple[T, int]) -> tuple[T, ...]:
    """A table for `pick` that holds each value as often as its weight says."""
    return tuple(value for value, weight in pairs for _ in range(weight))


def pick(rng: Random, values: Sequence[T]) -> T:
    """One of `values`; several times faster than `rng.choice`."""
    return values[int(rng.random() * len(values))]


def between(rng: Random, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included; faster than `rng.randint`."""
    return low + int(rng.random() * (high - low + 1))


def with_digits(rng: Random, digits: int) -> int:
    """A number of exactly `digits` digits (0 counts as a number of one digit)."""
    return between(rng, 0 if digits == 1 else 10 ** (digits - 1), 10**digits - 1)


# What may stand before and after a question ("what is …", "how many …").
_EN_QUESTION_OPENINGS = weighted(
    ("", 60),
    ("hey, ", 3), ("hi, ", 3), ("hi! ", 2), ("hello, ", 2), ("hello! ", 1), ("hey there, ", 1), ("yo, ", 1),
    ("quick question: ", 3), ("question: ", 2), ("quick one: ", 1), ("i have a question: ", 1), ("a question: ", 1),
    ("can you tell me: ", 1), ("can you tell me, ", 1), ("tell me, ", 2), ("please tell me: ", 1), ("tell me: ", 1),
    ("do you know: ", 1), ("i was wondering, ", 1), ("ok, ", 2), ("ok so ", 1), ("so, ", 2), ("so ", 1), ("well, ", 1),
    ("um, ", 1), ("now, ", 1), ("next: ", 1), ("one more: ", 1), ("another one: ", 1), ("just checking: ", 1),
    ("help me out: ", 1), ("can you help? ", 1), ("please help: ", 1), ("my question is: ", 1), ("simple one: ", 1),
    ("let me ask: ", 1), ("btw, ", 1), ("good morning! ", 1),
)  # fmt: skip
_EN_QUESTION_ENDINGS = weighted(
    ("?", 60), ("", 18), (" ?", 3), ("??", 2), ("? thanks", 1), ("? thanks!", 1), ("? please", 1), (" please", 1),
    (", please?", 1), ("? think step by step.", 1), ("? show your work.", 1), ("? thank you!", 1), (".", 1),
    ("...", 1), ("? i need to know.", 1), (", thanks", 1), ("?!", 1), ("? explain.", 1),
)  # fmt: skip
# Openings of a request ("add …", "sort …"); those that make it a question are apart.
_EN_REQUEST_OPENINGS = weighted(
    ("", 45), ("please ", 12), ("pls ", 2), ("hey, ", 2), ("hi, please ", 2), ("hello, please ", 1), ("now ", 2),
    ("i need you to ", 2), ("i want you to ", 2), ("i'd like you to ", 1), ("ok, ", 2), ("ok, now ", 1), ("kindly ", 1),
    ("help me ", 2), ("please help me ", 1), ("next, ", 1), ("just ", 2), ("you should ", 1), ("go ahead and ", 1),
    ("task: ", 2), ("to do: ", 1), ("quickly ", 1), ("let's ", 1),
)  # fmt: skip
_EN_ASKING_OPENINGS = (
    "can you ", "can you ", "can you please ", "could you ", "could you please ", "would you ", "will you ",
    "hey, can you ", "hi, could you ", "are you able to ", "would you please ", "can you help me ",
)  # fmt: skip
_EN_REQUEST_ENDINGS = weighted(
    (".", 40), ("", 40), ("!", 4), (" please", 3), (", please.", 3), (", thanks", 2), (". thanks!", 2), (" pls", 1),
    (". thank you.", 1), (". show your work.", 1), (". think step by step.", 1), ("...", 1),
)  # fmt: skip
_EN_ASKING_ENDINGS = ("?", "?", "?", "?", "", "", ", please?", "? thanks", "? thank you!", " please?")
# Around a bare expression ("12 + 7").
_EN_BARE_OPENINGS = weighted(
    ("", 80), ("hey, ", 1), ("hi: ", 1), ("quick: ", 1), ("ok: ", 1), ("please: ", 1), ("solve this: ", 1),
    ("try this: ", 1), ("what about ", 2), ("how about ", 2), ("now ", 1), ("next: ", 1), ("and ", 1), ("so ", 1),
)  # fmt: skip
_EN_BARE_ENDINGS = weighted(("", 60), ("?", 25), (" ?", 4), (".", 3), (" please", 2), ("? thanks", 1), ("??", 1))

_ZH_QUESTION_OPENINGS = weighted(
    ("", 60), ("请问", 10), ("请问，", 2), ("请问一下，", 3), ("你好，", 4), ("你好，请问", 3), ("您好，请问", 2),
    ("你好！", 2), ("嗨，", 1), ("问一下，", 2), ("我想问一下，", 2), ("想问一下，", 1), ("我想知道", 2), ("告诉我", 2),
    ("请告诉我", 2), ("请告诉我：", 1), ("麻烦问一下，", 1), ("麻烦告诉我", 1), ("问题：", 2), ("问个问题：", 1),
    ("小问题：", 1), ("那么", 1), ("那", 1), ("好的，", 1), ("帮我看看，", 1), ("帮忙看一下，", 1), ("再问一个：", 1),
    ("下一个：", 1), ("你知道", 1), ("请回答：", 1),
)  # fmt: skip
_ZH_QUESTION_ENDINGS = weighted(
    ("？", 55), ("", 18), ("?", 10), ("呢？", 5), ("呢", 2), ("啊？", 1), ("？？", 1), ("？谢谢", 2), ("？谢谢！", 2), ("？谢谢你", 1),
    ("，谢谢", 1), ("？请一步一步想。", 1), ("？请写出过程。", 1), ("。", 1), ("？麻烦了", 1), (" ？", 1),
)  # fmt: skip
# After a question that ends in a particle of its own (吗, 呢) another one cannot follow.
_ZH_CLOSED_ENDINGS = tuple(ending for ending in _ZH_QUESTION_ENDINGS if ending[:1] not in ("呢", "啊"))
_ZH_REQUEST_OPENINGS = weighted(
    ("", 40), ("请", 15), ("请你", 4), ("请帮我", 5), ("帮我", 8), ("麻烦", 2), ("麻烦你", 3), ("麻烦帮我", 2), ("你好，请", 3),
    ("您好，请帮我", 2), ("你好，帮我", 2), ("我想让你", 2), ("我需要你", 1), ("好的，", 1), ("现在", 2), ("现在请", 1), ("嗨，", 1),
    ("任务：", 2), ("接下来", 1), ("快", 1), ("劳驾", 1), ("拜托，", 1), ("再帮我", 1),
)  # fmt: skip
_ZH_REQUEST_ENDINGS = weighted(
    ("。", 40), ("", 40), ("！", 4), ("，谢谢", 5), ("，谢谢。", 3), ("，谢谢！", 2), ("吧", 2), ("吧。", 2), ("。请写出过程。", 1),
    ("。谢谢你", 1), (".", 1),
)  # fmt: skip
_ZH_ASKING_OPENINGS = ("你能", "你能", "能", "可以", "你可以", "能", "能帮我", "可以帮我", "你能帮我", "你好，能帮我", "能请你")
_ZH_ASKING_ENDINGS = ("吗？", "吗？", "吗？", "吗", "吗?", "吗？谢谢", "吗？谢谢！")
_ZH_BARE_OPENINGS = weighted(
    ("", 80), ("请问", 3), ("你好，", 1), ("问题：", 1), ("那", 1), ("算一下：", 1), ("来一个：", 1), ("请看：", 1), ("下一题：", 2),
    ("题目：", 2), ("那么", 1),
)  # fmt: skip
_ZH_BARE_ENDINGS = weighted(("", 60), ("？", 20), ("?", 8), ("。", 3), ("呢？", 3), ("，谢谢", 1), ("！", 1))


def ask(rng: Random, language: str, kind: str, template: str, *values: object) -> str:
    """A template as somebody would type it, with `values` put in.

    kind: "question" ("what is {0}"), "request" ("add {0} and {1}": a verb without subject) or "bare" ("{0} + {1}").
    """
    if language == "zh":
        return _dress_zh(rng, kind, template).format(*values)
    return _dress_en(rng, kind, template).format(*values)


def _dress_en(rng: Random, kind: str, template: str) -> str:
    if kind == "question":
        text = pick(rng, _EN_QUESTION_OPENINGS) + template + pick(rng, _EN_QUESTION_ENDINGS)
    elif kind == "bare":
        text = pick(rng, _EN_BARE_OPENINGS) + template
        if template[-1] not in "=?":
            text += pick(rng, _EN_BARE_ENDINGS)
    elif rng.random() < 0.2:
        text = pick(rng, _EN_ASKING_OPENINGS) + template + pick(rng, _EN_ASKING_ENDINGS)
    else:
        opening = pick(rng, _EN_REQUEST_OPENINGS)
        text = opening + template + pick(rng, _EN_REQUEST_ENDINGS)
    case = rng.random()
    if case < 0.55:
        return text[:1].upper() + text[1:]
    if case < 0.95:
        return text
    return text.upper()


def _dress_zh(rng: Random, kind: str, template: str) -> str:
    if kind == "question":
        endings = _ZH_CLOSED_ENDINGS if template[-1] in "吗呢" else _ZH_QUESTION_ENDINGS
        return pick(rng, _ZH_QUESTION_OPENINGS) + template + pick(rng, endings)
    if kind == "bare":
        text = pick(rng, _ZH_BARE_OPENINGS) + template
        return text if template[-1] in "=?？" else text + pick(rng, _ZH_BARE_ENDINGS)
    if rng.random() < 0.2:
        return pick(rng, _ZH_ASKING_OPENINGS) + template + pick(rng, _ZH_ASKING_ENDINGS)
    return pick(rng, _ZH_REQUEST_OPENINGS) + template + pick(rng, _ZH_REQUEST_ENDINGS)


_EN_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_EN_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_ZH_DIGITS = "零一二三四五六七八九"


def _spell_en(number: int) -> str:
    if number < 20:
        return _EN_SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _EN_TENS[tens] + (f"-{_EN_SMALL[ones]}" if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{_EN_SMALL[hundreds]} hundred" + (f" and {_spell_en(rest)}" if rest else "")


def _spell_zh(number: int, inside: bool = False) -> str:
    if number < 10:
        return _ZH_DIGITS[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        head = _ZH_DIGITS[tens] if tens > 1 or inside else ""
        return f"{head}十" + (_ZH_DIGITS[ones] if ones else "")
    hundreds, rest = divmod(number, 100)
    tail = "" if not rest else _spell_zh(rest, True) if rest >= 10 else f"零{_ZH_DIGITS[rest]}"
    return f"{_ZH_DIGITS[hundreds]}百{tail}"


# Numbers in words, by value.
EN_NUMBERS: tuple[str, ...] = tuple(_spell_en(number) for number in range(1000))
ZH_NUMBERS: tuple[str, ...] = tuple(_spell_zh(number) for number in range(1000))


def spelled(number: int, language: str) -> str:
    """A number from 0 to 999 in words."""
    return (ZH_NUMBERS if language == "zh" else EN_NUMBERS)[number]


def typed(rng: Random, number: int, language: str) -> str:
    """A whole number as somebody types it: nearly always digits, now and then separators or words."""
    chance = rng.random()
    if chance < 0.04:
        if 1000 <= number:
            return f"{number:,}"
        if 0 <= number <= 100:
            return (ZH_NUMBERS if language == "zh" else EN_NUMBERS)[number]
    return str(number)
