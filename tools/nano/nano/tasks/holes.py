"""Holes in small functions: code before and after, and what stands between."""

from random import Random

from ..example import Example
from ..phrasing import pick
from .function_piece import Piece
from .functions import BY_LANGUAGE, NAMED, programming_language


def fill_in_the_middle(rng: Random, language: str) -> Example:
    """A file of one to three functions with a hole in one of them."""
    programming = programming_language(rng)
    if rng.random() < 0.2:
        piece = Piece(rng, pick(rng, NAMED[programming]), programming, "telling")
    else:
        piece = Piece(rng, pick(rng, BY_LANGUAGE[programming]), programming, "any")
        piece.documented(rng, language)
    text = piece.doc + piece.text
    start, end = _hole(rng, piece, text)
    gap = "\n\n\n" if programming == "python" else "\n\n"
    imports = piece.family.imports[programming]
    before = after = ""
    chance = rng.random()
    if chance < 0.35:
        other = Piece(rng, pick(rng, BY_LANGUAGE[programming]), programming, "any")
        while other.values["f"] == piece.values["f"] or other.family is piece.family:
            other = Piece(rng, pick(rng, BY_LANGUAGE[programming]), programming, "any")
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
