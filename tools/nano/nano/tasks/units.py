"""Units: lengths, masses, volumes, times, money and temperatures, converted with every step a small fact."""

from dataclasses import dataclass
from random import Random

from ..example import Example
from ..phrasing import ask, between, pick


@dataclass(frozen=True)
class Unit:
    """A unit's English singular, plural and symbols, and its Chinese names; the first of each is the one in answers.

    `short` holds abbreviations that only questions use.
    """

    one: str
    many: str
    symbols: tuple[str, ...]
    chinese: tuple[str, ...]
    short: tuple[str, ...] = ()

    def amount(self, number: str, language: str) -> str:
        """The number with the unit as the reasoning and the answer write it."""
        if language == "zh":
            return f"{number}{self.chinese[0]}"
        if self.symbols:
            return f"{number} {self.symbols[0]}"
        return f"{number} {self.one if number == '1' else self.many}"

    def typed(self, rng: Random, number: str, language: str) -> str:
        """The number with the unit as somebody types it."""
        if language == "zh":
            return number + (" " if rng.random() < 0.15 else "") + pick(rng, self.chinese)
        if self.symbols and rng.random() < 0.55:
            return number + (" " if rng.random() < 0.75 else "") + pick(rng, self.symbols)
        if self.short and rng.random() < 0.25:
            return number + (" " if rng.random() < 0.5 else "") + pick(rng, self.short)
        return f"{number} {_spelling(rng, self.one if number == '1' else self.many)}"

    def name(self, rng: Random, language: str) -> str:
        """The unit's name alone, of many."""
        if language == "zh":
            return pick(rng, self.chinese)
        if self.symbols and rng.random() < 0.35:
            return pick(rng, self.symbols)
        return _spelling(rng, self.many)


def _spelling(rng: Random, word: str) -> str:
    """The American word, or the British one."""
    if ("meter" in word or "liter" in word) and rng.random() < 0.35:
        return word.replace("ter", "tre")
    return word


KM = Unit("kilometer", "kilometers", ("km",), ("千米", "公里", "km"))
M = Unit("meter", "meters", ("m",), ("米", "m"))
DM = Unit("decimeter", "decimeters", ("dm",), ("分米", "dm"))
CM = Unit("centimeter", "centimeters", ("cm",), ("厘米", "cm"))
MM = Unit("millimeter", "millimeters", ("mm",), ("毫米", "mm"))
T = Unit("ton", "tons", ("t",), ("吨", "t"))
KG = Unit("kilogram", "kilograms", ("kg",), ("千克", "公斤", "kg"))
G = Unit("gram", "grams", ("g",), ("克", "g"))
MG = Unit("milligram", "milligrams", ("mg",), ("毫克", "mg"))
L = Unit("liter", "liters", ("l", "L"), ("升", "L"))
DL = Unit("deciliter", "deciliters", ("dl",), ("分升",))
ML = Unit("milliliter", "milliliters", ("ml", "mL"), ("毫升", "ml"))
WEEK = Unit("week", "weeks", (), ("周", "个星期", "星期"))
DAY = Unit("day", "days", (), ("天",))
HOUR = Unit("hour", "hours", (), ("小时", "个小时"), ("h", "hrs", "hr"))
MINUTE = Unit("minute", "minutes", (), ("分钟", "分"), ("min", "mins"))
SECOND = Unit("second", "seconds", (), ("秒", "秒钟"), ("s", "sec", "secs"))
YEAR = Unit("year", "years", (), ("年",))
MONTH = Unit("month", "months", (), ("个月",))
DOZEN = Unit("dozen", "dozen", (), ("打",))
PIECE = Unit("piece", "pieces", (), ("个",))
DOLLAR = Unit("dollar", "dollars", (), ("美元",))
CENT = Unit("cent", "cents", (), ("美分",))
EURO = Unit("euro", "euros", (), ("欧元",))
EURO_CENT = Unit("cent", "cents", (), ("欧分",))
YUAN = Unit("yuan", "yuan", (), ("元", "块"))
JIAO = Unit("jiao", "jiao", (), ("角", "毛"))
FEN = Unit("fen", "fen", (), ("分",))

