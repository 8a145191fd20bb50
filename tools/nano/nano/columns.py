"""Written arithmetic, digit by digit: the reasoning that every task with sums and products shares.

Each line needs only the line before it and one column of digits. What is written so far stands after the
colon and grows to the left, so that the last line holds the result and says how far the work has come.
"""

from collections.abc import Sequence

CARRY = {"en": " carry ", "zh": "，进"}
BORROW = {"en": " borrow 1", "zh": "，借1"}
COLON = {"en": ": ", "zh": "："}
COMMA = {"en": ", ", "zh": "，"}
POSITIVE = {"en": ", so the result is positive.", "zh": "，结果是正数。"}
NEGATIVE = {"en": ", so the result is negative. Swapped: ", "zh": "，结果是负数，交换："}
EQUAL = {"en": "Both are equal, so the result is 0.", "zh": "两个数相等，结果是0。"}
UNPADDED = {"en": "Without leading zeros: ", "zh": "去掉前面的0："}
WITH_SIGN = {"en": "With the sign: -", "zh": "加上负号：-"}
SHIFTED = {"en": "Shifted and added: ", "zh": "错位相加："}


def sum_columns(terms: Sequence[int], language: str, width: int = 0) -> tuple[list[str], str]:
    """The lines of a column sum of two or three terms, and the digits it writes (at least `width`)."""
    texts = [str(term) for term in terms]
    width = max(width, max(map(len, texts)))
    texts = [text.zfill(width) for text in texts]
    lines = [" + ".join(texts)]
    carry, written = 0, ""
    colon, carries = COLON[language], CARRY[language]
    for column in range(width - 1, -1, -1):
        total = carry
        for text in texts:
            total += ord(text[column]) - 48
        line = "+".join([text[column] for text in texts])
        if carry:
            line = f"{line}+{carry}"
        if column == 0:
            written = f"{total}{written}"
            lines.append(f"{line}={total}{colon}{written}")
            break
        carry, digit = divmod(total, 10)
        written = f"{digit}{written}"
        if carry:
            lines.append(f"{line}={total}{carries}{carry}{colon}{written}")
        else:
            lines.append(f"{line}={total}{colon}{written}")
    return lines, written


def first_difference(first: str, second: str, language: str) -> str:
    """Two texts of equal length compared from the left, up to the first difference: "8=8, 2<5"."""
    steps = []
    for left, right in zip(first, second):
        if left == ".":
            continue
        if left == right:
            steps.append(f"{left}={right}")
        else:
            steps.append(f"{left}<{right}" if left < right else f"{left}>{right}")
            break
    return COMMA[language].join(steps)


def difference_columns(first: int, second: int, language: str, width: int = 0) -> tuple[list[str], str]:
    """The lines of a column subtraction, and the digits it writes: the size of the difference, padded."""
    width = max(width, len(str(first)), len(str(second)))
    upper, lower = str(first).zfill(width), str(second).zfill(width)
    lines = [f"{upper} - {lower}"]
    if first == second:
        lines.append(EQUAL[language])
        return lines, "0" * width
    comparison = first_difference(upper, lower, language)
    if first < second:
        upper, lower = lower, upper
        lines.append(f"{comparison}{NEGATIVE[language]}{upper} - {lower}")
    else:
        lines.append(comparison + POSITIVE[language])
    borrow, written = 0, ""
    colon, borrows = COLON[language], BORROW[language]
    for column in range(width - 1, -1, -1):
        top, bottom = ord(upper[column]) - 48, ord(lower[column]) - 48
        rest = top - bottom - borrow
        taken = f"{bottom}-1" if borrow else str(bottom)
        borrow = 1 if rest < 0 else 0
        if borrow:
            written = f"{rest + 10}{written}"
            lines.append(f"{top + 10}-{taken}={rest + 10}{borrows}{colon}{written}")
        else:
            written = f"{rest}{written}"
            lines.append(f"{top}-{taken}={rest}{colon}{written}")
    return lines, written


def digit_product(number: int, digit: int, language: str) -> tuple[list[str], int]:
    """The lines of a product with one digit, and its value."""
    if digit == 0:
        return [f"{number}×0=0"], 0
    carry, written = 0, ""
    colon, carries = COLON[language], CARRY[language]
    lines = []
    comma = COMMA[language]
    digits = str(number)
    for column in range(len(digits) - 1, -1, -1):
        text = digits[column]
        product = (ord(text) - 48) * digit
        line = f"{text}×{digit}={product}"
        if carry:
            line = f"{line}{comma}{product}+{carry}={product + carry}"
        if column == 0:
            lines.append(f"{line}{colon}{product + carry}{written}")
            break
        carry, last = divmod(product + carry, 10)
        written = f"{last}{written}"
        lines.append(f"{line}{carries}{carry}{colon}{written}" if carry else f"{line}{colon}{written}")
    return lines, number * digit


