"""Boolean logic: expressions reduced step by step, comparisons joined by words, and simple inferences."""

from dataclasses import dataclass
from random import Random

from ..example import Example
from ..phrasing import ask, between, pick
from .inference import implication, syllogism


@dataclass(frozen=True)
class Notation:
    """How an expression is written: its values and operators; an answer is in the language of the question."""

    false: str
    true: str
    no: str
    both: str
    either: str
    exclusive: str
    open: str = "("
    close: str = ")"

    def value(self, value: bool) -> str:
        return self.true if value else self.false


_WORDS = Notation("false", "true", "not ", " and ", " or ", " xor ")
_TITLE = Notation("False", "True", "not ", " and ", " or ", " xor ")
_CAPITALS = Notation("FALSE", "TRUE", "NOT ", " AND ", " OR ", " XOR ")
_CODE = Notation("false", "true", "!", " && ", " || ", " ^ ")
_LETTERS = Notation("F", "T", "not ", " and ", " or ", " xor ")
_LETTERS_CODE = Notation("F", "T", "!", " & ", " | ", " ^ ")
_SIGNS = Notation("F", "T", "¬", " ∧ ", " ∨ ", " ⊕ ")
_BITS = Notation("0", "1", "not ", " and ", " or ", " xor ")
_BITS_CODE = Notation("0", "1", "!", " && ", " || ", " ^ ")
_CHINESE = Notation("假", "真", "非", "且", "或", "异或")
_CHINESE_WIDE = Notation("假", "真", "非", "且", "或", "异或", "（", "）")
_CHINESE_SPACED = Notation("假", "真", "非 ", " 且 ", " 或 ", " 异或 ")
_CHINESE_WORDS = Notation("假", "真", "非", "与", "或", "异或")

_NOTATIONS = {
    "en": (_WORDS, _WORDS, _WORDS, _TITLE, _TITLE, _CAPITALS, _CODE, _CODE, _CODE, _LETTERS, _LETTERS_CODE, _SIGNS,
    _BITS, _BITS_CODE),
    "zh": (_CHINESE, _CHINESE, _CHINESE_WIDE, _CHINESE_WIDE, _CHINESE_SPACED, _CHINESE_WORDS, _WORDS, _TITLE, _CODE,
    _CODE, _LETTERS,
    _SIGNS),
}  # fmt: skip

# An expression: a value, ("not", x), (operator, x, y) or ("group", x).
Node = bool | tuple


def _value(node: Node) -> bool:
    """The truth of an expression."""
    if isinstance(node, bool):
        return node
    if node[0] == "not":
        return not _value(node[1])
    if node[0] == "group":
        return _value(node[1])
    left, right = _value(node[1]), _value(node[2])
    if node[0] == "and":
        return left and right
    return (left or right) if node[0] == "or" else left != right


def _written(node: Node, notation: Notation) -> str:
    if isinstance(node, bool):
        return notation.value(node)
    if node[0] == "not":
        return notation.no + _written(node[1], notation)
    if node[0] == "group":
        return notation.open + _written(node[1], notation) + notation.close
    operator = notation.both if node[0] == "and" else notation.either if node[0] == "or" else notation.exclusive
    return _written(node[1], notation) + operator + _written(node[2], notation)


def _reduced(node: Node) -> Node:
    """The expression after one step: the first part, from the left, that stands between values, and its value."""
    if node[0] == "group":
        return node[1] if isinstance(node[1], bool) else _flat("group", _reduced(node[1]))
    if node[0] == "not":
        return not node[1] if isinstance(node[1], bool) else ("not", _reduced(node[1]))
    if not isinstance(node[1], bool):
        return (node[0], _reduced(node[1]), node[2])
    if not isinstance(node[2], bool):
        return (node[0], node[1], _reduced(node[2]))
    return _value(node)


def _flat(_: str, node: Node) -> Node:
    """Parentheses around a single value vanish."""
    return node if isinstance(node, bool) else ("group", node)


def _literal(rng: Random) -> Node:
    value = rng.random() < 0.5
    return ("not", value) if rng.random() < 0.28 else value


def _operator(rng: Random) -> str:
    chance = rng.random()
    return "and" if chance < 0.43 else "or" if chance < 0.86 else "xor"


