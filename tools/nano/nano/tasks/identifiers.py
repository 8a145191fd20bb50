"""Identifiers of many kinds: composed from tables of words, in snake_case and in camelCase."""

from random import Random

from ..phrasing import pick

_ADJECTIVES = (
    "max min new old raw next prev first last base main user local total final input output current extra inner outer "
    "daily weekly monthly sorted cached public private remote active hidden empty open closed short long small big "
    "fast slow safe default custom common global simple double single known valid clean fresh full half top bottom "
    "left right red blue green dark light north south home work game team test demo shop bank train city "
    "school street book"
).split()
_NUMBERS = (
    "value num number price score age speed size width height weight depth level amount balance cost rate limit count "
    "rank points temperature length distance seconds minutes hours days months year total volume mass power energy "
    "voltage pressure angle radius offset delta step factor ratio quantity stock salary income tax fee discount budget "
    "profit loss position row col page port pid timeout delay retries attempts version id index time duration ticks "
    "pixels meters grams votes likes views visits steps lives health damage gold coins tickets seats"
).split()
_PLURALS = (
    "items values numbers prices scores ages speeds sizes widths weights levels amounts costs rates limits ranks "
    "points results samples readings temperatures lengths distances numbers entries records rows cells nodes orders "
    "users names words tokens files pages tags labels colors cities countries books songs movies games players teams "
    "matches tickets votes messages events tasks jobs steps moves parts pieces things elements options choices answers"
).split()
_TEXTS = (
    "text name word line title message phrase sentence label code key path url email city country street color author "
    "user title note comment reply answer question token tag slug term query input line content body header footer "
    "caption summary subject topic label nickname surname brand model animal fruit flower song album movie city letter"
).split()
_DICTS = (
    "data settings options config params headers prices scores counts ages stock inventory weights totals ranks votes "
    "limits balances grades points lengths sizes levels costs rates index table lookup cache registry catalog menu"
).split()
_FLAGS = (
    "flag enabled active visible ready done valid open closed locked hidden selected checked dirty empty admin online "
    "running paused finished allowed required"
).split()
_VERBS = (
    "get compute calc make build find check process handle run do update convert prepare create load fetch show format "
    "parse read derive evaluate transform apply resolve pick select collect gather produce give estimate measure"
).split()
_THINGS = sorted({*_NUMBERS, *_TEXTS, *_PLURALS} - {"do"})


def snake(words: tuple[str, ...]) -> str:
    """The words as one snake_case identifier."""
    return "_".join(words)


def camel(words: tuple[str, ...]) -> str:
    """The words as one camelCase identifier."""
    return words[0] + "".join(word[0].upper() + word[1:] for word in words[1:])


def pascal(words: tuple[str, ...]) -> str:
    """The words as one PascalCase identifier."""
    return "".join(word[0].upper() + word[1:] for word in words)


def _both(phrases: list[tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(snake(words), camel(words)) for words in phrases]


def _table(short: str, singles: list[str]) -> tuple[list[tuple[str, str]], ...]:
    """Short names, single words, and pairs of an adjective and a word."""
    singles = sorted(set(singles))
    pairs = [(adjective, word) for adjective in _ADJECTIVES for word in singles if adjective != word]
    return _both([(word,) for word in short.split()]), _both([(word,) for word in singles]), _both(pairs)


_KINDS = {
    "num": _table("n x y z v num val k", _NUMBERS),
    "nums": _table("xs nums vals arr ns", _PLURALS),
    "str": _table("s text str t word", _TEXTS),
    "dict": _table("d obj data map table", _DICTS),
    "bool": _table("flag ok a b done", _FLAGS),
    "func": _table("fn f action callback func", ["callback", "handler", "action", "task", "job", "operation"]),
    "item": _table("x value target item element", "value target item element entry candidate wanted".split()),
}
_KINDS["int"] = _KINDS["num"]
_KINDS["ints"] = _KINDS["strs"] = _KINDS["list"] = _KINDS["lists"] = _KINDS["nums"]
_KINDS["any"] = _KINDS["item"]
_KINDS["action"] = _KINDS["func"]

# Words that are no identifiers in one of the two languages, or whose meaning there would mislead.
FORBIDDEN = frozenset(
    "and as assert async await break case catch class const continue debugger default def del delete do elif else "
    "enum except export extends false finally for from function global if implements import in instanceof interface is "
    "lambda let match new nonlocal not null number string boolean or package pass private protected public raise "
    "return static super switch this throw true try type typeof undefined var void while with yield str int float list "
    "dict map filter len sum max min abs print range sorted set input id open arguments eval None True False "
    "math".split()
)

_FUNCTION_SINGLES = _both([(word,) for word in sorted({*_VERBS, *_THINGS}) if word not in FORBIDDEN])
_FUNCTION_PAIRS = _both([(verb, thing) for verb in _VERBS for thing in _THINGS])
_SUFFIXES = sorted({*_NUMBERS, *_TEXTS})
WORDS = sorted({*_TEXTS, *_DICTS, *_NUMBERS, *_PLURALS})


def param(rng: Random, kind: str, camel_case: bool, taken: set[str] | frozenset[str], chosen: list[str]) -> str:
    """A parameter's name that is neither in `taken` nor in `chosen`."""
    short, singles, pairs = _KINDS[kind]
    while True:
        chance = rng.random()
        table = short if chance < 0.25 else singles if chance < 0.6 else pairs
        name = pick(rng, table)[camel_case]
        if name not in taken and name not in chosen and name not in FORBIDDEN:
            return name


def function_words(rng: Random) -> tuple[str, str]:
    """A function's name, in snake_case and camelCase, that says little about what the function does."""
    chance = rng.random()
    if chance < 0.15:
        return pick(rng, _FUNCTION_SINGLES)
    pair = pick(rng, _FUNCTION_PAIRS)
    if chance < 0.75:
        return pair
    word = pick(rng, _SUFFIXES)
    return f"{pair[0]}_{word}", pair[1] + word[0].upper() + word[1:]


def extended(rng: Random, words: tuple[str, ...]) -> tuple[str, str]:
    """A telling name, now and then with a word before or after it ("double_price", "safe_double")."""
    chance = rng.random()
    if chance < 0.4:
        words = (*words, pick(rng, _SUFFIXES))
    elif chance < 0.5:
        words = (pick(rng, _VERBS), *words)
    return snake(words), camel(words)
