"""Weekdays, months, leap years, dates and times of day."""

from random import Random

from ..example import Example
from ..phrasing import ask, between, pick
from .clock import clock

WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
}
MONTHS_EN = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
MONTHS = {"en": MONTHS_EN, "zh": tuple(f"{number}月" for number in range(1, 13))}
LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ORDINALS_ZH = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")


def _made(language: str, question: str, lines: list[str], answer: str) -> Example:
    return Example("calendar", language, "\n".join(lines), answer, (("user", question),))


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th …"""
    if 11 <= number % 100 <= 13:
        return f"{number}th"
    return f"{number}{('th', 'st', 'nd', 'rd')[number % 10] if number % 10 < 4 else 'th'}"


def is_leap(year: int) -> bool:
    """Whether a year of the Gregorian calendar has 366 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _day_typed(rng: Random, language: str, index: int) -> str:
    if language == "en":
        name = WEEKDAYS["en"][index]
        kind = rng.random()
        return name if kind < 0.75 else name.lower() if kind < 0.95 else name.upper()
    name = WEEKDAYS["zh"][index]
    kind = rng.random()
    if kind < 0.65:
        return name
    return ("周" if kind < 0.85 else "礼拜") + (name[-1] if index < 6 or rng.random() < 0.6 else "天")


_AFTER_EN = (
    "today is {0}. what day is it in {1}", "if today is {0}, what day will it be in {1}",
    "it is {0}. which weekday is it in {1}",
    "what day is {1} after {0}", "which day comes {1} after {0}", "what weekday is {1} from {0}", "{0} plus {1}",
    "what day of the week is {1} after a {0}", "it's {0} today, what day will it be after {1}", "{0} + {1}",
    "today is {0}, what is the day {1} from now", "which weekday is it {1} after {0}",
)  # fmt: skip
_BEFORE_EN = (
    "today is {0}. what day was it {1} ago", "if today is {0}, what day was {1} ago",
    "it is {0}. which weekday was it {1} ago",
    "what day is {1} before {0}", "which day comes {1} before {0}", "{0} minus {1}",
    "what day of the week is {1} before a {0}",
    "it's {0} today, what day was it {1} ago", "{0} - {1}", "which weekday was it {1} before {0}",
)  # fmt: skip
_AFTER_ZH = (
    "今天是{0}，{1}后是星期几", "如果今天是{0}，再过{1}是星期几", "{0}之后{1}是星期几", "{0}过{1}是星期几", "今天{0}，过{1}是星期几", "{0}往后{1}是星期几",
    "今天是{0}，{1}以后是星期几", "{0}再过{1}是周几", "假如今天是{0}，{1}之后是星期几", "从{0}开始往后数{1}是星期几", "今天是{0}，那么{1}后是周几",
)  # fmt: skip
_BEFORE_ZH = (
    "今天是{0}，{1}前是星期几", "如果今天是{0}，{1}前是星期几", "{0}之前{1}是星期几", "{0}往前{1}是星期几", "今天{0}，{1}以前是星期几", "今天是{0}，{1}之前是周几",
    "假如今天是{0}，{1}以前是星期几", "从{0}往前数{1}是星期几", "今天是{0}，那么{1}前是周几",
)  # fmt: skip
_NEAR_EN = {
    1: ("today is {0}. what day is tomorrow", "what day comes after {0}", "which day follows {0}",
        "what is the day after {0}", "if today is {0}, what is tomorrow"),
    2: ("today is {0}. what day is the day after tomorrow", "if it is {0}, what is the day after tomorrow"),
    -1: ("today is {0}. what day was yesterday", "what day comes before {0}", "which day is before {0}",
        "if today is {0}, what was yesterday"),
    -2: ("today is {0}. what day was the day before yesterday", "if it is {0}, what was the day before yesterday"),
}
_NEAR_ZH = {
    1: ("今天是{0}，明天是星期几", "{0}的后一天是星期几", "{0}的第二天是星期几", "如果今天是{0}，明天是周几"),
    2: ("今天是{0}，后天是星期几", "如果今天是{0}，后天是周几"),
    -1: ("今天是{0}，昨天是星期几", "{0}的前一天是星期几", "如果今天是{0}，昨天是周几"),
    -2: ("今天是{0}，前天是星期几", "如果今天是{0}，前天是周几"),
}