def _pair(rng: Random) -> Node:
    return (_operator(rng), _literal(rng), _literal(rng))


def _grouped(rng: Random) -> Node:
    group: Node = ("group", _pair(rng))
    return ("not", group) if rng.random() < 0.25 else group


def _tree(rng: Random) -> Node:
    """An expression of one to five values whose order of evaluation is beyond doubt."""
    shape = rng.random()
    if shape < 0.08:
        return ("not", rng.random() < 0.5) if rng.random() < 0.7 else ("not", ("not", rng.random() < 0.5))
    if shape < 0.3:
        return _pair(rng)
    if shape < 0.42:
        return _grouped(rng) if rng.random() < 0.3 else ("not", ("group", _pair(rng)))
    if shape < 0.6:
        return (_operator(rng), _grouped(rng), _literal(rng))
    if shape < 0.74:
        return (_operator(rng), _literal(rng), _grouped(rng))
    if shape < 0.86:
        return (_operator(rng), _grouped(rng), _grouped(rng))
    if shape < 0.93:
        # A chain of one operator, or "and" before "or".
        operator = "and" if rng.random() < 0.5 else "or"
        return (operator, (operator, _literal(rng), _literal(rng)), _literal(rng))
    if shape < 0.97:
        if rng.random() < 0.5:
            return ("or", ("and", _literal(rng), _literal(rng)), _literal(rng))
        return ("or", _literal(rng), ("and", _literal(rng), _literal(rng)))
    return (_operator(rng), ("group", (_operator(rng), _grouped(rng), _literal(rng))), _grouped(rng))


_EVALUATE_EN = (
    ("bare", "{0}"), ("bare", "{0}"), ("bare", "{0} ="), ("request", "evaluate {0}"), ("request", "evaluate: {0}"),
     ("question", "what is {0}"), ("question", "what does {0} evaluate to"),
    ("question", "what's {0}"), ("question", "what is the value of {0}"), ("question", "is {0} true or false"),
     ("request", "simplify {0}"), ("question", "what is the result of {0}"),
    ("request", "compute {0}"), ("question", "what's the truth value of {0}"), ("request", "work out {0}"),
     ("bare", "true or false: {0}"), ("bare", "boolean: {0}"), ("request", "solve {0}"),
    ("question", "what does {0} give"), ("question", "in boolean logic, what is {0}"),
     ("question", "what does {0} return"),
)  # fmt: skip
_EVALUATE_ZH = (
    ("bare", "{0}"), ("bare", "{0} ="), ("question", "{0}等于什么"), ("question", "{0}的值是什么"), ("question", "{0}是真还是假"),
     ("request", "计算{0}"), ("request", "求{0}的值"),
    ("question", "{0}的结果是什么"), ("request", "化简{0}"), ("question", "表达式{0}的值是真还是假"), ("question", "逻辑表达式{0}的结果是什么"),
     ("request", "判断真假：{0}"), ("request", "算一下{0}"),
    ("question", "{0}是多少"), ("question", "{0}的真值是什么"), ("request", "求值：{0}"),
)  # fmt: skip


def _expression(rng: Random, language: str) -> Example:
    """An expression of true and false."""
    notation = pick(rng, _NOTATIONS[language])
    node = _tree(rng)
    text = _written(node, notation)
    shown = text
    if language == "zh" and "真" not in notation.true:
        shown = f" {text} "
    kind, template = pick(rng, _EVALUATE_EN if language == "en" else _EVALUATE_ZH)
    while shown != text and kind == "bare":
        # A bare expression without a Chinese word is an English question.
        kind, template = pick(rng, _EVALUATE_ZH)
    question = ask(rng, language, kind, template, shown).strip().replace("： ", "：").replace("，  ", "，")
    lines = []
    while not isinstance(node, bool):
        node = _reduced(node)
        lines.append(f"= {_written(node, notation)}")
    # The notation's own words in the steps, the language's in the answer.
    answer = ("假", "真")[node] if language == "zh" else ("false", "true")[node]
    return _made(language, question, f"{text}\n" + "\n".join(lines), answer)


def _made(language: str, question: str, reasoning: str, answer: str) -> Example:
    return Example("logic", language, reasoning, answer, (("user", question),))


