"""JSON on request: fields of a sentence, computed values, lists and pairs, as one line of JSON."""

from random import Random

from ..example import Example
from ..phrasing import ask, between, pick
from .json_tables import CHINESE_KEYS, DOMAINS_EN, DOMAINS_ZH, RENAMED, Field

Pair = tuple[str, str]


def _object(pairs: list[Pair]) -> str:
    return "{" + ", ".join([f'"{key}": {value}' for key, value in pairs]) + "}"


def _made(language: str, question: str, lines: list[str], answer: str) -> Example:
    return Example("json", language, "\n".join(lines), answer, (("user", question),))


def _listed(rng: Random, language: str, names: list[str]) -> str:
    """Keys as somebody lists them."""
    style = rng.random()
    if style > 0.85:
        names = [f'"{name}"' for name in names]
    elif style > 0.78:
        names = [f"`{name}`" for name in names]
    if language == "zh":
        separator = pick(rng, ("、", "、", "，", ", "))
        if len(names) > 1 and rng.random() < 0.6:
            return separator.join(names[:-1]) + "和" + names[-1]
        return separator.join(names)
    if len(names) > 1 and rng.random() < 0.7:
        return ", ".join(names[:-1]) + pick(rng, (" and ", " and ",
            ", and " if len(names) > 2 else " and ")) + names[-1]
    return ", ".join(names)


_EXTRACT_EN = (
    "return JSON with {0}", "extract {0} as JSON", "give me JSON with {0}", "give JSON with the keys {0}",
    "return a JSON object with {0}", "output JSON with {0}", "put {0} into JSON", "write JSON with the keys {0}",
    "make a JSON object with the keys {0}",
    "turn this into JSON with {0}", "convert it to JSON with the fields {0}", "return {0} as JSON",
    "extract the fields {0} and return JSON", "reply with JSON: {0}", "answer in JSON with {0}",
    "parse this to JSON with {0}", "show {0} in JSON format",
)  # fmt: skip
_EXTRACT_ZH = (
    "返回包含{0}的JSON", "提取{0}，用JSON表示", "用JSON输出{0}", "给出键为{0}的JSON", "返回JSON，键为{0}", "把{0}写成JSON", "转换成JSON，字段为{0}",
    "以JSON格式返回{0}", "生成一个包含{0}的JSON对象", "用JSON回答，字段是{0}", "提取字段{0}并返回JSON", "输出JSON，包含{0}",
    "整理成JSON，键是{0}",
)  # fmt: skip


def _facts(rng: Random, language: str) -> tuple[str, dict[str, str], dict[str, Field]]:
    """A sentence, the fields that it tells of, and the fields of its domain."""
    fields, sentences = pick(rng, DOMAINS_EN if language == "en" else DOMAINS_ZH)
    sentence = pick(rng, sentences)
    shown, values = {}, {}
    for key in _slots(sentence):
        shown[key], values[key] = fields[key](rng)
    return sentence.format_map(shown), values, fields


_SLOTS: dict[str, list[str]] = {}


def _slots(sentence: str) -> list[str]:
    if sentence not in _SLOTS:
        _SLOTS[sentence] = [part.split("}")[0] for part in sentence.split("{")[1:]]
    return _SLOTS[sentence]


def _joined(rng: Random, language: str, sentence: str, request: str, *values: object) -> str:
    """The request after the sentence, or before it with a colon."""
    if rng.random() < 0.68:
        dressed = ask(rng, language, "request", request, *values)
        if language == "zh":
            return sentence + dressed
        return f"{sentence} {dressed}"
    opening = pick(rng, ("", "", "please ", "Please ", "hey, ") if language == "en" else ("", "", "请", "请帮我", "帮我"))
    text = request.format(*values)
    if not opening and language == "en" and rng.random() < 0.6:
        text = text[0].upper() + text[1:]
    if language == "zh":
        return f"{opening}{text}：{sentence}"
    return f"{opening}{text}{pick(rng, (': ', ': ', chr(10)))}{sentence}"


