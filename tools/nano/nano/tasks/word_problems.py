"""Word problems of one to four steps, each step a fact that one line of the reasoning states."""

import re
from collections.abc import Callable
from random import Random

from ..example import Example
from . import word_problems_en as en
from . import word_problems_zh as zh

Numbers = dict[str, int]


def _int(rng: Random, low: int, high: int) -> int:
    """A whole number from low to high, both included; quicker than randint."""
    return low + int(rng.random() * (high - low + 1))


def _factors(rng: Random) -> tuple[int, int]:
    """Two factors: of the table up to 12 × 12, or one of two digits and one of one digit."""
    kind = rng.random()
    if kind < 0.65:
        return _int(rng, 2, 12), _int(rng, 2, 12)
    if kind < 0.83:
        return _int(rng, 11, 99), _int(rng, 2, 9)
    return _int(rng, 2, 9), _int(rng, 11, 99)


def _table(rng: Random) -> tuple[int, int]:
    return _int(rng, 2, 12), _int(rng, 2, 12)


def _part(rng: Random, total: int, least: int = 2) -> int:
    """Something to take away from a total so that at least `least` is left."""
    return _int(rng, 1 if total < least + 2 else 2, max(1, min(total - least, 99)))


def _addend(rng: Random) -> int:
    return _int(rng, 2, 20) if rng.random() < 0.5 else _int(rng, 11, 99)


def _payment(rng: Random, cost: int) -> int:
    """An amount above the cost: mostly the round sum that one would pay with."""
    if rng.random() < 0.6:
        for bill in (10, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400, 500, 1000):
            if bill >= cost + 2:
                return bill
    return cost + _addend(rng)


def _add(rng: Random) -> Numbers:
    a, b = _addend(rng), _addend(rng)
    return {"a": a, "b": b, "r": a + b}


def _sub(rng: Random) -> Numbers:
    r, b = _addend(rng), _addend(rng)
    return {"a": r + b, "b": b, "r": r}


def _mul(rng: Random) -> Numbers:
    a, b = _factors(rng)
    return {"a": a, "b": b, "r": a * b}


def _div(rng: Random) -> Numbers:
    b, r = _table(rng)
    return {"a": b * r, "b": b, "r": r}


def _change(rng: Random) -> Numbers:
    a, b = _factors(rng)
    c = _payment(rng, a * b)
    return {"a": a, "b": b, "c": c, "p": a * b, "r": c - a * b}


def _rest(rng: Random) -> Numbers:
    a, b = _factors(rng)
    r = _addend(rng)
    return {"a": a, "b": b, "c": a * b + r, "p": a * b, "r": r}


def _mul_add(rng: Random) -> Numbers:
    a, b = _factors(rng)
    c = _addend(rng)
    return {"a": a, "b": b, "c": c, "p": a * b, "r": a * b + c}


def _mul_less(rng: Random) -> Numbers:
    a, b = _factors(rng)
    c = _part(rng, a * b)
    return {"a": a, "b": b, "c": c, "p": a * b, "r": a * b - c}


def _two_products(rng: Random) -> Numbers:
    (a, b), (c, d) = _factors(rng) if rng.random() < 0.3 else _table(rng), _table(rng)
    return {"a": a, "b": b, "c": c, "d": d, "p": a * b, "q": c * d, "r": a * b + c * d}


def _two_products_change(rng: Random) -> Numbers:
    (a, b), (c, d) = _table(rng), _table(rng)
    total = a * b + c * d
    w = _payment(rng, total)
    return {"a": a, "b": b, "c": c, "d": d, "w": w, "p": a * b, "q": c * d, "s": total, "r": w - total}


def _two_products_difference(rng: Random) -> Numbers:
    (a, b), (c, d) = _table(rng), _table(rng)
    if a * b < c * d:
        a, b, c, d = c, d, a, b
    if a * b - c * d < 2:
        a, b = 12, _int(rng, 13, 99) % 9 + 13
        c, d = _int(rng, 2, 9), _int(rng, 2, 12)
        a = _int(rng, 8, 9)
    return {"a": a, "b": b, "c": c, "d": d, "p": a * b, "q": c * d, "r": a * b - c * d}


