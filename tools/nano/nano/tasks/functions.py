"""All families of functions, and which of them fit which kind of question."""

from random import Random

from .function_family import Family
from .functions_lists import LISTS
from .functions_misc import MISC
from .functions_numbers import NUMBERS
from .functions_text import TEXTS

FAMILIES: list[Family] = [*NUMBERS, *TEXTS, *LISTS, *MISC]
BY_LANGUAGE = {
    name: [family for family in FAMILIES if name in family.bodies] for name in ("python", "typescript")
}
# Families whose TypeScript is JavaScript once the types of its signature are left out.
UNTYPED = [
    family for family in BY_LANGUAGE["typescript"]
    if not family.is_class and not any(
        "Record<" in line.first or "ReturnType<" in line.first for line in family.bodies["typescript"].lines
    )
]  # fmt: skip
# Families that a name alone tells: nothing else has to be known to write them.
NAMED = {
    name: [family for family in families if not family.constants and not family.is_class]
    for name, families in BY_LANGUAGE.items()
}
PLAIN = {
    name: [family for family in families if family.plain["en"] and family.plain["zh"]]
    for name, families in BY_LANGUAGE.items()
}
PLAIN_UNTYPED = [family for family in PLAIN["typescript"] if family in UNTYPED]


def programming_language(rng: Random) -> str:
    """The key of `BY_LANGUAGE` that a question is about."""
    return "python" if rng.random() < 0.5 else "typescript"