def _weekday(rng: Random, language: str) -> Example:
    """A weekday some days after or before another one."""
    start = int(rng.random() * 7)
    sign = 1 if rng.random() < 0.6 else -1
    names = WEEKDAYS[language]
    en = language == "en"
    lines: list[str] = []
    shown = _day_typed(rng, language, start)
    if rng.random() < 0.12:
        days = pick(rng, (1, 1, 2))
        question = ask(rng, language, "question", pick(rng, (_NEAR_EN if en else _NEAR_ZH)[sign * days]), shown)
    else:
        kind = rng.random()
        days = between(rng, 1, 20) if kind < 0.35 else between(rng, 1, 100) if kind < 0.9 else 7 * between(rng, 1, 14)
        amount = (f"{days} day" + "s" * (days > 1)) if en else pick(rng, ("{}天", "{}天", " {} 天")).format(days)
        if days % 7 == 0 and rng.random() < 0.6:
            weeks = days // 7
            amount = (f"{weeks} week" + "s" * (weeks > 1)) if en else f"{weeks}个星期"
            lines.append(f"{weeks} × 7 = {days}." if en else f"{weeks} × 7 = {days}。")
        table = (_AFTER_EN, _BEFORE_EN) if en else (_AFTER_ZH, _BEFORE_ZH)
        template = pick(rng, table[sign < 0])
        question = ask(rng, language, "bare" if template.startswith("{0} ") else "question", template, shown, amount)
    rest = days % 7
    if days >= 7:
        whole = days - rest
        if en:
            lines.append(f"{days} = {whole} + {rest}, and {whole} = 7 × {whole // 7}, whole weeks.")
        else:
            lines.append(f"{days} = {whole} + {rest}，{whole} = 7 × {whole // 7}，是整星期。")
    walk = [names[(start + sign * step) % 7] for step in range(1, rest + 1)]
    if not walk:
        lines.append(f"The same day: {names[start]}." if en else f"同一天：{names[start]}。")
    elif en:
        way = "after" if sign > 0 else "before"
        lines.append(f"{rest} day{'s' * (rest > 1)} {way} {names[start]}: {', '.join(walk)}.")
    else:
        way = "往后" if sign > 0 else "往前"
        lines.append(f"从{names[start]}{way} {rest} 天：{'、'.join(walk)}。")
    return _made(language, question, lines, names[(start + sign * days) % 7])


_MONTH_AFTER_EN = (
    "what month is {1} after {0}", "which month comes {1} after {0}", "it is {0}. what month is it in {1}",
    "{0} plus {1}", "what month will it be in {1} if it is {0} now",
)
_MONTH_BEFORE_EN = (
    "what month is {1} before {0}", "which month comes {1} before {0}", "it is {0}. what month was it {1} ago",
    "{0} minus {1}", "what month was it {1} ago if it is {0} now",
)
_MONTH_AFTER_ZH = ("{0}之后{1}是几月", "现在是{0}，{1}后是几月", "{0}再过{1}是几月", "{0}往后{1}是哪个月", "如果现在是{0}，过{1}是几月")
_MONTH_BEFORE_ZH = ("{0}之前{1}是几月", "现在是{0}，{1}前是几月", "{0}往前{1}是哪个月", "如果现在是{0}，{1}以前是几月")
_MONTH_NEXT = {
    ("en", 1): ("what month comes after {0}", "which month follows {0}", "what is the next month after {0}",
     "it is {0}. what is next month"),
    ("en", -1): ("what month comes before {0}", "which month precedes {0}", "what is the month before {0}",
     "it is {0}. what was last month"),
    ("zh", 1): ("{0}的下一个月是几月", "{0}后面是哪个月", "现在是{0}，下个月是几月", "{0}的下个月是哪个月"),
    ("zh", -1): ("{0}的上一个月是几月", "{0}前面是哪个月", "现在是{0}，上个月是几月", "{0}的上个月是哪个月"),
}