def _extract(rng: Random, language: str) -> Example:
    """Fields of a sentence; what it does not tell is null; keys may be renamed or Chinese."""
    sentence, values, fields = _facts(rng, language)
    keys = list(values)
    if rng.random() < 0.35:
        rng.shuffle(keys)
    if len(keys) > 2 and rng.random() < 0.3:
        keys.pop(between(rng, 0, len(keys) - 1))
    missing = False
    if rng.random() < 0.2:
        others = [key for key in fields if key not in values]
        keys.insert(between(rng, 0, len(keys)), pick(rng, others))
        missing = True
    names = dict(zip(keys, keys, strict=True))
    chinese = language == "zh" and rng.random() < 0.35
    if chinese:
        names = {key: CHINESE_KEYS[key] for key in keys}
    request, listed = pick(rng, _EXTRACT_EN if language == "en" else _EXTRACT_ZH), _listed(rng, language,
        list(names.values()))
    renamed = key = new = ""
    candidates = [key for key in keys if key in RENAMED and key in values]
    if not chinese and candidates and rng.random() < 0.18:
        key = pick(rng, candidates)
        new = pick(rng, [name for name in RENAMED[key] if name not in fields])
        names[key] = new
        if language == "en":
            renamed = pick(rng, (" but call {1} {2}", ", with {1} renamed to {2}", ", use the key {2} for {1}",
                " but name the key for {1} {2}"))
        else:
            renamed = pick(rng, ("，但把{1}改名为{2}", "，其中{1}的键名用{2}", "，{1}用{2}作键名"))
    elif missing and rng.random() < 0.4:
        renamed = pick(rng, (", null if unknown",
            ", use null for what is missing") if language == "en" else ("，没有的填null", "，未知的用null"))
    question = _joined(rng, language, sentence, request + renamed, listed, key, new)
    pairs = [(names[key], values.get(key, "null")) for key in keys]
    lines = [f"{name}: {value}" if language == "en" else f"{name}：{value}" for name, value in pairs]
    return _made(language, question, lines, _object(pairs))


_OPERATIONS = {
    "sum": ("sum", "和", "+"), "product": ("product", "积", "×"), "difference": ("difference", "差", "−"),
    "max": ("maximum", "最大值", ""), "min": ("minimum", "最小值", ""),
}
_COMPUTE_EN = (
    "give the {0} of {1} and {2} as JSON with keys {3}", "return JSON with the {0} of {1} and {2}, keys {3}",
    "compute the {0} of {1} and {2} and answer as JSON with the keys {3}", "JSON with {3} of {1} and {2}",
    "what are the {0} of {1} and {2}, as JSON with keys {3}",
    "for {1} and {2}, return JSON with keys {3}", "take {1} and {2} and give JSON with {3}",
    "calculate {3} of {1} and {2} in JSON",
)  # fmt: skip
_COMPUTE_ZH = (
    "用JSON给出{1}和{2}的{0}，键为{3}", "返回JSON，包含{1}和{2}的{0}，键名{3}", "计算{1}与{2}的{0}，以JSON回答，键为{3}", "对{1}和{2}，返回键为{3}的JSON",
    "把{1}和{2}的{0}写成JSON，键用{3}",
)  # fmt: skip


def _compute(rng: Random, language: str) -> Example:
    """Results of small sums as JSON."""
    if rng.random() < 0.6:
        a, b = between(rng, 1, 12), between(rng, 1, 12)
    else:
        a, b = between(rng, 1, 99), between(rng, 1, 9)
    if a < b:
        a, b = b, a
    flipped = rng.random() < 0.3
    names = list(_OPERATIONS)
    rng.shuffle(names)
    names = names[: pick(rng, (1, 2, 2, 2, 3, 3, 4))]
    if flipped and "difference" not in names:
        a, b = b, a
    results = {"sum": a + b, "product": a * b, "difference": a - b, "max": max(a, b), "min": min(a, b)}
    keys = names
    words = [_OPERATIONS[name][0 if language == "en" else 1] for name in names]
    if language == "zh" and rng.random() < 0.3:
        keys = words
    template = pick(rng, _COMPUTE_EN if language == "en" else _COMPUTE_ZH)
    if language == "en":
        spoken = ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]
    else:
        spoken = "、".join(words)
    kind = "question" if template.startswith("what") else "bare" if template.startswith(("JSON", "for",
        "对")) else "request"
    question = ask(rng, language, kind, template, spoken, a, b, _listed(rng, language, keys))
    lines = []
    for key, name in zip(keys, names, strict=True):
        sign = _OPERATIONS[name][2]
        value = f"{a} {sign} {b} = {results[name]}" if sign else f"{results[name]}"
        lines.append(f"{key}: {value}" if language == "en" else f"{key}：{value}")
    return _made(language, question, lines,
        _object([(key, str(results[name])) for key, name in zip(keys, names, strict=True)]))


