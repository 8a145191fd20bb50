"""One function of a family with its names, constants and style chosen."""

from random import Random

from ..phrasing import between, pick
from .function_family import PYTHON_TYPES, TYPESCRIPT_TYPES, Family
from .identifiers import FORBIDDEN, WORDS, camel, extended, function_words, param, pascal, snake

_MARKS = "abcd"
_SIMPLE = frozenset("num int str nums ints strs dict bool func list lists item any action".split())


class Piece:
    """One function with its names chosen: what its parts look like in its programming language."""

    __slots__ = (
        "family", "programming", "untyped", "values", "head", "lines", "foot", "indent", "arrow", "params", "doc",
        "key",
    )  # fmt: skip

    def __init__(
        self,
        rng: Random,
        family: Family,
        programming: str,
        named: str,
        plain_style: bool = False,
        untyped: bool = False,
    ) -> None:
        """`named` is "telling", "any" (a name that may say nothing) or "first" (the family's own names throughout).

        `plain_style` leaves out type hints, `export` and arrows; `untyped` makes JavaScript of TypeScript.
        """
        self.family, self.programming, self.untyped = family, programming, untyped
        python = programming == "python"
        body = family.bodies[programming]
        self.key = body.key
        self.values = values = {}
        values["f"] = name = self._name(rng, named)
        params: list[str] = []
        taken = body.words
        for words, kind in family.params:
            if named == "first" or (words not in taken and words not in params and rng.random() < 0.2):
                params.append(words)
            else:
                params.append(param(rng, kind if kind in _SIMPLE else "str", not python, taken, [name, *params]))
        for mark, chosen in zip(_MARKS, params):
            values[mark] = chosen
        if family.constants:
            chance = rng.random()
            for mark in family.constants:
                if mark == "w":
                    values[mark] = pick(rng, WORDS)
                else:
                    low, high = (2, 12) if chance < 0.5 else (13, 100) if chance < 0.85 else (101, 1000)
                    values[mark] = str(between(rng, low, high))
        self.params = params
        self.doc = ""
        self.arrow = False
        if python:
            self._python(rng, params, plain_style)
        else:
            self._typescript(rng, params, plain_style)
        indent = self.indent
        self.lines = [indent + text if text else "" for text in [line.fill(values) for line in body.lines]]

    def _name(self, rng: Random, named: str) -> str:
        family, camel_case = self.family, self.programming != "python"
        if family.is_class:
            return pascal(family.names[0] if named == "first" else (pick(rng, WORDS), *pick(rng, family.names)))
        words = self.family.bodies[self.programming].words
        while True:
            if named == "first":
                pair = (snake(family.names[0]), camel(family.names[0]))
            elif named == "telling":
                telling = pick(rng, family.names[:3])
                pair = (snake(telling), camel(telling))
            elif rng.random() < 0.4:
                pair = extended(rng, pick(rng, family.names))
            else:
                pair = function_words(rng)
            name = pair[camel_case]
            if named == "first" or (name not in words and name not in FORBIDDEN):
                return name

    def _python(self, rng: Random, params: list[str], plain_style: bool) -> None:
        family, values = self.family, self.values
        self.indent, self.foot = "    ", ""
        if family.is_class:
            self.head = f"class {values['f']}:"
            return
        if family.hints and not plain_style and rng.random() < 0.4:
            number = "float" if family.bodies["python"].fractional or rng.random() < 0.5 else "int"
            typed = [
                f"{name}: {number if kind == 'num' else PYTHON_TYPES[kind]}"
                for name, (_, kind) in zip(params, family.params)
            ]
            if family.defaults:
                typed[-1] += " = " + values["k"]
            result = number if family.result == "num" else PYTHON_TYPES[family.result]
            self.head = f"def {values['f']}({', '.join(typed)}) -> {result}:"
            return
        listed = ", ".join(params)
        if family.defaults:
            listed += "=" + values["k"]
        self.head = f"def {values['f']}({listed}):"

    def _typescript(self, rng: Random, params: list[str], plain_style: bool) -> None:
        family, values = self.family, self.values
        self.indent, self.foot = "  ", "\n}"
        export = "export " if not plain_style and rng.random() < 0.3 else ""
        if family.is_class:
            self.head = f"{export}class {values['f']} {{"
            return
        if self.untyped:
            typed, result = params[:], ""
        else:
            typed = [f"{name}: {TYPESCRIPT_TYPES[kind]}" for name, (_, kind) in zip(params, family.params)]
            result = f": {TYPESCRIPT_TYPES[family.result]}"
        if family.defaults:
            typed[-1] = f"{params[-1]} = {values['k']}"
        if family.arrow and not plain_style and rng.random() < 0.15:
            self.arrow = True
            self.head = f"{export}const {values['f']} = ({', '.join(typed)}){result} =>"
            self.foot = ""
            return
        keyword = "async function" if family.is_async else "function"
        generic = "<T>" if family.generic and not self.untyped else ""
        self.head = f"{export}{keyword} {values['f']}{generic}({', '.join(typed)}){result} {{"

    @property
    def dialect(self) -> str:
        """The name on the fence."""
        return "javascript" if self.untyped else self.programming

    @property
    def text(self) -> str:
        """The whole function, without its import."""
        if self.arrow:
            return f"{self.head} {self.lines[0].strip().removeprefix('return ')}"
        return self.head + "\n" + "\n".join(self.lines) + self.foot

    @property
    def call(self) -> str:
        """"name(first, second)", as prose names the function."""
        return f"{self.values['f']}({', '.join(self.params)})"

    def documented(self, rng: Random, language: str) -> None:
        """Chooses a comment or docstring that says what the function does; it belongs to `doc`, or to `head`."""
        wordings = self.family.plain[language]
        if not wordings or rng.random() < 0.75:
            wordings = self.family.wordings[language]
        sentence = pick(rng, wordings).sentence.fill(self.values)
        chance = rng.random()
        if chance < 0.7:
            sentence += "。" if language == "zh" else "."
        if self.programming == "python":
            if chance < 0.5 or self.family.is_class or chance > 0.85:
                self.head += f'\n    """{sentence}"""' if '"' not in sentence else f"\n    # {sentence}"
            elif chance < 0.75:
                self.doc = f"# {sentence}\n"
            else:
                self.head += f"\n    # {sentence}"
        elif chance < 0.5 or chance > 0.85:
            self.doc = f"/** {sentence} */\n"
        elif chance < 0.75 or self.arrow:
            self.doc = f"// {sentence}\n"
        else:
            self.head += f"\n  // {sentence}"
