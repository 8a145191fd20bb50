"""Small functions in Python and TypeScript: completing or writing them, and filling holes in them."""

from random import Random

from ..example import Example
from ..phrasing import ask, between, pick
from .expressions import expression
from .function_family import PYTHON_TYPES, TYPESCRIPT_TYPES, Family
from .functions_lists import LISTS
from .functions_misc import MISC
from .functions_numbers import NUMBERS
from .functions_text import TEXTS
from .identifiers import FORBIDDEN, WORDS, camel, extended, function_words, param, pascal, snake

FAMILIES: list[Family] = [*NUMBERS, *TEXTS, *LISTS, *MISC]
_BY_LANGUAGE = {
    name: [family for family in FAMILIES if name in family.bodies] for name in ("python", "typescript")
}
# Families that a name alone tells: nothing else has to be known to write them.
_NAMED = {
    name: [family for family in families if not family.constants and not family.is_class]
    for name, families in _BY_LANGUAGE.items()
}
_PLAIN = {
    name: [family for family in families if family.plain["en"] and family.plain["zh"]]
    for name, families in _BY_LANGUAGE.items()
}
_MARKS = "abcd"


class Piece:
    """One function with its names chosen: what its parts look like in its programming language."""

    __slots__ = ("family", "programming", "values", "head", "lines", "foot", "indent", "arrow", "params", "doc", "key")

    def __init__(self, rng: Random, family: Family, programming: str, named: str, plain_style: bool = False) -> None:
        """`named` is "telling", "any" (a name that may say nothing) or "first" (the family's own names throughout).

        `plain_style` leaves out type hints, `export` and arrows.
        """
        self.family, self.programming = family, programming
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
            number = "int" if rng.random() < 0.5 else "float"
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
        typed = [f"{name}: {TYPESCRIPT_TYPES[kind]}" for name, (_, kind) in zip(params, family.params)]
        if family.defaults:
            typed[-1] = f"{params[-1]} = {values['k']}"
        result = TYPESCRIPT_TYPES[family.result]
        if family.arrow and not plain_style and rng.random() < 0.15:
            self.arrow = True
            self.head = f"{export}const {values['f']} = ({', '.join(typed)}): {result} =>"
            self.foot = ""
            return
        if not family.is_async and result.startswith("Promise"):
            raise ValueError(f"{family.names[0]} gives a promise")
        keyword = "async function" if family.is_async else "function"
        generic = "<T>" if family.generic else ""
        self.head = f"{export}{keyword} {values['f']}{generic}({', '.join(typed)}): {result} {{"

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
        sentence = pick(rng, self.family.wordings[language]).sentence.fill(self.values)
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


_SIMPLE = frozenset("num int str nums ints strs dict bool func list lists item any action".split())


def _programming(rng: Random) -> str:
    return "python" if rng.random() < 0.5 else "typescript"


def _answer(piece: Piece, head: str) -> str:
    """The fenced answer: the function under its plain `head`, after the import it needs."""
    family = piece.family
    needed = family.imports[piece.programming]
    gap = ("\n\n\n" if piece.programming == "python" else "\n\n") if needed else ""
    kept, piece.head = piece.head, head
    text = f"```{piece.programming}\n{needed}{gap}{piece.text}\n```"
    piece.head = kept
    return text


def _reasoning(piece: Piece, language: str) -> str:
    """What the function must do, what it needs, and the line that does it."""
    family = piece.family
    what = family.wordings[language][0].order.fill(piece.values)
    needed = family.imports[piece.programming]
    line = piece.lines[piece.key].strip()
    alone = len(piece.lines) == 1
    if language == "zh":
        text = f"这个{'类' if family.is_class else '函数'}的作用：{what}。\n"
        if needed:
            text += f"它需要 `{needed}`。\n"
        return text + (f"所以函数体是 `{line}`。" if alone else f"关键的一行是 `{line}`。")
    text = f"The {'class' if family.is_class else 'function'} must {what}.\n"
    if needed:
        text += f"It needs `{needed}`.\n"
    return text + (f"So the body is `{line}`." if alone else f"The main line is `{line}`.")