# Units of ten, a hundred or a thousand: only the point moves.
_DECIMAL = [
    (KM, M, 1000), (M, CM, 100), (M, MM, 1000), (CM, MM, 10), (M, DM, 10), (DM, CM, 10), (T, KG, 1000), (KG, G, 1000),
    (G, MG, 1000), (L, ML, 1000), (L, DL, 10),
]  # fmt: skip
_DECIMAL_EN = [*_DECIMAL, (DOLLAR, CENT, 100), (EURO, EURO_CENT, 100)]
_DECIMAL_ZH = [*_DECIMAL, (YUAN, JIAO, 10), (YUAN, FEN, 100), (JIAO, FEN, 10)]
# Units that need a multiplication.
_COUNTED = [
    (HOUR, MINUTE, 60), (MINUTE, SECOND, 60), (DAY, HOUR, 24), (WEEK, DAY, 7), (YEAR, MONTH, 12), (DOZEN, PIECE, 12),
]  # fmt: skip
_ZEROS = {10: 1, 100: 2, 1000: 3}

_TO_EN = (
    "convert {0} to {1}", "{0} in {1}", "how many {1} are in {0}", "how many {1} are {0}", "what is {0} in {1}",
    "express {0} in {1}",
    "{0} = ? {1}", "{0} to {1}", "turn {0} into {1}", "how many {1} is {0}", "change {0} into {1}",
    "{0} is how many {1}", "write {0} in {1}",
    "how many {1} make {0}", "{0} as {1}", "give {0} in {1}", "how much is {0} in {1}", "{0} equals how many {1}",
    "what's {0} in {1}",
)  # fmt: skip
_REQUESTS_EN = ("convert", "express", "turn", "change", "write", "give")
_TO_ZH = (
    "{0}等于多少{1}", "{0}是多少{1}", "{0}有多少{1}", "把{0}换算成{1}", "{0}换算成{1}是多少", "{0}合多少{1}", "{0} = ? {1}", "将{0}化成{1}",
    "{0}等于几{1}", "把{0}转换为{1}", "{0}转成{1}是多少", "{0}化为{1}", "{0}是几{1}", "多少{1}等于{0}",
)  # fmt: skip
_REQUESTS_ZH = ("把", "将")


def _question(rng: Random, language: str, amount: str, unit: str) -> str:
    if language == "en":
        template = pick(rng, _TO_EN)
        if template.startswith(_REQUESTS_EN):
            return ask(rng, language, "request", template, amount, unit)
        kind = "question" if template.startswith(("how", "what")) else "bare"
        return ask(rng, language, kind, template, amount, unit)
    template = pick(rng, _TO_ZH)
    while "?" in template and not any("\u4e00" <= letter for letter in amount + unit):
        # Without a Chinese word it would be an English question.
        template = pick(rng, _TO_ZH)
    if template.startswith(_REQUESTS_ZH):
        return ask(rng, language, "request", template, amount, unit)
    if "?" in template or template.endswith("{1}") and "多少" not in template and "几" not in template:
        return ask(rng, language, "bare", template, amount, unit)
    return ask(rng, language, "question", template, amount, unit)


def _fraction(number: int, places: int) -> str:
    """`number` divided by 10 ** places as a decimal without useless zeros."""
    if places == 0:
        return str(number)
    digits = str(number).rjust(places + 1, "0")
    rest = digits[-places:].rstrip("0")
    return digits[:-places] + ("." + rest if rest else "")


def _made(language: str, question: str, reasoning: str, answer: str) -> Example:
    return Example("units", language, reasoning, answer, (("user", question),))


