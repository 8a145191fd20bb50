"""The calendar: answers by the standard library."""

import calendar as standard
import re
import unittest
from datetime import date, timedelta

from nano.example import Example
from nano.tasks import calendar, clock

from .question_checks import LANGUAGES, check_general, examples

WEEKDAYS = {name.lower(): index for index, name in enumerate(calendar.WEEKDAYS["en"])}
WEEKDAYS_ZH = {name: index for index, name in enumerate("一二三四五六日")} | {"天": 6}
MONTHS = {name[:3].lower(): number for number, name in enumerate(calendar.MONTHS_EN, 1)}
STEPS_EN = {"day after tomorrow": 2, "day before yesterday": -2, "tomorrow": 1, "yesterday": -1}
STEPS_EN |= {"comes after": 1, "follows": 1, "day after": 1, "comes before": -1, "is before": -1}
STEPS_ZH = {"后天": 2, "前天": -2, "明天": 1, "后一天": 1, "第二天": 1, "昨天": -1, "前一天": -1}


class Calendar(unittest.TestCase):
    """The parts of the task, each asked for alone."""

    def test_weekdays(self) -> None:
        for language in LANGUAGES:
            for example in examples(calendar._weekday, language, 3000):
                self.check_weekday(example)

    def check_weekday(self, example: Example) -> None:
        text = example.messages[0][1].lower()
        if example.language == "en":
            start = next(index for name, index in WEEKDAYS.items() if name in text)
            amount = re.search(r"(\d+) (day|week)", text)
            back = re.search(r"ago|before|minus| - ", text)
            table, result = STEPS_EN, WEEKDAYS[example.answer.lower()]
        else:
            start = WEEKDAYS_ZH[re.search("(?:周|礼拜|星期)([一二三四五六日天])", text)[1]]
            amount = re.search(r"(\d+) ?(天|个星期)", text)
            back = re.search("前|减", text)
            table, result = STEPS_ZH, WEEKDAYS_ZH[example.answer[-1]]
        if amount:
            days = int(amount[1]) * (7 if amount[2] in ("week", "个星期") else 1) * (-1 if back else 1)
        else:
            days = next(step for words, step in table.items() if words in text)
        self.assertEqual(result, (start + days) % 7, example)

    def test_leap_years(self) -> None:
        for language in LANGUAGES:
            for example in examples(calendar._leap, language, 3000):
                year = int(re.findall(r"\d{4}", example.messages[0][1])[0])
                if example.answer.endswith(("days", "天")):
                    self.assertEqual(int(re.findall(r"\d+", example.answer)[0]), 365 + standard.isleap(year), example)
                else:
                    self.assertEqual(not example.answer.startswith("No") and "不" not in example.answer,
                        standard.isleap(year))

    def date_in(self, text: str, year: int) -> date:
        """The date that a text names."""
        found = re.search(r"(\d+)月(\d+)", text)
        if found:
            return date(year, int(found[1]), int(found[2]))
        text = text.lower()
        month = re.search(r"\b(" + "|".join(MONTHS) + r")[a-z]*", text)
        near = re.search(r"(\d{1,2})(?:st|nd|rd|th)?(?: of)? " + month[0], text) or re.search(month[0] + r" (\d{1,2})",
            text)
        return date(year, MONTHS[month[1]], int(near[1]))

    def test_dates(self) -> None:
        for language in LANGUAGES:
            for example in examples(calendar._date_after, language, 3000):
                text = example.messages[0][1]
                named = re.search(r"\d{4}", text)
                start = self.date_in(text, int(named[0]) if named else 2023)
                days = int(re.search(r"(\d+) ?(?:day|天)", text)[1])
                end = start + timedelta(days)
                self.assertEqual(self.date_in(example.answer, end.year), end, example)

    def test_days_between(self) -> None:
        for language in LANGUAGES:
            for example in examples(calendar._date_between, language, 3000):
                text = example.messages[0][1]
                words = re.split(" to | and | until |到|。|\\. |，", text, flags=re.IGNORECASE)
                dates = [self.date_in(part, 2023) for part in words if re.search(r"\d",
                    part) and (language == "zh" or re.search("|".join(MONTHS), part.lower()))]
                first, second = dates[-2:]
                if second < first:
                    second = second.replace(year=2024)
                self.assertEqual(int(re.findall(r"\d+", example.answer)[0]), (second - first).days, example)

    def times(self, text: str) -> list[int]:
        """The times of day in a text, in minutes."""
        found = []
        for match in re.finditer(r"(上午|下午)?(\d+)(?::(\d\d)|点(?:(\d+)分)?)?\s*([ap]\.?m)?", text.lower()):
            part, hour, minute, minute_zh, half = match.groups()
            if minute is None and half is None and "点" not in match[0]:
                continue
            hours = int(hour)
            if half:
                hours = hours % 12 + (12 if half[0] == "p" else 0)
            found.append((hours + (12 if part == "下午" else 0)) * 60 + int(minute or minute_zh or 0))
        return found

    def span(self, text: str) -> int:
        """The duration in a text, in minutes."""
        hours = re.search(r"(\d+) ?(?:hour|个?小时)", text.lower())
        minutes = re.search(r"(\d+) ?(?:minute|分钟)", text.lower())
        return (int(hours[1]) if hours else 0) * 60 + (int(minutes[1]) if minutes else 0)

    def test_shifted_times(self) -> None:
        for language in LANGUAGES:
            for example in examples(clock._shifted, language, 3000):
                text = example.messages[0][1]
                back = re.search(r"ago|before|minus| - |earlier|film took|前|减|放映了", text.lower())
                expected = (self.times(text)[0] + self.span(text) * (-1 if back else 1)) % 1440
                self.assertEqual(self.times(example.answer), [expected], example)

    def test_times_between(self) -> None:
        for language in LANGUAGES:
            for example in examples(clock._between, language, 3000):
                first, second = self.times(example.messages[0][1])
                self.assertEqual(self.span(example.answer), (second - first) % 1440, example)

    def test_months(self) -> None:
        for language in LANGUAGES:
            for example in examples(calendar._month_length, language, 2000):
                year, days = re.search(r"\d{4}", example.messages[0][1]), int(re.findall(r"\d+", example.answer)[0])
                if year and language == "en":
                    month = next(number for name, number in MONTHS.items() if re.search(rf"\b{name}",
                        example.messages[0][1].lower()))
                    self.assertEqual(days, standard.monthrange(int(year[0]), month)[1], example)
            for example in examples(calendar._day_of_year, language, 2000):
                text = example.messages[0][1]
                day = self.date_in(text, int(re.search(r"\d{4}", text)[0]))
                self.assertEqual(int(re.findall(r"\d+", example.answer)[0]), day.timetuple().tm_yday, example)

    def test_general(self) -> None:
        check_general(self, calendar.calendar, "calendar")


if __name__ == "__main__":
    unittest.main()
