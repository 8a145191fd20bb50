"""Times of day: so many minutes or hours after or before one, and how long it is between two."""

from random import Random

from ..example import Example
from ..phrasing import ask, between, pick

_AFTER_EN = (
    "what time is it {1} after {0}", "it is {0}. what time is it in {1}", "what time will it be {1} after {0}",
    "{0} plus {1}", "{0} + {1}", "it's {0} now, what time will it be in {1}",
    "a film starts at {0} and lasts {1}. when does it end", "a meeting starts at {0} and takes {1}. when is it over",
    "the train leaves at {0} and needs {1}. when does it arrive",
    "if it is {0}, what time is it {1} later", "which time is {1} later than {0}",
)  # fmt: skip
_BEFORE_EN = (
    "what time is it {1} before {0}", "it is {0}. what time was it {1} ago", "{0} minus {1}", "{0} - {1}",
    "what time was it {1} before {0}",
    "a film took {1} and ended at {0}. when did it start", "if it is {0}, what time was it {1} earlier",
    "which time is {1} earlier than {0}",
)  # fmt: skip
_BETWEEN_EN = (
    "how long is it from {0} to {1}", "how much time is there between {0} and {1}",
    "a film runs from {0} to {1}. how long is it", "how long is {0} to {1}", "from {0} to {1}, how long is that",
    "a meeting starts at {0} and ends at {1}. how long does it take", "time from {0} to {1}",
    "i sleep from {0} to {1}. how long is that", "it is {0}. how long until {1}",
)  # fmt: skip
_AFTER_ZH = (
    "{0}过{1}是几点", "现在是{0}，{1}后是几点", "{0}之后{1}是什么时间", "{0}加{1}是几点", "电影{0}开始，放映{1}，几点结束", "会议{0}开始，开了{1}，什么时候结束",
    "火车{0}出发，行驶{1}，几点到达", "如果现在是{0}，再过{1}是几点", "从{0}开始，{1}以后是几点",
)  # fmt: skip
_BEFORE_ZH = (
    "{0}之前{1}是几点", "现在是{0}，{1}前是几点", "{0}减{1}是几点", "电影放映了{1}，{0}结束，几点开始的", "如果现在是{0}，{1}以前是几点", "{0}往前{1}是什么时间",
)  # fmt: skip
_BETWEEN_ZH = (
    "从{0}到{1}有多长时间", "{0}到{1}是多久", "从{0}到{1}经过了多久", "电影从{0}放到{1}，放了多长时间", "会议{0}开始，{1}结束，开了多久", "{0}与{1}之间相差多长时间",
    "现在是{0}，到{1}还有多久",
)  # fmt: skip


def _made(language: str, question: str, lines: list[str], answer: str) -> Example:
    return Example("calendar", language, "\n".join(lines), answer, (("user", question),))


def _twelve(hour: int, minute: int) -> str:
    return f"{hour % 12 or 12}:{minute:02d} {'a.m.' if hour < 12 else 'p.m.'}"


def _typed(rng: Random, language: str, hour: int, minute: int, halves: bool) -> str:
    """A time as somebody types it: of the half day with a.m. and p.m. (halves), or of 24 hours."""
    if language == "zh":
        if halves:
            part, number = ("上午", hour) if hour < 12 else ("下午", hour - 12)
            if not minute:
                return f"{part}{number}点"
            return f"{part}{number}:{minute:02d}" if rng.random() < 0.4 else f"{part}{number}点{minute}分"
        kind = rng.random()
        if kind < 0.6:
            return f"{hour}:{minute:02d}" if kind < 0.2 else f"{hour:02d}:{minute:02d}"
        return f"{hour}点{minute}分" if minute else f"{hour}点"
    if halves:
        suffix = pick(rng, ((" a.m.", " p.m."), (" am", " pm"), ("am", "pm"), (" AM", " PM"), ("AM", "PM")))[hour >= 12]
        short = not minute and rng.random() < 0.5
        return f"{hour % 12 or 12}{suffix}" if short else f"{hour % 12 or 12}:{minute:02d}{suffix}"
    return f"{hour}:{minute:02d}" if rng.random() < 0.35 else f"{hour:02d}:{minute:02d}"


