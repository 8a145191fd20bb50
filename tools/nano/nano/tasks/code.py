"""Small functions in Python, TypeScript and JavaScript: completing them or writing them.

The holes in such functions are the module `holes`; their task is found here beside the other one.
"""

from random import Random

from ..example import Example
from ..phrasing import ask, pick
from .expressions import expression
from .function_piece import Piece
from .functions import BY_LANGUAGE, NAMED, PLAIN, PLAIN_UNTYPED, UNTYPED, programming_language
from .holes import fill_in_the_middle

__all__ = ["code", "fill_in_the_middle"]


def _answer(piece: Piece, head: str) -> str:
    """The fenced answer: the function under its plain `head`, after the import it needs."""
    family = piece.family
    needed = family.imports[piece.programming]
    gap = ("\n\n\n" if piece.programming == "python" else "\n\n") if needed else ""
    kept, piece.head = piece.head, head
    text = f"```{piece.dialect}\n{needed}{gap}{piece.text}\n```"
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
        "finish the code", "complete the {1}", "add the missing body", "complete this {0} code",
        "finish writing this {1}", "write the rest of this {1}", "continue this {0} {1}", "make this {1} work",
        "implement this", "complete this", "finish this", "write this {1}", "fill in the missing code",
        "add the body to this {1}",
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
    "javascript": ("JavaScript", "JavaScript", "javascript", "JS", "js"),
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
        "write a {0} {1} that {2}", "in {0}, write a {1} that {2}", "create a {0} {1} that {2}",
        "make a {1} in {0} that {2}", "give me a {0} {1} that {2}", "write a {1} in {0} that {2}",
        "implement a {0} {1} that {2}", "write a small {0} {1} that {2}", "code a {0} {1} that {2}",
        "show me a {0} {1} that {2}",
    ),
    "zh": (
        "写一个 {0} {1}，{2}", "用 {0} 写一个{1}，{2}", "用 {0} 实现一个{1}：{2}", "给我一个 {0} {1}，{2}", "编写一个 {0} {1}，{2}",
        "用 {0} 写{1}：{2}", "写个 {0} {1}，{2}", "用 {0} 编写一个{1}，{2}",
    ),
}  # fmt: skip
_CALLED = {
    "en": (
        "write a {0} {1} called {3} that {2}", "write a {0} {1} named {3} that {2}", "in {0}, write a {1} {3} that {2}",
        "create a {0} {1} called {3} that {2}", "make a {1} {3} in {0} that {2}",
        "write a {0} {1} that {2}, call it {3}", "write a {0} {1} that {2} and name it {3}",
        "implement {3} in {0}: it {2}",
    ),
    "zh": (
        "写一个名为 {3} 的 {0} {1}，{2}", "用 {0} 写一个叫 {3} 的{1}，{2}", "写一个 {0} {1} {3}，{2}", "用 {0} 实现 {3}：{2}",
        "编写名为 {3} 的 {0} {1}，{2}", "写个 {0} {1}，{2}，名字叫 {3}",
    ),
}  # fmt: skip


def _unspoken(template: str) -> str:
    """A template without its programming language."""
    for part in ("in {0}, ", " in {0}", "用 {0} ", "{0} "):
        template = template.replace(part, "")
    return template


# Where no programming language is named, TypeScript is meant.
_SILENT = {
    id(table): {language: tuple(_unspoken(text) for text in texts) for language, texts in table.items()}
    for table in (_PROSE, _NAMELESS, _CALLED)
}


def _prose(rng: Random, language: str, table: dict[str, tuple[str, ...]], piece: Piece, *values: str) -> str:
    """A request in prose for `piece`, which now and then leaves out that it is TypeScript."""
    if piece.dialect == "typescript" and rng.random() < 0.2:
        table = _SILENT[id(table)]
    spoken = pick(rng, _SPOKEN[piece.dialect])
    return ask(rng, language, "request", pick(rng, table[language]), spoken, _kind_word(piece, language), *values)


def _kind_word(piece: Piece, language: str) -> str:
    if language == "zh":
        return "类" if piece.family.is_class else "函数"
    return "class" if piece.family.is_class else "function"


def _fenced_question(rng: Random, language: str, piece: Piece) -> str:
    """A signature with its description in a fenced block, and the request to complete it."""
    spoken = pick(rng, _SPOKEN[piece.dialect])
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
    fence = piece.dialect if rng.random() < 0.6 else _SHORT[piece.dialect]
    if rng.random() < 0.15:
        fence = ""
    block = f"```{fence}\n{code}\n```"
    return f"{block}\n{request}" if rng.random() < 0.1 else f"{request}\n{block}"


_SHORT = {"python": "py", "typescript": "ts", "javascript": "js"}
_INLINE = {
    "en": ("complete `{0}`", "complete the function `{0}`", "finish `{0}`", "implement `{0}`",
           "write the function `{0}`", "complete {0}", "write the body of `{0}`", "implement the function `{0}`"),
    "zh": ("补全 `{0}`", "补全函数 `{0}`", "完成 `{0}`", "实现 `{0}`", "写出函数 `{0}`", "补全 {0}", "实现函数 `{0}`"),
}  # fmt: skip


def code(rng: Random, language: str) -> Example:
    """A request to complete or to write a small function, or a question about an expression's value."""
    chance = rng.random()
    if chance < 0.12:
        return expression(rng, language)
    programming = programming_language(rng)
    untyped = programming == "typescript" and rng.random() < 0.15
    families = UNTYPED if untyped else BY_LANGUAGE[programming]
    if chance < 0.55:
        piece = Piece(rng, pick(rng, families), programming, "any", untyped=untyped)
        plain_head = piece.head
        piece.documented(rng, language)
        question = _fenced_question(rng, language, piece)
    elif chance < 0.66:
        piece = Piece(rng, pick(rng, NAMED[programming]), programming, "telling")
        plain_head = piece.head
        if rng.random() < 0.6:
            question = _fenced_question(rng, language, piece)
        else:
            question = ask(rng, language, "request", pick(rng, _INLINE[language]), piece.head)
    elif chance < 0.86:
        piece = Piece(rng, pick(rng, families), programming, "any", plain_style=True, untyped=untyped)
        plain_head = piece.head
        family = piece.family
        named = piece.values["f"] if family.is_class else piece.call
        what = pick(rng, family.wordings[language]).third.fill(piece.values)
        if rng.random() < 0.5:
            named = f"`{named}`"
        question = _prose(rng, language, _PROSE, piece, named, what)
    else:
        piece, plain_head, question = _plain_question(rng, language, programming, untyped)
    return Example(
        task="code",
        language=language,
        reasoning=_reasoning(piece, language),
        answer=_answer(piece, plain_head),
        messages=(("user", question),),
    )


def _plain_question(rng: Random, language: str, programming: str, untyped: bool) -> tuple[Piece, str, str]:
    """A request that describes the purpose alone: the parameters, and often the name, are the family's own."""
    family = pick(rng, PLAIN_UNTYPED if untyped else PLAIN[programming])
    piece = Piece(rng, family, programming, "first", plain_style=True, untyped=untyped)
    what = pick(rng, family.plain[language]).third.fill(piece.values)
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
        question = _prose(rng, language, _CALLED, piece, what, named)
    else:
        question = _prose(rng, language, _NAMELESS, piece, what)
    return piece, piece.head, question