_WORDS_EN = (
    "red green blue black white apple pear plum lemon cherry cat dog horse bird fish milk bread salt rice tea coffee "
    "sugar Monday Friday north south east west node react vue rust python linux docker git npm server table "
    "river cloud stone paper train window garden music"
).split()
_WORDS_ZH = (
    "红色 绿色 蓝色 黑色 白色 苹果 香蕉 梨 柠檬 樱桃 猫 狗 马 鸟 鱼 牛奶 面包 盐 米饭 茶 咖啡 糖 星期一 星期五 东 南 西 北 服务器 桌子 河 云 石头 纸 火车 窗户 花园 音乐"
).split()
_LIST_KEYS_EN = ("items", "values", "list", "data", "names", "tags", "numbers", "result", "words", "entries")
_LIST_KEYS_ZH = ("items", "values", "list", "data", "列表", "数据", "结果", "names", "tags")
_ARRAY_EN = ("make a JSON array of {0}", "convert {0} to a JSON array", "write {0} as a JSON array",
    "turn this list into a JSON array: {0}", "as a JSON array: {0}", "{0} as JSON array", "give me {0} as a JSON list",
    "put {0} in a JSON array", "JSON array with {0}")
_KEYED_EN = ("return JSON with the key {1} holding the list {0}", "make a JSON object with key {1} and the array {0}",
    "put {0} into a JSON array under the key {1}", "JSON with {1} set to the list {0}",
    "write {0} as JSON with the key {1}")
_ARRAY_ZH = ("把{0}写成JSON数组", "将{0}转换为JSON数组", "用JSON数组表示{0}", "把这个列表变成JSON数组：{0}", "{0}，输出JSON数组", "以JSON数组返回{0}")
_KEYED_ZH = ("返回JSON，键{1}的值是列表{0}", "把{0}放进JSON对象的数组，键为{1}", "生成JSON，键为{1}，值为数组{0}", "用键{1}把{0}写成JSON")


def _array(rng: Random, language: str) -> Example:
    """A list as a JSON array, alone or under a key."""
    en = language == "en"
    count = between(rng, 2, 6)
    kind = rng.random()
    if kind < 0.5:
        shown = [pick(rng, _WORDS_EN if en else _WORDS_ZH) for _ in range(count)]
        literals = [f'"{text}"' for text in shown]
    elif kind < 0.85:
        shown = [str(between(rng, 0, 99 if rng.random() < 0.8 else 999)) for _ in range(count)]
        literals = shown
    else:
        shown = [pick(rng, ("true", "false")) if en else pick(rng, ("真", "假")) for _ in range(count)]
        literals = [{"真": "true", "假": "false"}.get(text, text) for text in shown]
    if en:
        text = ", ".join(shown) if rng.random() < 0.6 else ", ".join(shown[:-1]) + " and " + shown[-1]
    else:
        text = pick(rng, ("、", "、", "，", ", ")).join(shown)
    array = "[" + ", ".join(literals) + "]"
    if rng.random() < 0.35:
        key = pick(rng, _LIST_KEYS_EN if en else _LIST_KEYS_ZH)
        template, answer = pick(rng, _KEYED_EN if en else _KEYED_ZH), _object([(key, array)])
        lines = [f"{key}: {array}" if en else f"{key}：{array}"]
    else:
        key, template, answer = "", pick(rng, _ARRAY_EN if en else _ARRAY_ZH), array
        lines = [f"{number}. {literal}" for number, literal in enumerate(literals, 1)]
    kind_of = "bare" if template.startswith(("JSON", "as a", "{0}")) else "request"
    return _made(language, ask(rng, language, kind_of, template, text, key), lines, answer)