def _moved(rng: Random, language: str) -> Example:
    """Between units of ten, a hundred and a thousand."""
    large, small, factor = pick(rng, _DECIMAL_ZH if language == "zh" else _DECIMAL_EN)
    zeros = _ZEROS[factor]
    if rng.random() < 0.5:
        # To the smaller unit: a whole number or one with one or two decimals.
        places = pick(rng, (0, 0, 1, 1, 2)) if factor > 10 else pick(rng, (0, 0, 1))
        number = between(rng, 1, 99) if places == 0 or rng.random() < 0.5 else between(rng, 1, 999)
        if places and number % 10 == 0:
            number += between(rng, 1, 9)
        shown, result = _fraction(number, places), str(number * 10 ** (zeros - places))
        fact = f"{large.amount('1', language)} = {small.amount(str(factor), language)}"
        # The decimal is filled up with zeros first, so that the point alone has to move.
        head, _, tail = shown.partition(".")
        filled = f"{shown} = {head}.{tail.ljust(zeros, '0')}" if places and len(tail) < zeros else shown
        moved = result if places == 0 or head != "0" else f"{head}{tail.ljust(zeros, '0')} = {result}"
        if language == "zh":
            how = f"{filled}，小数点右移 {zeros} 位" if places else f"添上 {zeros} 个 0"
            reasoning = f"{fact}。\n{shown} × {factor}：{how}，得 {moved}。"
        else:
            added = f"add {zeros} zero" + "s" * (zeros > 1)
            how = f"{filled}, the point moves {zeros} to the right" if places else added
            reasoning = f"{fact}.\n{shown} × {factor}: {how}, {moved}."
        source, target = large, small
    else:
        # To the larger unit: at most three decimals.
        number = between(rng, 1, 999) if rng.random() < 0.5 else between(rng, 1, 99) * pick(rng, (10, 100, factor))
        shown, result = str(number), _fraction(number, zeros)
        digits = shown.rjust(zeros + 1, "0")
        moved = f"{digits[:-zeros]}.{digits[-zeros:]}"
        if moved != result:
            moved = f"{moved} = {result}"
        fact = f"{small.amount(str(factor), language)} = {large.amount('1', language)}"
        if language == "zh":
            reasoning = f"{fact}。\n{shown} ÷ {factor}：小数点左移 {zeros} 位，得 {moved}。"
        else:
            reasoning = f"{fact}.\n{shown} ÷ {factor}: the point moves {zeros} to the left, {moved}."
        source, target = small, large
    amount = source.typed(rng, shown, language)
    if source in (DOLLAR, EURO) and rng.random() < 0.3:
        amount = ("$" if source is DOLLAR else "€") + shown
    question = _question(rng, language, amount, target.name(rng, language))
    return _made(language, question, reasoning, target.amount(result, language))


def _counted(rng: Random, language: str) -> Example:
    """Between units of time (and dozens), and sums of two such units."""
    large, small, factor = pick(rng, _COUNTED)
    dot, sep = ("。", "：") if language == "zh" else (".", ": ")
    fact = f"{large.amount('1', language)} = {small.amount(str(factor), language)}{dot}\n"
    kind = rng.random()
    number = between(rng, 1, 12) if rng.random() < 0.5 or factor in (24, 12) else between(rng, 13, 40)
    if kind < 0.3:
        result = number * factor
        question = _question(rng, language, large.typed(rng, str(number), language), small.name(rng, language))
        return _made(language, question, f"{fact}{number} × {factor} = {result}{dot}",
            small.amount(str(result), language))
    if kind < 0.42 and factor in (60, 24):
        # Halves of hours, minutes and days.
        half = factor // 2
        result = number * factor + half
        question = _question(rng, language, large.typed(rng, f"{number}.5", language), small.name(rng, language))
        reasoning = (
            f"{fact}{number} × {factor} = {number * factor}{dot}\n0.5 × {factor} = {half}{dot}\n"
            f"{number * factor} + {half} = {result}{dot}"
        )
        return _made(language, question, reasoning, small.amount(str(result), language))
    if kind < 0.65:
        result = number * factor
        question = _question(rng, language, small.typed(rng, str(result), language), large.name(rng, language))
        return _made(language, question, f"{fact}{result} ÷ {factor} = {number}{dot}",
            large.amount(str(number), language))
    rest = between(rng, 1, factor - 1)
    total = number * factor + rest
    if kind < 0.85:
        joint = pick(rng, (" ", " ", " and ")) if language == "en" else pick(rng, ("", "", "零" if rest < 10 else ""))
        amount = large.typed(rng, str(number), language) + joint + small.typed(rng, str(rest), language)
        question = _question(rng, language, amount, small.name(rng, language))
        reasoning = (
            f"{fact}{number} × {factor} = {number * factor}{dot}\n{number * factor} + {rest} = {total}{dot}"
        )
        return _made(language, question, reasoning, small.amount(str(total), language))
    parts = (large, small)
    if language == "en":
        target = f"{large.many} and {small.many}"
        gives = f"{total} ÷ {factor} gives {number}, since {number} × {factor} = {number * factor}."
    else:
        target = f"{parts[0].chinese[0]}和{parts[1].chinese[0]}"
        gives = f"{total} ÷ {factor} 商 {number}，因为 {number} × {factor} = {number * factor}。"
    question = _question(rng, language, small.typed(rng, str(total), language), target)
    reasoning = f"{fact}{gives}\n{total} − {number * factor} = {rest}{dot}"
    joint = " " if language == "en" else ""
    answer = large.amount(str(number), language) + joint + small.amount(str(rest), language)
    return _made(language, question, reasoning, answer)


