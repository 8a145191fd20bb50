"""Addition, subtraction and multiplication of several digits, in the words people use for them."""

from random import Random

from ..columns import (
    WITH_SIGN,
    add_steps,
    difference_columns,
    equation,
    multiply_steps,
    operation_steps,
    subtract_steps,
    sum_columns,
    sum_steps,
)
from ..example import Example
from ..phrasing import ask, between, pick, typed, weighted, with_digits

__all__ = [
    "addition",
    "add_steps",
    "expression_question",
    "multiplication",
    "multiply_steps",
    "operation_steps",
    "subtract_steps",
    "subtraction",
    "sum_steps",
]

# How an operation is written between its two values.
_FORMS = {
    ("en", "+"): weighted(("{0} + {1}", 5), ("{0}+{1}", 5), ("{0} plus {1}", 4), ("{0} +{1}", 1)),
    ("en", "-"): weighted(
        ("{0} - {1}", 5), ("{0}-{1}", 5), ("{0} minus {1}", 4), ("{0} − {1}", 1), ("{0} take away {1}", 1),
        ("{0} – {1}", 1),
    ),
    ("en", "×"): weighted(
        ("{0} * {1}", 4), ("{0}*{1}", 4), ("{0} times {1}", 4), ("{0} x {1}", 3), ("{0}x{1}", 2), ("{0} × {1}", 3),
        ("{0}×{1}", 1), ("{0} multiplied by {1}", 2),
    ),
    ("zh", "+"): weighted(
        ("{0}+{1}", 5), ("{0} + {1}", 4), ("{0}加{1}", 4), ("{0} 加 {1}", 3), ("{0}加上{1}", 3), ("{0} 加上 {1}", 2),
        ("{0}＋{1}", 1),
    ),
    ("zh", "-"): weighted(
        ("{0}-{1}", 5), ("{0} - {1}", 4), ("{0}减{1}", 4), ("{0} 减 {1}", 3), ("{0}减去{1}", 3), ("{0} 减去 {1}", 2),
        ("{0}－{1}", 1), ("{0}−{1}", 1),
    ),
    ("zh", "×"): weighted(
        ("{0}×{1}", 5), ("{0} × {1}", 4), ("{0}*{1}", 4), ("{0} * {1}", 3), ("{0}乘以{1}", 4), ("{0} 乘以 {1}", 3),
        ("{0}乘{1}", 3), ("{0} 乘 {1}", 1), ("{0}x{1}", 1),
    ),
}  # fmt: skip

# Sentences around such a form, which stands at the @.
_FRAMES = {
    "en": {
        "question": (
            "what is @", "what is @", "what is @", "what's @", "what's @", "whats @", "how much is @", "how much is @",
            "what does @ equal", "what does @ make", "what does @ give", "what is the result of @",
            "what's the result of @", "what is the answer to @", "@ equals what", "@ is what", "@ is how much",
            "how much does @ make", "how much would @ be", "what would @ be", "what do i get for @",
            "what do you get for @", "what is the value of @", "how do i work out @",
        ),
        "request": (
            "calculate @", "calculate @", "compute @", "compute @", "work out @", "evaluate @", "solve @", "find @",
            "tell me what @ is", "tell me @", "do @", "give me the result of @", "calculate the value of @",
            "give me @", "calc @", "figure out @", "do the math: @", "tell me how much @ is", "show me how to do @",
        ),
        "bare": ("@", "@", "@", "@", "@=", "@ =", "@ = ?", "@=?", "@ equals", "calc: @", "result of @", "math: @"),
    },
    "zh": {
        "question": (
            "@等于多少", "@等于多少", "@等于多少", "@ 等于多少", "@等于几", "@是多少", "@ 是多少", "@是几", "@得多少", "@得几",
            "@的结果是多少", "@ 的结果是什么", "@的答案是多少", "@应该等于多少", "@该怎么算", "计算@等于多少", "@算出来是多少",
            "算式@的值是多少", "@的值是多少", "@会得到多少", "@结果是多少", "@一共是多少",
        ),
        "request": (
            "计算@", "计算 @", "算一下@", "算一下 @", "算算@", "算出@", "计算一下@", "求@的值", "求@", "算@", "解一下@", "计算：@",
            "算一算@", "计算@的结果", "算出@的值", "做一下这道题：@",
        ),
        "bare": ("@", "@", "@", "@", "@=", "@ =", "@ = ?", "@=?", "@＝？", "@等于", "@=多少", "计算：@", "@是？"),
    },
}  # fmt: skip

