"""The tokenizer's tokens of letters: made-up words put together from them teach how every token is spelled."""

import json
from functools import cache

from . import config


@cache
def pieces() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tokens of two to nine Latin letters: all of them, and those in lower case. Empty before there is a tokenizer."""
    if not config.TOKENIZER.exists():
        return (), ()
    vocabulary = json.loads(config.TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"]
    tokens = {token.removeprefix("Ġ") for token in vocabulary}
    words = sorted(token for token in tokens if 2 <= len(token) <= 9 and token.isascii() and token.isalpha())
    return tuple(words), tuple(word for word in words if word.islower())