_MIXED = [(KM, M, 1000), (M, CM, 100), (KG, G, 1000), (L, ML, 1000), (CM, MM, 10), (T, KG, 1000)]
_MIXED_EN = [*_MIXED, (DOLLAR, CENT, 100), (EURO, EURO_CENT, 100)]
_MIXED_ZH = [*_MIXED, (YUAN, JIAO, 10), (YUAN, FEN, 100)]


def _mixed(rng: Random, language: str) -> Example:
    """Two metric units written together, in the smaller one."""
    large, small, factor = pick(rng, _MIXED_ZH if language == "zh" else _MIXED_EN)
    number = between(rng, 1, 30)
    rest = between(rng, 1, 9) if factor == 10 else between(rng, 1, factor - 1)
    if factor == 1000 and rng.random() < 0.6:
        rest = between(rng, 1, 19) * 50
    joint = pick(rng, (" ", " ", " and ")) if language == "en" else ""
    amount = large.typed(rng, str(number), language) + joint + small.typed(rng, str(rest), language)
    total = number * factor + rest
    dot = "。" if language == "zh" else "."
    reasoning = (
        f"{large.amount('1', language)} = {small.amount(str(factor), language)}{dot}\n"
        f"{number} × {factor} = {number * factor}{dot}\n{number * factor} + {rest} = {total}{dot}"
    )
    question = _question(rng, language, amount, small.name(rng, language))
    return _made(language, question, reasoning, small.amount(str(total), language))


_ADD_EN = (
    "add {0} and {1}", "{0} + {1}", "{0} plus {1}", "what is {0} plus {1}", "what is the sum of {0} and {1}",
    "how long are {0} and {1} together",
    "how long is {0} and {1} in total", "how much is {0} plus {1}",
    "a film lasts {0}, another one {1}. how long are both together",
)  # fmt: skip
_ADD_ZH = (
    "{0}加{1}", "{0} + {1}", "{0}加上{1}等于多少", "{0}和{1}一共是多久", "{0}与{1}的和是多少", "计算{0}加{1}", "{0}再加{1}是多长时间",
    "一部电影{0}，另一部{1}，两部一共多长",
)  # fmt: skip


