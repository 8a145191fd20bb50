"""Which of two or three numbers is larger or smaller, or whether two are equal."""

from random import Random

from ..columns import first_difference
from ..example import Example
from ..phrasing import ask, between, pick, with_digits

# Wordings by what is asked for; the answer depends on that alone.
_QUESTIONS = {
    ("en", "larger"): (
        ("question", "which is larger, {0} or {1}"), ("question", "which is bigger, {0} or {1}"),
        ("question", "which is greater, {0} or {1}"), ("question", "which number is larger, {0} or {1}"),
        ("question", "which one is bigger: {0} or {1}"), ("question", "which of {0} and {1} is larger"),
        ("question", "what is larger, {0} or {1}"), ("question", "what's bigger, {0} or {1}"),
        ("question", "which is the larger number: {0} or {1}"), ("question", "{0} or {1}, which is bigger"),
        ("question", "{0} vs {1}, which is larger"), ("question", "which is more, {0} or {1}"),
        ("question", "which is higher, {0} or {1}"), ("question", "is {0} or {1} larger"),
        ("request", "tell me which is larger, {0} or {1}"), ("request", "give me the larger of {0} and {1}"),
        ("request", "find the bigger number: {0}, {1}"), ("request", "pick the greater of {0} and {1}"),
        ("request", "compare {0} and {1} and tell me the larger one"), ("bare", "the larger of {0} and {1}"),
        ("bare", "larger: {0} or {1}"), ("bare", "bigger number: {0}, {1}"), ("bare", "max({0}, {1})"),
        ("question", "which is bigger {0} or {1}"), ("question", "which is larger {0} or {1}"),
        ("question", "which number is bigger {0} or {1}"), ("question", "is {0} or {1} bigger"),
        ("question", "what is bigger {0} or {1}"), ("question", "which one is larger {0} or {1}"),
        ("question", "which is the bigger number, {0} or {1}"), ("question", "between {0} and {1}, which is larger"),
        ("bare", "bigger: {0} or {1}"), ("request", "compare {0} and {1}: which is larger"),
        ("bare", "{0} or {1}: which is greater"), ("bare", "maximum of {0} and {1}"),
    ),
    ("en", "smaller"): (
        ("question", "which is smaller, {0} or {1}"), ("question", "which is less, {0} or {1}"),
        ("question", "which is lower, {0} or {1}"), ("question", "which number is smaller, {0} or {1}"),
        ("question", "which one is smaller: {0} or {1}"), ("question", "which of {0} and {1} is smaller"),
        ("question", "what is smaller, {0} or {1}"), ("question", "what's less, {0} or {1}"),
        ("question", "which is the smaller number: {0} or {1}"), ("question", "{0} or {1}, which is smaller"),
        ("question", "{0} vs {1}, which is smaller"), ("question", "is {0} or {1} smaller"),
        ("request", "tell me which is smaller, {0} or {1}"), ("request", "give me the smaller of {0} and {1}"),
        ("request", "find the smaller number: {0}, {1}"), ("request", "pick the lesser of {0} and {1}"),
        ("bare", "the smaller of {0} and {1}"), ("bare", "smaller: {0} or {1}"), ("bare", "min({0}, {1})"),
        ("question", "which is smaller {0} or {1}"), ("question", "which number is smaller {0} or {1}"),
        ("question", "what is smaller {0} or {1}"), ("question", "which is the smaller one, {0} or {1}"),
        ("question", "between {0} and {1}, which is smaller"), ("request", "compare {0} and {1}: which is smaller"),
        ("bare", "{0} or {1}: which is less"), ("bare", "minimum of {0} and {1}"),
    ),
    ("en", ">"): (
        ("question", "is {0} larger than {1}"), ("question", "is {0} bigger than {1}"),
        ("question", "is {0} greater than {1}"), ("question", "is {0} more than {1}"),
        ("question", "is {0} higher than {1}"), ("question", "is {0} > {1}"), ("question", "{0} > {1}"),
        ("question", "is it true that {0} is larger than {1}"), ("question", "true or false: {0} > {1}"),
        ("question", "{0} is bigger than {1}, right"), ("request", "tell me if {0} is larger than {1}"),
        ("request", "check whether {0} is greater than {1}"), ("question", "would you say {0} is bigger than {1}"),
    ),
    ("en", "<"): (
        ("question", "is {0} smaller than {1}"), ("question", "is {0} less than {1}"),
        ("question", "is {0} lower than {1}"), ("question", "is {0} < {1}"), ("question", "{0} < {1}"),
        ("question", "is it true that {0} is smaller than {1}"), ("question", "true or false: {0} < {1}"),
        ("question", "{0} is less than {1}, right"), ("request", "tell me if {0} is smaller than {1}"),
        ("request", "check whether {0} is less than {1}"),
    ),
    ("en", "="): (
        ("question", "are {0} and {1} equal"), ("question", "is {0} equal to {1}"), ("question", "does {0} equal {1}"),
        ("question", "are {0} and {1} the same"), ("question", "is {0} the same as {1}"),
        ("question", "is {0} = {1}"), ("question", "is {0} == {1}"), ("question", "are {0} and {1} the same number"),
        ("request", "tell me if {0} and {1} are equal"), ("request", "check whether {0} equals {1}"),
        ("question", "do {0} and {1} have the same value"),
    ),
    ("en", "largest"): (
        ("question", "which is the largest, {0}, {1} or {2}"), ("question", "which is the biggest: {0}, {1} or {2}"),
        ("question", "what is the largest of {0}, {1} and {2}"), ("question", "which of {0}, {1}, {2} is the largest"),
        ("question", "what's the greatest of {0}, {1}, {2}"), ("request", "find the largest of {0}, {1} and {2}"),
        ("request", "give me the biggest number: {0}, {1}, {2}"), ("bare", "max({0}, {1}, {2})"),
        ("bare", "largest of {0}, {1}, {2}"), ("question", "which number is the largest: {0}, {1}, or {2}"),
        ("question", "{0}, {1}, {2}: which is the biggest"), ("bare", "maximum of {0}, {1} and {2}"),
    ),
    ("en", "smallest"): (
        ("question", "which is the smallest, {0}, {1} or {2}"), ("question", "which is the lowest: {0}, {1} or {2}"),
        ("question", "what is the smallest of {0}, {1} and {2}"),
        ("question", "which of {0}, {1}, {2} is the smallest"), ("bare", "min({0}, {1}, {2})"),
        ("request", "find the smallest of {0}, {1} and {2}"), ("request", "give me the smallest number: {0}, {1}, {2}"),
        ("bare", "smallest of {0}, {1}, {2}"), ("question", "which number is the smallest: {0}, {1}, or {2}"),
        ("question", "{0}, {1}, {2}: which is the smallest"), ("bare", "minimum of {0}, {1} and {2}"),
    ),
    ("zh", "larger"): (
        ("question", "{0}和{1}哪个大"), ("question", "{0} 和 {1} 哪个大"), ("question", "{0}和{1}哪个更大"),
        ("question", "{0}与{1}哪个更大"), ("question", "{0}和{1}，哪个数大"), ("question", "{0}和{1}谁大"),
        ("question", "{0}和{1}谁更大"), ("question", "哪个更大，{0}还是{1}"), ("question", "哪个数更大：{0} 还是 {1}"),
        ("question", "{0}大还是{1}大"), ("question", "是{0}大还是{1}大"), ("question", "{0}和{1}中较大的是哪个"),
        ("question", "{0}跟{1}比，哪个大"), ("question", "{0}和{1}比哪个大"), ("question", "{0}与{1}相比，哪个更大"),
        ("question", "{0}、{1}哪个数比较大"), ("request", "比较{0}和{1}，说出较大的数"),
        ("request", "找出{0}和{1}中较大的数"), ("request", "选出{0}和{1}中更大的一个"), ("bare", "{0}和{1}中较大的数"),
        ("bare", "max({0}, {1})"), ("question", "{0}和{1}里面哪一个大"), ("question", "较大的数是{0}还是{1}"),
        ("bare", "{0}和{1}的最大值"),
    ),
    ("zh", "smaller"): (
        ("question", "{0}和{1}哪个小"), ("question", "{0} 和 {1} 哪个小"), ("question", "{0}和{1}哪个更小"),
        ("question", "{0}与{1}哪个更小"), ("question", "{0}和{1}，哪个数小"), ("question", "{0}和{1}谁小"),
        ("question", "哪个更小，{0}还是{1}"), ("question", "哪个数更小：{0} 还是 {1}"), ("question", "{0}小还是{1}小"),
        ("question", "{0}和{1}中较小的是哪个"), ("question", "{0}跟{1}比，哪个小"), ("question", "{0}和{1}比哪个小"),
        ("question", "{0}与{1}相比，哪个更小"), ("request", "比较{0}和{1}，说出较小的数"),
        ("request", "找出{0}和{1}中较小的数"), ("bare", "{0}和{1}中较小的数"), ("bare", "min({0}, {1})"),
        ("question", "{0}和{1}里面哪一个小"), ("bare", "{0}和{1}的最小值"),
    ),
    ("zh", ">"): (
        ("question", "{0}比{1}大吗"), ("question", "{0} 比 {1} 大吗"), ("question", "{0}大于{1}吗"), ("question", "{0} > {1} 吗"),
        ("question", "{0}>{1}吗"), ("question", "{0}是不是比{1}大"), ("question", "{0}是否大于{1}"), ("question", "{0}比{1}更大，对吗"),
        ("question", "{0}大于{1}，对不对"), ("request", "判断{0}是否大于{1}"), ("question", "{0}比{1}要大吗"),
    ),
    ("zh", "<"): (
        ("question", "{0}比{1}小吗"), ("question", "{0} 比 {1} 小吗"), ("question", "{0}小于{1}吗"), ("question", "{0} < {1} 吗"),
        ("question", "{0}<{1}吗"), ("question", "{0}是不是比{1}小"), ("question", "{0}是否小于{1}"), ("question", "{0}比{1}更小，对吗"),
        ("question", "{0}小于{1}，对不对"), ("request", "判断{0}是否小于{1}"),
    ),
    ("zh", "="): (
        ("question", "{0}等于{1}吗"), ("question", "{0} 等于 {1} 吗"), ("question", "{0}和{1}相等吗"),
        ("question", "{0}和{1}一样大吗"),
        ("question", "{0}与{1}是否相等"), ("question", "{0}和{1}是不是相等"), ("question", "{0}={1}吗"), ("question", "{0}跟{1}一样吗"),
        ("request", "判断{0}和{1}是否相等"), ("question", "{0}和{1}是同一个数吗"),
    ),
    ("zh", "largest"): (
        ("question", "{0}、{1}、{2}哪个最大"), ("question", "{0}、{1}和{2}中哪个最大"), ("question", "{0}，{1}，{2}，哪个数最大"),
        ("question", "哪个最大：{0}、{1}还是{2}"), ("request", "找出{0}、{1}、{2}中最大的数"), ("bare", "{0}、{1}、{2}中最大的数"),
        ("question", "{0}、{1}、{2}里最大的是哪个"), ("bare", "max({0}, {1}, {2})"), ("bare", "{0}、{1}、{2}的最大值"),
    ),
    ("zh", "smallest"): (
        ("question", "{0}、{1}、{2}哪个最小"), ("question", "{0}、{1}和{2}中哪个最小"), ("question", "{0}，{1}，{2}，哪个数最小"),
        ("question", "哪个最小：{0}、{1}还是{2}"), ("request", "找出{0}、{1}、{2}中最小的数"), ("bare", "{0}、{1}、{2}中最小的数"),
        ("question", "{0}、{1}、{2}里最小的是哪个"), ("bare", "min({0}, {1}, {2})"), ("bare", "{0}、{1}、{2}的最小值"),
    ),
}  # fmt: skip