_COMPARED_EN = {
    ">": ("{} > {}", "{} is greater than {}", "{} is more than {}", "{} is bigger than {}"),
    "<": ("{} < {}", "{} is less than {}", "{} is smaller than {}"),
    "=": ("{} = {}", "{} equals {}", "{} is equal to {}", "{} == {}"),
    "≥": ("{} >= {}", "{} is at least {}", "{} ≥ {}"),
    "≤": ("{} <= {}", "{} is at most {}", "{} ≤ {}"),
}
_COMPARED_ZH = {
    ">": ("{} > {}", "{}大于{}", "{}>{}", "{}比{}大"),
    "<": ("{} < {}", "{}小于{}", "{}<{}", "{}比{}小"),
    "=": ("{} = {}", "{}等于{}", "{}={}"),
    "≥": ("{} >= {}", "{}大于或等于{}", "{} ≥ {}", "{}不小于{}"),
    "≤": ("{} <= {}", "{}小于或等于{}", "{} ≤ {}", "{}不大于{}"),
}
_IS_TRUE_EN = ("is it true that {0}", "is the following true: {0}", "true or not: {0}", "is this true: {0}",
    "does it hold that {0}", "is it correct that {0}", "am i right that {0}", "is the statement \"{0}\" true",
    "{0}, is that true")
_IS_TRUE_ZH = ("{0}，对吗", "{0}，这是真的吗", "{0}，这句话对吗", "判断对错：{0}", "“{0}”是对的吗", "{0}，是否成立", "{0}，正确吗")


def _holds(sign: str, left: int, right: int) -> bool:
    if sign in ">≥":
        return left > right or (sign == "≥" and left == right)
    return left == right if sign == "=" else left < right or (sign == "≤" and left == right)


def _compared(rng: Random, language: str) -> Example:
    """Comparisons of numbers joined by words: is it true that 3 > 2 and 5 < 4?"""
    en = language == "en"
    count = pick(rng, (1, 2, 2, 2, 2, 3))
    operator = pick(rng, ("and", "or"))
    style = rng.random()
    texts, values, lines = [], [], []
    for _ in range(count):
        sign = pick(rng, "><><=≥≤")
        top = pick(rng, (9, 20, 99, 99))
        left = between(rng, 0, top)
        right = left if rng.random() < 0.18 or (sign == "=" and rng.random() < 0.45) else between(rng, 0, top)
        value = _holds(sign, left, right)
        form = pick(rng, (_COMPARED_EN if en else _COMPARED_ZH)[sign]) if style < 0.6 else "{} " + sign + " {}"
        texts.append(form.format(left, right))
        values.append(value)
        word = ("true" if value else "false") if en else ("真" if value else "假")
        lines.append(f"{left} {sign} {right}: {word}." if en else f"{left} {sign} {right}：{word}。")
    result = values[0]
    if count > 1:
        names = ("false", "true") if en else ("假", "真")
        joint = {"and": " and ", "or": " or "}[operator] if en else {"and": " 且 ", "or": " 或 "}[operator]
        result = all(values) if operator == "and" else any(values)
        lines.append(joint.join(names[value] for value in values) + f" = {names[result]}" + ("." if en else "。"))
    if en:
        text = f" {operator} ".join(texts)
        template = pick(rng, _IS_TRUE_EN)
        question = ask(rng, "en", "bare" if template.startswith(("{0}", "true")) else "question", template, text)
        return _made(language, question, "\n".join(lines), "yes" if result else "no")
    text = pick(rng, ("且", "并且", "，而且") if operator == "and" else ("或", "或者", "，或者")).join(texts)
    template = pick(rng, _IS_TRUE_ZH)
    question = ask(rng, "zh", "request" if template.startswith("判断") else "bare", template, text)
    return _made(language, question, "\n".join(lines), "对" if result else "不对")


def logic(rng: Random, language: str) -> Example:
    """An expression to evaluate, a statement to judge or a conclusion to draw."""
    chance = rng.random()
    if chance < 0.5:
        return _expression(rng, language)
    if chance < 0.7:
        return _compared(rng, language)
    if chance < 0.88:
        return _made(language, *syllogism(rng, language))
    return _made(language, *implication(rng, language))