# Wordings of their own.
_OWN = {
    ("en", "+"): {
        "question": (
            "what is the sum of {0} and {1}", "what's the sum of {0} and {1}", "what is the total of {0} and {1}",
            "what do you get if you add {0} and {1}", "what do i get when i add {0} to {1}",
            "how much is {0} and {1} together", "what do {0} and {1} add up to", "what is {0} added to {1}",
            "if i add {0} and {1}, what do i get",
        ),
        "request": (
            "add {0} and {1}", "add {0} to {1}", "add {0} + {1}", "sum {0} and {1}", "add up {0} and {1}",
            "find the sum of {0} and {1}", "give me the sum of {0} and {1}", "calculate the sum of {0} and {1}",
            "add these: {0}, {1}", "add together {0} and {1}", "add the numbers {0} and {1}",
        ),
        "bare": ("the sum of {0} and {1}", "sum of {0} and {1}", "{0} and {1} together", "add {0} {1}", "sum: {0} {1}"),
    },
    ("en", "-"): {
        "question": (
            "what do you get if you subtract {1} from {0}", "what is {1} subtracted from {0}",
            "what do i get when i take {1} away from {0}", "how much is {0} less {1}", "what is {1} less than {0}",
            "if i subtract {1} from {0}, what do i get",
        ),
        "request": (
            "subtract {1} from {0}", "subtract {1} from {0}", "take {1} from {0}", "take {1} away from {0}",
            "deduct {1} from {0}", "start at {0} and subtract {1}",
        ),
        "bare": ("{1} subtracted from {0}", "{0} less {1}", "{1} less than {0}"),
    },
    ("en", "×"): {
        "question": (
            "what is the product of {0} and {1}", "what's the product of {0} and {1}",
            "what do you get if you multiply {0} by {1}", "what do i get when i multiply {0} and {1}",
            "if i multiply {0} by {1}, what do i get", "how much is {0} times {1}",
        ),
        "request": (
            "multiply {0} by {1}", "multiply {0} by {1}", "multiply {0} and {1}", "multiply {0} with {1}",
            "find the product of {0} and {1}", "give me the product of {0} and {1}",
            "calculate the product of {0} and {1}",
        ),
        "bare": ("the product of {0} and {1}", "product of {0} and {1}"),
    },
    ("zh", "+"): {
        "question": (
            "{0}和{1}的和是多少", "{0}与{1}的和是多少", "{0} 和 {1} 的和是多少", "{0}与{1}相加等于多少", "{0}和{1}加起来是多少",
            "{0}和{1}加起来等于多少", "{0}和{1}相加得多少", "如果{0}加上{1}，结果是多少", "{0}与{1}的总和是多少",
            "把{0}和{1}加在一起是多少", "{0}和{1}一共是多少", "{0}再加{1}是多少",
        ),
        "request": (
            "求{0}与{1}的和", "求{0}和{1}的和", "把{0}和{1}相加", "把{0}和{1}加起来", "把 {0} 和 {1} 相加", "将{0}与{1}相加",
            "计算{0}和{1}的和", "算一下{0}和{1}的和", "给{0}加上{1}",
        ),
        "bare": ("{0}和{1}的和", "{0}与{1}之和", "{0}和{1}相加", "{0}，{1}，求和"),
    },
    ("zh", "-"): {
        "question": (
            "从{0}里减去{1}是多少", "{0}减掉{1}还剩多少", "如果{0}减去{1}，结果是多少", "从{0}中减去{1}得多少", "比{0}少{1}的数是多少",
            "{0}减{1}还有多少", "把{0}减去{1}等于多少",
        ),
        "request": ("从{0}里减去{1}", "从 {0} 中减去 {1}", "把{0}减去{1}", "用{0}减去{1}", "将{0}减去{1}", "用 {0} 减 {1}"),
        "bare": ("{0}减掉{1}", "从{0}减{1}", "比{0}少{1}的数"),
    },
    ("zh", "×"): {
        "question": (
            "{0}和{1}的积是多少", "{0}与{1}的乘积是多少", "{0} 与 {1} 的积是多少", "{0}和{1}相乘等于多少", "{0}的{1}倍是多少",
            "如果{0}乘以{1}，结果是多少", "{0}和{1}相乘得多少", "把{0}乘以{1}等于多少",
        ),
        "request": (
            "求{0}与{1}的积", "求{0}和{1}的乘积", "把{0}和{1}相乘", "把{0}乘以{1}", "将{0}与{1}相乘", "用{0}乘以{1}",
            "计算{0}和{1}的乘积",
        ),
        "bare": ("{0}和{1}的积", "{0}与{1}的乘积", "{0}的{1}倍", "{0}和{1}相乘"),
    },
}  # fmt: skip
# "The difference" has no sign: only where the first number is not the smaller one.
_DIFFERENCES = {
    "en": (
        ("question", "what is the difference between {0} and {1}"), ("question", "how much more is {0} than {1}"),
        ("question", "how much is left if you take {1} from {0}"), ("request", "find the difference of {0} and {1}"),
        ("bare", "difference between {0} and {1}"), ("question", "by how much is {0} more than {1}"),
    ),
    "zh": (
        ("question", "{0}和{1}的差是多少"), ("question", "{0}与{1}的差是多少"), ("question", "{0}比{1}多多少"),
        ("question", "{0}比{1}大多少"), ("request", "求{0}与{1}的差"), ("bare", "{0}与{1}的差"),
    ),
}  # fmt: skip
_KINDS = weighted(("question", 5), ("request", 3), ("bare", 4))


