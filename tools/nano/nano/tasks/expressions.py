"""Questions about the value of one small Python or JavaScript expression."""

from random import Random

from ..example import Example
from ..phrasing import ask, between, pick
from .identifiers import WORDS

_TEMPLATES = {
    "en": (
        "what does {0} give in {1}", "in {1}, what is {0}", "what is the value of {0} in {1}",
        "what does {0} return in {1}", "{1}: what is {0}", "what is the result of {0} in {1}",
        "what will {0} be in {1}", "what does {0} evaluate to in {1}",
    ),
    "zh": (
        "{1} 中 {0} 的值是什么", "在 {1} 里，{0} 等于什么", "{1} 表达式 {0} 的结果是什么", "{0} 在 {1} 中返回什么", "{1} 里 {0} 得到什么",
        "在 {1} 中，{0} 的结果是多少", "{1} 的 {0} 是什么",
    ),
}  # fmt: skip
_SPOKEN = {"python": ("Python", "Python", "python"), "typescript": ("TypeScript", "JavaScript", "TypeScript", "JS",
"TS")}


def expression(rng: Random, language: str) -> Example:
    """An expression with one step: a length, an element, a slice, a remainder, a comparison or a joined text."""
    python = rng.random() < 0.5
    shape = pick(rng, _SHAPES)
    source, working, value = shape(rng, language == "zh", python)
    shown = f"`{source}`" if rng.random() < 0.8 else source
    spoken = pick(rng, _SPOKEN["python" if python else "typescript"])
    question = ask(rng, language, "question", pick(rng, _TEMPLATES[language]), shown, spoken)
    answer = f"结果是 `{value}`。" if language == "zh" else f"The result is `{value}`."
    return Example("code", language, working, answer, messages=(("user", question),))


def _numbers(rng: Random) -> list[str]:
    high = 9 if rng.random() < 0.5 else 99
    return [str(between(rng, 0, high)) for _ in range(between(rng, 1, 6))]


_COMMON = "abc hello world banana apple python cat dog foo bar test node nano hi ok xyz model deep seek r x y z".split()


def _short_word(rng: Random) -> str:
    """A text for an expression: a word of the tables, a common example, or syllables that are no word."""
    chance = rng.random()
    if chance < 0.15:
        return pick(rng, _COMMON)
    if chance < 0.35:
        return "".join([pick(rng, "bcdfghklmnprstvwz") + pick(rng, "aeiou") for _ in range(between(rng, 1, 4))])
    while True:
        word = pick(rng, WORDS)
        if len(word) <= 9:
            return word


def _places(parts: list[str], chinese: bool) -> str:
    """Every element with its index."""
    if chinese:
        return "下标：" + "，".join([f"{index} 是 {part}" for index, part in enumerate(parts)]) + "。"
    return "By index: " + ", ".join([f"{index} is {part}" for index, part in enumerate(parts)]) + "."


def _length(rng: Random, chinese: bool, python: bool) -> tuple[str, str, str]:
    if rng.random() < 0.5:
        parts = _numbers(rng)
        source = f"[{', '.join(parts)}]"
    else:
        parts = list(_short_word(rng))
        source = f'"{"".join(parts)}"'
    counted = [f"{part} ({index})" for index, part in enumerate(parts, 1)]
    working = (
        f"逐个数：{'，'.join(counted)}。\n长度是 {len(parts)}。" if chinese
        else f"Counting: {', '.join(counted)}.\nThe length is {len(parts)}."
    )
    return (f"len({source})" if python else f"{source}.length"), working, str(len(parts))


def _element(rng: Random, chinese: bool, python: bool) -> tuple[str, str, str]:
    listed = rng.random() < 0.5
    parts = _numbers(rng) if listed else list(_short_word(rng))
    source = f"[{', '.join(parts)}]" if listed else f'"{"".join(parts)}"'
    index = between(rng, 0, len(parts) - 1)
    asked, working = str(index), _places(parts, chinese)
    if python and rng.random() < 0.3:
        asked = f"-{len(parts) - index}"
        working += (
            f"\n共 {len(parts)} 个，{asked} 就是下标 {index}。" if chinese
            else f"\nThere are {len(parts)}, so {asked} means index {index}."
        )
    value = parts[index] if listed else f'"{parts[index]}"'
    working += f"\n下标 {index} 是 {parts[index]}。" if chinese else f"\nIndex {index} is {parts[index]}."
    return f"{source}[{asked}]", working, value