_COMPLETE = {
    "en": (
        "complete this {1}", "complete the {1} below", "finish this {1}", "complete the following {0} {1}",
        "complete this {0} {1}", "fill in the body of this {1}", "write the body of this {1}", "implement this {1}",
        "finish the {0} {1} below", "fill in this {1}", "implement the following {1}", "complete the code",
        "finish the code", "complete the {1}", "add the missing body", "complete this {0} code", "finish writing this {1}",
        "write the rest of this {1}", "continue this {0} {1}", "make this {1} work", "implement this", "complete this",
        "finish this", "write this {1}", "fill in the missing code", "add the body to this {1}",
    ),
    "zh": (
        "补全这个{1}", "补全下面的{1}", "完成这个{1}", "把这个 {0} {1}补全", "补全以下 {0} {1}", "写出这个{1}的代码", "实现这个{1}",
        "实现下面的{1}", "把下面的{1}写完", "完成下面的 {0} {1}", "补全代码", "补全下面的代码", "完成以下代码", "续写这个{1}", "把代码写完",
        "填写这个{1}的内容", "写完这个 {0} {1}", "实现以下{1}", "补齐这个{1}", "补全", "让这个{1}能用",
    ),
}  # fmt: skip
_SPOKEN = {
    "python": ("Python", "Python", "python", "py"),
    "typescript": ("TypeScript", "TypeScript", "typescript", "TS", "ts"),
}
_PROSE = {
    "en": (
        "write a {0} {1} {2} that {3}", "write the {0} {1} {2}, which {3}", "in {0}, write a {1} {2} that {3}",
        "implement {2} in {0}: it {3}", "create a {0} {1} {2} that {3}", "make a {0} {1} {2} that {3}",
        "define a {0} {1} {2} that {3}", "code a {0} {1} {2} that {3}", "give me a {0} {1} {2} that {3}",
        "write {2} in {0}; it {3}", "implement a {1} {2} in {0} that {3}", "write a small {0} {1} {2} that {3}",
        "build a {0} {1} {2} that {3}", "write a {1} {2} in {0} that {3}", "show me a {0} {1} {2} that {3}",
    ),
    "zh": (
        "写一个 {0} {1} {2}，{3}", "用 {0} 写一个{1} {2}，{3}", "用 {0} 实现 {2}：{3}", "实现 {0} {1} {2}，{3}", "定义 {0} {1} {2}，{3}",
        "写 {0} {1} {2}：{3}", "用 {0} 写 {2}，作用是{3}", "写一个 {0} {1} {2}，作用是{3}", "用 {0} 定义一个{1} {2}，{3}",
        "给我一个 {0} {1} {2}，{3}", "编写 {0} {1} {2}，{3}", "用 {0} 编写{1} {2}：{3}",
    ),
}  # fmt: skip
_NAMELESS = {
    "en": (
        "write a {0} {1} that {2}", "in {0}, write a {1} that {2}", "create a {0} {1} that {2}", "make a {1} in {0} that {2}",
        "give me a {0} {1} that {2}", "write a {1} in {0} that {2}", "implement a {0} {1} that {2}",
        "write a small {0} {1} that {2}", "code a {0} {1} that {2}", "show me a {0} {1} that {2}",
    ),
    "zh": (
        "写一个 {0} {1}，{2}", "用 {0} 写一个{1}，{2}", "用 {0} 实现一个{1}：{2}", "给我一个 {0} {1}，{2}", "编写一个 {0} {1}，{2}",
        "用 {0} 写{1}：{2}", "写个 {0} {1}，{2}", "用 {0} 编写一个{1}，{2}",
    ),
}  # fmt: skip
_CALLED = {
    "en": (
        "write a {0} {1} called {3} that {2}", "write a {0} {1} named {3} that {2}", "in {0}, write a {1} {3} that {2}",
        "create a {0} {1} called {3} that {2}", "make a {1} {3} in {0} that {2}", "write a {0} {1} that {2}, call it {3}",
        "write a {0} {1} that {2} and name it {3}", "implement {3} in {0}: it {2}",
    ),
    "zh": (
        "写一个名为 {3} 的 {0} {1}，{2}", "用 {0} 写一个叫 {3} 的{1}，{2}", "写一个 {0} {1} {3}，{2}", "用 {0} 实现 {3}：{2}",
        "编写名为 {3} 的 {0} {1}，{2}", "写个 {0} {1}，{2}，名字叫 {3}",
    ),
}  # fmt: skip


def _kind_word(piece: Piece, language: str) -> str:
    if language == "zh":
        return "类" if piece.family.is_class else "函数"
    return "class" if piece.family.is_class else "function"