def expression_question(
    rng: Random, language: str, operator: str, first: object, second: object, plain: bool = False
) -> str:
    """A question for one operation ("+", "-" or "×"), with the values as they were typed.

    A plain question names the values in the order of the expression.
    """
    kind = pick(rng, _KINDS)
    if not plain and rng.random() < 0.25:
        template = pick(rng, _OWN[language, operator][kind])
    else:
        template = pick(rng, _FRAMES[language][kind]).replace("@", pick(rng, _FORMS[language, operator]))
    return ask(rng, language, kind, template, first, second)


def _example(task: str, language: str, question: str, reasoning: str, answer: str) -> Example:
    return Example(task, language, reasoning, answer, (("user", question),))


def _typed_signed(rng: Random, number: int, language: str) -> str:
    return typed(rng, number, language) if number >= 0 else str(number)


def _signed(rng: Random, task: str, language: str, operator: str) -> Example:
    """One operation with at least one negative number."""
    size = 2 if operator == "×" else 3
    first, second = with_digits(rng, between(rng, 1, size)), with_digits(rng, between(rng, 1, size))
    chance = rng.random()
    if chance < 0.6:
        first = -first or -7
    elif chance < 0.85:
        second = -second or -3
    else:
        first, second = -first or -4, -second or -5
    right = f"({second})" if second < 0 and rng.random() < 0.7 else str(second)
    kind = pick(rng, _KINDS)
    template = pick(rng, _FRAMES[language][kind]).replace("@", pick(rng, _FORMS[language, operator]))
    question = ask(rng, language, kind, template, first, right)
    return _example(
        task, language, question, operation_steps(first, operator, second, language), equation(first, operator, second)
    )


_DECIMALS = {
    "en": ("With equally many decimals: {0} {2} {1}\nWithout the point:", "With the point: "),
    "zh": ("小数位数对齐：{0} {2} {1}\n先不看小数点：", "加上小数点："),
}
_SHORTENED = {"en": "Without zeros at the end: ", "zh": "去掉末尾的0："}