_PADDED = {"en": "With the same length: {0} and {1}\n", "zh": "补成一样长：{0} 和 {1}\n"}
_SO = {"en": ", so {0} {2} {1}", "zh": "，所以 {0} {2} {1}"}
_SIGNS = {
    "en": "{0} is negative and {1} is not, so {2} {4} {3}",
    "zh": "{0} 是负数，{1} 不是，所以 {2} {4} {3}",
}
_BOTH_NEGATIVE = {
    "en": "Both are negative: compare without the signs, then turn it around.\n",
    "zh": "两个都是负数：先比较去掉负号的数，再反过来。\n",
}
_ORDER = ("<", "=", ">")
_TURNED = {"<": ">", "=": "=", ">": "<"}


def compare_steps(first: str, second: str, language: str) -> tuple[str, str]:
    """How two written numbers compare ("<", "=" or ">"), and the reasoning, which ends in that relation."""
    if (first[0] == "-") != (second[0] == "-"):
        negative, other, relation = (first, second, "<") if first[0] == "-" else (second, first, ">")
        return relation, _SIGNS[language].format(negative, other, first, second, relation)
    if first[0] == "-":
        relation, steps = compare_steps(first[1:], second[1:], language)
        relation = _TURNED[relation]
        end = _SO[language].format(first, second, relation)
        return relation, f"{_BOTH_NEGATIVE[language]}{steps}{end}"
    left, _, left_decimals = first.partition(".")
    right, _, right_decimals = second.partition(".")
    width, places = max(len(left), len(right)), max(len(left_decimals), len(right_decimals))
    upper, lower = left.zfill(width), right.zfill(width)
    if places:
        upper = f"{upper}.{left_decimals.ljust(places, '0')}"
        lower = f"{lower}.{right_decimals.ljust(places, '0')}"
    relation = _ORDER[(upper > lower) - (upper < lower) + 1]
    steps = first_difference(upper, lower, language) + _SO[language].format(first, second, relation)
    return relation, _PADDED[language].format(upper, lower) + steps