def _fenced_question(rng: Random, language: str, piece: Piece) -> str:
    """A signature with its description in a fenced block, and the request to complete it."""
    spoken = pick(rng, _SPOKEN[piece.programming])
    request = ask(rng, language, "request", pick(rng, _COMPLETE[language]), spoken, _kind_word(piece, language))
    code = piece.doc + piece.head
    chance = rng.random()
    if piece.programming == "python":
        if chance < 0.15:
            code += "\n    pass"
        elif chance < 0.3:
            code += "\n    ..."
        elif chance < 0.4:
            code += "\n    # TODO"
    elif not piece.arrow:
        if chance < 0.35:
            code += "\n}"
        elif chance < 0.5:
            code += "\n  // TODO\n}"
    needed = piece.family.imports[piece.programming]
    if needed and rng.random() < 0.4:
        code = f"{needed}\n\n{code}"
    fence = piece.programming if rng.random() < 0.6 else "py" if piece.programming == "python" else "ts"
    if rng.random() < 0.15:
        fence = ""
    block = f"```{fence}\n{code}\n```"
    return f"{block}\n{request}" if rng.random() < 0.1 else f"{request}\n{block}"


_INLINE = {
    "en": ("complete `{0}`", "complete the function `{0}`", "finish `{0}`", "implement `{0}`", "write the function `{0}`",
           "complete {0}", "write the body of `{0}`", "implement the function `{0}`"),
    "zh": ("补全 `{0}`", "补全函数 `{0}`", "完成 `{0}`", "实现 `{0}`", "写出函数 `{0}`", "补全 {0}", "实现函数 `{0}`"),
}  # fmt: skip


def code(rng: Random, language: str) -> Example:
    """A request to complete or to write a small function, or a question about an expression's value."""
    chance = rng.random()
    if chance < 0.12:
        return expression(rng, language)
    programming = _programming(rng)
    if chance < 0.55:
        piece = Piece(rng, pick(rng, _BY_LANGUAGE[programming]), programming, "any")
        plain_head = piece.head
        piece.documented(rng, language)
        question = _fenced_question(rng, language, piece)
    elif chance < 0.66:
        piece = Piece(rng, pick(rng, _NAMED[programming]), programming, "telling")
        plain_head = piece.head
        if rng.random() < 0.6:
            question = _fenced_question(rng, language, piece)
        else:
            question = ask(rng, language, "request", pick(rng, _INLINE[language]), piece.head)
    elif chance < 0.86:
        piece = Piece(rng, pick(rng, _BY_LANGUAGE[programming]), programming, "any", plain_style=True)
        plain_head = piece.head
        family = piece.family
        named = piece.values["f"] if family.is_class else piece.call
        what = pick(rng, family.wordings[language]).third.fill(piece.values)
        if rng.random() < 0.5:
            named = f"`{named}`"
        question = ask(
            rng, language, "request", pick(rng, _PROSE[language]), pick(rng, _SPOKEN[programming]),
            _kind_word(piece, language), named, what,
        )  # fmt: skip
    else:
        piece, plain_head, question = _plain_question(rng, language, programming)
    return Example(
        task="code",
        language=language,
        reasoning=_reasoning(piece, language),
        answer=_answer(piece, plain_head),
        messages=(("user", question),),
    )


def _plain_question(rng: Random, language: str, programming: str) -> tuple[Piece, str, str]:
    """A request that describes the purpose alone: the parameters, and often the name, are the family's own."""
    family = pick(rng, _PLAIN[programming])
    piece = Piece(rng, family, programming, "first", plain_style=True)
    what = pick(rng, family.plain[language]).third.fill(piece.values)
    spoken, kind = pick(rng, _SPOKEN[programming]), _kind_word(piece, language)
    if rng.random() < 0.7:
        other = Piece(rng, family, programming, "any", plain_style=True)
        while other.values["f"] in piece.params:
            other = Piece(rng, family, programming, "any", plain_style=True)
        name, own = other.values["f"], piece.values["f"]
        piece.head = piece.head.replace(own, name, 1)
        piece.values["f"] = name
        piece.lines = [
            piece.indent + text if text else ""
            for text in [line.fill(piece.values) for line in family.bodies[programming].lines]
        ]
        named = f"`{name}`" if rng.random() < 0.4 else name
        question = ask(rng, language, "request", pick(rng, _CALLED[language]), spoken, kind, what, named)
    else:
        question = ask(rng, language, "request", pick(rng, _NAMELESS[language]), spoken, kind, what)
    return piece, piece.head, question