def _month(rng: Random, language: str) -> Example:
    """A month some months after or before another one, by its number."""
    start = between(rng, 1, 12)
    sign = 1 if rng.random() < 0.6 else -1
    en = language == "en"
    shown = _month_typed(rng, language, start)
    if rng.random() < 0.3:
        months = 1
        question = ask(rng, language, "question", pick(rng, _MONTH_NEXT[language, sign]), shown)
    else:
        months = between(rng, 2, 30)
        amount = f"{months} months" if en else f"{months}个月"
        if en:
            template = pick(rng, _MONTH_AFTER_EN if sign > 0 else _MONTH_BEFORE_EN)
        else:
            template = pick(rng, _MONTH_AFTER_ZH if sign > 0 else _MONTH_BEFORE_ZH)
        question = ask(rng, language, "bare" if template.startswith("{0} ") else "question", template, shown, amount)
    dot = "." if en else "。"
    lines = [f"{MONTHS_EN[start - 1]} is month {start}."] if en else []
    number = start + sign * months
    lines.append(f"{start} {'+' if sign > 0 else '−'} {months} = {number}{dot}")
    while not 1 <= number <= 12:
        step = -12 if number > 12 else 12
        lines.append(f"{number} {'−' if step < 0 else '+'} 12 = {number + step}{dot}")
        number += step
    name = MONTHS[language][number - 1]
    lines.append(f"Month {number} is {name}." if en else f"所以是{name}。")
    return _made(language, question, lines, name)


def _month_typed(rng: Random, language: str, number: int) -> str:
    if language == "zh":
        return f"{number}月" if rng.random() < 0.7 else f"{_ORDINALS_ZH[number - 1]}月"
    name = MONTHS_EN[number - 1]
    kind = rng.random()
    return name if kind < 0.8 else name.lower() if kind < 0.97 else name.upper()


_NUMBER_OF_EN = ("what number is the month of {0}", "which month of the year is {0}", "{0} is month number",
    "what is the number of the month {0}", "as a number, what month is {0}")
_NAME_OF_EN = ("what is month {0}", "which month is number {0}", "what is the {1} month of the year",
    "name the {1} month", "what's the {1} month", "month number {0} is called what")


def _month_number(rng: Random, language: str) -> Example:
    """The number of a month, or the month of a number (an English matter), or the days of a month."""
    number = between(rng, 1, 12)
    name = MONTHS_EN[number - 1]
    if language == "zh" or rng.random() < 0.5:
        return _month_length(rng, language)
    if rng.random() < 0.5:
        shown = _month_typed(rng, language, number)
        question = ask(rng, language, "question", pick(rng, _NUMBER_OF_EN), shown)
        return _made(language, question, [f"{name} is month {number}."], str(number))
    template = pick(rng, _NAME_OF_EN)
    kind = "request" if template.startswith("name") else "question"
    return _made(language, ask(rng, language, kind, template, number, ordinal(number)), [f"Month {number} is {name}."],
        name)


_LENGTH_EN = (
    "how many days does {0} have", "how many days are in {0}", "how many days has {0}", "days in {0}",
    "how long is {0} in days", "number of days in {0}", "how many days are there in {0}",
)
_LENGTH_ZH = ("{0}有多少天", "{0}有几天", "{0}一共有多少天", "{0}的天数是多少", "{0}共几天", "{0}多少天")


def _length_question(rng: Random, language: str, period: str) -> str:
    template = pick(rng, _LENGTH_EN if language == "en" else _LENGTH_ZH)
    return ask(rng, language, "bare" if template.startswith(("days", "number")) else "question", template, period)