def add_steps(first: int, second: int, language: str) -> str:
    """How to add two numbers that are not negative; the last line is the equation."""
    equation = f"{first} + {second} = {first + second}"
    if min(first, second) < 10 and max(first, second) < 100:
        return equation
    lines, _ = sum_columns((first, second), language)
    lines.append(equation)
    return "\n".join(lines)


def sum_steps(terms: Sequence[int], language: str) -> str:
    """How to add two or three numbers that are not negative; the last line is the equation."""
    if len(terms) == 2:
        return add_steps(terms[0], terms[1], language)
    lines, _ = sum_columns(terms, language)
    lines.append(f"{' + '.join(map(str, terms))} = {sum(terms)}")
    return "\n".join(lines)


def subtract_steps(first: int, second: int, language: str) -> str:
    """How to subtract numbers that are not negative; the last line is the equation."""
    result = first - second
    equation = f"{first} - {second} = {result}"
    if result >= 0 and (first < 20 or first < 100 and second < 10):
        return equation
    lines, written = difference_columns(first, second, language)
    if first != second:
        if written[0] == "0":
            written = written.lstrip("0")
            lines.append(UNPADDED[language] + written)
        if result < 0:
            lines.append(WITH_SIGN[language] + written)
    lines.append(equation)
    return "\n".join(lines)


def multiply_steps(first: int, second: int, language: str) -> str:
    """How to multiply two numbers that are not negative, digit by digit of the shorter; ends in the equation."""
    equation = f"{first} × {second} = {first * second}"
    if first <= 12 and second <= 12 or first <= 1 or second <= 1:
        return equation
    number, factor = (first, second) if len(str(first)) >= len(str(second)) else (second, first)
    if factor < 10:
        lines, _ = digit_product(number, factor, language)
        lines.append(equation)
        return "\n".join(lines)
    lines, parts, scale = [], [], 1
    for digit in reversed(str(factor)):
        if digit != "0":
            lines.append(f"{number}×{digit}{COLON[language].rstrip()}")
        steps, part = digit_product(number, ord(digit) - 48, language)
        lines += steps
        parts.append(part * scale)
        scale *= 10
    steps, _ = sum_columns(parts, language)
    steps[0] = SHIFTED[language] + steps[0]
    lines += steps
    lines.append(equation)
    return "\n".join(lines)


_ADD_NEGATIVE = {"en": "Adding {0} is subtracting {1}.\n", "zh": "加上 {0} 就是减去 {1}。\n"}
_SUBTRACT_NEGATIVE = {"en": "Subtracting {0} is adding {1}.\n", "zh": "减去 {0} 就是加上 {1}。\n"}
_FROM_NEGATIVE = {"en": "{0} + {1} is {1} - {2}.\n", "zh": "{0} + {1} 就是 {1} - {2}。\n"}
_BOTH_NEGATIVE = {"en": "Both parts are negative: add, then put the sign.\n", "zh": "两部分都是负数：先相加，再加负号。\n"}
_DIFFERENT_SIGNS = {"en": "Different signs, so the result is negative.\n", "zh": "符号不同，结果是负数。\n"}
_SAME_SIGNS = {"en": "Both are negative, so the result is positive.\n", "zh": "两个都是负数，结果是正数。\n"}


def equation(first: int, operator: str, second: int) -> str:
    """ "12 + (-5) = 7": the canonical answer of one operation ("+", "-" or "×")."""
    result = first + second if operator == "+" else first - second if operator == "-" else first * second
    right = f"({second})" if second < 0 else str(second)
    return f"{first} {operator} {right} = {result}"


def operation_steps(first: int, operator: str, second: int, language: str) -> str:
    """How to do one operation with numbers of any sign; the last line is `equation`."""
    if first >= 0 and second >= 0:
        steps = add_steps if operator == "+" else subtract_steps if operator == "-" else multiply_steps
        return steps(first, second, language)
    left, right = abs(first), abs(second)
    end = "\n" + equation(first, operator, second)
    if operator == "×":
        if not left or not right:
            return end[1:]
        signs = _SAME_SIGNS if first < 0 and second < 0 else _DIFFERENT_SIGNS
        return signs[language] + multiply_steps(left, right, language) + end
    text = ""
    if second < 0:
        text = (_ADD_NEGATIVE if operator == "+" else _SUBTRACT_NEGATIVE)[language].format(second, right)
        operator = "-" if operator == "+" else "+"
    if first >= 0:
        steps = subtract_steps if operator == "-" else add_steps
        return text + steps(first, right, language) + end
    if operator == "-":
        return text + _BOTH_NEGATIVE[language] + add_steps(left, right, language) + end
    text += _FROM_NEGATIVE[language].format(first, right, left)
    return text + subtract_steps(right, left, language) + end
