"""Long division of whole numbers: quotients, remainders, and whether a number divides another."""

from random import Random

from ..columns import COLON, COMMA
from ..example import Example
from ..phrasing import ask, between, pick, typed, weighted, with_digits

__all__ = ["divide_steps", "division"]

# kind of answer → language → (kind of question, template)
_QUOTIENT = {
    "en": weighted(
        (("bare", "{0} / {1}"), 5), (("bare", "{0}/{1}"), 4), (("bare", "{0} ÷ {1}"), 3), (("bare", "{0} divided by {1}"), 3),
        (("bare", "{0}÷{1}="), 2), (("bare", "{0}/{1}="), 2), (("bare", "{0} / {1} = ?"), 1), (("bare", "divide {0} {1}"), 1),
        (("question", "what is {0} / {1}"), 5), (("question", "what's {0} / {1}"), 3), (("question", "what is {0}/{1}"), 3),
        (("question", "what is {0} divided by {1}"), 6), (("question", "what's {0} divided by {1}"), 4),
        (("question", "how much is {0} divided by {1}"), 3), (("question", "how much is {0} ÷ {1}"), 2),
        (("question", "what do you get if you divide {0} by {1}"), 2), (("question", "how many times does {1} go into {0}"), 2),
        (("question", "what is the quotient of {0} and {1}"), 2), (("question", "what does {0} / {1} equal"), 2),
        (("question", "how often does {1} fit into {0}"), 1), (("question", "what is the result of {0} ÷ {1}"), 2),
        (("request", "divide {0} by {1}"), 6), (("request", "calculate {0} / {1}"), 4), (("request", "compute {0} / {1}"), 3),
        (("request", "work out {0} divided by {1}"), 2), (("request", "find the quotient of {0} and {1}"), 1),
        (("request", "calculate {0} ÷ {1}"), 2), (("request", "solve {0}/{1}"), 2), (("request", "evaluate {0} / {1}"), 2),
        (("request", "tell me what {0} divided by {1} is"), 2),
    ),
    "zh": weighted(
        (("bare", "{0}除以{1}"), 5), (("bare", "{0} 除以 {1}"), 3), (("bare", "{0}÷{1}等于"), 4), (("bare", "计算：{0}÷{1}"), 3),
        (("bare", "{0}÷{1}=多少"), 2), (("question", "{0}除以{1}等于多少"), 6), (("question", "{0} 除以 {1} 等于多少"), 4),
        (("question", "{0}÷{1}等于多少"), 5), (("question", "{0} ÷ {1} 等于多少"), 3), (("question", "{0}/{1}是多少"), 3),
        (("question", "{0}÷{1}得多少"), 3), (("question", "{0}里面有几个{1}"), 2), (("question", "把{0}平均分成{1}份，每份是多少"), 2),
        (("question", "{0}和{1}的商是多少"), 2), (("question", "{0}除以{1}的结果是什么"), 3), (("question", "{0}除以{1}得几"), 2),
        (("request", "计算{0}÷{1}"), 4), (("request", "算一下{0}除以{1}"), 4), (("request", "求{0}除以{1}的商"), 2),
        (("request", "用{0}除以{1}"), 2), (("request", "计算 {0} / {1}"), 3), (("request", "算算{0}÷{1}"), 2),
    ),
}  # fmt: skip
_REMAINDER = {
    "en": (
        ("question", "what is the remainder of {0} divided by {1}"), ("question", "what is {0} mod {1}"),
        ("question", "what remains when you divide {0} by {1}"), ("request", "find the remainder of {0} / {1}"),
        ("bare", "{0} mod {1}"), ("bare", "remainder of {0} divided by {1}"), ("question", "what is {0} modulo {1}"),
        ("question", "what is the remainder when {0} is divided by {1}"), ("request", "compute {0} mod {1}"),
    ),
    "zh": (
        ("question", "{0}除以{1}的余数是多少"), ("question", "{0}除以{1}余几"), ("request", "求{0}除以{1}的余数"),
        ("bare", "{0}除以{1}的余数"), ("question", "{0} 除以 {1} 余多少"), ("request", "计算{0}÷{1}的余数"),
    ),
}  # fmt: skip
_DIVISIBLE = {
    "en": (
        ("question", "is {0} divisible by {1}"), ("question", "can {0} be divided by {1} evenly"),
        ("question", "does {1} divide {0}"), ("question", "is {0} a multiple of {1}"),
        ("request", "check whether {0} is divisible by {1}"), ("question", "can you divide {0} by {1} without a remainder"),
    ),
    "zh": (
        ("question", "{0}能被{1}整除吗"), ("question", "{0}是{1}的倍数吗"), ("question", "{0} 能被 {1} 整除吗"),
        ("request", "判断{0}能否被{1}整除"), ("question", "{0}可以被{1}整除吗"),
    ),
}  # fmt: skip
_BY_ZERO = {"en": "Division by zero is not defined.", "zh": "除数不能是 0。"}
_NONE = {"en": "{0}<{1}, so the quotient is 0 and the remainder is {0}", "zh": "{0}<{1}，所以商是 0，余数是 {0}"}
_MULTIPLES = {"en": "Multiples of {0}: ", "zh": "{0} 的倍数："}
_REST = {"en": " remainder ", "zh": " 余 "}