def _days(language: str, number: int) -> str:
    return f"{number} days" if language == "en" else f"{number}天"


def _month_length(rng: Random, language: str) -> Example:
    """How many days a month of a year has."""
    number, year = between(rng, 1, 12), _year(rng)
    if rng.random() < 0.5:
        number = 2
    name = MONTHS[language][number - 1]
    if number != 2 and rng.random() < 0.3:
        period = _month_typed(rng, language, number)
    elif language == "en":
        period = f"{_month_typed(rng, language, number)} {year}"
    else:
        period = f"{year}年{_month_typed(rng, language, number)}"
    question = _length_question(rng, language, period)
    if number == 2:
        length = 29 if is_leap(year) else 28
        lines = leap_lines(language, year)
        lines.append(f"So February has {length} days." if language == "en" else f"所以2月有{length}天。")
    else:
        length = LENGTHS[number - 1]
        lines = [f"{name} always has {length} days." if language == "en" else f"{name}总是有{length}天。"]
    return _made(language, question, lines, _days(language, length))


def _year(rng: Random) -> int:
    kind = rng.random()
    if kind < 0.2:
        return between(rng, 16, 24) * 100
    return between(rng, 1900, 2100) if kind < 0.6 else between(rng, 1600, 2400)


def leap_lines(language: str, year: int) -> list[str]:
    """The rule for leap years, step by step."""
    en = language == "en"
    tail = year % 100
    if tail == 0:
        century = year // 100
        quotient, rest = divmod(century, 4)
        sum_ = f"{century} = 4 × {quotient}" + (f" + {rest}" if rest else "")
        if en:
            lines = [f"{year} ends in 00, so it must be divisible by 400: look at {century}."]
            lines.append(
                f"{sum_}, " + ("not divisible by 4: not a leap year." if rest else "divisible by 4: a leap year."))
        else:
            lines = [f"{year} 以 00 结尾，必须能被 400 整除：看 {century}。"]
            lines.append(f"{sum_}，" + ("不能被 4 整除：不是闰年。" if rest else "能被 4 整除：是闰年。"))
        return lines
    quotient, rest = divmod(tail, 4)
    sum_ = f"{tail} = 4 × {quotient}" + (f" + {rest}" if rest else "")
    if en:
        return [
            f"{year} does not end in 00: look at {tail:02d}.",
            f"{sum_}, " + ("not divisible by 4: not a leap year." if rest else "divisible by 4: a leap year."),
        ]
    return [
        f"{year} 不以 00 结尾：看 {tail:02d}。",
        f"{sum_}，" + ("不能被 4 整除：不是闰年。" if rest else "能被 4 整除：是闰年。"),
    ]


_LEAP_EN = (
    "is {0} a leap year", "was {0} a leap year", "is the year {0} a leap year", "{0}, leap year or not",
    "is {0} a leap year or not", "do you know if {0} is a leap year",
    "leap year {0}", "does {0} have a february 29", "is there a february 29 in {0}", "has {0} got 366 days",
)  # fmt: skip
_LEAP_ZH = ("{0}年是闰年吗", "{0}是不是闰年", "{0}年是不是闰年", "{0}年是闰年还是平年", "判断{0}年是否是闰年", "{0}是闰年吗", "{0}年是否为闰年")


def _leap(rng: Random, language: str) -> Example:
    """Whether a year is a leap year, or how many days it has."""
    year = _year(rng)
    lines = leap_lines(language, year)
    leap = is_leap(year)
    if rng.random() < 0.2:
        period = pick(rng, ("{}", "the year {}")).format(year) if language == "en" else f"{year}年"
        question = _length_question(rng, language, period)
        return _made(language, question, lines, _days(language, 366 if leap else 365))
    template = pick(rng, _LEAP_EN if language == "en" else _LEAP_ZH)
    kind = "request" if template.startswith("判断") else "bare" if template.startswith(("{0},", "leap")) else "question"
    question = ask(rng, language, kind, template, year)
    if language == "en":
        answer = f"Yes, {year} is a leap year." if leap else f"No, {year} is not a leap year."
    else:
        answer = f"{year}年是闰年。" if leap else f"{year}年不是闰年。"
    return _made(language, question, lines, answer)