def _decimal(rng: Random, task: str, language: str, operator: str) -> Example:
    """A sum or difference of decimals with one or two places."""
    texts: list[str] = []
    for places in pick(rng, ((1, 1), (1, 2), (2, 1), (2, 2), (2, 2), (1, 0), (0, 1), (2, 0))):
        whole = with_digits(rng, between(rng, 1, 3))
        texts.append(f"{whole}.{between(rng, 0, 10**places - 1):0{places}d}" if places else str(whole))
    first, second = texts
    answer, reasoning = decimal_steps(first, operator, second, language)
    question = expression_question(rng, language, operator, first, second)
    return _example(task, language, question, reasoning, answer)


def decimal_steps(first: str, operator: str, second: str, language: str) -> tuple[str, str]:
    """The answer and the reasoning for a sum ("+") or difference ("-") of decimals that are not negative."""
    places = max(len(text.partition(".")[2]) for text in (first, second))
    numbers, padded = [], []
    for text in (first, second):
        whole, _, decimals = text.partition(".")
        decimals = decimals.ljust(places, "0")
        padded.append(f"{whole}.{decimals}")
        numbers.append(int(whole + decimals))
    intro, pointed = _DECIMALS[language]
    if operator == "+":
        lines, written = sum_columns(numbers, language, places + 1)
    else:
        lines, written = difference_columns(numbers[0], numbers[1], language, places + 1)
    lines.insert(0, intro.format(*padded, operator))
    result = f"{written[:-places].lstrip('0') or '0'}.{written[-places:]}"
    if operator == "+" or numbers[0] != numbers[1]:
        lines.append(pointed + result)
        if result[-1] == "0":
            result = result.rstrip("0").rstrip(".")
            lines.append(_SHORTENED[language] + result)
    else:
        result = "0"
    if operator == "-" and numbers[0] < numbers[1]:
        result = "-" + result
        lines.append(WITH_SIGN[language] + result[1:])
    answer = f"{first} {operator} {second} = {result}"
    lines.append(answer)
    return answer, "\n".join(lines)


_THREE = {
    "en": (
        ("question", "what is {0} + {1} + {2}"), ("question", "what's {0}+{1}+{2}"), ("bare", "{0} + {1} + {2}"),
        ("bare", "{0}+{1}+{2}"), ("bare", "{0}+{1}+{2}="), ("question", "what is {0} plus {1} plus {2}"),
        ("question", "what is the sum of {0}, {1} and {2}"), ("request", "add {0}, {1} and {2}"),
        ("request", "add up {0}, {1}, {2}"), ("request", "calculate {0} + {1} + {2}"),
        ("request", "compute {0}+{1}+{2}"), ("question", "what do {0}, {1} and {2} add up to"),
        ("bare", "sum of {0}, {1} and {2}"), ("question", "how much is {0} plus {1} plus {2}"),
        ("request", "sum {0}, {1} and {2}"), ("bare", "{0} + {1} + {2} = ?"),
        ("question", "what is the total of {0}, {1} and {2}"), ("request", "find the sum of {0}, {1}, and {2}"),
    ),
    "zh": (
        ("question", "{0}+{1}+{2}等于多少"), ("question", "{0} + {1} + {2} 等于多少"), ("bare", "{0}+{1}+{2}"),
        ("bare", "{0} + {1} + {2}"), ("bare", "{0}+{1}+{2}="), ("question", "{0}加{1}加{2}等于多少"),
        ("question", "{0}、{1}和{2}的和是多少"), ("question", "{0}加{1}再加{2}是多少"), ("request", "计算{0}+{1}+{2}"),
        ("request", "算一下{0}加{1}加{2}"), ("request", "把{0}、{1}、{2}加起来"), ("request", "求{0}、{1}和{2}的和"),
        ("question", "{0}、{1}、{2}加起来一共是多少"), ("bare", "{0}、{1}、{2}的总和"), ("bare", "{0}+{1}+{2}=?"),
    ),
}  # fmt: skip