_PAIR_KEYS = (
    "name id size color host port user level mode theme lang score width height depth speed count limit debug active "
    "enabled version retries timeout path type status role team code x y z a b c price weight visible cached"
).split()
_PAIR_KEYS_ZH = ("名称", "编号", "颜色", "大小", "状态", "数量", "价格", "重量", "长度", "类型", "等级", "分数", "可见", "启用")
_BOOLEANS = {"debug", "active", "enabled", "visible", "cached", "可见", "启用"}
_TEXTS = {"name", "color", "host", "user", "mode", "theme", "lang", "path", "type", "status", "role", "team", "名称",
    "颜色", "状态", "类型"}
_PAIRS_EN = ("turn {0} into JSON", "convert {0} to a JSON object", "make JSON from {0}", "write as JSON: {0}",
    "{0} as JSON", "to JSON: {0}", "put {0} into a JSON object", "build a JSON object: {0}", "JSON for {0}",
    "create JSON with {0}", "format {0} as JSON", "JSON please: {0}")
_PAIRS_ZH = ("把{0}转换成JSON", "写成JSON：{0}", "用JSON表示{0}", "将{0}变成JSON对象", "{0}，转成JSON", "生成JSON：{0}", "输出JSON：{0}",
    "把{0}写成JSON对象")


def _pair_value(rng: Random, language: str, key: str) -> str:
    """A literal for a key: a number, a text, a boolean, now and then null."""
    if rng.random() < 0.04:
        return "null"
    if key in _BOOLEANS:
        return pick(rng, ("true", "false"))
    if key in _TEXTS:
        return f'"{pick(rng, _WORDS_EN if language == "en" or rng.random() < 0.3 else _WORDS_ZH)}"'
    return str(between(rng, 0, 99 if rng.random() < 0.7 else 9999))


def _pairs(rng: Random, language: str) -> Example:
    """Keys and values to an object, possibly with one object inside."""
    en = language == "en"
    table = _PAIR_KEYS if en or rng.random() < 0.5 else _PAIR_KEYS_ZH
    keys: list[str] = []
    count = between(rng, 1, 5)
    while len(keys) < count:
        key = pick(rng, table)
        if key not in keys:
            keys.append(key)
    pairs = [(key, _pair_value(rng, language, key)) for key in keys]
    sign = pick(rng, ("=", "=", " = ", ": ", ": ", ":", " is ", " -> ") if en else ("=", "=", ": ", "：", "是", "为"))
    gap = pick(rng, (", ", ", ", "; ", " and ") if en else ("，", "，", "；", "、", ", "))
    written = gap.join([key + sign + value.strip('"') for key, value in pairs])
    if rng.random() < 0.25:
        outer = pick(rng, ("user", "config", "settings", "server", "data", "options", "meta",
            "item") if en else ("user", "config", "data", "用户", "设置", "数据"))
        if en:
            template = pick(rng, ("make JSON with an object {1} that has {0}", "JSON with {0} inside the key {1}",
                "nest {0} under the key {1} in JSON", "put {0} into JSON under {1}"))
        else:
            template = pick(rng, ("把{0}放在JSON的键{1}下面", "生成JSON，键{1}的值是对象：{0}", "将{0}嵌套在JSON的{1}里"))
        answer = _object([(outer, _object(pairs))])
    else:
        outer = ""
        template, answer = pick(rng, _PAIRS_EN if en else _PAIRS_ZH), _object(pairs)
    kind = "bare" if template.startswith(("JSON", "{0}", "to ")) else "request"
    question = ask(rng, language, kind, template, written, outer)
    lines = (
        [f"{outer}:" if en else f"{outer}："] if outer else []) + [f"{key}: {value}" if en else f"{key}：{value}" for key,
         value in pairs]
    return _made(language, question, lines, answer)