def _date(language: str, month: int, day: int) -> str:
    return f"{MONTHS_EN[month - 1]} {day}" if language == "en" else f"{month}月{day}日"


def _date_typed(rng: Random, language: str, month: int, day: int, year: int = 0) -> str:
    if language == "zh":
        text = f"{month}月{day}" + pick(rng, "日日号")
        return f"{year}年{text}" if year else text
    name = MONTHS_EN[month - 1]
    kind = rng.random()
    if kind < 0.4:
        text = f"{name} {day}"
    elif kind < 0.6:
        text = f"{day} {name}"
    elif kind < 0.75:
        text = f"{name} {ordinal(day)}"
    elif kind < 0.85:
        text = f"the {ordinal(day)} of {name}"
    else:
        text = f"{name[:3]} {day}"
    if not year:
        return text
    return f"{text}, {year}" if text[-1].isdigit() or text.startswith(name) else f"{text} {year}"


_DATE_AFTER_EN = (
    "what date is {1} after {0}", "what is the date {1} after {0}", "today is {0}. what date is it in {1}",
    "{0} plus {1}", "if today is {0}, what is the date in {1}",
    "it is {0}. which date is {1} from now", "which date comes {1} after {0}", "what day is {1} from {0}", "{0} + {1}",
)  # fmt: skip
_DATE_AFTER_ZH = (
    "{0}之后{1}是几月几日", "今天是{0}，{1}后是几月几号", "{0}再过{1}是几月几日", "{0}加{1}是哪天", "如果今天是{0}，{1}后是几月几日", "从{0}往后数{1}是几月几日",
    "{0}过{1}是哪一天",
)


def _month_has(language: str, month: int, year: int) -> tuple[int, list[str]]:
    """The days of a month, and the lines that say so."""
    if month != 2:
        length = LENGTHS[month - 1]
        return length, [f"{MONTHS_EN[month - 1]} has {length} days." if language == "en" else f"{month}月有{length}天。"]
    length = 29 if is_leap(year) else 28
    has = f"So February has {length} days." if language == "en" else f"所以2月有{length}天。"
    return length, [*leap_lines(language, year), has]


def _date_after(rng: Random, language: str) -> Example:
    """A date some days after another one, within the month or in the next one."""
    month, year = between(rng, 1, 12), between(rng, 1990, 2040)
    length, lines = _month_has(language, month, year)
    day = between(rng, 1, length)
    following = month % 12 + 1
    most = length - day + (28 if following == 2 else LENGTHS[following - 1])
    least = 1 if rng.random() < 0.25 else min(length - day + 1, most)
    days = between(rng, least, min(most, 60)) if least < 60 else 60
    with_year = month == 2 or rng.random() < 0.1
    shown = _date_typed(rng, language, month, day, year if with_year else 0)
    en = language == "en"
    amount = (f"{days} day" + "s" * (days > 1)) if en else f"{days}天"
    template = pick(rng, _DATE_AFTER_EN if en else _DATE_AFTER_ZH)
    question = ask(rng, language, "bare" if template.startswith("{0} ") else "question", template, shown, amount)
    total = day + days
    dot = "." if en else "。"
    lines.append(f"{day} + {days} = {total}{dot}")
    if total > length:
        name = MONTHS[language][following - 1]
        lines.append(
            f"{total} is more than {length}: {total} − {length} = {total - length}, in {name}."
            if en
            else f"{total} 大于 {length}：{total} − {length} = {total - length}，在{name}。"
        )
        return _made(language, question, lines, _date(language, following, total - length))
    if en:
        lines.append(f"{total} is not more than {length}: still {MONTHS_EN[month - 1]}.")
    else:
        lines.append(f"{total} 不大于 {length}：还是{month}月。")
    return _made(language, question, lines, _date(language, month, total))