def divide_steps(first: int, second: int, language: str) -> str:
    """Long division of first ≥ 0 by second > 0, digit by digit; the last line is the equation.

    A divisor of several digits gets its first nine multiples written down, each being the one before plus the divisor.
    """
    colon, comma = COLON[language], COMMA[language]
    lines: list[str] = []
    if first < second:
        lines.append(_NONE[language].format(first, second))
    else:
        if second > 12:
            multiples = comma.join([f"{i}×{second}={i * second}" for i in range(1, 10)])
            lines.append(_MULTIPLES[language].format(second) + multiples)
        part, written = 0, ""
        for digit in str(first):
            part = part * 10 + ord(digit) - 48
            if part < second and not written:
                continue
            times = part // second
            written += str(times)
            if times:
                product = times * second
                lines.append(f"{part}{colon}{times}×{second}={product}{comma}{part}-{product}={part - product}{colon}{written}")
                part -= product
            else:
                lines.append(f"{part}<{second}{colon}{written}")
    lines.append(_equation(first, second, language))
    return "\n".join(lines)


def _equation(first: int, second: int, language: str) -> str:
    quotient, rest = divmod(first, second)
    return f"{first} ÷ {second} = {quotient}" + (f"{_REST[language]}{rest}" if rest else "")


def _operands(rng: Random) -> tuple[int, int]:
    """Dividend and divisor: half of the divisions come out even."""
    chance = rng.random()
    if chance < 0.3:  # within the multiplication table
        second = between(rng, 1, 12)
        first = second * between(rng, 0, 12)
    else:
        second = between(rng, 2, 9) if chance < 0.75 else between(rng, 10, 12) if chance < 0.82 else between(rng, 13, 99)
        first = with_digits(rng, between(rng, 1, 5 if second < 13 else 4))
        if rng.random() < 0.5:
            first -= first % second
    return first, second


def division(rng: Random, language: str) -> Example:
    """Dividends of up to five digits, divisors up to 99."""
    first, second = _operands(rng)
    chance = rng.random()
    if chance < 0.02:
        kind, template = pick(rng, _QUOTIENT[language])
        question = ask(rng, language, kind, template, typed(rng, first, language), 0)
        return Example("division", language, _BY_ZERO[language], _BY_ZERO[language], (("user", question),))
    rest = first % second
    if chance < 0.8:
        kind, template = pick(rng, _QUOTIENT[language])
        answer = _equation(first, second, language)
    elif chance < 0.9:
        kind, template = pick(rng, _REMAINDER[language])
        answer = f"The remainder is {rest}." if language == "en" else f"余数是 {rest}。"
    else:
        kind, template = pick(rng, _DIVISIBLE[language])
        if language == "en":
            answer = f"No, {first} is not divisible by {second}." if rest else f"Yes, {first} is divisible by {second}."
        else:
            answer = f"{first} 不能被 {second} 整除。" if rest else f"{first} 能被 {second} 整除。"
    question = ask(rng, language, kind, template, typed(rng, first, language), second)
    return Example("division", language, divide_steps(first, second, language), answer, (("user", question),))