def fill_in_the_middle(rng: Random, language: str) -> Example:
    """A file of one to three functions with a hole in one of them."""
    programming = _programming(rng)
    if rng.random() < 0.2:
        piece = Piece(rng, pick(rng, _NAMED[programming]), programming, "telling")
    else:
        piece = Piece(rng, pick(rng, _BY_LANGUAGE[programming]), programming, "any")
        piece.documented(rng, language)
    text = piece.doc + piece.text
    start, end = _hole(rng, piece, text)
    gap = "\n\n\n" if programming == "python" else "\n\n"
    imports = piece.family.imports[programming]
    before = after = ""
    chance = rng.random()
    if chance < 0.35:
        other = Piece(rng, pick(rng, _BY_LANGUAGE[programming]), programming, "any")
        while other.values["f"] == piece.values["f"] or other.family is piece.family:
            other = Piece(rng, pick(rng, _BY_LANGUAGE[programming]), programming, "any")
        if rng.random() < 0.7:
            other.documented(rng, language)
        needed = other.family.imports[programming]
        if needed and needed != imports:
            imports = f"{needed}\n{imports}" if imports else needed
        if chance < 0.18:
            before = other.doc + other.text + gap
        else:
            after = gap + other.doc + other.text
    if imports:
        before = imports + gap + before
    prefix, answer, suffix = before + text[:start], text[start:end], text[end:] + after
    if suffix:
        suffix += "\n"
    elif rng.random() < 0.4:
        suffix = "\n"
    elif programming == "typescript" and not piece.arrow and not answer.endswith("}"):
        suffix = "\n"
    if imports and rng.random() < 0.12:
        prefix, answer, suffix = _import_hole(rng, programming, imports, prefix + answer + suffix)
    return Example("fim", programming, "", answer, prefix=prefix, suffix=suffix)


def _import_hole(rng: Random, programming: str, imports: str, text: str) -> tuple[str, str, str]:
    """A hole in the first import line: its last name."""
    line = imports.partition("\n")[0]
    if programming == "typescript":
        start, end = (9, line.index(" }")) if rng.random() < 0.6 else (line.index('"') + 1, len(line) - 2)
    else:
        start, end = line.rindex(" ") + 1, len(line)
    return text[:start], text[start:end], text[end:]


def _hole(rng: Random, piece: Piece, text: str) -> tuple[int, int]:
    """Where the hole in the documented function's text begins and ends."""
    lines, semicolon = piece.lines, piece.programming == "typescript"
    if piece.arrow:
        start = text.index(" => ", len(piece.doc)) + 4
        return start, len(text) - (1 if rng.random() < 0.4 else 0)
    base = len(piece.doc) + len(piece.head) + 1
    chance = rng.random()
    if chance < 0.07 and len(piece.params) == 1:
        called = piece.values["f"] + ("<T>(" if piece.family.generic and semicolon else "(")
        start = text.index(called, len(piece.doc)) + len(called)
        return start, start + len(piece.params[0])
    if chance < 0.5 and piece.family.defaults:
        start = text.index("=", len(piece.doc)) + 1
        start += text[start] == " "
        return start, start + len(piece.values["k"])
    if len(lines) <= 4 and 0.07 <= chance < 0.25:
        return base + len(piece.indent), base + sum(map(len, lines)) + len(lines) - 1
    index = piece.key if rng.random() < 0.6 else int(rng.random() * len(lines))
    while not lines[index]:
        index = int(rng.random() * len(lines))
    line = lines[index]
    first = base + sum(map(len, lines[:index])) + index
    indent = len(line) - len(line.lstrip())
    end = first + len(line)
    if semicolon and line[-1] == ";" and rng.random() < 0.3:
        end -= 1
    if chance < 0.32 and len(lines) > 1 and index:
        rest = base + sum(map(len, lines)) + len(lines) - 1
        if rest - first < 140:
            return first + indent, rest
    if chance < 0.55 and line.startswith("return ", indent):
        return first + indent + 7, end
    if chance < 0.65 and line.startswith("if", indent):
        return (first + indent + 4, first + len(line) - 3) if semicolon else (first + indent + 3, first + len(line) - 1)
    if chance < 0.85:
        borders = [
            place + 1 for place in range(indent + 1, end - first - 1)
            if line[place] in " (.[" and line[place + 1] not in " .])"
        ]
        if borders:
            return first + pick(rng, borders), end
    return first + indent, end