def _slice(rng: Random, chinese: bool, python: bool) -> tuple[str, str, str]:
    listed = rng.random() < 0.5
    parts = _numbers(rng) if listed else list(_short_word(rng))
    source = f"[{', '.join(parts)}]" if listed else f'"{"".join(parts)}"'
    start = between(rng, 0, len(parts) - 1)
    end = between(rng, start + 1, len(parts))
    taken = parts[start:end]
    value = f"[{', '.join(taken)}]" if listed else f'"{"".join(taken)}"'
    if chinese:
        working = f"{_places(parts, True)}\n从下标 {start} 到 {end - 1}：{'，'.join(taken)}。"
    else:
        working = f"{_places(parts, False)}\nFrom index {start} to {end - 1}: {', '.join(taken)}."
    return (f"{source}[{start}:{end}]" if python else f"{source}.slice({start}, {end})"), working, value


def _arithmetic(rng: Random, chinese: bool, python: bool) -> tuple[str, str, str]:
    a, b, c = (between(rng, 1, 12) for _ in range(3))
    if rng.random() < 0.5:
        sign = pick(rng, "+-")
        value = a * b + (c if sign == "+" else -c)
        return f"{a} * {b} {sign} {c}", f"{a} * {b} = {a * b}\n{a * b} {sign} {c} = {value}", str(value)
    value = a + b * c
    return f"{a} + {b} * {c}", f"{b} * {c} = {b * c}\n{a} + {b * c} = {value}", str(value)


def _remainder(rng: Random, chinese: bool, python: bool) -> tuple[str, str, str]:
    divisor, quotient = between(rng, 2, 12), between(rng, 0, 12)
    rest = between(rng, 0, divisor - 1)
    number, product = divisor * quotient + rest, divisor * quotient
    working = f"{quotient} * {divisor} = {product}\n{number} - {product} = {rest}"
    if python and rng.random() < 0.4:
        return f"{number} // {divisor}", working, str(quotient)
    return f"{number} % {divisor}", working, str(rest)


def _comparison(rng: Random, chinese: bool, python: bool) -> tuple[str, str, str]:
    high = 20 if rng.random() < 0.5 else 999
    a = between(rng, 0, high)
    b = a if rng.random() < 0.2 else between(rng, 0, high)
    equal = "==" if python else "==="
    sign = pick(rng, ("<", ">", "<=", ">=", equal))
    holds = {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b, equal: a == b}[sign]
    fact = "<" if a < b else ">" if a > b else "="
    value = str(holds) if python else str(holds).lower()
    working = (
        f"{a} {fact} {b}，所以 {a} {sign} {b} {'成立' if holds else '不成立'}。" if chinese
        else f"{a} {fact} {b}, so {a} {sign} {b} {'holds' if holds else 'does not hold'}."
    )
    return f"{a} {sign} {b}", working, value


def _joined(rng: Random, chinese: bool, python: bool) -> tuple[str, str, str]:
    a, b = _short_word(rng), _short_word(rng)
    if rng.random() < 0.4:
        times = between(rng, 2, 4)
        source = f'"{a}" * {times}' if python else f'"{a}".repeat({times})'
        working = f"把 {a} 写 {times} 遍。" if chinese else f"Write {a} {times} times."
        return source, working, f'"{a * times}"'
    working = f"先写 {a}，再写 {b}。" if chinese else f"Write {a}, then {b}."
    return f'"{a}" + "{b}"', working, f'"{a}{b}"'


def _cased(rng: Random, chinese: bool, python: bool) -> tuple[str, str, str]:
    word = _short_word(rng)
    if rng.random() < 0.5:
        working = f"把 {word} 全部变成大写。" if chinese else f"All letters of {word} in upper case."
        return (f'"{word}".upper()' if python else f'"{word}".toUpperCase()'), working, f'"{word.upper()}"'
    working = f"把 {word} 全部变成小写。" if chinese else f"All letters of {word} in lower case."
    return f'"{word.upper()}"' + (".lower()" if python else ".toLowerCase()"), working, f'"{word}"'


def _member(rng: Random, chinese: bool, python: bool) -> tuple[str, str, str]:
    parts = _numbers(rng)
    wanted = pick(rng, parts) if rng.random() < 0.5 else str(between(rng, 0, 99))
    holds = wanted in parts
    listed = f"[{', '.join(parts)}]"
    if chinese:
        working = f"{listed} 中{'有' if holds else '没有'} {wanted}。"
    else:
        working = f"{wanted} is {'' if holds else 'not '}in {listed}."
    return (f"{wanted} in {listed}" if python else f"{listed}.includes({wanted})"), working, (
        str(holds) if python else str(holds).lower()
    )


_SHAPES = (
    _length, _length, _element, _element, _slice, _arithmetic, _remainder, _comparison, _joined, _cased, _member,
)  # fmt: skip