def _span(language: str, hours: int, minutes: int) -> str:
    if language == "zh":
        return (f"{hours}小时" if hours else "") + (f"{minutes}分钟" if minutes or not hours else "")
    parts = [f"{hours} hour" + "s" * (hours != 1)] * (hours > 0)
    if minutes or not hours:
        parts.append(f"{minutes} minute" + "s" * (minutes != 1))
    return " ".join(parts)


def _span_typed(rng: Random, language: str, hours: int, minutes: int) -> str:
    if language == "en" and hours and minutes and rng.random() < 0.35:
        return _span(language, hours, 0) + " and " + _span(language, 0, minutes)
    if language == "zh" and hours and not minutes:
        return f"{hours}个小时" if rng.random() < 0.5 else f"{hours}小时"
    return _span(language, hours, minutes)


def _minute(rng: Random) -> int:
    kind = rng.random()
    return 0 if kind < 0.15 else between(rng, 1, 11) * 5 if kind < 0.55 else between(rng, 1, 59)


def _in_halves(rng: Random, language: str, hour: int) -> bool:
    """Whether to write the time with a.m. and p.m.; in Chinese only where morning and afternoon are beyond doubt."""
    if language == "zh":
        return rng.random() < 0.3 and (7 <= hour <= 11 or 13 <= hour <= 18)
    return rng.random() < 0.4


def clock(rng: Random, language: str) -> Example:
    """A time after or before another one, or the time between two."""
    if rng.random() < 0.3:
        return _between(rng, language)
    return _shifted(rng, language)


def _shifted(rng: Random, language: str) -> Example:
    en = language == "en"
    later = rng.random() < 0.65
    hour, minute = between(rng, 0, 23), _minute(rng)
    halves = _in_halves(rng, language, hour)
    kind = rng.random()
    lines: list[str] = []
    dot, colon, comma = (".", ": ", ", ") if en else ("。", "：", "，")
    shown = _typed(rng, language, hour, minute, halves)
    if halves:
        name = _twelve(hour, minute) if en else f"下午{hour - 12}点" if hour > 12 else f"上午{hour}点"
        if en or hour > 12:
            lines.append(f"{name} = {hour:02d}:{minute:02d}{dot}" if en else f"{name}是{hour}点{dot}")
    if kind < 0.3:
        hours, minutes = between(rng, 1, 12), 0
        span = _span_typed(rng, language, hours, 0)
    elif kind < 0.65:
        total = between(rng, 1, 59) if rng.random() < 0.6 else between(rng, 60, 240)
        hours, minutes = divmod(total, 60)
        span = _span_typed(rng, language, 0, total)
        if hours:
            lines.append(
                f"{total} − {hours * 60} = {minutes}{comma}" + (
                    f"so {_span(language, hours, minutes)}." if en else f"即{_span(language, hours, minutes)}。"))
    else:
        hours, minutes = between(rng, 1, 11), between(rng, 1, 59)
        span = _span_typed(rng, language, hours, minutes)
    if en:
        template = pick(rng, _AFTER_EN if later else _BEFORE_EN)
    else:
        template = pick(rng, _AFTER_ZH if later else _BEFORE_ZH)
    question = ask(rng, language, "bare" if template.startswith("{0} ") else "question", template, shown, span)
    names = ("Minutes", "Hours") if en else ("分", "时")
    if later:
        new_minute, carry = minute + minutes, 0
        lines.append(f"{names[0]}{colon}{minute} + {minutes} = {new_minute}{dot}")
        if new_minute >= 60:
            carry = 1
            lines.append(f"{new_minute} − 60 = {new_minute - 60}{comma}" + ("one hour more." if en else "进 1 小时。"))
            new_minute -= 60
        new_hour = hour + hours + carry
        lines.append(f"{names[1]}{colon}{hour} + {hours}{' + 1' * carry} = {new_hour}{dot}")
        if new_hour >= 24:
            lines.append(f"{new_hour} − 24 = {new_hour - 24}{comma}" + ("the next day." if en else "到了第二天。"))
            new_hour -= 24
    else:
        borrow = 1 if minute < minutes else 0
        new_minute = minute - minutes
        if borrow:
            new_minute += 60
            lines.append(
                f"{names[0]}{colon}{minute} + 60 = {minute + 60}{comma}" + ("one hour less." if en else "退 1 小时。"))
            lines.append(f"{minute + 60} − {minutes} = {new_minute}{dot}")
        else:
            lines.append(f"{names[0]}{colon}{minute} − {minutes} = {new_minute}{dot}")
        new_hour = hour - hours - borrow
        lines.append(f"{names[1]}{colon}{hour} − {hours}{' − 1' * borrow} = {new_hour}{dot}")
        if new_hour < 0:
            lines.append(f"{new_hour} + 24 = {new_hour + 24}{comma}" + ("the day before." if en else "是前一天。"))
            new_hour += 24
    answer = f"{new_hour:02d}:{new_minute:02d}"
    if halves and en:
        lines.append(f"{answer} = {_twelve(new_hour, new_minute)}")
        answer = _twelve(new_hour, new_minute)
    return _made(language, question, lines, answer)