def _number(rng: Random, decimals: bool) -> str:
    if decimals:
        places = between(rng, 1, 3)
        return f"{with_digits(rng, pick(rng, (1, 1, 2, 2, 3, 4)))}.{between(rng, 0, 10**places - 1):0{places}d}"
    return str(with_digits(rng, between(rng, 1, 7)))


def _near(rng: Random, number: str) -> str:
    """A number that is easily taken for larger or smaller than it is, or equal to `number`."""
    whole, point, decimals = number.partition(".")
    chance = rng.random()
    if point:
        if chance < 0.15:
            return number + "0"
        if chance < 0.2:
            return number
        if chance < 0.3:
            return whole
        places = between(rng, 1, 3)
        return f"{whole}.{between(rng, 0, 10**places - 1):0{places}d}"
    if chance < 0.12:
        return number
    if chance < 0.2:
        return number + "0" if number != "0" and len(number) < 7 else number
    if chance < 0.28 and len(number) > 1:
        return number[:-1]
    if chance < 0.5:
        position = int(rng.random() * len(number))
        changed = number[:position] + str(between(rng, 0 if position else 1, 9)) + number[position + 1 :]
        return changed
    if chance < 0.7 and len(number) > 1:
        head = number[: max(1, len(number) // 2)]
        return head + "".join([str(between(rng, 0, 9)) for _ in range(len(number) - len(head))])
    return str(with_digits(rng, len(number)))


def _pair(rng: Random) -> tuple[str, str]:
    decimals = rng.random() < 0.5
    first = _number(rng, decimals)
    if rng.random() < 0.65:
        second = _near(rng, first)
    else:
        second = _number(rng, decimals if rng.random() < 0.85 else not decimals)
    chance = rng.random()
    if chance < 0.14:
        first = _negated(first)
        if chance < 0.08:
            second = _negated(second)
    if rng.random() < 0.5:
        return second, first
    return first, second


def _negated(number: str) -> str:
    return "-" + number if number.strip("0.") else number


def _typed(rng: Random, number: str) -> str:
    if rng.random() < 0.05 and "." not in number and len(number) > 4 and number[0] != "-":
        return f"{int(number):,}"
    return number


_WORDS = {
    "en": {
        "larger": "{0} is larger.", "smaller": "{0} is smaller.", "equal": "They are equal.",
        "largest": "{0} is the largest.", "smallest": "{0} is the smallest.",
        "yes>": "Yes, {0} is larger than {1}.", "yes<": "Yes, {0} is smaller than {1}.", "yes=": "Yes, they are equal.",
        "no>": "No, {0} is larger than {1}.", "no<": "No, {0} is smaller than {1}.", "no=": "No, they are equal.",
    },
    "zh": {
        "larger": "{0} 更大。", "smaller": "{0} 更小。", "equal": "两个数相等。",
        "largest": "{0} 最大。", "smallest": "{0} 最小。",
        "yes>": "是的，{0} 大于 {1}。", "yes<": "是的，{0} 小于 {1}。", "yes=": "是的，两个数相等。",
        "no>": "不，{0} 大于 {1}。", "no<": "不，{0} 小于 {1}。", "no=": "不，两个数相等。",
    },
}  # fmt: skip
_SENSES = ("larger", "larger", "larger", "smaller", "smaller", ">", ">", "<", "<", "=", "largest", "smallest")


def comparison_answer(sense: str, numbers: tuple[str, ...], language: str) -> tuple[str, str]:
    """The answer and the reasoning for one of the senses that can be asked about."""
    words = _WORDS[language]
    relation, steps = compare_steps(numbers[0], numbers[1], language)
    if sense in (">", "<", "="):
        word = "yes" if relation == sense else "no"
        return words[word + relation].format(numbers[0], numbers[1]), steps
    wanted = ">" if sense in ("larger", "largest") else "<"
    best = numbers[0] if relation in (wanted, "=") else numbers[1]
    if len(numbers) == 2:
        return words["equal" if relation == "=" else sense].format(best), steps
    relation, more = compare_steps(best, numbers[2], language)
    if relation not in (wanted, "="):
        best = numbers[2]
    return words[sense].format(best), f"{steps}\n{more}"


def comparison(rng: Random, language: str) -> Example:
    """A question about two or three whole numbers or decimals, many of them close to each other."""
    sense = pick(rng, _SENSES)
    numbers = _pair(rng)
    if sense in ("largest", "smallest"):
        third = _near(rng, numbers[0].lstrip("-")) if rng.random() < 0.6 else _number(rng, rng.random() < 0.5)
        numbers = (*numbers, third)
        # Equal numbers in different writing would leave two right answers.
        values = [float(number) for number in numbers]
        if len({*values}) < len({*numbers}):
            return comparison(rng, language)
    kind, template = pick(rng, _QUESTIONS[language, sense])
    question = ask(rng, language, kind, template, *[_typed(rng, number) for number in numbers])
    answer, reasoning = comparison_answer(sense, numbers, language)
    return Example("comparison", language, reasoning, answer, (("user", question),))