def _durations(rng: Random, language: str) -> Example:
    """The sum of two durations in hours and minutes or in minutes and seconds."""
    large, small = pick(rng, ((HOUR, MINUTE), (HOUR, MINUTE), (MINUTE, SECOND)))
    a, b, c, d = between(rng, 0, 12), between(rng, 1, 59), between(rng, 0, 12), between(rng, 1, 59)
    if rng.random() < 0.5:
        b, d = between(rng, 1, 11) * 5, between(rng, 1, 11) * 5
    joint = " " if language == "en" else ""
    link = joint if language == "zh" or rng.random() < 0.7 else " and "

    def written(many: int, few: int) -> str:
        less = small.amount(str(few), language)
        return large.amount(str(many), language) + link + less if many else less

    first, second = written(a, b), written(c, d)
    names = ("小时", "分钟", "秒") if language == "zh" else ("Hours", "Minutes", "Seconds")
    top, low = names[:2] if large is HOUR else names[1:]
    sep, dot = ("：", "。") if language == "zh" else (": ", ".")
    hours, minutes = a + c, b + d
    lines = [f"{low}{sep}{b} + {d} = {minutes}{dot}"]
    carry = 0
    if minutes >= 60:
        carry = 1
        unit = large.amount("1", language)
        part = small.amount("60", language)
        lines.append(f"{minutes} − 60 = {minutes - 60}{'，' if language == 'zh' else ', '}{part} = {unit}{dot}")
        minutes -= 60
    lines.append(f"{top}{sep}{a} + {c}{' + 1' * carry} = {hours + carry}{dot}")
    hours += carry
    parts = [large.amount(str(hours), language)] * (hours > 0) + [small.amount(str(minutes), language)] * (minutes > 0)
    answer = joint.join(parts)
    template = pick(rng, _ADD_EN if language == "en" else _ADD_ZH)
    if template.startswith(("add", "计算")):
        kind = "request"
    else:
        kind = "bare" if template.startswith("{0}") and len(template) < 12 and "多" not in template else "question"
    question = ask(rng, language, kind, template, first, second)
    return _made(language, question, "\n".join(lines), answer)


_DEGREES_EN = {
    "C": (("{0} degrees celsius", "{0} °C", "{0}°C", "{0} C", "{0} degrees C"), ("celsius", "°C", "degrees celsius")),
    "F": (("{0} degrees fahrenheit", "{0} °F", "{0}°F", "{0} F", "{0} degrees F"),
    ("fahrenheit", "°F", "degrees fahrenheit")),
}
_DEGREES_ZH = {
    "C": (("{0}摄氏度", "{0}°C", "摄氏{0}度", "{0}℃"), ("摄氏度", "°C", "摄氏度")),
    "F": (("{0}华氏度", "{0}°F", "华氏{0}度", "{0}℉"), ("华氏度", "°F", "华氏度")),
}


def _temperature(rng: Random, language: str) -> Example:
    """Celsius and Fahrenheit, where both are whole: multiples of five degrees Celsius."""
    fifth = between(rng, -8, 40)
    celsius, nines = fifth * 5, fifth * 9
    fahrenheit = nines + 32
    degrees = _DEGREES_ZH if language == "zh" else _DEGREES_EN
    dot = "。" if language == "zh" else "."
    if rng.random() < 0.5:
        source, number, target = "C", celsius, "F"
        lines = ["F = C ÷ 5 × 9 + 32", f"{celsius} ÷ 5 = {fifth}", f"{fifth} × 9 = {nines}"]
        lines.append(f"{nines} + 32 = {fahrenheit}")
        answer = f"{fahrenheit} °F"
    else:
        source, number, target = "F", fahrenheit, "C"
        lines = ["C = (F − 32) ÷ 9 × 5", f"{fahrenheit} − 32 = {nines}", f"{nines} ÷ 9 = {fifth}"]
        lines.append(f"{fifth} × 5 = {celsius}")
        answer = f"{celsius} °C"
    reasoning = "\n".join(line + dot for line in lines)
    if language == "zh":
        answer = answer.replace(" ", "")
    amount = pick(rng, degrees[source][0]).format(number)
    question = _question(rng, language, amount, pick(rng, degrees[target][1]))
    return _made(language, question, reasoning, answer)



def units(rng: Random, language: str) -> Example:
    """A conversion, or a sum of durations."""
    chance = rng.random()
    if chance < 0.4:
        return _moved(rng, language)
    if chance < 0.68:
        return _counted(rng, language)
    if chance < 0.81:
        return _mixed(rng, language)
    if chance < 0.92:
        return _durations(rng, language)
    return _temperature(rng, language)