def addition(rng: Random, language: str) -> Example:
    """Mostly two whole numbers of up to six digits; some three numbers, decimals and negative numbers."""
    chance = rng.random()
    if chance < 0.12:
        terms = [with_digits(rng, between(rng, 1, 3)) for _ in range(3)]
        kind, template = pick(rng, _THREE[language])
        question = ask(rng, language, kind, template, *[typed(rng, term, language) for term in terms])
        answer = f"{terms[0]} + {terms[1]} + {terms[2]} = {sum(terms)}"
        return _example("addition", language, question, sum_steps(terms, language), answer)
    if chance < 0.19:
        return _decimal(rng, "addition", language, "+")
    if chance < 0.23:
        return _signed(rng, "addition", language, "+")
    if chance < 0.33:
        first, second = _carrying_pair(rng)
    elif chance < 0.36:
        first = second = with_digits(rng, between(rng, 1, 6))
    else:
        largest = 2 if chance < 0.5 else 6
        first, second = with_digits(rng, between(rng, 1, largest)), with_digits(rng, between(rng, 1, largest))
    question = expression_question(rng, language, "+", typed(rng, first, language), typed(rng, second, language))
    return _example(
        "addition", language, question, add_steps(first, second, language), f"{first} + {second} = {first + second}"
    )


def _carrying_pair(rng: Random) -> tuple[int, int]:
    """Two numbers whose sum carries over nines or zeros."""
    digits = between(rng, 2, 6)
    total = with_digits(rng, between(rng, 1, 3)) * 10 ** between(rng, 1, digits - 1) + between(rng, 0, 3)
    total = min(total, 10**6)
    second = min(with_digits(rng, between(rng, 1, digits)), total)
    pair = (total - second, second)
    return pair if rng.random() < 0.5 else (second, total - second)


def subtraction(rng: Random, language: str) -> Example:
    """Two whole numbers of up to six digits, in either order; some equal ones, decimals and negative numbers."""
    chance = rng.random()
    if chance < 0.06:
        return _decimal(rng, "subtraction", language, "-")
    if chance < 0.1:
        return _signed(rng, "subtraction", language, "-")
    if chance < 0.13:
        first = second = with_digits(rng, between(rng, 1, 6))
    elif chance < 0.25:
        first = with_digits(rng, between(rng, 1, 3)) * 10 ** between(rng, 1, 3)
        second = with_digits(rng, between(rng, 1, 4))
    elif chance < 0.32:
        first = with_digits(rng, between(rng, 2, 6))
        second = max(0, first + between(rng, -30, 30))
    else:
        largest = 2 if chance < 0.44 else 6
        first, second = with_digits(rng, between(rng, 1, largest)), with_digits(rng, between(rng, 1, largest))
        if first < second and rng.random() < 0.6:
            first, second = second, first
    left, right = typed(rng, first, language), typed(rng, second, language)
    if first >= second and rng.random() < 0.12:
        kind, template = pick(rng, _DIFFERENCES[language])
        question = ask(rng, language, kind, template, left, right)
    else:
        question = expression_question(rng, language, "-", left, right)
    return _example(
        "subtraction", language, question, subtract_steps(first, second, language),
        f"{first} - {second} = {first - second}",
    )  # fmt: skip


# How many digits the factors have.
_FACTOR_DIGITS = weighted(
    ((1, 1), 4), ((1, 2), 4), ((2, 1), 6), ((2, 2), 12), ((3, 1), 7), ((1, 3), 4), ((3, 2), 10), ((2, 3), 8),
    ((3, 3), 14), ((4, 1), 6), ((1, 4), 3), ((5, 1), 6), ((1, 5), 3),
)  # fmt: skip


def multiplication(rng: Random, language: str) -> Example:
    """Two factors of up to three digits, or one of up to five digits with one of a single digit."""
    chance = rng.random()
    if chance < 0.04:
        return _signed(rng, "multiplication", language, "×")
    digits = pick(rng, _FACTOR_DIGITS)
    first, second = with_digits(rng, digits[0]), with_digits(rng, digits[1])
    if chance < 0.08 and digits[0] == digits[1]:
        second = first
    elif chance < 0.16 and second >= 10:
        second = second // 10 * 10
    elif chance < 0.24 and first >= 100:
        first = first // 100 * 100 + first % 10
    question = expression_question(rng, language, "×", typed(rng, first, language), typed(rng, second, language))
    return _example(
        "multiplication", language, question, multiply_steps(first, second, language),
        f"{first} × {second} = {first * second}",
    )  # fmt: skip