def _add_sub(rng: Random) -> Numbers:
    a, b = _addend(rng), _addend(rng)
    c = _part(rng, a + b)
    return {"a": a, "b": b, "c": c, "p": a + b, "r": a + b - c}


def _sub_add(rng: Random) -> Numbers:
    p, b, c = _addend(rng), _addend(rng), _addend(rng)
    return {"a": p + b, "b": b, "c": c, "p": p, "r": p + c}


def _sub_sub(rng: Random) -> Numbers:
    r, b, c = _addend(rng), _addend(rng), _addend(rng)
    return {"a": r + b + c, "b": b, "c": c, "p": r + c, "r": r}


def _add_add(rng: Random) -> Numbers:
    a, b, c = _addend(rng), _addend(rng), _addend(rng)
    return {"a": a, "b": b, "c": c, "p": a + b, "r": a + b + c}


def _add_div(rng: Random) -> Numbers:
    c, r = _table(rng)
    b = _int(rng, 2, c * r - 2)
    return {"a": c * r - b, "b": b, "c": c, "p": c * r, "r": r}


def _sub_div(rng: Random) -> Numbers:
    c, r = _table(rng)
    b = _addend(rng)
    return {"a": c * r + b, "b": b, "c": c, "p": c * r, "r": r}


_EQUAL_PRODUCTS = [
    (a, b, c, a * b // c)
    for a in range(2, 13)
    for b in range(2, 13)
    for c in range(2, 13)
    if a * b % c == 0 and c not in (a, b) and 2 <= a * b // c <= 12
]


def _mul_div(rng: Random) -> Numbers:
    a, b, c, r = rng.choice(_EQUAL_PRODUCTS)
    return {"a": a, "b": b, "c": c, "p": a * b, "r": r}


def _div_mul(rng: Random) -> Numbers:
    b, p = _table(rng)
    c = _int(rng, 2, 11)
    c += c >= b
    return {"a": b * p, "b": b, "c": c, "p": p, "r": p * c}


def _div_add(rng: Random) -> Numbers:
    (b, p), c = _table(rng), _int(rng, 2, 20)
    return {"a": b * p, "b": b, "c": c, "p": p, "r": p + c}


def _div_sub(rng: Random) -> Numbers:
    b, p = _int(rng, 2, 12), _int(rng, 4, 12)
    c = _int(rng, 2, p - 2)
    return {"a": b * p, "b": b, "c": c, "p": p, "r": p - c}


def _mul_mul(rng: Random) -> Numbers:
    a, b, c = _int(rng, 2, 9), _int(rng, 2, 11), _int(rng, 2, 9)
    return {"a": a, "b": b, "c": c, "p": a * b, "r": a * b * c}


def _sub_mul(rng: Random) -> Numbers:
    p, b, c = _int(rng, 2, 60), _int(rng, 2, 30), _int(rng, 2, 9)
    return {"a": p + b, "b": b, "c": c, "p": p, "r": p * c}


def _add_times(rng: Random) -> Numbers:
    a, b, c = _int(rng, 2, 25), _int(rng, 2, 25), _int(rng, 2, 9)
    return {"a": a, "b": b, "c": c, "p": a + b, "r": (a + b) * c}


def _mul_sub_div(rng: Random) -> Numbers:
    d, r = _table(rng)
    while True:
        a, b = _table(rng)
        if a * b >= d * r + 2:
            return {"a": a, "b": b, "c": a * b - d * r, "d": d, "p": a * b, "q": d * r, "r": r}
        d, r = _table(rng)


def _mul_add_div(rng: Random) -> Numbers:
    while True:
        (a, b), (d, r) = _table(rng), _table(rng)
        if 2 <= d * r - a * b <= 60:
            return {"a": a, "b": b, "c": d * r - a * b, "d": d, "p": a * b, "q": d * r, "r": r}


def _leftover(rng: Random) -> Numbers:
    b, p = _int(rng, 2, 12), _int(rng, 1, 12)
    r = _int(rng, 0, b - 1)
    return {"a": b * p + r, "b": b, "p": p, "q": b * p, "r": r}


def _round_up(rng: Random) -> Numbers:
    b, p = _int(rng, 2, 12), _int(rng, 1, 12)
    r = _int(rng, 1, b - 1)
    return {"a": b * p + r, "b": b, "p": p, "q": b * p, "r": r, "s": p + 1}


def _round_up_exact(rng: Random) -> Numbers:
    b, p = _table(rng)
    return {"a": b * p, "b": b, "p": p, "q": b * p, "r": 0}


def _times_sum(rng: Random) -> Numbers:
    a, b = _int(rng, 2, 40), _int(rng, 2, 9)
    return {"a": a, "b": b, "p": a * b, "r": a + a * b}


def _more_sum(rng: Random) -> Numbers:
    a, b = _addend(rng), _int(rng, 2, 30)
    return {"a": a, "b": b, "p": a + b, "r": a + a + b}


def _fewer_sum(rng: Random) -> Numbers:
    p, b = _addend(rng), _int(rng, 2, 30)
    return {"a": p + b, "b": b, "p": p, "r": p + b + p}


def _half_less(rng: Random) -> Numbers:
    p = _int(rng, 4, 50)
    c = _part(rng, p)
    return {"a": 2 * p, "c": c, "p": p, "r": p - c}


def _speeds(rng: Random) -> tuple[int, int]:
    """Hours and kilometres per hour."""
    kind = rng.random()
    if kind < 0.5:
        return _int(rng, 2, 9), _int(rng, 2, 12) * 10
    return _int(rng, 2, 9), _int(rng, 4, 99)


def _way(rng: Random) -> Numbers:
    a, b = _speeds(rng)
    return {"a": a, "b": b, "r": a * b}


def _way_add(rng: Random) -> Numbers:
    (a, b), c = _speeds(rng), _addend(rng)
    return {"a": a, "b": b, "c": c, "p": a * b, "r": a * b + c}


def _way_left(rng: Random) -> Numbers:
    a, b = _speeds(rng)
    r = _addend(rng) if rng.random() < 0.6 else _int(rng, 2, 20) * 10
    return {"a": a, "b": b, "c": a * b + r, "p": a * b, "r": r}


def _two_ways(rng: Random) -> Numbers:
    (a, b), (c, d) = _speeds(rng), _speeds(rng)
    return {"a": a, "b": b, "c": c, "d": d, "p": a * b, "q": c * d, "r": a * b + c * d}


def _tens_div(rng: Random) -> Numbers:
    """A way, hours and a speed that is a multiple of ten, or small."""
    b, r = _int(rng, 2, 9), _int(rng, 2, 12)
    if rng.random() < 0.6:
        r *= 10
    return {"a": b * r, "b": b, "r": r}


def _way_time(rng: Random) -> Numbers:
    numbers = _tens_div(rng)
    c = _int(rng, 2, 8)
    c += c >= numbers["b"]
    return {"a": numbers["a"], "b": numbers["b"], "c": c, "p": numbers["r"], "r": numbers["r"] * c}


def _legs(rng: Random) -> Numbers:
    a, c = _int(rng, 2, 30), _int(rng, 2, 30)
    return {"a": a, "c": c, "p": a * 4, "q": c * 2, "r": a * 4 + c * 2}


def _perimeter(rng: Random) -> Numbers:
    a, b = _int(rng, 2, 50), _int(rng, 2, 49)
    return {"a": a, "b": b, "p": a + b, "r": 2 * (a + b)}


def _average(rng: Random) -> Numbers:
    r = _int(rng, 4, 30)
    a, b = _int(rng, 2, r + r // 2), _int(rng, 2, r + r // 2)
    c = 3 * r - a - b
    if c < 1:
        return _average(rng)
    return {"a": a, "b": b, "c": c, "p": a + b, "q": 3 * r, "r": r}


FAMILIES: dict[str, Callable[[Random], Numbers]] = {
    "add": _add, "sub": _sub, "mul": _mul, "mul_money": _mul, "div": _div, "change": _change, "change_pages": _rest,
    "two_costs": _two_products, "two_costs_change": _two_products_change, "two_diff": _two_products_difference,
    "mul_add": _mul_add, "mul_less": _mul_less, "mul_sub_need": _mul_less, "sub_mul": _sub_mul, "div_mul": _div_mul,
    "sub_div": _sub_div, "sub_sub": _sub_sub, "add_div": _add_div, "mul_div": _mul_div, "leftover": _leftover,
    "round_up": _round_up, "round_up_exact": _round_up_exact, "mul_sub_div": _mul_sub_div, "mul_add_div": _mul_add_div,
    "mul_mul": _mul_mul, "add_sub": _add_sub, "sub_add": _sub_add, "add_add": _add_add, "times_sum": _times_sum,
    "more_sum": _more_sum, "fewer_sum": _fewer_sum, "half_less": _half_less, "mul_way": _way, "way_add": _way_add,
    "way_left": _way_left, "two_ways": _two_ways, "way_time": _way_time, "way_speed": _tens_div, "div_add": _div_add,
    "div_sub": _div_sub, "legs": _legs, "add_times": _add_times, "perimeter": _perimeter, "average": _average,
}
# Families of one step, and those that are the rare half of a pair, are told less often than the others.
_SHARES = {"add": 1.0, "sub": 1.0, "mul": 1.0, "round_up_exact": 0.3}


def _spoken(text: str, person: bool) -> str:
    """An English template told of a person (`buy~s` becomes buys) or in the first person."""

    def verb(match: re.Match[str]) -> str:
        root, ending = match.groups()
        if ending in ("s", "es"):
            return root + ending if person else root
        return root if person else ending

    return re.sub(r"(\w+)~(\w+)", verb, text)


class _Scenario:
    """A row of a table of scenarios with everything computed that does not depend on the numbers."""

    __slots__ = ("answer", "first", "numbers", "steps", "things", "third")

    def __init__(self, row: tuple[str, str, list[str], list[str], list[str], str]) -> None:
        family, self.things, stories, asks, steps, self.answer = row
        self.numbers = FAMILIES[family]
        # A question marked with @ asks for what the person has, so that the story must be the person's.
        pairs = [
            (story, ask.removeprefix("@"))
            for story in stories
            for ask in asks
            if not ask.startswith("@") or story.startswith("{n}")
        ]
        self.third = [(_spoken(story, True), _spoken(ask, True)) for story, ask in pairs]
        self.first = [(_spoken(story, False), _spoken(ask, False)) for story, ask in pairs if "{n}" in story]
        self.steps = "\n".join(steps)


_EN = [_Scenario(row) for row in en.SCENARIOS]
_ZH = [_Scenario(row) for row in zh.SCENARIOS]


def _cumulative(rows: list[tuple]) -> list[float]:
    total, sums = 0.0, []
    for row in rows:
        total += _SHARES.get(row[0], 1.0)
        sums.append(total)
    return sums


_EN_SHARES = _cumulative(en.SCENARIOS)
_ZH_SHARES = _cumulative(zh.SCENARIOS)
_EN_DISTRACTORS = [(_spoken(text, True), _spoken(text, False)) for text in en.DISTRACTORS]


def _two(rng: Random, items: list) -> tuple:
    """Two different items."""
    first = int(rng.random() * len(items))
    second = int(rng.random() * (len(items) - 1))
    return items[first], items[second + (second >= first)]


def _english(rng: Random) -> tuple[str, str, str]:
    scenario = rng.choices(_EN, cum_weights=_EN_SHARES)[0]
    slots: dict[str, object] = scenario.numbers(rng)
    numbers = dict(slots)
    first_person = bool(scenario.first) and rng.random() < 0.2
    story, ask = rng.choice(scenario.first if first_person else scenario.third)
    (name, he, his, him), (other, *_) = _two(rng, en.NAMES)
    (x, x1), (y, y1) = _two(rng, en.THINGS[scenario.things])
    if scenario.things == "group":
        y, y1 = rng.choice(en.THINGS["food"])
    boxes, box = rng.choice(en.CONTAINERS)
    u, v = rng.choice(en.MONEY)
    names: dict[str, object] = {
        "m": other, "x": x, "y": y, "x1": x1, "y1": y1, "box": box, "boxes": boxes, "u": u, "v": v,
        "vehicle": rng.choice(en.VEHICLES), "z": _int(rng, 2, 30),
    }
    if first_person:
        names |= {"n": "I", "he": "I", "He": "I", "his": "my", "him": "me", "ns": "my", "Ns": "My"}
    else:
        names |= {
            "n": name, "he": he, "He": he.capitalize(), "his": his, "him": him, "ns": name + "'s", "Ns": name + "'s",
        }
    if not u and rng.random() < 0.12:
        slots = {key: en.WORDS[n] if n <= 12 else n for key, n in numbers.items()}
    template = f"{story} {ask}"
    if rng.random() < 0.06:
        template = f"{story} {rng.choice(_EN_DISTRACTORS)[first_person]} {ask}"
    question = template.format_map(names | slots)
    if question[0].islower():
        question = question[0].upper() + question[1:]
    question = _articles(question)
    kind = rng.random()
    if kind < 0.06:
        question = question.lower()
    elif kind < 0.1:
        question = question.rstrip("?.")
    question = rng.choice(en.OPENINGS) + question + rng.choice(en.CLOSINGS)
    known = names | numbers
    return question, _articles(scenario.steps.format_map(known)), scenario.answer.format_map(known)


def _articles(text: str) -> str:
    """"an" before a vowel where the template says "a"."""
    if " a " in text or text.startswith("A "):
        return re.sub(r"\b([Aa]) (?=[aeiou](?!ni))", r"\1n ", text)
    return text


def _chinese(rng: Random) -> tuple[str, str, str]:
    scenario = rng.choices(_ZH, cum_weights=_ZH_SHARES)[0]
    numbers = scenario.numbers(rng)
    slots: dict[str, object] = dict(numbers)
    first_person = bool(scenario.first) and rng.random() < 0.2
    story, ask = rng.choice(scenario.first if first_person else scenario.third)
    (name, he), (other, _) = _two(rng, zh.NAMES)
    (x, k), (y, l) = _two(rng, zh.THINGS[scenario.things])
    if scenario.things == "group":
        y, l = rng.choice(zh.THINGS["food"])
    names: dict[str, object] = {
        "n": "我" if first_person else name, "he": "我" if first_person else he, "m": other, "x": x, "k": k, "y": y,
        "l": l, "box": rng.choice(zh.CONTAINERS), "vehicle": rng.choice(zh.VEHICLES), "z": _int(rng, 2, 30),
        "u": "元", "v": rng.choice(zh.MONEY),
    }
    kind = rng.random()
    if kind < 0.1:
        slots = {key: zh.WORDS[n] if n <= 12 else n for key, n in numbers.items()}
    template = story + ask
    if rng.random() < 0.06:
        template = story + rng.choice(zh.DISTRACTORS) + ask
    if 0.1 <= kind < 0.25:
        template = zh.spaced(template)
    question = template.format_map(names | slots)
    style = rng.random()
    if style < 0.05:
        question = question.replace("，", ",").replace("。", ".").replace("？", "?")
    elif style < 0.1:
        question = question.rstrip("？")
    question = rng.choice(zh.OPENINGS) + question + rng.choice(zh.CLOSINGS)
    known = names | numbers
    return question, scenario.steps.format_map(known), scenario.answer.format_map(known)


def word_problems(rng: Random, language: str) -> Example:
    """A short story with numbers and the question what comes out."""
    question, reasoning, answer = _english(rng) if language == "en" else _chinese(rng)
    return Example("word-problems", language, reasoning, answer, (("user", question),))