_BETWEEN_EN = (
    "how many days are there from {0} to {1}", "how many days from {0} to {1}", "how many days are between {0} and {1}",
    "today is {0}. how many days until {1}",
    "days from {0} to {1}", "how many days is it from {0} until {1}",
)  # fmt: skip
_BETWEEN_ZH = ("从{0}到{1}有多少天", "{0}到{1}相差多少天", "{0}到{1}相隔几天", "今天是{0}，距离{1}还有多少天", "从{0}算起，到{1}过了多少天")


def _date_between(rng: Random, language: str) -> Example:
    """The days from a date to a later one of the same or the next month."""
    month = pick(rng, (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))
    length = LENGTHS[month - 1]
    en = language == "en"
    dot = "." if en else "。"
    if rng.random() < 0.3:
        first = between(rng, 1, length - 1)
        second = between(rng, first + 1, length)
        later, total = month, second - first
        lines = [f"{second} − {first} = {total}{dot}"]
    else:
        later = month % 12 + 1
        first, second = between(rng, 1, length), between(rng, 1, 28 if later == 2 else LENGTHS[later - 1])
        rest = length - first
        total = rest + second
        lines = [f"{MONTHS_EN[month - 1]} has {length} days." if en else f"{month}月有{length}天。"]
        lines += [f"{length} − {first} = {rest}{dot}", f"{rest} + {second} = {total}{dot}"]
    template = pick(rng, _BETWEEN_EN if en else _BETWEEN_ZH)
    shown = _date_typed(rng, language, month, first), _date_typed(rng, language, later, second)
    question = ask(rng, language, "bare" if template.startswith("days") else "question", template, *shown)
    return _made(language, question, lines, ("1 day" if total == 1 else f"{total} days") if en else f"{total}天")


_OF_YEAR_EN = ("which day of the year is {0}", "what day of the year is {0}", "{0} is which day of the year",
    "what number day of the year is {0}")
_OF_YEAR_ZH = ("{0}是一年中的第几天", "{0}是当年的第几天", "{0}是这一年的第几天")


def _day_of_year(rng: Random, language: str) -> Example:
    """Which day of the year a date of the first three months is."""
    month, year = between(rng, 1, 3), between(rng, 1990, 2040)
    en = language == "en"
    dot = "." if en else "。"
    day = between(rng, 1, 28 if month == 2 else 31)
    shown = _date_typed(rng, language, month, day, year)
    number = day
    if month == 1:
        lines = [f"January is the first month: day {day}."] if en else [f"1月是第一个月：第{day}天。"]
    elif month == 2:
        number = 31 + day
        lines = ["January has 31 days." if en else "1月有31天。", f"31 + {day} = {number}{dot}"]
    else:
        length, lines = _month_has(language, 2, year)
        before = 31 + length
        number = before + day
        lines += [f"31 + {length} = {before}{dot}", f"{before} + {day} = {number}{dot}"]
    question = ask(rng, language, "question", pick(rng, _OF_YEAR_EN if en else _OF_YEAR_ZH), shown)
    return _made(language, question, lines, f"day {number}" if en else f"第{number}天")


def calendar(rng: Random, language: str) -> Example:
    """A question about weekdays, months, years, dates or times of day."""
    chance = rng.random()
    if chance < 0.27:
        return _weekday(rng, language)
    if chance < 0.36:
        return _month(rng, language)
    if chance < 0.41:
        return _month_number(rng, language)
    if chance < 0.5:
        return _leap(rng, language)
    if chance < 0.61:
        return _date_after(rng, language)
    if chance < 0.67:
        return _date_between(rng, language)
    if chance < 0.71:
        return _day_of_year(rng, language)
    return clock(rng, language)