def _between(rng: Random, language: str) -> Example:
    en = language == "en"
    hour, minute = between(rng, 0, 23), _minute(rng)
    if rng.random() < 0.2:
        # Over midnight.
        hour, end_hour = between(rng, 17, 23), between(rng, 0, 9)
    else:
        end_hour = between(rng, hour, 23)
    end_minute = _minute(rng)
    if end_hour == hour and end_minute <= minute:
        minute, end_minute = (end_minute, minute) if end_minute < minute else (between(rng, 0, 20),
            between(rng, 21, 59))
    halves = _in_halves(rng, language, hour)
    if not en and halves:
        halves = 7 <= end_hour <= 11 or 13 <= end_hour <= 18
    dot, colon, comma = (".", ": ", ", ") if en else ("。", "：", "，")
    lines = []
    if halves:
        for one_hour, one_minute in ((hour, minute), (end_hour, end_minute)):
            if en:
                lines.append(f"{_twelve(one_hour, one_minute)} = {one_hour:02d}:{one_minute:02d}.")
            elif one_hour > 12:
                lines.append(f"下午{one_hour - 12}点是{one_hour}点。")
    names = ("Minutes", "Hours") if en else ("分", "时")
    borrow = 1 if end_minute < minute else 0
    if borrow:
        minutes = end_minute + 60 - minute
        lines.append(
            f"{names[0]}{colon}{end_minute} + 60 = {end_minute + 60}{comma}" + ("one hour less." if en else "退 1 小时。"))
        lines.append(f"{end_minute + 60} − {minute} = {minutes}{dot}")
    else:
        minutes = end_minute - minute
        lines.append(f"{names[0]}{colon}{end_minute} − {minute} = {minutes}{dot}")
    hours = end_hour - hour - borrow
    lines.append(f"{names[1]}{colon}{end_hour} − {hour}{' − 1' * borrow} = {hours}{dot}")
    if hours < 0:
        lines.append(f"{hours} + 24 = {hours + 24}{comma}" + ("over midnight." if en else "过了半夜。"))
        hours += 24
    shown = _typed(rng, language, hour, minute, halves), _typed(rng, language, end_hour, end_minute, halves)
    template = pick(rng, _BETWEEN_EN if en else _BETWEEN_ZH)
    question = ask(rng, language, "bare" if template.startswith("time ") else "question", template, *shown)
    return _made(language, question, lines, _span(language, hours, minutes))