_CHECKS = {
    "even": ("偶数", lambda number: number % 2 == 0), "odd": ("奇数", lambda number: number % 2 == 1),
    "positive": ("正数", lambda number: number > 0), "negative": ("负数", lambda number: number < 0),
    "zero": ("零", lambda number: number == 0),
    "two_digits": ("两位数", lambda number: 10 <= abs(number) <= 99),
}
_CHECKS_EN = ("return JSON for {0} with booleans {1}", "for the number {0}, give JSON with the booleans {1}",
    "check {0} and return JSON with {1}", "is {0} {2}? answer as JSON with {1}",
    "JSON with {1} as true or false for {0}", "test whether {0} is {2}, as JSON with keys {1}")
_CHECKS_ZH = ("判断{0}，返回JSON，布尔键为{1}", "对数字{0}，用JSON给出{1}的真假", "检查{0}，返回包含{1}的JSON", "{0}是{2}吗？用JSON回答，键为{1}")


def _checks(rng: Random, language: str) -> Example:
    """Properties of a number as booleans."""
    en = language == "en"
    number = between(rng, -99, 999) if rng.random() < 0.7 else between(rng, -9, 20)
    names = list(_CHECKS)
    rng.shuffle(names)
    names = names[: between(rng, 1, 3)]
    keys = names if en or rng.random() < 0.6 else [_CHECKS[name][0] for name in names]
    values = ["true" if _CHECKS[name][1](number) else "false" for name in names]
    template = pick(rng, _CHECKS_EN if en else _CHECKS_ZH)
    spoken = " and ".join(name.replace("two_digits",
        "of two digits") for name in names) if en else "、".join(_CHECKS[name][0] for name in names)
    kind = "bare" if template.startswith(("for", "is", "JSON", "对", "{0}")) else "request"
    question = ask(rng, language, kind, template, number, _listed(rng, language, keys), spoken)
    pairs = list(zip(keys, values, strict=True))
    lines = [f"{key}{_reason(name, number, en)}{value}" for name, (key, value) in zip(names, pairs, strict=True)]
    return _made(language, question, lines, _object(pairs))


def _reason(name: str, number: int, en: bool) -> str:
    """What a property is told by, between its key and its value."""
    if name in ("even", "odd"):
        return f": {number} ends in {abs(number) % 10}, " if en else f"：{number} 的末位是 {abs(number) % 10}，"
    if name == "two_digits":
        digits = len(str(abs(number)))
        return f": {number} has {digits} digits, " if en else f"：{number} 有 {digits} 位数，"
    return ": " if en else "："


_NEST_EN = ("return JSON with an object {0} that holds {1}, and {2} beside it",
    "give JSON with {1} nested under {0}, and {2} at the top", "make JSON: {0} is an object with {1}, then {2}")
_NEST_ZH = ("返回JSON，{1}放在对象{0}里，{2}放在外层", "生成JSON：{0}是包含{1}的对象，然后是{2}", "用JSON表示，{0}对象里有{1}，外面有{2}")


def _nested(rng: Random, language: str) -> Example:
    """Fields of a sentence, some of them in an object inside."""
    sentence, values, _ = _facts(rng, language)
    keys = list(values)
    if len(keys) < 3:
        return _extract(rng, language)
    inner, outer = keys[:2], keys[2:]
    name = pick(rng, ("info", "data", "details", "entry", "record", "main"))
    template = pick(rng, _NEST_EN if language == "en" else _NEST_ZH)
    question = _joined(rng, language, sentence, template, name, _listed(rng, language, inner),
        _listed(rng, language, outer))
    colon = ": " if language == "en" else "："
    lines = [colon.strip(" ").join((name, ""))] + [f"{key}{colon}{values[key]}" for key in keys]
    pairs = [(name, _object([(key, values[key]) for key in inner])), *[(key, values[key]) for key in outer]]
    return _made(language, question, lines, _object(pairs))


def json_answers(rng: Random, language: str) -> Example:
    """A request that is answered with exactly one line of JSON."""
    chance = rng.random()
    if chance < 0.42:
        return _extract(rng, language)
    if chance < 0.57:
        return _compute(rng, language)
    if chance < 0.7:
        return _array(rng, language)
    if chance < 0.86:
        return _pairs(rng, language)
    if chance < 0.92:
        return _checks(rng, language)
    return _nested(rng, language)
