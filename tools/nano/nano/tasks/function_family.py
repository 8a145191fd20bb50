"""What a family of small functions is: one purpose, its wordings, and its one body in Python and in TypeScript.

In templates `@f` stands for the function's name, `@a` to `@d` for its parameters, `@k` and `@m` for whole-number
constants and `@w` for a word constant; `@!` marks the line that does the work. Templates are split once at import,
because millions of examples are made.
"""

import re
from dataclasses import dataclass

_MARK = re.compile(r"@([a-z])")

# The types of parameters and results: TypeScript's, and Python's ("" where a hint would say nothing).
TYPESCRIPT_TYPES = {
    "num": "number", "int": "number", "bool": "boolean", "str": "string", "nums": "number[]", "ints": "number[]",
    "strs": "string[]", "list": "T[]", "item": "T", "maybe": "T | undefined", "dict": "Record<string, number>",
    "none": "void", "any": "unknown", "lists": "T[][]", "pair": "[T, T]", "func": "(value: number) => number",
    "maybe_num": "number | null", "action": "() => void", "promise": "Promise<void>", "promise_any": "Promise<unknown>",
    "promise_str": "Promise<string>", "promise_num": "Promise<number>", "promise_bool": "Promise<boolean>",
    "date": "Date",
}
PYTHON_TYPES = {
    "int": "int", "bool": "bool", "str": "str", "nums": "list[float]", "ints": "list[int]", "strs": "list[str]",
    "list": "list", "dict": "dict", "none": "None", "maybe_num": "int | None",
}


class Template:
    """A text with marks, split once so that filling it is only joining."""

    __slots__ = ("keys", "texts", "first")

    def __init__(self, text: str) -> None:
        parts = _MARK.split(text)
        self.first = parts[0]
        self.keys = parts[1::2]
        self.texts = list(zip(parts[1::2], parts[2::2]))

    def fill(self, values: dict[str, str]) -> str:
        """The text with every mark replaced by its value."""
        text = self.first
        for key, rest in self.texts:
            text += values[key] + rest
        return text


def _third_person(phrase: str) -> str:
    """"return twice n" as "returns twice n"."""
    verb, space, rest = phrase.partition(" ")
    if verb.endswith("y") and verb[-2] not in "aeiou":
        verb = verb[:-1] + "ies"
    else:
        verb += "es" if verb.endswith(("ch", "sh", "s", "x", "o")) else "s"
    return verb + space + re.sub(r" and (return|set|fall) ", r" and \1s ", rest)


class Wording:
    """One description of what a function does: as an order, as a sentence, and as "(a function that) returns ...'."""

    __slots__ = ("order", "sentence", "third")

    def __init__(self, phrase: str, language: str) -> None:
        self.order = Template(phrase)
        self.sentence = Template(phrase[0].upper() + phrase[1:]) if language == "en" else self.order
        self.third = Template(_third_person(phrase)) if language == "en" else self.order


class Body:
    """The body of a function in one programming language, line by line without the function's own indentation."""

    __slots__ = ("lines", "words", "key", "fractional")

    def __init__(self, text: str) -> None:
        lines = text.split("\n")
        # The line that does the work: one marked with "@!", or else the last one that returns.
        marked = [index for index, line in enumerate(lines) if "@!" in line]
        returns = [index for index, line in enumerate(lines) if "return" in line]
        self.key = (marked or returns or [len(lines) - 1])[-1]
        self.lines = [Template(line.replace("@!", "")) for line in lines]
        self.fractional = " / " in text or "sqrt" in text or "math.pi" in text
        self.words = frozenset(re.findall(r"[A-Za-z_]\w*", _MARK.sub(" ", text)))


@dataclass(frozen=True)
class Family:
    """One purpose. `checks` are calls and results ("f(3) => 6") that read the same in Python and in JavaScript."""

    names: tuple[tuple[str, ...], ...]
    params: tuple[tuple[str, str], ...]
    result: str
    bodies: dict[str, Body]
    wordings: dict[str, list[Wording]]
    plain: dict[str, list[Wording]]
    checks: tuple[str, ...]
    imports: dict[str, str]
    defaults: dict[str, str]
    is_async: bool
    is_class: bool
    generic: bool
    hints: bool
    arrow: bool
    constants: str


def family(
    names: str,
    params: str,
    result: str,
    python: str | None,
    typescript: str | None,
    en: str,
    zh: str,
    plain_en: str = "",
    plain_zh: str = "",
    checks: str = "",
    *,
    imports_python: str = "",
    imports_typescript: str = "",
    default: str = "",
    is_async: bool = False,
    is_class: bool = False,
) -> Family:
    """A family from its compact notation: alternatives are parted by "|", parameters are "name:kind name:kind"."""
    pairs = tuple((part.split(":")[0], part.split(":")[1]) for part in params.split())
    bodies = {}
    if python is not None:
        bodies["python"] = Body(python)
    if typescript is not None:
        bodies["typescript"] = Body(typescript)
    kinds = [kind for _, kind in pairs] + [result]
    generic = any("T" in re.findall(r"\w+", TYPESCRIPT_TYPES[kind]) for kind in kinds)
    used = set(_MARK.findall((python or "") + (typescript or "") + default))
    return Family(
        names=tuple(tuple(name.split()) for name in names.split("|")),
        params=pairs,
        result=result,
        bodies=bodies,
        wordings={
            "en": [Wording(phrase, "en") for phrase in en.split("|")],
            "zh": [Wording(phrase, "zh") for phrase in zh.split("|")],
        },
        plain={
            "en": [Wording(phrase, "en") for phrase in plain_en.split("|") if phrase],
            "zh": [Wording(phrase, "zh") for phrase in plain_zh.split("|") if phrase],
        },
        checks=tuple(check for check in checks.split("; ") if check),
        imports={"python": imports_python, "typescript": imports_typescript},
        defaults=dict([default.split("=")]) if default else {},
        is_async=is_async,
        is_class=is_class,
        generic=generic,
        hints=all(kind == "num" or kind in PYTHON_TYPES for kind in kinds),
        arrow=typescript is not None and "\n" not in typescript and typescript.startswith("return ")
        and not typescript.startswith("return {") and not generic and not is_async and not is_class,
        constants="".join(mark for mark in "kmw" if mark in used),
    )
